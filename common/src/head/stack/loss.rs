//! Cross-entropy of the columns that belong to one head, with the semantics of
//! [`CrossEntropy`](crate::head::CrossEntropy), sixteen classes at a time.
//!
//! Every sum over classes is formed in the same order wherever the columns begin.

use super::{Goal, Seen};
use crate::{
    engine::cpu::{
        isa::{Isa, Task},
        vector::Simd,
    },
    head::LossSum,
    panel::LANES,
};

/// What a batch's loss is computed with.
#[derive(Clone, Copy)]
pub(super) struct Objective<'a> {
    pub(super) label_smoothing: f32,
    pub(super) class_weights: &'a [f32],
    /// Σ of the class weights.
    pub(super) weight_sum: f32,
    /// 1 / Σ of the weights of the labels of the whole batch.
    pub(super) scale: f32,
}

/// The rows of one block under one head.
pub(super) struct Rows<'a> {
    /// `[panels][rows][LANES]`, logits; with [`Goal::Step`] the head's columns become the
    /// gradient of the batch's mean loss.
    pub(super) block: &'a mut [f32],
    /// The head's first column.
    pub(super) column: usize,
    pub(super) labels: &'a [u32],
    pub(super) objective: Objective<'a>,
    pub(super) goal: Goal,
    pub(super) seen: &'a mut Seen,
}

impl Rows<'_> {
    pub(super) fn run(self, isa: Isa) {
        isa.run(self);
    }
}

impl Task for Rows<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let classes = self.objective.class_weights.len();
        let mut logits = vec![[f32::NEG_INFINITY; LANES]; classes.div_ceil(LANES)];
        let rows = self.labels.len();
        for (row, &label) in self.labels.iter().enumerate() {
            logits.as_flattened_mut()[classes..].fill(f32::NEG_INFINITY);
            copy_out(self.block, (rows, row), self.column, (&mut logits, classes));
            let own = logits.as_flattened()[label as usize];
            let maximum = maximum(&logits);
            let first = position(&logits, maximum);
            self.seen.correct += u64::from(first == label as usize);
            let soft = if self.objective.label_smoothing > 0.0 {
                weighted_sum(&logits.as_flattened()[..classes], &self.objective)
            } else {
                0.0
            };
            let partition = exponentials(&mut logits, maximum);
            let log_partition = maximum + partition.ln();
            self.seen
                .loss
                .add(row_loss(&self.objective, label, (own, log_partition), soft));
            if self.goal == Goal::Step {
                let probabilities = &mut logits.as_flattened_mut()[..classes];
                differentiate(&self.objective, label, partition, probabilities);
                copy_in(self.block, (rows, row), self.column, probabilities);
            }
        }
    }
}

/// Copies the columns from `column` on of row `row` of a block of `rows` rows.
#[inline(always)]
pub(super) fn copy_out(
    block: &[f32],
    (rows, row): (usize, usize),
    column: usize,
    (to, count): (&mut [[f32; LANES]], usize),
) {
    let mut done = 0;
    let to = &mut to.as_flattened_mut()[..count];
    while done < count {
        let (panel, lane) = ((column + done) / LANES, (column + done) % LANES);
        let length = (LANES - lane).min(count - done);
        let from = &block[(panel * rows + row) * LANES + lane..][..length];
        for (to, from) in to[done..done + length].iter_mut().zip(from) {
            *to = *from;
        }
        done += length;
    }
}

/// The reverse of [`copy_out`].
#[inline(always)]
pub(super) fn copy_in(block: &mut [f32], (rows, row): (usize, usize), column: usize, from: &[f32]) {
    let mut done = 0;
    while done < from.len() {
        let (panel, lane) = ((column + done) / LANES, (column + done) % LANES);
        let length = (LANES - lane).min(from.len() - done);
        let to = &mut block[(panel * rows + row) * LANES + lane..][..length];
        for (to, from) in to.iter_mut().zip(&from[done..done + length]) {
            *to = *from;
        }
        done += length;
    }
}

#[inline(always)]
fn maximum(rows: &[[f32; LANES]]) -> f32 {
    let mut largest = [f32::NEG_INFINITY; LANES];
    for row in rows {
        for (largest, value) in largest.iter_mut().zip(row) {
            *largest = if *value > *largest { *value } else { *largest };
        }
    }
    largest
        .iter()
        .fold(f32::NEG_INFINITY, |a, &b| if b > a { b } else { a })
}

