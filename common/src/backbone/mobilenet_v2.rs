//! MobileNetV2 with torchvision's names (`features.0` … `features.18`).

use super::{
    Activation, Conv, Network, NetworkBuilder, Norm, Op, Padding, ValueId,
    inverted_residual::{InvertedResidual, Names},
};

const NORM_EPS: f64 = 1e-5;

/// (expansion, output channels, blocks, stride) of the seven stages.
const STAGES: [(usize, usize, usize, usize); 7] = [
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
];

/// The network; stages `stem`, `stage1` … `stage7`, `head`, `avgpool`.
pub(super) fn mobilenet_v2() -> Network {
    let mut builder = NetworkBuilder::new("mobilenet-v2", "classifier.1");
    let stem = conv_norm_relu6(0, [3, 32], 3);
    builder.push(Op::Conv(stem), ValueId(0));
    builder.end_stage("stem");

    let mut in_channels = 32;
    let mut feature = 1;
    for (stage, (expansion, out_channels, blocks, stride)) in STAGES.into_iter().enumerate() {
        for index in 0..blocks {
            let prefix = format!("features.{feature}.conv");
            let names = |conv: String, norm: String| Names { conv, norm };
            // Without expansion the inner sequence is one shorter.
            let shift = usize::from(expansion != 1);
            let block = InvertedResidual {
                in_channels,
                hidden_channels: in_channels * expansion,
                out_channels,
                kernel: 3,
                stride: if index == 0 { stride } else { 1 },
                padding: Padding::Symmetric(1),
                norm_eps: NORM_EPS,
                expansion: (expansion != 1)
                    .then(|| names(format!("{prefix}.0.0"), format!("{prefix}.0.1"))),
                depthwise: names(format!("{prefix}.{shift}.0"), format!("{prefix}.{shift}.1")),
                projection: names(
                    format!("{prefix}.{}", shift + 1),
                    format!("{prefix}.{}", shift + 2),
                ),
            };
            block.append_to(&mut builder);
            in_channels = out_channels;
            feature += 1;
        }
        builder.end_stage(&format!("stage{}", stage + 1));
    }
    let last = builder.last();
    builder.push(Op::Conv(conv_norm_relu6(18, [320, 1280], 1)), last);
    builder.end_stage("head");
    builder.finish()
}

fn conv_norm_relu6(feature: usize, channels: [usize; 2], kernel: usize) -> Conv {
    Conv {
        name: format!("features.{feature}.0"),
        in_channels: channels[0],
        out_channels: channels[1],
        kernel,
        stride: if kernel == 3 { 2 } else { 1 },
        padding: Padding::Symmetric(kernel / 2),
        groups: 1,
        norm: Norm {
            name: format!("features.{feature}.1"),
            eps: NORM_EPS,
        },
        activation: Activation::Relu6,
    }
}

/// Before its 0.12 release torchvision numbered the layers of a block in one
/// sequence, activations included: `conv.1.0` (the depthwise convolution behind
/// an expansion) was `conv.3`.
pub(super) fn older_name(name: &str) -> String {
    let Some((block, inner)) = name.split_once(".conv.") else {
        return name.to_owned();
    };
    let parts: Vec<&str> = inner.split('.').collect();
    let [first, rest @ ..] = parts.as_slice() else {
        return name.to_owned();
    };
    let first: usize = first.parse().unwrap_or(0);
    let (number, tensor) = match rest {
        // Inside a convolution-norm-activation triple.
        [inner, tensor] => (3 * first + inner.parse().unwrap_or(0), tensor),
        // The projection follows one or two triples, its norm comes next.
        [tensor] if block == "features.1" => (2 + first, tensor),
        [tensor] => (4 + first, tensor),
        _ => return name.to_owned(),
    };
    format!("{block}.conv.{number}.{tensor}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_names_number_a_block_in_one_sequence() {
        for (name, older) in [
            ("features.0.0.weight", "features.0.0.weight"),
            ("features.1.conv.0.1.bias", "features.1.conv.1.bias"),
            ("features.1.conv.1.weight", "features.1.conv.3.weight"),
            ("features.1.conv.2.bias", "features.1.conv.4.bias"),
            ("features.2.conv.1.0.weight", "features.2.conv.3.weight"),
            ("features.2.conv.2.weight", "features.2.conv.6.weight"),
            ("features.2.conv.3.bias", "features.2.conv.7.bias"),
        ] {
            assert_eq!(older_name(name), older);
        }
    }
}
