//! Batch normalisation by the statistics of the batch, and what its parameters learn either way.
//!
//! ```text
//!   forwards    x̂ = (z − μ) / √(σ² + ε)          μ, σ² (biased): over all rows of all processes
//!               y = clip(γ · x̂ + β)
//!   backwards   dβ = Σ dy,   dγ = Σ dy · x̂
//!               dz = γ / √(σ² + ε) · (dy − (Σ dy + x̂ · Σ dy · x̂) / rows)
//! ```
//!
//! With running statistics it is an [`Affine`] that convolutions apply themselves; then
//! dγ = (Σ dy · z − μ · Σ dy) / √(σ² + ε), and the convolution has Σ dy · z ([`super::settle`]).
//! Sums are formed in f64, panel by panel in the order of the rows.

use rayon::prelude::*;

use super::{affine::Affine, maps::Maps};
use crate::{
    engine::cpu::{
        isa::{Isa, Task},
        vector::Simd,
    },
    panel::LANES,
    tail::{Collective, CollectiveError, NORM_MOMENTUM},
};

/// Rows that are summed in f32.
const RUN_ROWS: usize = 64;

/// The statistics of a batch, one a channel.
pub(super) struct Statistics {
    mean: Vec<f32>,
    /// 1 / √(σ² + ε)
    inverse: Vec<f32>,
    /// Biased.
    variance: Vec<f64>,
    /// Rows of all processes.
    rows: f64,
}

/// `1 / √(variance + eps)`
pub(super) fn inverse_deviation(variance: f32, eps: f64) -> f32 {
    (1.0 / (f64::from(variance) + eps).sqrt()) as f32
}

/// Normalisation by running statistics, `[γ, β, mean, variance]`.
pub(super) fn running_affine([weight, bias, mean, variance]: [&[f32]; 4], eps: f64) -> Affine {
    let scales = weight.iter().zip(variance);
    let scale: Vec<f32> = scales
        .map(|(weight, variance)| weight * inverse_deviation(*variance, eps))
        .collect();
    let terms = bias.iter().zip(mean.iter().zip(&scale));
    let shift = terms.map(|(bias, (mean, scale))| bias - mean * scale);
    Affine {
        shift: shift.collect(),
        scale,
        clip: crate::backbone::Activation::Identity.into(),
    }
}

/// Adds up `values` over all processes.
fn over_processes(
    values: impl Iterator<Item = f64>,
    collective: &dyn Collective,
) -> Result<Vec<f64>, CollectiveError> {
    if collective.size() == 1 {
        return Ok(values.collect());
    }
    let mut sums: Vec<f32> = values.map(|value| value as f32).collect();
    collective.sum(&mut sums)?;
    Ok(sums.into_iter().map(f64::from).collect())
}

impl Statistics {
    /// Of `maps` and what the other processes have.
    pub(super) fn of(
        maps: &Maps,
        eps: f64,
        (collective, isa): (&dyn Collective, Isa),
    ) -> Result<Self, CollectiveError> {
        let channels = maps.size().panels() * LANES;
        let [sums, _] = deviations(maps, &vec![0.0; channels], isa);
        let local = sums.into_iter().chain([maps.size().rows() as f64]);
        let mut sums = over_processes(local, collective)?;
        let rows = sums.pop().unwrap_or(0.0).max(1.0);
        let mean: Vec<f32> = sums.iter().map(|sum| (sum / rows) as f32).collect();
        let [_, squares] = deviations(maps, &mean, isa);
        let squares = over_processes(squares.into_iter(), collective)?;
        let variance: Vec<f64> = squares.iter().map(|sum| sum / rows).collect();
        let inverse = variance
            .iter()
            .map(|variance| 1.0 / (variance + eps).sqrt());
        Ok(Self {
            inverse: inverse.map(|inverse| inverse as f32).collect(),
            mean,
            variance,
            rows,
        })
    }

    /// γ and β as an affine map of z.
    pub(super) fn affine(&self, [weight, bias]: [&[f32]; 2]) -> Affine {
        let scale: Vec<f32> = weight
            .iter()
            .zip(&self.inverse)
            .map(|(w, i)| w * i)
            .collect();
        let terms = bias.iter().zip(self.mean.iter().zip(&scale));
        Affine {
            shift: terms
                .map(|(bias, (mean, scale))| bias - mean * scale)
                .collect(),
            scale,
            clip: crate::backbone::Activation::Identity.into(),
        }
    }

    /// Moves running statistics towards these, as PyTorch does: the variance that it keeps is the
    /// unbiased one. Only the first `channels` are those of a channel.
    pub(super) fn follow(&self, mean: &mut [f32], variance: &mut [f32], channels: usize) {
        let moved = |running: f32, batch: f64| {
            ((1.0 - NORM_MOMENTUM) * f64::from(running) + NORM_MOMENTUM * batch) as f32
        };
        let unbiased = self.rows / (self.rows - 1.0).max(1.0);
        for channel in 0..channels {
            mean[channel] = moved(mean[channel], f64::from(self.mean[channel]));
            variance[channel] = moved(variance[channel], self.variance[channel] * unbiased);
        }
    }

