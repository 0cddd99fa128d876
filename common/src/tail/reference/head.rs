//! The head, and the loss of its logits: cross-entropy with soft targets.
//!
//! ```text
//!   loss of a row = −Σ target · ln softmax(logits)
//! ```

use candle_core::{D, Result, Tensor};

use super::{network::activate, store::Store};
use crate::{
    backbone::Activation,
    head::{
        LossSum,
        stack::{Seen, view::Dropping},
    },
    panel::LANES,
    tail::{Batch, Tail},
};

/// Logits `[rows, classes]` of `features` `[rows, D]` in evaluation mode.
pub(super) fn logits(tail: &Tail, store: &Store, features: &Tensor) -> Result<Tensor> {
    run(tail, store, features, |value, _| Ok(value))
}

/// The same in training, for the rows of `batch`.
pub(super) fn logits_with_dropout(
    tail: &Tail,
    store: &Store,
    features: &Tensor,
    batch: &Batch<'_>,
) -> Result<Tensor> {
    let probability = tail.options().dropout;
    let dropping = Dropping::On {
        key: batch.dropout_key,
    };
    run(tail, store, features, |value, layer| {
        let Some(mask) = dropping.mask(probability, layer as u64) else {
            return Ok(value);
        };
        let (rows, width) = value.dims2()?;
        let mut factors = vec![1.0; rows * width];
        // Choices depend on a row's position in the whole step, and count its inputs as the CPU's
        // panels have them; they repeat after 2³².
        let counted = width.next_multiple_of(LANES);
        for (row, factors) in (batch.first_row..).zip(factors.chunks_exact_mut(width)) {
            mask.apply(factors, (row * counted) as u32);
        }
        let factors = Tensor::from_vec(factors, (rows, width), value.device())?;
        value * factors
    })
}

/// `drop` gets the input of each layer and the layer's number, from 0.
fn run(
    tail: &Tail,
    store: &Store,
    features: &Tensor,
    drop: impl Fn(Tensor, usize) -> Result<Tensor>,
) -> Result<Tensor> {
    let mut value = features.clone();
    for (layer, name) in tail.head_layers().iter().enumerate() {
        if layer > 0 {
            value = activate(&value, Activation::Relu)?;
        }
        let weight = store.get(&format!("{name}.weight"))?;
        let bias = store.get(&format!("{name}.bias"))?;
        let product = drop(value, layer)?.matmul(&weight.t()?)?;
        value = product.broadcast_add(&bias)?;
    }
    Ok(value)
}

/// The rows' losses `[rows]`; both arguments are `[rows, classes]`.
pub(super) fn losses(logits: &Tensor, targets: &Tensor) -> Result<Tensor> {
    let largest = logits.max_keepdim(D::Minus1)?.detach();
    let shifted = logits.broadcast_sub(&largest)?;
    let partition = shifted.exp()?.sum_keepdim(D::Minus1)?.log()?;
    (targets * shifted.broadcast_sub(&partition)?)?
        .sum(D::Minus1)?
        .neg()
}

/// What a batch's rows have lost, and how many were right.
pub(super) fn seen(losses: &Tensor, logits: &Tensor, targets: &[f32]) -> Result<Seen> {
    let losses: Vec<f32> = losses.to_vec1()?;
    let logits: Vec<Vec<f32>> = logits.to_vec2()?;
    let classes = logits.first().map_or(1, Vec::len);
    let rows = logits.iter().zip(targets.chunks_exact(classes));
    let correct = rows.filter(|(logits, target)| first_largest(logits) == first_largest(target));
    Ok(Seen {
        correct: correct.count() as u64,
        loss: LossSum {
            total: losses.iter().copied().map(f64::from).sum(),
            weight: losses.len() as f64,
        },
    })
}

fn first_largest(values: &[f32]) -> usize {
    let mut largest = 0;
    for (position, value) in values.iter().enumerate() {
        if *value > values[largest] {
            largest = position;
        }
    }
    largest
}
