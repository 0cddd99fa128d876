//! EfficientNet-Lite0 with the names of its original port (`_conv_stem`,
//! `_blocks.N…`, `_conv_head`): EfficientNet-B0 without squeeze-excitation,
//! ReLU6 for Swish, and TensorFlow's "SAME" padding.

use super::{
    Activation, Conv, Network, NetworkBuilder, Norm, Op, Padding, ValueId,
    inverted_residual::{InvertedResidual, Names},
};

const NORM_EPS: f64 = 1e-3;

/// Kernel, stride, expansion, output channels and blocks of a stage.
struct StageSpec(usize, usize, usize, usize, usize);

const STAGES: [StageSpec; 7] = [
    StageSpec(3, 1, 1, 16, 1),
    StageSpec(3, 2, 6, 24, 2),
    StageSpec(5, 2, 6, 40, 2),
    StageSpec(3, 2, 6, 80, 3),
    StageSpec(5, 1, 6, 112, 3),
    StageSpec(5, 2, 6, 192, 4),
    StageSpec(3, 1, 6, 320, 1),
];

/// The network; stages `stem`, `stage1` … `stage7`, `head`, `avgpool`.
pub(super) fn efficientnet_lite0() -> Network {
    let mut builder = NetworkBuilder::new("efficientnet-lite0", "_fc");
    let stem = Conv {
        kernel: 3,
        stride: 2,
        ..pointwise("_conv_stem", "_bn0", [3, 32])
    };
    builder.push(Op::Conv(stem), ValueId(0));
    builder.end_stage("stem");

    let mut in_channels = 32;
    let mut block_index = 0;
    for (stage, spec) in STAGES.iter().enumerate() {
        let StageSpec(kernel, stride, expansion, out_channels, blocks) = *spec;
        for index in 0..blocks {
            let names = |conv: &str, norm: &str| Names {
                conv: format!("_blocks.{block_index}.{conv}"),
                norm: format!("_blocks.{block_index}.{norm}"),
            };
            let block = InvertedResidual {
                in_channels,
                hidden_channels: in_channels * expansion,
                out_channels,
                kernel,
                stride: if index == 0 { stride } else { 1 },
                padding: Padding::Same,
                norm_eps: NORM_EPS,
                expansion: (expansion != 1).then(|| names("_expand_conv", "_bn0")),
                depthwise: names("_depthwise_conv", "_bn1"),
                projection: names("_project_conv", "_bn2"),
            };
            block.append_to(&mut builder);
            in_channels = out_channels;
            block_index += 1;
        }
        builder.end_stage(&format!("stage{}", stage + 1));
    }
    let last = builder.last();
    let head = pointwise("_conv_head", "_bn1", [320, 1280]);
    builder.push(Op::Conv(head), last);
    builder.end_stage("head");
    builder.finish()
}

/// A 1×1 convolution outside of the blocks, from `channels[0]` to `channels[1]`.
fn pointwise(name: &str, norm: &str, channels: [usize; 2]) -> Conv {
    Conv {
        name: name.to_owned(),
        in_channels: channels[0],
        out_channels: channels[1],
        kernel: 1,
        stride: 1,
        padding: Padding::Same,
        groups: 1,
        norm: Norm {
            name: norm.to_owned(),
            eps: NORM_EPS,
        },
        activation: Activation::Relu6,
    }
}
