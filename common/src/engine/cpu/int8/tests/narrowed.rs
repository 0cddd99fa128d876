//! Direct convolutions of bytes give what those of 16-bit integers give.

use proptest::prelude::*;

use super::super::{
    super::{
        convolution::{Folded, Site, bounds, windows},
        isa::Isa,
        layout::{Border, Layout},
        scratch::Buffer,
        tests::layers::{Case, case},
    },
    Destination, Operands, Scales,
    convolution::Quantised,
    direct::{Direct, Width},
    pack::Dots,
};
use crate::backbone::{
    Activation, Network, NetworkBuilder, Op, Parameters, Shape, ValueId, synthetic::uniform,
};

fn network(case: &Case) -> Network {
    let mut builder = NetworkBuilder::new("case", "none");
    builder.push(Op::Conv(case.conv.clone()), ValueId(0));
    builder.finish()
}

/// Images with integers in `range`, and zeros around them and behind their
/// channels.
fn images(layout: &Layout, count: usize, range: [i16; 2]) -> Vec<i16> {
    let mut images = vec![0; count * layout.image_len()];
    let [low, high] = range.map(f64::from);
    let mut numbers = uniform("integers");
    for image in images.chunks_exact_mut(layout.image_len()) {
        for y in 0..layout.shape.height {
            for x in 0..layout.shape.width {
                let pixel = &mut image[layout.pixel(y, x)..][..layout.shape.channels];
                for (value, u) in pixel.iter_mut().zip(&mut numbers) {
                    *value = (low + (u + 1.0) / 2.0 * (high - low)).round() as i16;
                }
            }
        }
    }
    images
}

fn run(case: &Case, range: [i16; 2], (isa, dots): (Isa, Dots)) -> Vec<i16> {
    let network = network(case);
    let [height, width] = case.input;
    let shapes = [
        Shape {
            channels: case.conv.in_channels,
            height,
            width,
        },
        Shape {
            channels: case.conv.out_channels,
            ..network.shapes(height, width)[1]
        },
    ];
    let [input, output] = shapes.map(|shape| Layout {
        shape,
        border: Border {
            top: 7,
            bottom: 7,
            left: 7,
            right: 7,
        },
        pitch: shape.channels.next_multiple_of(2 * isa.lanes()),
    });
    let site = Site {
        input,
        residual: None,
        output,
        windows: windows(
            case.conv.padding,
            [case.conv.kernel, case.conv.stride],
            &input,
        ),
        images: 2,
        isa,
    };
    let folded = Folded::new(
        &case.conv,
        &Parameters::synthetic(&network),
        Activation::Relu,
    );
    assert_eq!(folded.clamp, bounds(Activation::Relu));
    let conv = Quantised {
        folded: &folded,
        input: &Scales { scale: 0.01, range },
        residual: None,
        output: Some(&Scales {
            scale: 0.02,
            range: [0, 255],
        }),
    };
    let direct = Direct::new(&conv, &site, Width::Bytes(dots));
    let mut found = vec![0; 2 * output.image_len()];
    let mut operands = Operands {
        input: &images(&input, 2, range),
        residual: None,
        output: Destination::Shorts(&mut found),
        images: 2,
    };
    direct.run(&mut operands, &mut Buffer::zeroed(direct.scratch(2)));
    found
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn bytes_give_the_same_integers(case in case(), signed in any::<bool>()) {
        let range = if signed { [-127, 127] } else { [0, 255] };
        for isa in Isa::available() {
            let [pairs, quads] = [Dots::Pairs, Dots::Quads].map(|dots| run(&case, range, (isa, dots)));
            prop_assert!(pairs.iter().any(|value| *value != 0) || case.conv.out_channels < 4);
            prop_assert!(pairs == quads, "{}", isa);
        }
    }
}