/// Of equal logits the first class is predicted.
#[inline(always)]
fn position(rows: &[[f32; LANES]], maximum: f32) -> usize {
    let flat = rows.as_flattened();
    flat.iter()
        .position(|value| *value == maximum)
        .unwrap_or(usize::MAX)
}

/// Replaces every z by exp(z − maximum) and returns their sum.
#[inline(always)]
fn exponentials(rows: &mut [[f32; LANES]], maximum: f32) -> f32 {
    let mut sums = [0.0; LANES];
    for row in rows {
        for (sum, value) in sums.iter_mut().zip(row) {
            *value = exponential(*value - maximum);
            *sum += *value;
        }
    }
    let mut half = LANES / 2;
    while half > 0 {
        for lane in 0..half {
            sums[lane] += sums[lane + half];
        }
        half /= 2;
    }
    sums[0]
}

/// Where e to the power of it leaves the normal numbers.
const LEAST_EXPONENT: f32 = -87.0;

/// eˣ for x ≤ 0, within 2 units in the last place; below [`LEAST_EXPONENT`] zero. The
/// reduction x = n·ln 2 + r and the polynomial are those of Cephes' `expf`.
#[inline(always)]
pub(super) fn exponential(x: f32) -> f32 {
    // Adding it leaves a number rounded to an integer in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];
    const COEFFICIENTS: [f32; 6] = [
        1.987_569_1e-4,
        1.398_199_9e-3,
        8.333_452e-3,
        4.166_579_6e-2,
        1.666_666_5e-1,
        0.5,
    ];
    let clamped = if x < LEAST_EXPONENT {
        LEAST_EXPONENT
    } else {
        x
    };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let whole = shifted - ROUND;
    let rest = clamped - whole * LN_2[0] - whole * LN_2[1];
    let mut sum = COEFFICIENTS[0];
    for coefficient in &COEFFICIENTS[1..] {
        sum = sum * rest + coefficient;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23));
    let value = (sum * rest * rest + rest + 1.0) * power;
    if x < LEAST_EXPONENT { 0.0 } else { value }
}

/// Σ w·z, for label smoothing.
fn weighted_sum(logits: &[f32], objective: &Objective) -> f64 {
    let terms = logits.iter().zip(objective.class_weights);
    terms.map(|(z, w)| f64::from(w * z)).sum()
}

fn row_loss(
    objective: &Objective,
    label: u32,
    (own, log_partition): (f32, f32),
    soft: f64,
) -> LossSum {
    let weight = objective.class_weights[label as usize];
    let smoothing = objective.label_smoothing;
    let mut total = f64::from((1.0 - smoothing) * weight * (log_partition - own));
    if smoothing > 0.0 {
        let all = f64::from(objective.weight_sum) * f64::from(log_partition) - soft;
        total += f64::from(smoothing) / objective.class_weights.len() as f64 * all;
    }
    LossSum {
        total,
        weight: f64::from(weight),
    }
}

/// Turns exp(z − maximum), whose sum is `partition`, into the gradient by z.
#[inline(always)]
fn differentiate(objective: &Objective, label: u32, partition: f32, values: &mut [f32]) {
    let hard = (1.0 - objective.label_smoothing) * objective.class_weights[label as usize];
    let spread = objective.label_smoothing / objective.class_weights.len() as f32;
    let factor = objective.scale * (hard + spread * objective.weight_sum) / partition;
    let shift = objective.scale * spread;
    for (value, weight) in values.iter_mut().zip(objective.class_weights) {
        *value = *value * factor - shift * weight;
    }
    values[label as usize] -= objective.scale * hard;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_is_right_to_the_last_places() {
        for step in 0..90_000 {
            let x = -(step as f32) / 1000.0;
            let expected = if x < LEAST_EXPONENT {
                0.0
            } else {
                f64::from(x).exp()
            };
            let error = (f64::from(exponential(x)) - expected).abs();
            assert!(error <= expected * 2.0 * f64::from(f32::EPSILON), "{x}");
        }
        assert_eq!(exponential(0.0), 1.0);
        assert_eq!(exponential(f32::NEG_INFINITY), 0.0);
        assert!(exponential(f32::NAN).is_nan());
    }
}
