//! Normalising features before a head sees them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Head, Linear};

/// Lower bound of the norm that a feature vector is divided by, as in
/// PyTorch's `F.normalize`.
pub const NORM_FLOOR: f32 = 1e-12;

/// What is done to a feature vector before the head.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Normalisation {
    /// Nothing.
    #[default]
    None,
    /// Divided by its Euclidean norm. Not linear, so whoever applies the head
    /// must do it too; the bundle records it.
    L2,
    /// Each feature minus its mean over the training rows, divided by its standard
    /// deviation. Folded into the exported first layer.
    Standardise,
}

impl Normalisation {
    /// With its numbers, given those of [`Normalisation::Standardise`].
    pub fn fitted(self, standardise: &Fitted) -> Fitted {
        match self {
            Self::None => Fitted::None,
            Self::L2 => Fitted::L2,
            Self::Standardise => standardise.clone(),
        }
    }
}

impl fmt::Display for Normalisation {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::L2 => "l2",
            Self::Standardise => "standardise",
        })
    }
}

/// Running mean and variance of each feature (Welford's algorithm, in f64).
#[derive(Clone, Debug)]
pub struct Moments {
    rows: u64,
    mean: Vec<f64>,
    /// Σ (x − mean)².
    squares: Vec<f64>,
}

impl Moments {
    /// Nothing seen yet, of `features` features.
    pub fn new(features: usize) -> Self {
        Self {
            rows: 0,
            mean: vec![0.0; features],
            squares: vec![0.0; features],
        }
    }

    /// Adds `rows` `[B, D]`.
    pub fn add(&mut self, rows: &[f32]) {
        for row in rows.chunks_exact(self.mean.len()) {
            self.rows += 1;
            let share = 1.0 / self.rows as f64;
            let columns = self.mean.iter_mut().zip(&mut self.squares);
            for ((mean, squares), &value) in columns.zip(row) {
                let delta = f64::from(value) - *mean;
                *mean += delta * share;
                *squares += delta * (f64::from(value) - *mean);
            }
        }
    }

    /// The mean and the population standard deviation of each feature. A
    /// constant feature has deviation 1, so that it becomes 0 and not a division by zero;
    /// constant up to rounding counts too (scikit-learn's bound in `StandardScaler`).
    pub fn finish(&self) -> Fitted {
        let rows = self.rows as f64;
        let deviation = |(mean, squares): (&f64, &f64)| {
            let variance = squares / rows;
            let rounding = rows * f64::EPSILON * variance + (rows * mean * f64::EPSILON).powi(2);
            if variance <= rounding {
                1.0
            } else {
                variance.sqrt()
            }
        };
        Fitted::Standardise {
            deviation: self.mean.iter().zip(&self.squares).map(deviation).collect(),
            mean: self.mean.clone(),
        }
    }
}

/// A normalisation with the numbers it needs.
#[derive(Clone, Debug, PartialEq)]
pub enum Fitted {
    /// Nothing is done.
    None,
    /// Division by the norm.
    L2,
    /// Standardisation.
    Standardise {
        /// Mean of each feature over the training rows.
        mean: Vec<f64>,
        /// Divisor of each feature, never zero.
        deviation: Vec<f64>,
    },
}

impl Fitted {
    /// Normalises `rows` `[B, D]` in place.
    pub fn apply(&self, rows: &mut [f32], features: usize) {
        match self {
            Self::None => {}
            Self::L2 => rows.chunks_exact_mut(features).for_each(divide_by_norm),
            Self::Standardise { mean, deviation } => {
                for row in rows.chunks_exact_mut(features) {
                    for ((value, mean), deviation) in row.iter_mut().zip(mean).zip(deviation) {
                        *value = ((f64::from(*value) - mean) / deviation) as f32;
                    }
                }
            }
        }
    }

    /// The head on unnormalised features that equals `head` on normalised
    /// ones, W′ = W/σ and b′ = b − W′·μ, together with what is left to be done by
    /// whoever applies it (L2 cannot be folded). Computed in f64, rounded once.
    pub fn fold(&self, head: &Head) -> (Head, Self) {
        let Self::Standardise { mean, deviation } = self else {
            return (head.clone(), self.clone());
        };
        let mut folded = head.clone();
        if let Some(first) = folded.layers_mut().first_mut() {
            fold_into(first, mean, deviation);
        }
        (folded, Self::None)
    }
}

