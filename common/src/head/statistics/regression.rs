//! Figures of predicted numbers, as scikit-learn's `r2_score`, `mean_absolute_error` and
//! `root_mean_squared_error`.

use serde::{Deserialize, Serialize};

/// How near predictions are.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegressionFigures {
    /// 1 − Σ(y − ŷ)² / Σ(y − ȳ)². Where all targets are equal: 1 if every prediction is
    /// right, else 0.
    pub r2: f64,
    /// Mean of |y − ŷ|, in the target's unit.
    pub mae: f64,
    /// √ of the mean of (y − ŷ)², in the target's unit.
    pub rmse: f64,
}

/// Compares `predictions` `[N]` with `targets` `[N]`; `None` where there are none.
pub fn regression_figures(predictions: &[f32], targets: &[f32]) -> Option<RegressionFigures> {
    if targets.is_empty() {
        return None;
    }
    let rows = targets.len() as f64;
    let mean = targets.iter().map(|y| f64::from(*y)).sum::<f64>() / rows;
    let (mut residual, mut total, mut absolute) = (0.0, 0.0, 0.0);
    for (prediction, target) in predictions.iter().zip(targets) {
        let error = f64::from(*target) - f64::from(*prediction);
        residual += error * error;
        total += (f64::from(*target) - mean).powi(2);
        absolute += error.abs();
    }
    let r2 = match (residual == 0.0, total == 0.0) {
        (true, _) => 1.0,
        (false, true) => 0.0,
        (false, false) => 1.0 - residual / total,
    };
    Some(RegressionFigures {
        r2,
        mae: absolute / rows,
        rmse: (residual / rows).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_targets_are_right_or_not() {
        let r2 = |prediction| regression_figures(&[prediction; 2], &[2.0; 2]).unwrap().r2;
        assert_eq!((r2(2.0), r2(3.0)), (1.0, 0.0));
        assert_eq!(regression_figures(&[], &[]), None);
    }
}
