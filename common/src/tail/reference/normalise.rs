//! Batch normalisation, in f32 (Ioffe and Szegedy 2015; PyTorch's `BatchNorm2d`).
//!
//! ```text
//!   y = (x − μ) / √(σ² + ε) · γ + β
//!
//!   frozen     μ, σ²: running mean and variance
//!   by batch   μ = Σx / n,  σ² = Σ(x − μ)² / n          over the rows and positions of all processes
//!              running mean ← 0.9 · running mean + 0.1 · μ
//!              running variance ← 0.9 · running variance + 0.1 · σ² · n / (n − 1)
//! ```

use candle_core::{Result, Tensor};

use super::{all_sum::AllSum, store::Store};
use crate::{backbone::Norm, tail::NORM_MOMENTUM};

/// New statistics of one normalisation.
pub(super) struct Update {
    norm: String,
    /// `[C]`
    mean: Tensor,
    /// `[C]`, that of a sample: divided by n − 1.
    variance: Tensor,
}

impl Update {
    /// Moves the running statistics towards the batch's.
    pub(super) fn apply(self, store: &Store) -> Result<()> {
        for (name, new) in [("running_mean", self.mean), ("running_var", self.variance)] {
            let name = format!("{}.{name}", self.norm);
            let kept = (store.get(&name)? * (1.0 - NORM_MOMENTUM))?;
            store.set(&name, &(kept + (new * NORM_MOMENTUM)?)?)?;
        }
        Ok(())
    }
}

/// The normalisation of `input` `[B, C, H, W]` by running statistics.
pub(super) fn by_running(norm: &Norm, store: &Store, input: &Tensor) -> Result<Tensor> {
    let mean = channels(&store.get(&format!("{}.running_mean", norm.name))?)?;
    let variance = channels(&store.get(&format!("{}.running_var", norm.name))?)?;
    scaled(norm, store, &input.broadcast_sub(&mean)?, &variance)
}

/// The normalisation of `input` `[B, C, H, W]` by the statistics of all processes' rows, `rows` altogether.
pub(super) fn by_batch(
    norm: &Norm,
    store: &Store,
    input: &Tensor,
    (sums, rows): (&AllSum, usize),
) -> Result<(Tensor, Update)> {
    let (_, _, height, width) = input.dims4()?;
    let count = (rows * height * width) as f64;
    let mean = (sums.of(&input.sum_keepdim((0, 2, 3))?)? / count)?;
    let centred = input.broadcast_sub(&mean)?;
    let variance = (sums.of(&centred.sqr()?.sum_keepdim((0, 2, 3))?)? / count)?;
    let output = scaled(norm, store, &centred, &variance)?;
    let update = Update {
        norm: norm.name.clone(),
        mean: mean.detach().flatten_all()?,
        variance: (variance.detach().flatten_all()? * (count / (count - 1.0).max(1.0)))?,
    };
    Ok((output, update))
}

fn scaled(norm: &Norm, store: &Store, centred: &Tensor, variance: &Tensor) -> Result<Tensor> {
    let weight = channels(&store.get(&format!("{}.weight", norm.name))?)?;
    let bias = channels(&store.get(&format!("{}.bias", norm.name))?)?;
    let scale = (weight / (variance + norm.eps)?.sqrt()?)?;
    centred.broadcast_mul(&scale)?.broadcast_add(&bias)
}

/// `[C]` as `[1, C, 1, 1]`.
fn channels(values: &Tensor) -> Result<Tensor> {
    values.reshape((1, values.elem_count(), 1, 1))
}
