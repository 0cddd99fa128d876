//! Each kind of layer alone, at sizes that fit nothing.

use proptest::prelude::*;

use super::{Isa, engine, features, naive, relative_error, synthetic_pixels};
use crate::{
    backbone::{
        Activation, Conv, Network, NetworkBuilder, Norm, Op, Padding, Parameters, Pool, ValueId,
    },
    engine::Executor,
};

/// Bound on the relative error of two layers.
const TOLERANCE: f64 = 2e-6;

/// A layer under test and its input.
#[derive(Clone, Debug)]
pub(in super::super) struct Case {
    pub(in super::super) conv: Conv,
    pub(in super::super) input: [usize; 2],
    pub(in super::super) batch: usize,
    pub(in super::super) with_residual: bool,
}

pub(in super::super) fn conv(name: &str, channels: [usize; 2], window: [usize; 2]) -> Conv {
    Conv {
        name: name.to_owned(),
        in_channels: channels[0],
        out_channels: channels[1],
        kernel: window[0],
        stride: window[1],
        padding: Padding::Symmetric(0),
        groups: 1,
        norm: Norm {
            name: format!("{name}.norm"),
            eps: 1e-5,
        },
        activation: Activation::Identity,
    }
}

/// Pixels → 1×1 to the layer's channels → the layer, or the sum of two of it.
pub(in super::super) fn network(case: &Case) -> Network {
    let mut builder = NetworkBuilder::new("case", "none");
    let lift = conv("lift", [3, case.conv.in_channels], [1, 1]);
    let lifted = builder.push(Op::Conv(lift), ValueId(0));
    if case.with_residual {
        let twin = Conv {
            name: "twin".to_owned(),
            ..case.conv.clone()
        };
        let main = Conv {
            activation: Activation::Identity,
            ..case.conv.clone()
        };
        let twin = builder.push(Op::Conv(twin), lifted);
        let main = builder.push(Op::Conv(main), lifted);
        builder.add(main, twin, case.conv.activation);
    } else {
        builder.push(Op::Conv(case.conv.clone()), lifted);
    }
    builder.end_stage("layer");
    builder.finish()
}

/// The largest error over the instruction sets.
fn error_of(network: &Network, input: [usize; 2], batch: usize) -> f64 {
    let pixels = synthetic_pixels(batch, input);
    let parameters = Parameters::synthetic(network);
    let output = network.stage("layer").unwrap().output;
    let mut expected = Vec::new();
    for image in pixels.chunks(3 * input[0] * input[1]) {
        let mut values = naive::run(network, &parameters, (image, input));
        expected.append(&mut values[output.0]);
    }
    Isa::available()
        .into_iter()
        .map(|isa| {
            let found = features(network, &["layer"], (&pixels, input), isa);
            let error = relative_error(&found[0], &expected);
            assert!(error.is_finite(), "{isa}");
            error
        })
        .fold(0.0, f64::max)
}

fn activation() -> impl Strategy<Value = Activation> {
    prop_oneof![
        Just(Activation::Identity),
        Just(Activation::Relu),
        Just(Activation::Relu6)
    ]
}

pub(in super::super) fn case() -> impl Strategy<Value = Case> {
    let channels = [1usize..40, 1usize..70];
    let window = (
        prop_oneof![Just(1usize), Just(3), Just(5), Just(7)],
        1usize..=3,
    );
    (channels, window, activation(), any::<[bool; 2]>()).prop_flat_map(
        |(channels, (kernel, stride), activation, [same, with_residual])| {
            let size = [kernel..20, kernel..20];
            (size, 1usize..11, 0..kernel).prop_map(move |(input, batch, padding)| Case {
                conv: Conv {
                    activation,
                    padding: if same {
                        Padding::Same
                    } else {
                        Padding::Symmetric(padding)
                    },
                    ..conv("conv", channels, [kernel, stride])
                },
                input,
                batch,
                with_residual,
            })
        },
    )
}

/// Winograd's conditions: 3×3, stride 1, some channels.
pub(in super::super) fn winograd_case() -> impl Strategy<Value = Case> {
    (case(), [16usize..50, 16usize..70], [3usize..20, 3usize..20]).prop_map(
        |(mut case, channels, input)| {
            (case.conv.kernel, case.conv.stride) = (3, 1);
            [case.conv.in_channels, case.conv.out_channels] = channels;
            if let Padding::Symmetric(padding) = case.conv.padding {
                case.conv.padding = Padding::Symmetric(padding.min(2));
            }
            case.input = input;
            case
        },
    )
}