    /// `gradient`, by y before the clip, becomes that by z. Returns Σ dy and Σ dy · x̂ of this
    /// process.
    pub(super) fn back(
        &self,
        (values, gradient): (&Maps, &mut Maps),
        scale: &[f32],
        (collective, isa): (&dyn Collective, Isa),
    ) -> Result<[Vec<f64>; 2], CollectiveError> {
        let panels = values.size().panels();
        let sums: Vec<[[f64; LANES]; 2]> = (0..panels)
            .into_par_iter()
            .map(|panel| {
                let mut sums = [[0.0; LANES]; 2];
                isa.run(BackSums {
                    gradient: gradient.panel(panel),
                    values: values.panel(panel),
                    mean: &self.mean[panel * LANES..][..LANES],
                    inverse: &self.inverse[panel * LANES..][..LANES],
                    sums: &mut sums,
                });
                sums
            })
            .collect();
        let of = |which: usize| sums.iter().flat_map(move |sums| sums[which]);
        let all = over_processes(of(0).chain(of(1)), collective)?;
        let means: Vec<f32> = all.iter().map(|sum| (sum / self.rows) as f32).collect();
        let gradients = gradient.panels_mut().into_par_iter().enumerate();
        gradients.for_each(|(panel, gradient)| {
            let lanes = |from: &[f32]| -> [f32; LANES] {
                let mut lanes = [0.0; LANES];
                lanes.copy_from_slice(&from[panel * LANES..][..LANES]);
                lanes
            };
            isa.run(Back {
                gradient,
                values: values.panel(panel),
                mean: lanes(&self.mean),
                inverse: lanes(&self.inverse),
                scale: lanes(scale),
                means: [lanes(&means), lanes(&means[panels * LANES..])],
            });
        });
        Ok([of(0).collect(), of(1).collect()])
    }
}

/// Σ (x − mean) and Σ (x − mean)² of every channel.
pub(super) fn deviations(maps: &Maps, mean: &[f32], isa: Isa) -> [Vec<f64>; 2] {
    let panels = (0..maps.size().panels()).into_par_iter();
    let sums: Vec<[[f64; LANES]; 2]> = panels
        .map(|panel| {
            let mut sums = [[0.0; LANES]; 2];
            isa.run(Deviations {
                rows: maps.panel(panel),
                mean: &mean[panel * LANES..][..LANES],
                sums: &mut sums,
            });
            sums
        })
        .collect();
    [0, 1].map(|which| sums.iter().flat_map(|sums| sums[which]).collect())
}

struct Deviations<'a> {
    rows: &'a [f32],
    mean: &'a [f32],
    sums: &'a mut [[f64; LANES]; 2],
}

impl Task for Deviations<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        for run in self.rows.chunks(RUN_ROWS * LANES) {
            let mut sums = [[0.0; LANES]; 2];
            for row in run.chunks_exact(LANES) {
                for lane in 0..LANES {
                    let deviation = row[lane] - self.mean[lane];
                    sums[0][lane] += deviation;
                    sums[1][lane] += deviation * deviation;
                }
            }
            add(self.sums, &sums);
        }
    }
}

struct BackSums<'a> {
    gradient: &'a [f32],
    values: &'a [f32],
    mean: &'a [f32],
    inverse: &'a [f32],
    /// Σ dy and Σ dy · x̂.
    sums: &'a mut [[f64; LANES]; 2],
}

impl Task for BackSums<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let values = self.values.chunks(RUN_ROWS * LANES);
        for (gradient, values) in self.gradient.chunks(RUN_ROWS * LANES).zip(values) {
            let mut sums = [[0.0; LANES]; 2];
            let rows = gradient.chunks_exact(LANES).zip(values.chunks_exact(LANES));
            for (gradient, values) in rows {
                for lane in 0..LANES {
                    let normal = (values[lane] - self.mean[lane]) * self.inverse[lane];
                    sums[0][lane] += gradient[lane];
                    sums[1][lane] += gradient[lane] * normal;
                }
            }
            add(self.sums, &sums);
        }
    }
}

#[inline(always)]
fn add(totals: &mut [[f64; LANES]; 2], sums: &[[f32; LANES]; 2]) {
    for (totals, sums) in totals.iter_mut().zip(sums) {
        for (total, sum) in totals.iter_mut().zip(sums) {
            *total += f64::from(*sum);
        }
    }
}

struct Back<'a> {
    gradient: &'a mut [f32],
    values: &'a [f32],
    mean: [f32; LANES],
    inverse: [f32; LANES],
    /// γ / √(σ² + ε)
    scale: [f32; LANES],
    /// Means of dy and of dy · x̂.
    means: [[f32; LANES]; 2],
}

impl Task for Back<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let rows = self
            .gradient
            .chunks_exact_mut(LANES)
            .zip(self.values.chunks_exact(LANES));
        for (gradient, values) in rows {
            for lane in 0..LANES {
                let normal = (values[lane] - self.mean[lane]) * self.inverse[lane];
                let centred = gradient[lane] - self.means[0][lane] - normal * self.means[1][lane];
                gradient[lane] = self.scale[lane] * centred;
            }
        }
    }
}
