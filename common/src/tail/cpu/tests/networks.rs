//! Small networks that together have every operation, on odd sizes.

use crate::backbone::{
    Activation, Conv, Network, NetworkBuilder, Norm, Op, Padding, Pool, ValueId,
};

pub(super) fn conv(name: &str, [from, to]: [usize; 2], (kernel, stride): (usize, usize)) -> Conv {
    Conv {
        name: name.to_owned(),
        in_channels: from,
        out_channels: to,
        kernel,
        stride,
        padding: Padding::Symmetric(kernel / 2),
        groups: 1,
        norm: Norm {
            name: format!("{name}_bn"),
            eps: 1e-3,
        },
        activation: Activation::Relu,
    }
}

fn depthwise(name: &str, channels: usize, (kernel, stride): (usize, usize)) -> Conv {
    Conv {
        groups: channels,
        padding: Padding::Same,
        activation: Activation::Relu6,
        ..conv(name, [channels, channels], (kernel, stride))
    }
}

fn linear(conv: Conv) -> Conv {
    Conv {
        activation: Activation::Identity,
        ..conv
    }
}

/// A stem on images, a pool, and two residual blocks, one with a projection.
pub(super) fn residual() -> Network {
    let mut builder = NetworkBuilder::new("residual", "fc");
    let stem = builder.push(Op::Conv(conv("stem", [3, 17], (3, 1))), ValueId(0));
    let pool = Pool {
        kernel: 3,
        stride: 2,
        padding: Padding::Symmetric(1),
    };
    let input = builder.push(Op::MaxPool(pool), stem);
    builder.end_stage("stem");
    let one = builder.push(Op::Conv(conv("a1", [17, 17], (3, 1))), input);
    let two = builder.push(Op::Conv(linear(conv("a2", [17, 17], (3, 1)))), one);
    let sum = builder.add(two, input, Activation::Relu);
    builder.end_stage("a");
    let shortcut = builder.push(Op::Conv(linear(conv("b0", [17, 20], (1, 2)))), sum);
    let one = builder.push(Op::Conv(conv("b1", [17, 20], (3, 2))), sum);
    let two = builder.push(Op::Conv(linear(conv("b2", [20, 20], (3, 1)))), one);
    builder.add(two, shortcut, Activation::Relu);
    builder.end_stage("b");
    builder.finish()
}

/// A wide stem with TensorFlow's padding, and inverted residual blocks.
pub(super) fn inverted() -> Network {
    let mut builder = NetworkBuilder::new("inverted", "classifier.1");
    let stem = Conv {
        padding: Padding::Same,
        activation: Activation::Relu6,
        ..conv("stem", [3, 20], (7, 2))
    };
    let input = builder.push(Op::Conv(stem), ValueId(0));
    builder.end_stage("stem");
    for (block, kernel, stride) in [("a", 3, 1), ("b", 5, 1), ("c", 3, 2), ("d", 5, 2)] {
        let input = builder.last();
        let name = |part: &str| format!("{block}.{part}");
        let expansion = Conv {
            activation: Activation::Relu6,
            ..conv(&name("expand"), [20, 35], (1, 1))
        };
        let wide = builder.push(Op::Conv(expansion), input);
        let wide = builder.push(
            Op::Conv(depthwise(&name("depthwise"), 35, (kernel, stride))),
            wide,
        );
        let narrow = conv(&name("project"), [35, 20], (1, 1));
        let narrow = builder.push(Op::Conv(linear(narrow)), wide);
        if stride == 1 {
            builder.add(narrow, input, Activation::Identity);
        }
        builder.end_stage(block);
    }
    assert_eq!(input, ValueId(1));
    builder.finish()
}

/// Wide 3×3 convolutions, and one after the other without anything between.
pub(super) fn wide() -> Network {
    let mut builder = NetworkBuilder::new("wide", "fc");
    let mut value = builder.push(Op::Conv(conv("a", [3, 40], (3, 1))), ValueId(0));
    builder.end_stage("a");
    for (name, channels, kernel) in [("b", [40, 33], 3), ("c", [33, 290], 1), ("d", [290, 18], 3)] {
        value = builder.push(Op::Conv(conv(name, channels, (kernel, 1))), value);
        builder.end_stage(name);
    }
    builder.finish()
}