impl Fitted {
    /// The head that predicts in the units of the targets, given one that was trained on
    /// targets standardised by `self`: W′ = σ·W and b′ = σ·b + μ in its last layer.
    /// Computed in f64, rounded once.
    pub fn fold_outputs(&self, mut head: Head) -> Head {
        if let (Self::Standardise { mean, deviation }, Some(last)) =
            (self, head.layers_mut().last_mut())
        {
            let rows = last
                .weight
                .chunks_exact_mut(last.inputs)
                .zip(&mut last.bias);
            for ((row, bias), (mean, deviation)) in rows.zip(mean.iter().zip(deviation)) {
                for weight in row {
                    *weight = (f64::from(*weight) * deviation) as f32;
                }
                *bias = (f64::from(*bias) * deviation + mean) as f32;
            }
        }
        head
    }
}

fn fold_into(layer: &mut Linear, mean: &[f64], deviation: &[f64]) {
    let rows = layer.weight.chunks_exact_mut(layer.inputs);
    for (row, bias) in rows.zip(&mut layer.bias) {
        let mut shift = 0.0;
        for ((weight, mean), deviation) in row.iter_mut().zip(mean).zip(deviation) {
            let scaled = f64::from(*weight) / deviation;
            shift += scaled * mean;
            *weight = scaled as f32;
        }
        *bias = (f64::from(*bias) - shift) as f32;
    }
}

fn divide_by_norm(row: &mut [f32]) {
    let squares: f64 = row.iter().map(|v| f64::from(*v) * f64::from(*v)).sum();
    let norm = (squares.sqrt() as f32).max(NORM_FLOOR);
    row.iter_mut().for_each(|value| *value /= norm);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::head::HeadKind;

    const ROWS: [f32; 9] = [1.0, 5.0, 100.0, 2.0, 5.0, 130.0, 6.0, 5.0, 70.0];

    fn fitted() -> Fitted {
        let mut moments = Moments::new(3);
        moments.add(&ROWS);
        moments.finish()
    }

    #[test]
    fn standardised_columns_have_mean_0_and_deviation_1_and_constants_are_0() {
        let mut rows = ROWS;
        fitted().apply(&mut rows, 3);
        for column in [0, 2] {
            let values = [rows[column], rows[3 + column], rows[6 + column]];
            assert!(values.iter().sum::<f32>().abs() < 1e-5);
            let squares: f32 = values.iter().map(|v| v * v).sum();
            assert!((squares - 3.0).abs() < 1e-5);
        }
        assert_eq!([rows[1], rows[4], rows[7]], [0.0; 3]);
    }

    #[test]
    fn nearly_constant_feature_is_constant() {
        let mut moments = Moments::new(1);
        moments.add(&[0.1; 1000]);
        assert_eq!(
            moments.finish(),
            Fitted::Standardise {
                mean: vec![f64::from(0.1_f32)],
                deviation: vec![1.0],
            }
        );
    }

    #[test]
    fn folded_head_on_raw_features_equals_the_head_on_standardised_ones() {
        for kind in [HeadKind::Linear, HeadKind::Mlp { hidden: 5 }] {
            let head = Head::random(kind, 3, 4, 1);
            let mut standardised = ROWS;
            fitted().apply(&mut standardised, 3);
            let (folded, rest) = fitted().fold(&head);
            assert_eq!(rest, Fitted::None);
            for (a, b) in head.logits(&standardised).iter().zip(folded.logits(&ROWS)) {
                assert!((a - b).abs() < 1e-5, "{a} {b}");
            }
        }
    }

    #[test]
    fn head_with_folded_outputs_predicts_in_the_units_of_the_targets() {
        for kind in [HeadKind::Linear, HeadKind::Mlp { hidden: 5 }] {
            let head = Head::random(kind, 3, 3, 1);
            let mut found = fitted().fold_outputs(head.clone()).logits(&ROWS);
            fitted().apply(&mut found, 3);
            for (a, b) in head.logits(&ROWS).iter().zip(found) {
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
        }
    }

    #[test]
    fn l2_gives_unit_rows_and_leaves_zero_rows_alone() {
        let mut rows = [3.0, 4.0, 0.0, 0.0];
        Fitted::L2.apply(&mut rows, 2);
        assert_eq!(rows, [0.6, 0.8, 0.0, 0.0]);
    }
}
