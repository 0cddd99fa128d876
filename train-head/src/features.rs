//! Feature rows of a cache, copied out a batch at a time.
//!
//! The batches of an Arrow cache stay memory-mapped, so that what is held is a list of positions and the system
//! pages the values in, and the rows that are wanted of a Parquet cache are in memory, as many as the allowance
//! (there need be none) covers. The rows of all others are read from a file when they are asked for: from the Arrow
//! file itself, or from a temporary copy of what Parquet decodes to (`spill`). Which it is changes no value.

mod disk;
mod held;
mod spill;

use std::hash::{DefaultHasher, Hasher};

use common::{
    cache::{FeatureBatch, FeatureDtype},
    head::stack::FeatureRows,
};

pub(crate) use disk::ReadFailure;
use disk::Stretch;
use held::Held;
use spill::Store;

use crate::failure::Failure;

/// Rows of one layer, in an order of their own.
pub(crate) struct Features {
    batches: Vec<Values>,
    positions: Vec<Position>,
    width: usize,
    allowance: Allowance,
    held_bytes: u64,
    store: Store,
}

/// Where the values of a batch are.
enum Values {
    Held(Held),
    OnDisk(FeatureDtype, Stretch),
}

/// By what numbers rows of a batch are found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Numbering {
    /// Those of the batch.
    Batch,
    /// Their places among the rows that are kept of it.
    Kept,
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
    /// No rows yet, of `width` values each, of which `allowance` may be held.
    pub(crate) fn new(width: usize, allowance: Allowance) -> Self {
        Self {
            batches: Vec::new(),
            positions: Vec::new(),
            width,
            allowance,
            held_bytes: 0,
            store: Store::default(),
        }
    }

    /// Rows of `width` values each, all in memory: `[rows, width]`.
    pub(crate) fn of_values(width: usize, values: Vec<f32>) -> Self {
        let rows = (values.len() / width) as u32;
        Self {
            batches: vec![Values::Held(Held::F32(values))],
            positions: (0..rows).map(|row| Position { batch: 0, row }).collect(),
            ..Self::new(width, Allowance::default())
        }
    }

    /// Adds the rows `rows` of `batch`.
    ///
    /// # Errors
    /// When a file cannot be opened, or there is no room for a temporary one.
    pub(crate) fn add(&mut self, batch: FeatureBatch, rows: &[usize]) -> Result<(), Failure> {
        if rows.is_empty() {
            return Ok(());
        }
        let index = self.batches.len() as u32;
        let bytes = self.held_bytes + Held::bytes(&batch, rows);
        let (values, numbering) = if self.allowance.covers(bytes) {
            self.held_bytes = bytes;
            let (held, numbering) = Held::of(batch, rows);
            (Values::Held(held), numbering)
        } else {
            let dtype = batch.values().dtype();
            let (stretch, numbering) = self.store.keep(&batch, rows)?;
            (Values::OnDisk(dtype, stretch), numbering)
        };
        self.batches.push(values);
        let numbered = rows.iter().enumerate().map(|(place, &row)| Position {
            batch: index,
            row: match numbering {
                Numbering::Batch => row as u32,
                Numbering::Kept => place as u32,
            },
        });
        self.positions.extend(numbered);
        Ok(())
    }

    /// Values a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Copies `rows` into `output`, which becomes `[rows, width]`. Rows that follow each other on
    /// disk are read together.
    pub(crate) fn gather(&self, rows: &[u32], output: &mut Vec<f32>) {
        output.resize(rows.len() * self.width, 0.0);
        let (mut rows, mut output) = (rows, &mut output[..]);
        while !rows.is_empty() {
            let run = self.run(rows);
            let (now, later) = output.split_at_mut(run * self.width);
            self.read(self.positions[rows[0] as usize], now);
            (rows, output) = (&rows[run..], later);
        }
    }

    /// How many of `rows`, of which there is one, follow each other in a batch.
    fn run(&self, rows: &[u32]) -> usize {
        let start = self.positions[rows[0] as usize];
        let follows = |(step, row): (usize, &u32)| {
            let position = self.positions[*row as usize];
            (position.batch, position.row as usize) == (start.batch, start.row as usize + step)
        };
        let pairs = rows.iter().enumerate();
        pairs.take_while(|pair| follows(*pair)).count()
    }

    /// The rows from `start` on, as many as `output` has.
    fn read(&self, start: Position, output: &mut [f32]) {
        let first_row = start.row as usize;
        match &self.batches[start.batch as usize] {
            Values::Held(held) => {
                for (row, output) in (first_row..).zip(output.chunks_exact_mut(self.width)) {
                    held.copy_row(row, output);
                }
            }
            Values::OnDisk(dtype, stretch) => {
                stretch.read(*dtype, first_row * self.width, output);
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
