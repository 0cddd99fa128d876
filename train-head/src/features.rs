//! Feature rows of a cache, copied out a batch at a time.
//!
//! Within the allowance (there need be none) the batches of an Arrow cache stay memory-mapped, so that
//! what is held is a list of positions and the system pages the values in, and those of a Parquet
//! cache are in memory. Beyond it nothing is held: every row is read from its file when it is asked for,
//! from the Arrow file itself, or from a temporary copy of what Parquet decodes to (`spill`).
//! Which of the two it is changes no value.

mod disk;
mod spill;

use std::hash::{DefaultHasher, Hasher};

use common::{
    cache::{CacheReader, FeatureBatch, FeatureDtype, Layer},
    head::stack::FeatureRows,
    source::Split,
};

pub(crate) use disk::ReadFailure;
use disk::Stretch;
use spill::Store;

use crate::failure::Failure;

/// Rows of one layer, in an order of their own.
pub(crate) struct Features {
    batches: Batches,
    positions: Vec<Position>,
    width: usize,
}

/// Where the values are.
enum Batches {
    Memory(Vec<FeatureBatch>),
    Disk(Store, Vec<Stretch>),
}

#[derive(Clone, Copy)]
struct Position {
    batch: u32,
    row: u32,
}

/// How much memory features may take; `None`: all there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Allowance(pub(crate) Option<u64>);

impl Allowance {
    /// Whether so many bytes are within it.
    pub(crate) fn covers(self, bytes: u64) -> bool {
        self.0.is_none_or(|most| bytes <= most)
    }

    /// A share of it, for one of `count`.
    pub(crate) fn shared_by(self, count: usize) -> Self {
        Self(self.0.map(|bytes| bytes / count.max(1) as u64))
    }
}

/// What a look at every value of a row gives.
pub(crate) enum Inspection {
    /// Equal for rows with the same bits.
    Digest(u64),
    /// A value is NaN or infinite.
    NonFinite {
        /// Index of the value.
        position: usize,
        value: f32,
    },
}

impl Features {
    /// No rows yet, of `width` values each; they will be held in memory.
    pub(crate) fn new(width: usize) -> Self {
        Self {
            batches: Batches::Memory(Vec::new()),
            positions: Vec::new(),
            width,
        }
    }

    /// No rows yet, of `layer`; those of `splits` will be read from disk if `allowance` does not
    /// cover them.
    pub(crate) fn of(
        reader: &CacheReader,
        layer: &Layer,
        (splits, allowance): (&[Split], Allowance),
    ) -> Self {
        let samples = reader.plan().rows().iter();
        let rows = samples
            .filter(|sample| splits.contains(&sample.split))
            .count() as u64;
        let bytes = rows * u64::from(reader.manifest().identity.views) * layer.row_bytes() as u64;
        let mut features = Self::new(layer.dim());
        if !allowance.covers(bytes) {
            features.batches = Batches::Disk(Store::new(layer.dtype, bytes), Vec::new());
        }
        features
    }

    /// Adds the rows `rows` of `batch`.
    ///
    /// # Errors
    /// When a file cannot be opened, or there is no room for a temporary one.
    pub(crate) fn add(&mut self, batch: FeatureBatch, rows: &[usize]) -> Result<(), Failure> {
        if rows.is_empty() {
            return Ok(());
        }
        let index = match &mut self.batches {
            Batches::Memory(batches) => {
                batches.push(batch);
                batches.len() - 1
            }
            Batches::Disk(store, stretches) => {
                stretches.push(store.keep(&batch)?);
                stretches.len() - 1
            }
        };
        self.positions.extend(rows.iter().map(|&row| Position {
            batch: index as u32,
            row: row as u32,
        }));
        Ok(())
    }

    /// Values a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Copies `rows` into `output`, which becomes `[rows, width]`.
    pub(crate) fn gather(&self, rows: &[u32], output: &mut Vec<f32>) {
        output.resize(rows.len() * self.width, 0.0);
        match &self.batches {
            Batches::Memory(_) => {
                for (&row, output) in rows.iter().zip(output.chunks_exact_mut(self.width)) {
                    self.copy_row(row, output);
                }
            }
            Batches::Disk(..) => self.gather_runs(rows, output),
        }
    }

    /// As [`Features::gather`]; rows that follow each other on disk are read together.
    fn gather_runs(&self, mut rows: &[u32], mut output: &mut [f32]) {
        while let Some(&first) = rows.first() {
            let start = self.positions[first as usize];
            let follows = |(step, row): (usize, &u32)| {
                let position = self.positions[*row as usize];
                (position.batch, position.row as usize) == (start.batch, start.row as usize + step)
            };
            let run = rows
                .iter()
                .enumerate()
                .take_while(|pair| follows(*pair))
                .count();
            let (now, later) = output.split_at_mut(run * self.width);
            self.read(start, now);
            (rows, output) = (&rows[run..], later);
        }
    }

    /// The rows from `start` on, as many as `output` has.
    fn read(&self, start: Position, output: &mut [f32]) {
        match &self.batches {
            Batches::Memory(batches) => {
                batches[start.batch as usize].copy_row(start.row as usize, output);
            }
            Batches::Disk(store, stretches) => {
                let first_value = start.row as usize * self.width;
                stretches[start.batch as usize].read(store.dtype(), first_value, output);
            }
        }
    }
}

impl FeatureRows for Features {
    fn width(&self) -> usize {
        self.width
    }

    fn copy_row(&self, row: u32, output: &mut [f32]) {
        self.read(self.positions[row as usize], output);
    }
}

/// Bytes of a value.
fn value_bytes(dtype: FeatureDtype) -> u64 {
    dtype.bytes() as u64
}

/// Looks at every value of a row.
pub(crate) fn inspect(row: &[f32]) -> Inspection {
    // Only compared within one run, so that the algorithm may change with the compiler.
    let mut hasher = DefaultHasher::new();
    for (position, &value) in row.iter().enumerate() {
        if !value.is_finite() {
            return Inspection::NonFinite { position, value };
        }
        hasher.write_u32(value.to_bits());
    }
    Inspection::Digest(hasher.finish())
}
