//! ResNet-18/34/50/101/152 with torchvision's names and shapes
//! (He et al., arXiv 1512.03385; stride on the 3×3 of a bottleneck, "v1.5").

use super::{Activation, Conv, Network, NetworkBuilder, Norm, Op, Padding, Pool, ValueId};

const NORM_EPS: f64 = 1e-5;
const WIDTHS: [usize; 4] = [64, 128, 256, 512];

/// The residual block of a depth.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Block {
    /// Two 3×3 convolutions.
    Basic,
    /// 1×1, 3×3, 1×1 with four times the width at the end.
    Bottleneck,
}

impl Block {
    fn expansion(self) -> usize {
        match self {
            Self::Basic => 1,
            Self::Bottleneck => 4,
        }
    }
}

/// The network `name` with `depths` blocks in its four layers.
pub(super) fn resnet(name: &str, block: Block, depths: [usize; 4]) -> Network {
    let mut builder = NetworkBuilder::new(name, "fc");
    let stem = Conv {
        name: "conv1".to_owned(),
        in_channels: 3,
        out_channels: 64,
        kernel: 7,
        stride: 2,
        padding: Padding::Symmetric(3),
        groups: 1,
        norm: norm("bn1"),
        activation: Activation::Relu,
    };
    let stem = builder.push(Op::Conv(stem), ValueId(0));
    let pool = Pool {
        kernel: 3,
        stride: 2,
        padding: Padding::Symmetric(1),
    };
    builder.push(Op::MaxPool(pool), stem);
    builder.end_stage("stem");

    let mut in_channels = 64;
    for (layer, (width, depth)) in WIDTHS.into_iter().zip(depths).enumerate() {
        for index in 0..depth {
            let unit = Unit {
                prefix: format!("layer{}.{index}", layer + 1),
                in_channels,
                width,
                stride: if layer > 0 && index == 0 { 2 } else { 1 },
                block,
            };
            unit.append_to(&mut builder);
            in_channels = width * block.expansion();
        }
        builder.end_stage(&format!("layer{}", layer + 1));
    }
    builder.finish()
}

/// One residual block: what it is called, reads and computes.
struct Unit {
    prefix: String,
    in_channels: usize,
    width: usize,
    stride: usize,
    block: Block,
}

impl Unit {
    fn append_to(&self, builder: &mut NetworkBuilder) {
        let input = builder.last();
        let out_channels = self.width * self.block.expansion();
        let shortcut = if self.stride != 1 || self.in_channels != out_channels {
            let projection = Conv {
                activation: Activation::Identity,
                ..self.conv(
                    ["downsample.0", "downsample.1"],
                    [self.in_channels, out_channels],
                    1,
                    self.stride,
                )
            };
            builder.push(Op::Conv(projection), input)
        } else {
            input
        };
        let value = self
            .convs()
            .into_iter()
            .fold(input, |value, conv| builder.push(Op::Conv(conv), value));
        builder.add(value, shortcut, Activation::Relu);
    }

    /// The main path; its last convolution is activated after the addition.
    fn convs(&self) -> Vec<Conv> {
        let (input, width) = (self.in_channels, self.width);
        let first = ["conv1", "bn1"];
        let second = ["conv2", "bn2"];
        let third = ["conv3", "bn3"];
        let mut convs = match self.block {
            Block::Basic => vec![
                self.conv(first, [input, width], 3, self.stride),
                self.conv(second, [width, width], 3, 1),
            ],
            Block::Bottleneck => vec![
                self.conv(first, [input, width], 1, 1),
                self.conv(second, [width, width], 3, self.stride),
                self.conv(third, [width, 4 * width], 1, 1),
            ],
        };
        if let Some(last) = convs.last_mut() {
            last.activation = Activation::Identity;
        }
        convs
    }

    fn conv(&self, names: [&str; 2], channels: [usize; 2], kernel: usize, stride: usize) -> Conv {
        Conv {
            name: format!("{}.{}", self.prefix, names[0]),
            in_channels: channels[0],
            out_channels: channels[1],
            kernel,
            stride,
            padding: Padding::Symmetric(kernel / 2),
            groups: 1,
            norm: norm(&format!("{}.{}", self.prefix, names[1])),
            activation: Activation::Relu,
        }
    }
}

fn norm(name: &str) -> Norm {
    Norm {
        name: name.to_owned(),
        eps: NORM_EPS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resnet18_ends_at_512_channels_of_7_by_7() {
        let network = resnet("resnet18", Block::Basic, [2, 2, 2, 2]);
        let shapes = network.shapes(224, 224);
        let at = |stage: &str| shapes[network.stage(stage).unwrap().output.0].dimensions();
        assert_eq!(at("stem"), [64, 56, 56]);
        assert_eq!(at("layer3"), [256, 14, 14]);
        assert_eq!(at("layer4"), [512, 7, 7]);
        assert_eq!(at("avgpool"), [512]);
    }
}
