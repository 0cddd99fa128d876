//! A convolution and its place in the graph, before an algorithm is chosen.

use super::{
    isa::Isa,
    layout::{Layout, Windows},
};
use crate::backbone::{Activation, Conv, Padding, Parameters};

/// A convolution with its normalisation folded in.
pub(super) struct Folded {
    /// `[out, in / groups, k, k]`
    pub(super) weight: Vec<f32>,
    /// `[out]`
    pub(super) bias: Vec<f32>,
    pub(super) in_channels: usize,
    pub(super) out_channels: usize,
    pub(super) kernel: usize,
    /// Bounds that the activation puts on the result.
    pub(super) clamp: [f32; 2],
}

/// Where a convolution reads and writes.
#[derive(Clone, Copy)]
pub(super) struct Site {
    pub(super) input: Layout,
    pub(super) residual: Option<Layout>,
    pub(super) output: Layout,
    pub(super) windows: Windows,
    /// Most images a call.
    pub(super) images: usize,
    pub(super) isa: Isa,
}

/// The buffers of one call, from the first image on.
pub(super) struct Operands<'a> {
    pub(super) input: &'a [f32],
    pub(super) residual: Option<&'a [f32]>,
    pub(super) output: &'a mut [f32],
    pub(super) images: usize,
}

impl Folded {
    /// `conv` with `activation` at its end.
    pub(super) fn new(conv: &Conv, parameters: &Parameters, activation: Activation) -> Self {
        let (weight, bias) = parameters.folded(conv);
        Self {
            weight,
            bias,
            in_channels: conv.in_channels,
            out_channels: conv.out_channels,
            kernel: conv.kernel,
            clamp: bounds(activation),
        }
    }

    /// The weight of `output` ← `input` (a full convolution's) at row `y` and
    /// column `x` of the window.
    pub(super) fn at(&self, output: usize, input: usize, [y, x]: [usize; 2]) -> f32 {
        let index = ((output * self.in_channels + input) * self.kernel + y) * self.kernel + x;
        self.weight[index]
    }
}

/// `[low, high]` that an activation clamps to.
pub(super) fn bounds(activation: Activation) -> [f32; 2] {
    match activation {
        Activation::Identity => [f32::NEG_INFINITY, f32::INFINITY],
        Activation::Relu => [0.0, f32::INFINITY],
        Activation::Relu6 => [0.0, 6.0],
    }
}

/// Windows of side `kernel` over an image.
pub(super) fn windows(padding: Padding, [kernel, stride]: [usize; 2], input: &Layout) -> Windows {
    let before = |size| padding.along(size, kernel, stride).0;
    Windows {
        before: [before(input.shape.height), before(input.shape.width)],
        stride,
    }
}
