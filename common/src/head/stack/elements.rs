//! Losses that are a mean over the elements of `[rows, outputs]`, of the columns that belong to
//! one head: binary cross-entropy of logits, squared error, and Huber's loss, with PyTorch's
//! semantics.
//!
//! ```text
//!   binary cross-entropy   w·y·softplus(−z) + (1 − y)·softplus(z)     w: weight of positives
//!   squared error          (z − y)²
//!   Huber, δ = 1           ½·(z − y)² where |z − y| ≤ 1, else |z − y| − ½
//! ```

use super::{
    Goal, Seen,
    loss::{Objective, copy_in, copy_out, exponential},
};
use crate::{
    engine::cpu::{
        isa::{Isa, Task},
        vector::Simd,
    },
    head::{Loss, LossSum},
    panel::LANES,
};

/// The rows of one block under one head.
pub(super) struct Elements<'a> {
    /// As in [`loss::Rows`](super::loss::Rows).
    pub(super) block: &'a mut [f32],
    /// The head's first column.
    pub(super) column: usize,
    /// `[rows, outputs]`.
    pub(super) targets: &'a [f32],
    pub(super) loss: Loss,
    /// Its class weights are those of positives.
    pub(super) objective: Objective<'a>,
    pub(super) goal: Goal,
    pub(super) seen: &'a mut Seen,
}

/// What is known of an element.
struct Element {
    loss: f32,
    /// Of the loss by the output.
    gradient: f32,
    right: bool,
}

impl Elements<'_> {
    pub(super) fn run(self, isa: Isa) {
        isa.run(self);
    }

    #[inline(always)]
    fn each(self, element: impl Fn(f32, f32, f32) -> Element) {
        let outputs = self.objective.class_weights.len();
        let rows = self.targets.len() / outputs;
        let mut values = vec![[0.0; LANES]; outputs.div_ceil(LANES)];
        for (row, targets) in self.targets.chunks_exact(outputs).enumerate() {
            copy_out(self.block, (rows, row), self.column, (&mut values, outputs));
            let values = &mut values.as_flattened_mut()[..outputs];
            let mut total = 0.0;
            let weighted = targets.iter().zip(self.objective.class_weights);
            for (value, (&target, &weight)) in values.iter_mut().zip(weighted) {
                let element = element(*value, target, weight);
                total += f64::from(element.loss);
                self.seen.correct += u64::from(element.right);
                *value = element.gradient * self.objective.scale;
            }
            self.seen.loss.add(LossSum {
                total,
                weight: outputs as f64,
            });
            if self.goal == Goal::Step {
                copy_in(self.block, (rows, row), self.column, values);
            }
        }
    }
}

impl Task for Elements<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let smoothing = self.objective.label_smoothing;
        match self.loss {
            Loss::Huber => self.each(|output, target, _| huber(output - target)),
            Loss::Mse => self.each(|output, target, _| squared(output - target)),
            Loss::BinaryCrossEntropy | Loss::CrossEntropy => {
                self.each(|output, target, weight| binary(output, target, smoothing, weight));
            }
        }
    }
}

/// A share `smoothing` of the target is spread over both answers.
#[inline(always)]
fn binary(logit: f32, target: f32, smoothing: f32, weight: f32) -> Element {
    let positive = target * (1.0 - smoothing) + 0.5 * smoothing;
    let negative = 1.0 - positive;
    let small = exponential(-logit.abs());
    let (likelier, other) = (1.0 / (1.0 + small), small / (1.0 + small));
    let (yes, no) = if logit > 0.0 {
        (likelier, other)
    } else {
        (other, likelier)
    };
    let rest = small.ln_1p();
    Element {
        loss: weight * positive * (rest + (-logit).max(0.0)) + negative * (rest + logit.max(0.0)),
        gradient: negative * yes - weight * positive * no,
        right: (logit > 0.0) == (target > 0.5),
    }
}

#[inline(always)]
fn squared(difference: f32) -> Element {
    Element {
        loss: difference * difference,
        gradient: 2.0 * difference,
        right: false,
    }
}

#[inline(always)]
fn huber(difference: f32) -> Element {
    let size = difference.abs();
    if size > 1.0 {
        Element {
            loss: size - 0.5,
            gradient: difference.signum(),
            right: false,
        }
    } else {
        Element {
            loss: 0.5 * difference * difference,
            gradient: difference,
            right: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extreme_logits_cost_what_they_should() {
        for (logit, target, loss) in [
            (100.0, 1.0, 0.0),
            (-100.0, 1.0, 100.0),
            (100.0, 0.0, 100.0),
            (-1e30, 0.0, 0.0),
        ] {
            assert_eq!(binary(logit, target, 0.0, 1.0).loss, loss, "{logit}");
        }
        assert!(binary(f32::NAN, 1.0, 0.0, 1.0).loss.is_nan());
        assert!(huber(f32::NAN).loss.is_nan());
    }
}
