//! Feature rows of a cache, copied out a batch at a time.
//!
//! The batches of an Arrow cache stay memory-mapped: what is held is a list of
//! positions, and the system pages the values in. Those of a Parquet cache are in memory.

use std::hash::{DefaultHasher, Hasher};

use common::{cache::FeatureBatch, head::stack::FeatureRows};

/// Rows of one layer, in an order of their own.
#[derive(Default)]
pub(crate) struct Features {
    batches: Vec<FeatureBatch>,
    positions: Vec<Position>,
    width: usize,
}

#[derive(Clone, Copy)]
struct Position {
    batch: u32,
    row: u32,
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
    /// No rows yet, of `width` values each.
    pub(crate) fn new(width: usize) -> Self {
        Self {
            width,
            ..Self::default()
        }
    }

    /// Adds the rows `rows` of `batch`.
    pub(crate) fn add(&mut self, batch: FeatureBatch, rows: &[usize]) {
        if rows.is_empty() {
            return;
        }
        let index = self.batches.len() as u32;
        self.batches.push(batch);
        self.positions.extend(rows.iter().map(|&row| Position {
            batch: index,
            row: row as u32,
        }));
    }

    /// Values a row.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Copies `rows` into `output`, which becomes `[rows, width]`.
    pub(crate) fn gather(&self, rows: &[u32], output: &mut Vec<f32>) {
        output.resize(rows.len() * self.width, 0.0);
        for (&row, output) in rows.iter().zip(output.chunks_exact_mut(self.width)) {
            self.copy_row(row, output);
        }
    }
}

impl FeatureRows for Features {
    fn width(&self) -> usize {
        self.width
    }

    fn copy_row(&self, row: u32, output: &mut [f32]) {
        let Position { batch, row } = self.positions[row as usize];
        self.batches[batch as usize].copy_row(row as usize, output);
    }
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
