//! A dense convolution with gradients of its own. candle's are right, but one is a kernel without blocks and the
//! other a convolution with windows as large as maps: steps of ResNet-18's layer4 took three times as long on a GPU.
//!
//! ```text
//!   by the input    the gradient, spread by the stride, convolved with the flipped and transposed weights
//!   by the weights  for each position of the window, the product of the gradient and of what it reads
//! ```

use candle_core::{
    CpuStorage, CudaStorage, CustomOp3, Layout, Result, Shape, Tensor, backend::BackendStorage,
};

use crate::{
    backbone::Conv,
    engine::{
        reference::{self, window_of},
        windows::{Window, positions},
    },
};

/// The convolution of `padded` `[B, in, H, W]`, which has its border and no rows or columns behind the last
/// window, with `weight` `[out, in / groups, k, k]`.
pub(super) fn convolve(conv: &Conv, padded: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let learns = padded.track_op() || weight.track_op();
    if conv.groups > 1 || !learns {
        return reference::convolve(conv, padded, weight);
    }
    let output = reference::convolve(conv, &padded.detach(), &weight.detach())?;
    output.apply_op3(padded, weight, Gradients(window_of(conv)))
}

/// Passes the first of output, input and weights on, as what the other two gave.
struct Gradients(Window);

impl CustomOp3 for Gradients {
    fn name(&self) -> &'static str {
        "convolution"
    }

    fn cpu_fwd(
        &self,
        output: &CpuStorage,
        layout: &Layout,
        _input: &CpuStorage,
        _input_layout: &Layout,
        _weight: &CpuStorage,
        _weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        Ok((output.clone(), layout.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        output: &CudaStorage,
        layout: &Layout,
        _input: &CudaStorage,
        _input_layout: &Layout,
        _weight: &CudaStorage,
        _weight_layout: &Layout,
    ) -> Result<(CudaStorage, Shape)> {
        Ok((output.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(
        &self,
        _output: &Tensor,
        input: &Tensor,
        weight: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let by_input = || self.by_input(&weight.detach(), gradient);
        let by_weight = || self.by_weight(&input.detach(), gradient);
        Ok((
            None,
            input.track_op().then(by_input).transpose()?,
            weight.track_op().then(by_weight).transpose()?,
        ))
    }
}

impl Gradients {
    fn by_input(&self, weight: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let Window { kernel, stride } = self.0;
        let flipped = weight.contiguous()?.flip(&[2, 3])?;
        let exchanged = flipped.transpose(0, 1)?.contiguous()?;
        spread(gradient, stride)?.conv2d(&exchanged, kernel - 1, 1, 1, 1)
    }

    fn by_weight(&self, input: &Tensor, gradient: &Tensor) -> Result<Tensor> {
        let (batch, outputs, height, width) = gradient.dims4()?;
        let (rows, inputs, kernel) = (batch * height * width, input.dim(1)?, self.0.kernel);
        let by_channel =
            |tensor: &Tensor, channels: usize| tensor.transpose(0, 1)?.reshape((channels, rows));
        let gradient = by_channel(gradient, outputs)?;
        let taps = positions(input, self.0)?.into_iter();
        let taps = taps.map(|read| gradient.matmul(&by_channel(&read, inputs)?.t()?));
        let taps = taps.collect::<Result<Vec<_>>>()?;
        Tensor::stack(&taps, 2)?.reshape((outputs, inputs, kernel, kernel))
    }
}

/// `maps` `[B, C, H, W]` with `step` − 1 zeros between neighbours: `[B, C, (H − 1)·step + 1, …]`.
fn spread(maps: &Tensor, step: usize) -> Result<Tensor> {
    if step == 1 {
        return maps.contiguous();
    }
    let (batch, channels, height, width) = maps.dims4()?;
    maps.reshape(&[batch, channels, height, 1, width, 1][..])?
        .pad_with_zeros(3, 0, step - 1)?
        .pad_with_zeros(5, 0, step - 1)?
        .reshape((batch, channels, height * step, width * step))?
        .narrow(2, 0, (height - 1) * step + 1)?
        .narrow(3, 0, (width - 1) * step + 1)?
        .contiguous()
}
