//! What becomes of the sums `col(X)ᵀ · dY` of a convolution whose results are scaled:
//!
//! ```text
//!   y = scale · (W · x) + …     dW = scale · sums     dots = Σ W · sums = Σ dy · (W · x)
//! ```
//!
//! The dots, one a channel, are all that the gradient by the scale needs: what the convolution
//! resulted in need not be kept for it.

use super::product::Onto;
use crate::{
    engine::cpu::{
        isa::{Isa, Task},
        vector::Simd,
    },
    panel::{LANES, SQUARE},
};

/// A gradient by weights that is wanted.
pub(super) struct WeightGradient<'a> {
    /// Where it goes, `[output panels][terms]` squares; `None` where only dots are wanted.
    pub(super) to: Option<&'a mut [f32]>,
    pub(super) onto: Onto,
    /// Panels of terms.
    pub(super) terms: usize,
    /// One a channel.
    pub(super) scale: &'a [f32],
    /// The weights, where dots are wanted.
    pub(super) weights: Option<&'a [f32]>,
}

/// The part of some terms.
pub(super) struct SettleTask<'a> {
    /// One for every panel of outputs, some terms each; empty where dots alone are wanted.
    pub(super) to: Vec<&'a mut [f32]>,
    onto: Onto,
    scale: &'a [f32],
    /// As `to`.
    weights: Vec<&'a [f32]>,
}

impl WeightGradient<'_> {
    /// That of no rows.
    pub(super) fn clear(&mut self) {
        if let (Some(to), Onto::Nothing) = (&mut self.to, self.onto) {
            to.fill(0.0);
        }
    }

    /// Cut by `most` panels of terms; there are `outputs` panels of outputs.
    pub(super) fn tasks(&mut self, outputs: usize, most: usize) -> Vec<SettleTask<'_>> {
        let (panel, part) = (self.terms * SQUARE, most * SQUARE);
        let mut tasks: Vec<_> = (0..self.terms.div_ceil(most))
            .map(|_| SettleTask {
                to: Vec::with_capacity(outputs),
                onto: self.onto,
                scale: self.scale,
                weights: Vec::with_capacity(outputs),
            })
            .collect();
        for to in self.to.iter_mut().flat_map(|to| to.chunks_exact_mut(panel)) {
            for (task, to) in tasks.iter_mut().zip(to.chunks_mut(part)) {
                task.to.push(to);
            }
        }
        for weights in self
            .weights
            .iter()
            .flat_map(|weights| weights.chunks_exact(panel))
        {
            for (task, weights) in tasks.iter_mut().zip(weights.chunks(part)) {
                task.weights.push(weights);
            }
        }
        tasks
    }
}

/// Settles `task`, whose sums are `[outputs][terms of the task]` squares; returns its dots.
pub(super) fn settle(sums: &[f32], task: SettleTask<'_>, outputs: usize, isa: Isa) -> Vec<f64> {
    let mut dots = vec![0.0; outputs * LANES];
    isa.run(Settle {
        sums,
        task,
        dots: &mut dots,
    });
    dots
}

/// Settles the sums of a task.
struct Settle<'a, 'b> {
    sums: &'a [f32],
    task: SettleTask<'b>,
    /// One a channel; the dots are added.
    dots: &'a mut [f64],
}

impl Task for Settle<'_, '_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, _simd: S) {
        let outputs = self.dots.len() / LANES;
        let panels = self.sums.chunks_exact(self.sums.len() / outputs);
        for (panel, sums) in panels.enumerate() {
            if let Some(weights) = self.task.weights.get(panel) {
                let mut dots = [0.0; LANES];
                for (weights, sums) in weights.chunks_exact(LANES).zip(sums.chunks_exact(LANES)) {
                    for lane in 0..LANES {
                        dots[lane] += weights[lane] * sums[lane];
                    }
                }
                for (total, dot) in self.dots[panel * LANES..].iter_mut().zip(dots) {
                    *total += f64::from(dot);
                }
            }
            let Some(to) = self.task.to.get_mut(panel) else {
                continue;
            };
            let mut scale = [0.0; LANES];
            scale.copy_from_slice(&self.task.scale[panel * LANES..][..LANES]);
            let keep = if self.task.onto == Onto::Sum {
                1.0
            } else {
                0.0
            };
            for (to, sums) in to.chunks_exact_mut(LANES).zip(sums.chunks_exact(LANES)) {
                for lane in 0..LANES {
                    let before = if keep > 0.0 { to[lane] } else { 0.0 };
                    to[lane] = before + scale[lane] * sums[lane];
                }
            }
        }
    }
}

/// The dots of all tasks together, in their order, for `outputs` panels.
pub(super) fn total(dots: Vec<Vec<f64>>, outputs: usize) -> Vec<f64> {
    let mut total = vec![0.0; outputs * LANES];
    for dots in dots {
        for (total, dot) in total.iter_mut().zip(dots) {
            *total += dot;
        }
    }
    total
}
