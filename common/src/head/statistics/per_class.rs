//! Precision, recall and F1 of each class, as scikit-learn's
//! `precision_recall_fscore_support(zero_division=0)`.

use serde::{Deserialize, Serialize};

/// How well one class is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassFigures {
    /// Rows of the class.
    pub rows: u64,
    /// Share of the rows predicted as the class that are of it; 0 where there are none.
    pub precision: f64,
    /// Share of the class's rows that are predicted as it; 0 where there are none.
    pub recall: f64,
    /// Harmonic mean of both; 0 where both are.
    pub f1: f64,
}

/// The figures of each class of a confusion matrix `[C][C]`: row = true class, column =
/// predicted class.
pub fn class_figures(confusion: &[Vec<u64>]) -> Vec<ClassFigures> {
    let figures = |(class, row): (usize, &Vec<u64>)| {
        let hits = row[class];
        let rows: u64 = row.iter().sum();
        let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
        ClassFigures::of(hits, rows, predicted)
    };
    confusion.iter().enumerate().map(figures).collect()
}

impl ClassFigures {
    /// Of `rows` rows of the class and `predicted` ones, `hits` of which are both.
    pub(in crate::head) fn of(hits: u64, rows: u64, predicted: u64) -> Self {
        Self {
            rows,
            precision: share(hits, predicted),
            recall: share(hits, rows),
            f1: share(2 * hits, rows + predicted),
        }
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
