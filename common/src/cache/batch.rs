//! A batch of feature rows.
use crate::source::Split;
use arrow::array::RecordBatch;
use half::f16;

/// Values of a batch, row after row, without padding: `[rows, dim]`.
#[derive(Clone, Copy, Debug)]
pub enum Embedding<'a> {
    /// Half precision.
    F16(&'a [f16]),
    /// Single precision.
    F32(&'a [f32]),
}

/// Feature rows of one layer; memory-mapped where the cache is Arrow.
#[derive(Clone, Debug)]
pub struct FeatureBatch {}
impl FeatureBatch {
    /// Number of rows.
    pub fn rows(&self) -> usize {
        todo!()
    }
    /// Values a row.
    pub fn dim(&self) -> usize {
        todo!()
    }
    /// Plan rows, `[rows]`.
    pub fn ids(&self) -> &[u64] {
        todo!()
    }
    /// Uri of row `row`.
    pub fn uri(&self, _row: usize) -> &str {
        todo!()
    }
    /// Class indices, -1 where unlabelled, `[rows]`.
    pub fn labels(&self) -> &[i32] {
        todo!()
    }
    /// Split of row `row`.
    pub fn split(&self, _row: usize) -> Split {
        todo!()
    }
    /// View numbers, `[rows]`.
    pub fn views(&self) -> &[u8] {
        todo!()
    }
    /// The features, `[rows, dim]`.
    pub fn values(&self) -> Embedding<'_> {
        todo!()
    }
    /// Copies row `row` into `output` (`[dim]`) as f32.
    pub fn copy_row(&self, _row: usize, _output: &mut [f32]) {
        todo!()
    }
    /// The columns.
    pub fn record_batch(&self) -> &RecordBatch {
        todo!()
    }
}
