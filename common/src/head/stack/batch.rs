//! What a stack sees at a time: rows, and what is to be learned of them.

use super::FeatureRows;
use crate::head::Loss;

/// Rows that are seen together.
#[derive(Clone, Copy)]
pub struct Batch<'a> {
    /// Where the features come from.
    pub features: &'a dyn FeatureRows,
    /// Row numbers, `[B]`.
    pub rows: &'a [u32],
    /// What is to be learned of each.
    pub targets: Targets<'a>,
}

/// What rows are to be predicted as.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// Labels `[B]`, each below the number of classes, for cross-entropy.
    Classes(&'a [u32]),
    /// `[B, outputs]`, for all other losses; with binary cross-entropy 1 where a row has
    /// a class, and 0 elsewhere.
    Values(&'a [f32]),
}

impl Targets<'_> {
    /// Whether they are those of `rows` rows under heads of `outputs` outputs.
    pub(super) fn fit(self, loss: Loss, rows: usize, outputs: usize) -> bool {
        match self {
            Self::Classes(labels) => loss == Loss::CrossEntropy && labels.len() == rows,
            Self::Values(values) => loss != Loss::CrossEntropy && values.len() == rows * outputs,
        }
    }
}
