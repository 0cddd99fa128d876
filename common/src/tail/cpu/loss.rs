//! Cross-entropy with weighted classes, and its gradient.
//!
//! ```text
//!   loss of a row = −Σ target · ln softmax(logits)
//!   gradient      = scale · (softmax(logits) · Σ target − target)
//! ```

use super::maps::Maps;
use crate::{
    head::{LossSum, stack::Seen},
    panel::LANES,
};

/// What the rows of a batch are to be.
#[derive(Clone, Copy)]
pub(super) struct Objective<'a> {
    /// `[rows, classes]`
    pub(super) targets: &'a [f32],
    /// What gradients are multiplied with.
    pub(super) scale: f32,
}

/// Makes `logits` the gradient by them, and returns what was seen. In f64: there are few.
pub(super) fn differentiate(logits: &mut Maps, objective: Objective<'_>) -> Seen {
    let classes = logits.size().shape.channels;
    let mut panels = logits.panels_mut();
    let mut seen = Seen::default();
    let mut row_logits = vec![0.0; classes];
    for (row, targets) in objective.targets.chunks_exact(classes).enumerate() {
        for (class, logit) in row_logits.iter_mut().enumerate() {
            *logit = f64::from(panels[class / LANES][row * LANES + class % LANES]);
        }
        let largest = row_logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let partition: f64 = row_logits.iter().map(|logit| (logit - largest).exp()).sum();
        let log_partition = largest + partition.ln();
        let total: f64 = targets.iter().copied().map(f64::from).sum();
        let terms = targets.iter().zip(&row_logits);
        let loss = terms.map(|(target, logit)| f64::from(*target) * (log_partition - logit));
        seen.loss.add(LossSum {
            total: loss.sum(),
            weight: 1.0,
        });
        let wanted = targets.iter().copied().map(f64::from);
        let right = first_largest(wanted) == first_largest(row_logits.iter().copied());
        seen.correct += u64::from(right && partition.is_finite());
        for (class, (logit, target)) in row_logits.iter().zip(targets).enumerate() {
            let probability = (logit - log_partition).exp();
            let gradient = probability * total - f64::from(*target);
            panels[class / LANES][row * LANES + class % LANES] =
                (f64::from(objective.scale) * gradient) as f32;
        }
    }
    seen
}

/// Of equal numbers the first one's place.
fn first_largest(values: impl Iterator<Item = f64>) -> usize {
    let mut largest = (0, f64::NEG_INFINITY);
    for (place, value) in values.enumerate() {
        if value > largest.1 {
            largest = (place, value);
        }
    }
    largest.0
}
