//! How well probabilities fit what happens.
//!
//! With p = softmax(z / T) of a row and y its class:
//!
//! ```text
//! NLL    mean of −log p_y, in nats
//! Brier  mean of Σ_c (p_c − [c = y])², from 0 to 2 (Brier 1950)
//! ECE    Σ_b n_b/n·|accuracy_b − confidence_b| over bins of the largest p (Guo et al. 2017)
//! ```
//!
//! The bins are ((b − 1)/15, b/15]: as wide as each other and closed above. A row's
//! confidence is its largest probability.

use serde::{Deserialize, Serialize};

use crate::head::top_classes;

/// Bins of the expected calibration error.
pub const ECE_BINS: usize = 15;

/// The figures of one split.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Mean negative log-likelihood, in nats.
    pub nll: f64,
    /// Brier score over all classes, 0 to 2.
    pub brier: f64,
    /// Expected calibration error over [`ECE_BINS`] bins, 0 to 1.
    pub ece: f64,
}

/// Sums over the rows seen so far.
#[derive(Clone, Debug)]
pub struct CalibrationTally {
    classes: usize,
    temperature: f64,
    rows: u64,
    nll: f64,
    brier: f64,
    bins: [Bin; ECE_BINS],
}

#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    right: f64,
    confidence: f64,
}

impl CalibrationTally {
    /// Nothing seen yet; logits will be divided by `temperature`.
    pub fn new(classes: usize, temperature: f64) -> Self {
        Self {
            classes,
            temperature,
            rows: 0,
            nll: 0.0,
            brier: 0.0,
            bins: [Bin::default(); ECE_BINS],
        }
    }

    /// Adds `logits` `[B, C]` with `labels` `[B]`.
    ///
    /// # Panics
    /// When a label is not below C.
    pub fn add(&mut self, logits: &[f32], labels: &[u32]) {
        let mut probabilities = vec![0.0; self.classes];
        for (row, &label) in logits.chunks_exact(self.classes).zip(labels) {
            let label = label as usize;
            self.rows += 1;
            self.nll += negative_log(row, label, self.temperature, &mut probabilities);
            let squares: f64 = probabilities.iter().map(|p| p * p).sum();
            self.brier += squares - 2.0 * probabilities[label] + 1.0;
            let predicted = top_classes(row, 1)[0];
            let confidence = probabilities[predicted];
            let bin = (confidence * ECE_BINS as f64).ceil() as usize;
            let bin = &mut self.bins[bin.clamp(1, ECE_BINS) - 1];
            bin.confidence += confidence;
            bin.right += f64::from(u8::from(predicted == label));
        }
    }

    /// The figures; not numbers where no row was added.
    pub fn finish(&self) -> Calibration {
        let rows = self.rows as f64;
        let gaps = self
            .bins
            .iter()
            .map(|bin| (bin.right - bin.confidence).abs());
        Calibration {
            nll: self.nll / rows,
            brier: self.brier / rows,
            ece: gaps.sum::<f64>() / rows,
        }
    }
}

/// −log softmax(`logits` / `temperature`) at `label`, in nats.
///
/// # Panics
/// When `label` is not below the number of logits.
pub fn negative_log_likelihood(logits: &[f32], label: usize, temperature: f64) -> f64 {
    let maximum = f64::from(logits.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    let scaled = |z: f32| (f64::from(z) - maximum) / temperature;
    let partition: f64 = logits.iter().map(|&z| scaled(z).exp()).sum();
    partition.ln() - scaled(logits[label])
}

/// As [`negative_log_likelihood`] of `row` `[C]`; its probabilities are left in
/// `probabilities` `[C]`.
///
/// # Panics
/// When `label` is not below the number of logits.
pub fn negative_log(row: &[f32], label: usize, temperature: f64, probabilities: &mut [f64]) -> f64 {
    let maximum = f64::from(row.iter().copied().fold(f32::NEG_INFINITY, f32::max));
    for (probability, z) in probabilities.iter_mut().zip(row) {
        *probability = ((f64::from(*z) - maximum) / temperature).exp();
    }
    let partition: f64 = probabilities.iter().sum();
    probabilities.iter_mut().for_each(|p| *p /= partition);
    partition.ln() - (f64::from(row[label]) - maximum) / temperature
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sure_and_right_is_perfect_and_sure_and_wrong_is_the_worst() {
        let mut right = CalibrationTally::new(2, 1.0);
        right.add(&[90.0, 0.0, 0.0, 90.0], &[0, 1]);
        let figures = right.finish();
        assert!(figures.nll < 1e-9 && figures.brier < 1e-9 && figures.ece < 1e-9);
        let mut wrong = CalibrationTally::new(2, 1.0);
        wrong.add(&[90.0, 0.0], &[1]);
        let figures = wrong.finish();
        assert!((figures.brier - 2.0).abs() < 1e-9 && (figures.ece - 1.0).abs() < 1e-9);
        assert!((figures.nll - 90.0).abs() < 1e-9);
    }
}
