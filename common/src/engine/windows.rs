//! Windows of candle tensors: borders, and what each position of a window reads.

use candle_core::{Result, Tensor};

use crate::backbone::Padding;

/// The side and the step of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
}

/// `input` `[B, C, H, W]` with the border that `padding` asks for, filled with `value`.
pub(crate) fn pad(input: &Tensor, padding: Padding, window: Window, value: f32) -> Result<Tensor> {
    let (_, _, height, width) = input.dims4()?;
    let along = |size| padding.along(size, window.kernel, window.stride);
    let padded = pad_axis(input, 2, along(height), value)?;
    pad_axis(&padded, 3, along(width), value)
}

fn pad_axis(
    input: &Tensor,
    axis: usize,
    (before, after): (usize, usize),
    value: f32,
) -> Result<Tensor> {
    if value == 0.0 {
        return input.pad_with_zeros(axis, before, after);
    }
    let border = |size| {
        let mut shape = input.dims().to_vec();
        shape[axis] = size;
        Tensor::full(value, shape, input.device())?.to_dtype(input.dtype())
    };
    Tensor::cat(&[&border(before)?, input, &border(after)?], axis)
}

/// For each position of the window, row by row, what it reads of `input` `[B, C, H, W]`, which has its
/// border: `[B, C, rows, columns]`, one value for every output.
pub(crate) fn positions(input: &Tensor, window: Window) -> Result<Vec<Tensor>> {
    let Window { kernel, stride } = window;
    let (batch, channels, height, width) = input.dims4()?;
    let rows = (height - kernel) / stride + 1;
    let columns = (width - kernel) / stride + 1;
    // Every `stride`-th row and column becomes a plane of its own, so that a
    // position reads a contiguous window of one plane.
    let (tall, wide) = (height.div_ceil(stride), width.div_ceil(stride));
    let planes = input
        .pad_with_zeros(2, 0, tall * stride - height)?
        .pad_with_zeros(3, 0, wide * stride - width)?
        .reshape(&[batch, channels, tall, stride, wide, stride][..])?;
    let mut read = Vec::with_capacity(kernel * kernel);
    for y in 0..kernel {
        for x in 0..kernel {
            let plane = planes
                .narrow(3, y % stride, 1)?
                .narrow(5, x % stride, 1)?
                .squeeze(5)?
                .squeeze(3)?;
            let window = plane
                .narrow(2, y / stride, rows)?
                .narrow(3, x / stride, columns)?;
            read.push(window);
        }
    }
    Ok(read)
}
