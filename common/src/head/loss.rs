//! Cross-entropy, with the semantics of PyTorch's `F.cross_entropy(…, reduction="mean")`:
//! for a row with logits z and label y, `log Σ exp(z) − z_y`. What is minimised in training,
//! with label smoothing and class weights, is in [`super::stack`].

use serde::{Deserialize, Serialize};

/// The loss over logits and labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CrossEntropy {
    classes: usize,
}

/// A loss summed over rows, so that batches add up to an epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LossSum {
    /// Σ of the rows' losses.
    pub total: f64,
    /// Σ of the rows' class weights (the number of rows without weights).
    pub weight: f64,
}

impl LossSum {
    /// The mean loss; not a number when no row was added.
    pub fn mean(self) -> f64 {
        self.total / self.weight
    }

    /// Adds another batch.
    pub fn add(&mut self, other: Self) {
        self.total += other.total;
        self.weight += other.weight;
    }
}

impl CrossEntropy {
    /// Without smoothing, all classes alike: what is reported beside accuracy.
    pub fn plain(classes: usize) -> Self {
        Self { classes }
    }

    /// The loss of `logits` `[B, C]` with `labels` `[B]`, each below C.
    ///
    /// # Panics
    /// When a label is not below C.
    pub fn evaluate(self, logits: &[f32], labels: &[u32]) -> LossSum {
        let mut sum = LossSum::default();
        for (row, &label) in logits.chunks_exact(self.classes).zip(labels) {
            let maximum = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let partition: f32 = row.iter().map(|z| (z - maximum).exp()).sum();
            let loss = maximum + partition.ln() - row[label as usize];
            sum.add(LossSum {
                total: f64::from(loss),
                weight: 1.0,
            });
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_cost_the_logarithm_of_the_class_count() {
        let sum = CrossEntropy::plain(4).evaluate(&[2.0; 8], &[0, 3]);
        assert!((sum.mean() - 4.0_f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn huge_logits_do_not_overflow() {
        let sum = CrossEntropy::plain(2).evaluate(&[1e30, -1e30], &[0]);
        assert_eq!(sum.mean(), 0.0);
    }
}
