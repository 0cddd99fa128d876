//! Cross-entropy with label smoothing and class weights, with the semantics of
//! PyTorch's `F.cross_entropy(…, reduction="mean")`.
//!
//! For a row with logits z, label y, p = softmax(z), class weights w, smoothing ε:
//!
//! ```text
//! loss_i = (1 − ε)·w_y·(−log p_y) + ε/C·Σ_c w_c·(−log p_c)
//! loss   = Σ_i loss_i / Σ_i w_{y_i}
//! ```

use serde::{Deserialize, Serialize};

/// A loss over logits and labels.
#[derive(Clone, Debug, PartialEq)]
pub struct CrossEntropy {
    label_smoothing: f32,
    class_weights: Vec<f32>,
    weight_sum: f32,
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
    /// `label_smoothing` in [0, 1]; one weight a class, finite and not negative.
    pub fn new(label_smoothing: f32, class_weights: Vec<f32>) -> Self {
        Self {
            label_smoothing,
            weight_sum: class_weights.iter().sum(),
            class_weights,
        }
    }

    /// Without smoothing, all classes alike: what is reported beside accuracy.
    pub fn plain(classes: usize) -> Self {
        Self::new(0.0, vec![1.0; classes])
    }

    /// The loss of `logits` `[B, C]` with `labels` `[B]`, each below C.
    ///
    /// # Panics
    /// When a label is not below C.
    pub fn evaluate(&self, logits: &[f32], labels: &[u32]) -> LossSum {
        let mut sum = LossSum::default();
        for (row, &label) in logits.chunks_exact(self.class_weights.len()).zip(labels) {
            let maximum = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let partition: f32 = row.iter().map(|z| (z - maximum).exp()).sum();
            sum.add(self.row_loss(row, label, maximum + partition.ln()));
        }
        sum
    }

    /// As [`CrossEntropy::evaluate`], and replaces `logits` by the gradient of
    /// the batch's mean loss.
    ///
    /// # Panics
    /// When a label is not below C.
    pub fn differentiate(&self, logits: &mut [f32], labels: &[u32]) -> LossSum {
        let classes = self.class_weights.len();
        let weight: f64 = labels
            .iter()
            .map(|&label| f64::from(self.class_weights[label as usize]))
            .sum();
        let scale = (1.0 / weight) as f32;
        let spread = self.label_smoothing / classes as f32;
        let mut sum = LossSum::default();
        for (row, &label) in logits.chunks_exact_mut(classes).zip(labels) {
            let maximum = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let partition: f32 = row.iter().map(|z| (z - maximum).exp()).sum();
            sum.add(self.row_loss(row, label, maximum + partition.ln()));
            let hard = (1.0 - self.label_smoothing) * self.class_weights[label as usize];
            let factor = scale * (hard + spread * self.weight_sum) / partition;
            for (z, class_weight) in row.iter_mut().zip(&self.class_weights) {
                *z = (*z - maximum).exp() * factor - scale * spread * class_weight;
            }
            row[label as usize] -= scale * hard;
        }
        sum
    }

    /// `log_partition` is log Σ exp(z).
    fn row_loss(&self, row: &[f32], label: u32, log_partition: f32) -> LossSum {
        let weight = self.class_weights[label as usize];
        let hard = weight * (log_partition - row[label as usize]);
        let mut total = f64::from((1.0 - self.label_smoothing) * hard);
        if self.label_smoothing > 0.0 {
            let soft: f64 = row
                .iter()
                .zip(&self.class_weights)
                .map(|(z, w)| f64::from(w * (log_partition - z)))
                .sum();
            total += f64::from(self.label_smoothing) / row.len() as f64 * soft;
        }
        LossSum {
            total,
            weight: f64::from(weight),
        }
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
        let mut logits = [1e30, -1e30];
        let sum = CrossEntropy::plain(2).differentiate(&mut logits, &[0]);
        assert_eq!(sum.mean(), 0.0);
        assert_eq!(logits, [0.0, 0.0]);
    }
}
