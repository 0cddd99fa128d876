//! A depthwise convolution: every channel has a kernel of its own.
//!
//! ```text
//!   forwards    y[p]      = Σ  w[tap] · x[p · stride + tap]        over the taps
//!   weights     dw[tap]   = Σ dy[p] · x[p · stride + tap]          over all pixels p
//!   inputs      dx[p · stride + tap] += w[tap] · dy[p]
//! ```
//!
//! A task is a panel of channels; it adds up in one order.

use rayon::prelude::*;

use super::{affine::Affine, maps::Maps, product::Onto, settle::WeightGradient, window::Window};
use crate::{
    engine::cpu::{
        isa::{Isa, Task},
        vector::Simd,
    },
    panel::LANES,
};

/// A depthwise convolution. Weights are `[panels][taps][LANES]`.
#[derive(Clone, Copy)]
pub(super) struct Depthwise {
    pub(super) window: Window,
    pub(super) isa: Isa,
}

impl Depthwise {
    /// `output = finish(source ∗ weights)`.
    pub(super) fn forward(
        &self,
        source: &Maps,
        weights: &[f32],
        output: &mut Maps,
        finish: Option<&Affine>,
    ) {
        let panels = output.panels_mut().into_par_iter().enumerate();
        panels.with_max_len(1).for_each(|(number, output)| {
            output.fill(0.0);
            self.isa.run(Spread {
                window: self.window,
                weights: self.of_panel(weights, number),
                input: source.panel(number),
                output,
            });
            if let Some(finish) = finish {
                finish.apply(number, output, self.isa);
            }
        });
    }

    /// The gradient by the weights; returns the dots ([`super::settle`]).
    pub(super) fn weight_gradient(
        &self,
        (source, gradient): (&Maps, &Maps),
        wanted: WeightGradient<'_>,
    ) -> Vec<f64> {
        let panels = 0..source.size().panels();
        let sums = panels.into_par_iter().with_max_len(1).map(|panel| {
            let mut sums = vec![0.0; self.window.taps() * LANES];
            self.isa.run(Correlate {
                window: self.window,
                input: source.panel(panel),
                output: gradient.panel(panel),
                sums: &mut sums,
            });
            sums
        });
        let sums: Vec<Vec<f64>> = sums.collect();
        let len = self.window.taps() * LANES;
        let mut dots = vec![0.0; sums.len() * LANES];
        let mut to = wanted.to;
        for (panel, sums) in sums.iter().enumerate() {
            for (place, sum) in sums.iter().enumerate() {
                let channel = panel * LANES + place % LANES;
                if let Some(weights) = wanted.weights {
                    dots[channel] += f64::from(weights[panel * len + place]) * sum;
                }
                if let Some(to) = &mut to {
                    let to = &mut to[panel * len + place];
                    let before = if wanted.onto == Onto::Sum { *to } else { 0.0 };
                    *to = before + (f64::from(wanted.scale[channel]) * sum) as f32;
                }
            }
        }
        dots
    }

    /// The gradient by the inputs.
    pub(super) fn input_gradient(
        &self,
        gradient: &Maps,
        (weights, scale): (&[f32], &[f32]),
        (to, onto): (&mut Maps, Onto),
    ) {
        let panels = to.panels_mut().into_par_iter().enumerate();
        panels.with_max_len(1).for_each(|(number, to)| {
            if onto == Onto::Nothing {
                to.fill(0.0);
            }
            let scale = &scale[number * LANES..][..LANES];
            let weights = self.of_panel(weights, number).chunks_exact(LANES);
            let scaled: Vec<f32> = weights
                .flat_map(|tap| tap.iter().zip(scale).map(|(weight, scale)| weight * scale))
                .collect();
            self.isa.run(SendBack {
                window: self.window,
                weights: &scaled,
                output: gradient.panel(number),
                input: to,
            });
        });
    }

    fn of_panel<'a>(&self, weights: &'a [f32], panel: usize) -> &'a [f32] {
        let len = self.window.taps() * LANES;
        &weights[panel * len..][..len]
    }
}

/// For every line of outputs and position of the kernel, the outputs' first row, the inputs'
/// first row, and how many there are.
macro_rules! each_line {
    ($window:expr, $rows:expr, |$tap:ident, $first:ident, $start:ident, $count:ident| $body:expr) => {{
        let window = $window;
        for segment in window.segments(0, $rows) {
            for $tap in 0..window.taps() {
                let Some(row) = window.input_row(segment.y, $tap / window.kernel) else {
                    continue;
                };
                let (inside, x) = window.inside(&segment.columns, $tap % window.kernel);
                let $count = inside.len();
                let $first = segment.at + inside.start;
                let line = segment.image * window.input[0] + row;
                let $start = line * window.input[1] + x;
                if $count > 0 {
                    $body
                }
            }
        }
    }};
}

struct Spread<'a> {
    window: Window,
    weights: &'a [f32],
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Task for Spread<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let pitch = self.window.stride * LANES;
        each_line!(
            self.window,
            self.output.len() / LANES,
            |tap, first, start, count| {
                let weights = &self.weights[tap * LANES..][..LANES];
                let output = &mut self.output[first * LANES..][..count * LANES];
                let input = self.input[start * LANES..].chunks(pitch);
                for (output, input) in output.chunks_exact_mut(LANES).zip(input) {
                    for lane in 0..LANES {
                        output[lane] += weights[lane] * input[lane];
                    }
                }
            }
        );
    }
}

struct SendBack<'a> {
    window: Window,
    weights: &'a [f32],
    output: &'a [f32],
    input: &'a mut [f32],
}

impl Task for SendBack<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let pitch = self.window.stride * LANES;
        each_line!(
            self.window,
            self.output.len() / LANES,
            |tap, first, start, count| {
                let weights = &self.weights[tap * LANES..][..LANES];
                let output = &self.output[first * LANES..][..count * LANES];
                let input = self.input[start * LANES..].chunks_mut(pitch);
                for (output, input) in output.chunks_exact(LANES).zip(input) {
                    for lane in 0..LANES {
                        input[lane] += weights[lane] * output[lane];
                    }
                }
            }
        );
    }
}

struct Correlate<'a> {
    window: Window,
    input: &'a [f32],
    output: &'a [f32],
    /// `[taps][LANES]`
    sums: &'a mut [f64],
}

impl Task for Correlate<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let pitch = self.window.stride * LANES;
        each_line!(
            self.window,
            self.output.len() / LANES,
            |tap, first, start, count| {
                let output = &self.output[first * LANES..][..count * LANES];
                let input = self.input[start * LANES..].chunks(pitch);
                let mut sums = [0.0; LANES];
                for (output, input) in output.chunks_exact(LANES).zip(input) {
                    for lane in 0..LANES {
                        sums[lane] += output[lane] * input[lane];
                    }
                }
                for (total, sum) in self.sums[tap * LANES..].iter_mut().zip(sums) {
                    *total += f64::from(sum);
                }
            }
        );
    }
}
