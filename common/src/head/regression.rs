//! How near predicted numbers are, target by target and on the whole.

use serde::{Deserialize, Serialize};

use super::statistics::{RegressionFigures, regression_figures};

/// Rows with predicted and true numbers.
#[derive(Clone, Debug)]
pub struct RegressionRows {
    targets: usize,
    /// `[N, T]`.
    predicted: Vec<f32>,
    /// `[N, T]`.
    truly: Vec<f32>,
}

/// The figures of one split; those of several targets are their means
/// (scikit-learn's `multioutput="uniform_average"`).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegressionMetrics {
    /// Rows counted.
    pub rows: u64,
    /// Coefficient of determination.
    pub r2: f64,
    /// Mean absolute error.
    pub mae: f64,
    /// Root of the mean squared error.
    pub rmse: f64,
    /// Each target's, in the order of the head's outputs.
    pub targets: Vec<RegressionFigures>,
}

impl RegressionRows {
    /// No rows yet.
    pub fn new(targets: usize) -> Self {
        Self {
            targets,
            predicted: Vec::new(),
            truly: Vec::new(),
        }
    }

    /// Adds `predicted` `[B, T]` of rows that are `truly` `[B, T]`.
    pub fn add(&mut self, predicted: &[f32], truly: &[f32]) {
        self.predicted.extend_from_slice(predicted);
        self.truly.extend_from_slice(truly);
    }

    /// All figures; not numbers when no row was added.
    pub fn metrics(&self) -> RegressionMetrics {
        let column = |values: &[f32], target| -> Vec<f32> {
            let column = values.iter().skip(target).step_by(self.targets);
            column.copied().collect()
        };
        let targets: Vec<RegressionFigures> = (0..self.targets)
            .filter_map(|target| {
                regression_figures(
                    &column(&self.predicted, target),
                    &column(&self.truly, target),
                )
            })
            .collect();
        let mean = |figure: fn(&RegressionFigures) -> f64| {
            targets.iter().map(figure).sum::<f64>() / targets.len() as f64
        };
        RegressionMetrics {
            rows: (self.truly.len() / self.targets) as u64,
            r2: mean(|figures| figures.r2),
            mae: mean(|figures| figures.mae),
            rmse: mean(|figures| figures.rmse),
            targets,
        }
    }
}
