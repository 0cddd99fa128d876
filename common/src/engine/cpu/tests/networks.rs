//! Whole backbones against the reference executor, and what holds for any
//! batch.

use candle_core::Device;

use super::{CpuEngine, Isa, Settings, engine, features, relative_error, synthetic_pixels};
use crate::{
    backbone::{Network, Parameters, registry},
    engine::{
        Executor,
        device::Precision,
        golden::assert_matches_torch,
        reference::{Placement, Reference},
    },
};

const INPUT: [usize; 2] = [75, 81];

fn backbone(name: &str) -> Network {
    registry::find(name).unwrap().network()
}

fn assert_matches_the_reference(name: &str, layers: &[&str], tolerance: f64) {
    let network = backbone(name);
    let names: Vec<_> = layers.iter().map(|layer| (*layer).to_owned()).collect();
    let placement = Placement {
        device: Device::Cpu,
        precision: Precision::F32,
        input: INPUT,
    };
    let parameters = Parameters::synthetic(&network);
    let reference = Reference::new(&network, &parameters, &names, placement).unwrap();
    let pixels = synthetic_pixels(2, INPUT);
    let expected = reference.forward(&pixels, 2).unwrap();
    for isa in Isa::available() {
        let found = features(&network, layers, (&pixels, INPUT), isa);
        for ((layer, found), expected) in layers.iter().zip(&found).zip(&expected) {
            let expected: Vec<_> = expected.iter().copied().map(f64::from).collect();
            let error = relative_error(found, &expected);
            assert!(error < tolerance, "{name} {layer} on {isa}: {error:e}");
        }
    }
}

#[test]
fn resnet18_matches_the_reference_at_every_stage() {
    let layers = ["stem", "layer1", "layer2", "layer3", "layer4", "avgpool"];
    assert_matches_the_reference("resnet18", &layers, 2e-6);
}

#[test]
fn resnet34_matches_the_reference() {
    assert_matches_the_reference("resnet34", &["avgpool"], 2e-6);
}

#[test]
fn resnet50_matches_the_reference() {
    assert_matches_the_reference("resnet50", &["layer2", "avgpool"], 5e-6);
}

#[test]
fn resnet101_and_resnet152_match_the_reference() {
    for name in ["resnet101", "resnet152"] {
        assert_matches_the_reference(name, &["avgpool"], 5e-6);
    }
}

#[test]
fn efficientnet_lite0_matches_the_reference() {
    assert_matches_the_reference("efficientnet-lite0", &["stage3", "avgpool"], 2e-6);
}

#[test]
fn mobilenet_v2_matches_the_reference() {
    assert_matches_the_reference("mobilenet-v2", &["stage3", "avgpool"], 2e-6);
}

#[test]
fn an_image_has_the_same_bits_alone_and_in_any_batch() {
    let input = [64, 96];
    let image_len = 3 * input[0] * input[1];
    let pixels = synthetic_pixels(11, input);
    for name in ["resnet18", "efficientnet-lite0"] {
        let network = backbone(name);
        for isa in Isa::available() {
            let engine = engine(&network, &["avgpool"], input, isa);
            let together = engine.forward(&pixels, 11).unwrap().remove(0);
            let mut alone = Vec::new();
            for image in pixels.chunks(image_len) {
                alone.append(&mut engine.forward(image, 1).unwrap()[0]);
            }
            let mut by_three = Vec::new();
            for images in pixels.chunks(3 * image_len) {
                let batch = images.len() / image_len;
                by_three.append(&mut engine.forward(images, batch).unwrap()[0]);
            }
            assert!(together == alone && together == by_three, "{name} {isa}");
        }
    }
}

#[test]
fn concurrent_callers_get_what_one_caller_gets() {
    let input = [64, 64];
    let pixels = synthetic_pixels(4, input);
    let network = backbone("resnet18");
    let engine = engine(&network, &["layer3"], input, Isa::available()[0]);
    let expected = engine.forward(&pixels, 4).unwrap();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..3)
            .map(|_| {
                scope.spawn(|| (0..4).all(|_| engine.forward(&pixels, 4).unwrap() == expected))
            })
            .collect();
        assert!(callers.into_iter().all(|caller| caller.join().unwrap()));
    });
}

#[test]
fn a_stage_alone_and_among_others_has_the_same_bits() {
    let input = [80, 80];
    let pixels = synthetic_pixels(2, input);
    let network = backbone("resnet18");
    for isa in Isa::available() {
        let run = |layers: &[&str]| features(&network, layers, (&pixels, input), isa);
        let several = run(&["avgpool", "layer1", "layer3"]);
        assert_eq!(run(&["layer3"])[0], several[2]);
        assert_eq!(run(&["avgpool"])[0], several[0]);
    }
}

#[test]
fn interleaved_pixels_give_the_same_features() {
    let input = [48, 40];
    let pixels = synthetic_pixels(2, input);
    let plane = input[0] * input[1];
    let mut interleaved = Vec::new();
    for image in pixels.chunks(3 * plane) {
        for at in 0..plane {
            interleaved.extend([image[at], image[plane + at], image[2 * plane + at]]);
        }
    }
    let network = backbone("mobilenet-v2");
    let engine = engine(&network, &["avgpool"], input, Isa::available()[0]);
    assert_eq!(
        engine.forward_interleaved(&interleaved, 2).unwrap(),
        engine.forward(&pixels, 2).unwrap()
    );
}

#[test]
fn inputs_of_another_length_and_unknown_layers_are_refused() {
    let network = backbone("resnet18");
    let isa = Isa::available()[0];
    let engine = engine(&network, &["stem"], [32, 32], isa);
    let error = engine.forward(&[0.0; 5], 1).unwrap_err().to_string();
    assert!(error.contains("expected 3072"), "{error}");
    let parameters = Parameters::synthetic(&network);
    let settings = Settings {
        input: [32, 32],
        isa,
    };
    let error = CpuEngine::new(&network, &parameters, &["layer9".to_owned()], settings);
    assert!(error.err().unwrap().to_string().contains("layer9"));
}

#[test]
fn the_embedded_weights_agree_with_torch() {
    for isa in Isa::available() {
        assert_matches_torch(
            "efficientnet-lite0",
            1e-5,
            |network, parameters, layers, input| {
                CpuEngine::new(network, parameters, layers, Settings { input, isa }).unwrap()
            },
        );
    }
}
