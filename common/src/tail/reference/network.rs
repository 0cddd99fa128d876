//! The operations behind the cut, from activations to features.

use candle_core::{D, DType, Result, Tensor};

use super::{
    all_sum::AllSum,
    convolution::convolve,
    normalise::{self, Update},
    store::Store,
};
use crate::{
    backbone::{Activation, Conv, Op, Pool},
    engine::{
        reference::{pad_for_max, window_of},
        windows::{Window, pad, positions},
    },
    tail::Tail,
};

/// The tail as it is now.
pub(super) struct Pass<'a> {
    pub(super) tail: &'a Tail,
    pub(super) store: &'a Store,
    /// Of convolutions.
    pub(super) dtype: DType,
}

/// What comes of a batch in training.
pub(super) struct Trained {
    /// `[rows, D]` f32
    pub(super) features: Tensor,
    /// Of the normalisations by batch, in execution order.
    pub(super) statistics: Vec<Update>,
}

/// Whose statistics normalisations by batch use.
enum Statistics<'a> {
    Running,
    Batch {
        sums: &'a AllSum,
        /// Of all processes.
        rows: usize,
        updates: Vec<Update>,
    },
}

impl Pass<'_> {
    /// Features `[rows, D]` of `inputs` `[rows, C, H, W]` by running statistics.
    pub(super) fn evaluate(&self, inputs: &Tensor) -> Result<Tensor> {
        self.run(inputs, &mut Statistics::Running)
    }

    /// The same in training; `sums` adds up over the processes.
    pub(super) fn train(&self, inputs: &Tensor, sums: &AllSum) -> Result<Trained> {
        let mut statistics = Statistics::Batch {
            sums,
            rows: sums.count(inputs.dim(0)?)?,
            updates: Vec::new(),
        };
        Ok(Trained {
            features: self.run(inputs, &mut statistics)?,
            statistics: match statistics {
                Statistics::Running => Vec::new(),
                Statistics::Batch { updates, .. } => updates,
            },
        })
    }

    fn run(&self, inputs: &Tensor, statistics: &mut Statistics<'_>) -> Result<Tensor> {
        let start = self.tail.start().0;
        let mut values = vec![inputs.to_dtype(self.dtype)?];
        for (_, node) in self.tail.nodes() {
            // Nothing is read from before the cut.
            let read = |position: usize| &values[node.inputs[position].0 - start];
            let value = match &node.op {
                Op::Conv(conv) => self.conv(conv, read(0), statistics)?,
                Op::MaxPool(pool) => max_pool(pool, read(0))?,
                Op::Add(activation) => activate(&(read(0) + read(1))?, *activation)?,
                Op::GlobalAvgPool => {
                    let value = read(0).to_dtype(DType::F32)?;
                    value.mean_keepdim(D::Minus1)?.mean_keepdim(D::Minus2)?
                }
            };
            values.push(value);
        }
        values[values.len() - 1]
            .to_dtype(DType::F32)?
            .flatten_from(1)
    }

    fn conv(&self, conv: &Conv, input: &Tensor, statistics: &mut Statistics<'_>) -> Result<Tensor> {
        let weight = self.store.get(&format!("{}.weight", conv.name))?;
        let padded = trimmed(conv, &pad(input, conv.padding, window_of(conv), 0.0)?)?;
        let product = convolve(conv, &padded, &weight.to_dtype(self.dtype)?)?;
        let product = product.to_dtype(DType::F32)?;
        let normalised = match statistics {
            Statistics::Batch {
                sums,
                rows,
                updates,
            } if self.tail.normalises_by_batch(conv) => {
                let over = (*sums, *rows);
                let (output, update) = normalise::by_batch(&conv.norm, self.store, &product, over)?;
                updates.push(update);
                output
            }
            _ => normalise::by_running(&conv.norm, self.store, &product)?,
        };
        activate(&normalised, conv.activation)?.to_dtype(self.dtype)
    }
}

/// `padded` without the rows and columns behind the last window, which have no gradient.
fn trimmed(conv: &Conv, padded: &Tensor) -> Result<Tensor> {
    let (_, _, height, width) = padded.dims4()?;
    let used = |size: usize| (size - conv.kernel) / conv.stride * conv.stride + conv.kernel;
    let rows = padded.narrow(2, 0, used(height))?;
    rows.narrow(3, 0, used(width))?.contiguous()
}

/// The maximum of each window, which gets the gradient; of equal values the first, as in PyTorch.
fn max_pool(pool: &Pool, input: &Tensor) -> Result<Tensor> {
    let window = Window {
        kernel: pool.kernel,
        stride: pool.stride,
    };
    let mut values = positions(&pad_for_max(pool, input)?, window)?.into_iter();
    let Some(mut largest) = values.next() else {
        candle_core::bail!("an empty window")
    };
    for value in values {
        largest = largest.ge(&value)?.where_cond(&largest, &value)?;
    }
    Ok(largest)
}

/// Nothing flows back at a bend, as in PyTorch; through candle's own operations something would.
pub(super) fn activate(value: &Tensor, activation: Activation) -> Result<Tensor> {
    let relu = || value.le(0f32)?.where_cond(&value.zeros_like()?, value);
    match activation {
        Activation::Identity => Ok(value.clone()),
        Activation::Relu => relu(),
        Activation::Relu6 => {
            let six = (value.zeros_like()? + 6.0)?;
            value.ge(6f32)?.where_cond(&six, &relu()?)
        }
    }
}
