//! The inverted residual block that MobileNetV2 and EfficientNet-Lite share:
//! 1×1 expansion, depthwise k×k, linear 1×1 projection, and a shortcut where
//! input and output have one shape (Sandler et al., arXiv 1801.04381).

use super::{Activation, Conv, NetworkBuilder, Norm, Op, Padding};

/// Tensor-name prefixes of a convolution and its batch normalisation.
pub(super) struct Names {
    pub(super) conv: String,
    pub(super) norm: String,
}

/// One block; `expansion` is absent where the hidden width is the input's.
pub(super) struct InvertedResidual {
    pub(super) in_channels: usize,
    pub(super) hidden_channels: usize,
    pub(super) out_channels: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: Padding,
    pub(super) norm_eps: f64,
    pub(super) expansion: Option<Names>,
    pub(super) depthwise: Names,
    pub(super) projection: Names,
}

impl InvertedResidual {
    /// Appends the block behind the value produced last.
    pub(super) fn append_to(self, builder: &mut NetworkBuilder) {
        let input = builder.last();
        let (in_channels, hidden, out_channels) =
            (self.in_channels, self.hidden_channels, self.out_channels);
        let pointwise = |names: Names, from, to, activation| Conv {
            name: names.conv,
            in_channels: from,
            out_channels: to,
            kernel: 1,
            stride: 1,
            padding: Padding::Symmetric(0),
            groups: 1,
            norm: Norm {
                name: names.norm,
                eps: self.norm_eps,
            },
            activation,
        };
        let mut value = input;
        if let Some(names) = self.expansion {
            let expansion = pointwise(names, in_channels, hidden, Activation::Relu6);
            value = builder.push(Op::Conv(expansion), value);
        }
        let depthwise = Conv {
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
            groups: hidden,
            ..pointwise(self.depthwise, hidden, hidden, Activation::Relu6)
        };
        value = builder.push(Op::Conv(depthwise), value);
        let projection = pointwise(self.projection, hidden, out_channels, Activation::Identity);
        value = builder.push(Op::Conv(projection), value);
        if self.stride == 1 && in_channels == out_channels {
            builder.add(value, input, Activation::Identity);
        }
    }
}