pub(in super::super) fn depthwise_case() -> impl Strategy<Value = Case> {
    let window = (prop_oneof![Just(3usize), Just(5)], 1usize..=2);
    (case(), window, 5usize..20, 5usize..20).prop_map(|(mut case, window, height, width)| {
        (case.conv.kernel, case.conv.stride) = window;
        case.conv.out_channels = case.conv.in_channels;
        case.conv.groups = case.conv.in_channels;
        if let Padding::Symmetric(padding) = case.conv.padding {
            case.conv.padding = Padding::Symmetric(padding.min(2));
        }
        case.input = [height, width];
        case
    })
}

/// Maps so large that the 1×1 convolution in front is done in strips.
pub(in super::super) fn strip_case() -> impl Strategy<Value = Case> {
    let size = [75usize..90, 75usize..90];
    (depthwise_case(), 30usize..50, size).prop_map(|(mut case, channels, input)| {
        case.conv.in_channels = channels;
        case.conv.out_channels = channels;
        case.conv.groups = channels;
        case.input = input;
        case.batch = case.batch.min(2);
        case.with_residual = false;
        case
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn expansions_in_strips_match_their_definition(case in strip_case()) {
        let error = error_of(&network(&case), case.input, case.batch);
        prop_assert!(error < TOLERANCE, "{error:e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn convolutions_of_any_shape_match_their_definition(case in case()) {
        let error = error_of(&network(&case), case.input, case.batch);
        prop_assert!(error < TOLERANCE, "{error:e}");
    }

    #[test]
    fn winograd_matches_the_definition(case in winograd_case()) {
        let error = error_of(&network(&case), case.input, case.batch);
        prop_assert!(error < TOLERANCE, "{error:e}");
    }

    #[test]
    fn depthwise_convolutions_match_their_definition(case in depthwise_case()) {
        let error = error_of(&network(&case), case.input, case.batch);
        prop_assert!(error < TOLERANCE, "{error:e}");
    }

    #[test]
    fn max_pools_match_their_definition(
        channels in 1usize..40,
        input in [3usize..20, 3usize..20],
        (kernel, stride, padding) in (2usize..4, 1usize..3, 0usize..2),
        same in any::<bool>(),
    ) {
        let mut builder = NetworkBuilder::new("pool", "none");
        let lifted = builder.push(Op::Conv(conv("lift", [3, channels], [1, 1])), ValueId(0));
        let padding = if same { Padding::Same } else { Padding::Symmetric(padding) };
        builder.push(Op::MaxPool(Pool { kernel, stride, padding }), lifted);
        builder.end_stage("layer");
        prop_assert!(error_of(&builder.finish(), input, 2) < TOLERANCE);
    }
}

#[test]
fn a_large_expansion_is_done_in_strips_and_a_small_one_is_not() {
    let uses_strips = |side: usize| {
        let case = Case {
            conv: Conv {
                groups: 40,
                ..conv("conv", [40, 40], [3, 1])
            },
            input: [side, side],
            batch: 1,
            with_residual: false,
        };
        let engine = engine(&network(&case), &["layer"], case.input, Isa::available()[0]);
        let pixels = synthetic_pixels(1, case.input);
        let profile = engine.profile(&pixels, 1).unwrap();
        profile.iter().any(|step| step.kind == "strip")
    };
    assert!(uses_strips(80) && !uses_strips(20));
}

#[test]
fn the_average_pool_and_a_plain_addition_match_their_definition() {
    let mut builder = NetworkBuilder::new("sum", "none");
    let first = builder.push(Op::Conv(conv("first", [3, 21], [1, 1])), ValueId(0));
    let relu = Conv {
        activation: Activation::Relu,
        ..conv("second", [21, 21], [1, 1])
    };
    let second = builder.push(Op::Conv(relu), first);
    let sum = builder.add(first, second, Activation::Relu6);
    builder.push(Op::GlobalAvgPool, sum);
    builder.end_stage("layer");
    assert!(error_of(&builder.finish(), [9, 13], 3) < TOLERANCE);
}

#[test]
fn what_is_not_a_number_is_passed_on() {
    for activation in [Activation::Identity, Activation::Relu, Activation::Relu6] {
        for (channels, kernel) in [([16, 16], 3), ([5, 9], 3), ([5, 9], 1)] {
            let case = Case {
                conv: Conv {
                    activation,
                    padding: Padding::Same,
                    ..conv("conv", channels, [kernel, 1])
                },
                input: [9, 9],
                batch: 1,
                with_residual: false,
            };
            let mut pixels = synthetic_pixels(1, case.input);
            pixels[40] = f32::NAN;
            for isa in Isa::available() {
                let engine = engine(&network(&case), &["layer"], case.input, isa);
                let found = engine.forward(&pixels, 1).unwrap();
                assert!(found[0].iter().any(|value| value.is_nan()), "{isa}");
            }
        }
    }
}
