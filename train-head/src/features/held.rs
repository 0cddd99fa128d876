//! Values in memory.

use common::cache::{Embedding, FeatureBatch};
use half::{f16, slice::HalfFloatSliceExt};

use super::Numbering;

/// Rows of one batch.
pub(super) enum Held {
    /// The batch itself: of a mapped file the system pages in what is asked for.
    Batch(Box<FeatureBatch>),
    /// `[rows, width]`
    F16(Vec<f16>),
    /// `[rows, width]`
    F32(Vec<f32>),
}

impl Held {
    /// Bytes that the rows `rows` of `batch` would be.
    pub(super) fn bytes(batch: &FeatureBatch, rows: &[usize]) -> u64 {
        let rows = match batch.place() {
            Some(_) => batch.rows(),
            None => rows.len(),
        };
        (rows * batch.dim() * batch.values().dtype().bytes()) as u64
    }

    /// The rows `rows` of `batch`. Of one that was decoded into memory no others stay there.
    pub(super) fn of(batch: FeatureBatch, rows: &[usize]) -> (Self, Numbering) {
        if batch.place().is_some() || rows.len() == batch.rows() {
            return (Self::Batch(Box::new(batch)), Numbering::Batch);
        }
        let width = batch.dim();
        let held = match batch.values() {
            Embedding::F16(values) => Self::F16(selected(values, rows, width)),
            Embedding::F32(values) => Self::F32(selected(values, rows, width)),
        };
        (held, Numbering::Kept)
    }

    /// Copies row `row` to `output`, `[width]`.
    pub(super) fn copy_row(&self, row: usize, output: &mut [f32]) {
        let range = row * output.len()..(row + 1) * output.len();
        match self {
            Self::Batch(batch) => batch.copy_row(row, output),
            Self::F16(values) => values[range].convert_to_f32_slice(output),
            Self::F32(values) => output.copy_from_slice(&values[range]),
        }
    }
}

fn selected<T: Copy>(values: &[T], rows: &[usize], width: usize) -> Vec<T> {
    let mut kept = Vec::with_capacity(rows.len() * width);
    for row in rows {
        kept.extend_from_slice(&values[row * width..][..width]);
    }
    kept
}
