//! Each kind of layer alone, at sizes that fit nothing: bit for bit what its
//! definition says, on every instruction set.

use proptest::prelude::*;

use super::{
    super::{
        super::{
            CpuEngine, Isa, Settings,
            tests::{
                layers::{Case, case, conv, depthwise_case, network, strip_case, winograd_case},
                synthetic_pixels,
            },
        },
        RangeFinder,
    },
    naive,
};
use crate::{
    backbone::{Network, NetworkBuilder, Op, Padding, Parameters, Pool, ValueId},
    engine::Executor,
};

/// Compares the stage `layer`.
fn assert_matches(network: &Network, input: [usize; 2], batch: usize) {
    let layers = ["layer".to_owned()];
    let parameters = Parameters::synthetic(network);
    let pixels = synthetic_pixels(batch, input);
    let settings = |isa| Settings { input, isa };
    let finder = RangeFinder::new(network, &parameters, &layers, settings(Isa::available()[0]));
    let (ranges, _) = finder.unwrap().observe(&pixels, batch).unwrap();
    let output = network.stage("layer").unwrap().output;
    let expected: Vec<f32> = pixels
        .chunks(3 * input[0] * input[1])
        .flat_map(|image| naive::run((network, &parameters), &ranges, (image, input), output))
        .collect();
    for isa in Isa::available() {
        let settings = (settings(isa), &ranges);
        let engine = CpuEngine::in_int8(network, &parameters, &layers, settings).unwrap();
        let found = engine.forward(&pixels, batch).unwrap().remove(0);
        assert_eq!(found.len(), expected.len());
        for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert!(
                found == expected,
                "{isa}: {found} is not {expected} at {at}"
            );
        }
    }
}

/// The layer and one behind it that reads its integers.
fn read_by_another(case: &Case) -> Network {
    let mut builder = NetworkBuilder::new("read", "none");
    let lift = conv("lift", [3, case.conv.in_channels], [1, 1]);
    let lifted = builder.push(Op::Conv(lift), ValueId(0));
    let layer = builder.push(Op::Conv(case.conv.clone()), lifted);
    let behind = conv("behind", [case.conv.out_channels, 5], [1, 1]);
    builder.push(Op::Conv(behind), layer);
    builder.end_stage("layer");
    builder.finish()
}

fn without_residual(mut case: Case) -> Case {
    case.with_residual = false;
    case
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn convolutions_of_any_shape_are_their_definition(case in case()) {
        assert_matches(&network(&case), case.input, case.batch);
    }

    #[test]
    fn winograd_is_its_definition(case in winograd_case()) {
        assert_matches(&network(&case), case.input, case.batch.min(3));
    }

    #[test]
    fn integers_pass_from_layer_to_layer(case in case()) {
        assert_matches(&read_by_another(&case), case.input, case.batch.min(3));
    }

    #[test]
    fn depthwise_convolutions_are_their_definition(case in depthwise_case()) {
        let case = without_residual(case);
        assert_matches(&network(&case), case.input, case.batch.min(3));
    }

    #[test]
    fn integers_pass_through_depthwise_layers(case in depthwise_case()) {
        assert_matches(&read_by_another(&case), case.input, case.batch.min(3));
    }

    #[test]
    fn max_pools_are_their_definition(
        channels in 1usize..40,
        input in [3usize..20, 3usize..20],
        (kernel, stride, padding) in (2usize..4, 1usize..3, 0usize..2),
        same in any::<bool>(),
    ) {
        let mut builder = NetworkBuilder::new("pool", "none");
        let lifted = builder.push(Op::Conv(conv("lift", [3, channels], [1, 1])), ValueId(0));
        let padding = if same { Padding::Same } else { Padding::Symmetric(padding) };
        let pooled = builder.push(Op::MaxPool(Pool { kernel, stride, padding }), lifted);
        builder.push(Op::Conv(conv("behind", [channels, 7], [1, 1])), pooled);
        builder.end_stage("layer");
        assert_matches(&builder.finish(), input, 2);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn expansions_in_strips_are_their_definition(case in strip_case()) {
        assert_matches(&read_by_another(&case), case.input, 1);
    }
}
