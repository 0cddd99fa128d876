//! Whole backbones: near f32, and the same bits however they are run.

use super::super::{
    super::{
        CpuEngine, Isa, Settings,
        tests::{engine, synthetic_pixels},
    },
    RangeFinder, Ranges,
};
use crate::{
    backbone::{Network, Parameters, registry},
    engine::Executor,
};

fn backbone(name: &str) -> Network {
    registry::find(name).unwrap().network()
}

fn owned(layers: &[&str]) -> Vec<String> {
    layers.iter().map(|layer| (*layer).to_owned()).collect()
}

fn ranges(network: &Network, layers: &[&str], input: [usize; 2]) -> Ranges {
    let settings = Settings {
        input,
        isa: Isa::available()[0],
    };
    let parameters = Parameters::synthetic(network);
    let finder = RangeFinder::new(network, &parameters, &owned(layers), settings).unwrap();
    finder.observe(&synthetic_pixels(2, input), 2).unwrap().0
}

fn in_int8(network: &Network, layers: &[&str], settings: (Settings, &Ranges)) -> CpuEngine {
    let parameters = Parameters::synthetic(network);
    CpuEngine::in_int8(network, &parameters, &owned(layers), settings).unwrap()
}

/// Of the angle between two vectors.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn every_stage_of_every_kind_of_backbone_is_near_f32() {
    let input = [64, 64];
    let pixels = synthetic_pixels(2, input);
    for name in ["resnet18", "resnet50", "efficientnet-lite0", "mobilenet-v2"] {
        let network = backbone(name);
        let layers: Vec<_> = network
            .stages()
            .iter()
            .map(|stage| stage.name.as_str())
            .collect();
        let isa = Isa::available()[0];
        let ranges = ranges(&network, &layers, input);
        let integers = in_int8(&network, &layers, (Settings { input, isa }, &ranges));
        let integers = integers.forward(&pixels, 2).unwrap();
        let floats = engine(&network, &layers, input, isa)
            .forward(&pixels, 2)
            .unwrap();
        for (layer, (integers, floats)) in layers.iter().zip(integers.iter().zip(&floats)) {
            let cosine = cosine(integers, floats);
            assert!(cosine > 0.998, "{name} {layer}: {cosine}");
        }
    }
}

#[test]
fn an_image_has_the_same_bits_in_any_batch_and_on_any_instruction_set() {
    let input = [64, 96];
    let image_len = 3 * input[0] * input[1];
    let pixels = synthetic_pixels(11, input);
    for name in ["resnet18", "efficientnet-lite0"] {
        let network = backbone(name);
        let ranges = ranges(&network, &["avgpool"], input);
        let mut expected = None;
        for isa in Isa::available() {
            let engine = in_int8(&network, &["avgpool"], (Settings { input, isa }, &ranges));
            for images in [11, 3, 1] {
                let batches = pixels.chunks(images * image_len);
                let found: Vec<f32> = batches
                    .flat_map(|batch| {
                        engine
                            .forward(batch, batch.len() / image_len)
                            .unwrap()
                            .remove(0)
                    })
                    .collect();
                let expected = expected.get_or_insert_with(|| found.clone());
                assert!(found == *expected, "{name} {isa}, {images} at a time");
            }
        }
    }
}

#[test]
fn a_stage_alone_and_among_others_has_the_same_bits() {
    let input = [80, 80];
    let pixels = synthetic_pixels(2, input);
    let network = backbone("resnet18");
    let isa = Isa::available()[0];
    let ranges = ranges(&network, &["avgpool"], input);
    let run = |layers: &[&str]| {
        let engine = in_int8(&network, layers, (Settings { input, isa }, &ranges));
        engine.forward(&pixels, 2).unwrap()
    };
    let several = run(&["avgpool", "layer1", "layer3"]);
    assert_eq!(run(&["layer3"])[0], several[2]);
    assert_eq!(run(&["avgpool"])[0], several[0]);
}

#[test]
fn ranges_of_parts_of_a_sample_make_those_of_the_whole() {
    let input = [32, 32];
    let network = backbone("resnet18");
    let parameters = Parameters::synthetic(&network);
    let settings = Settings {
        input,
        isa: Isa::available()[0],
    };
    let finder = RangeFinder::new(&network, &parameters, &owned(&["avgpool"]), settings).unwrap();
    let pixels = synthetic_pixels(5, input);
    let (whole, _) = finder.observe(&pixels, 5).unwrap();
    let parts = pixels.chunks(2 * 3 * input[0] * input[1]);
    let parts = parts.map(|part| {
        finder
            .observe(part, part.len() / (3 * input[0] * input[1]))
            .unwrap()
            .0
    });
    assert_eq!(parts.reduce(Ranges::union), Some(whole));
}

#[test]
fn a_calibration_that_lacks_a_value_is_refused() {
    let network = backbone("resnet18");
    let parameters = Parameters::synthetic(&network);
    let settings = Settings {
        input: [32, 32],
        isa: Isa::available()[0],
    };
    let shallow = ranges(&network, &["layer1"], [32, 32]);
    let engine = CpuEngine::in_int8(
        &network,
        &parameters,
        &owned(&["layer2"]),
        (settings, &shallow),
    );
    let error = engine.err().unwrap().to_string();
    assert!(error.contains("calibrate again"), "{error}");
}
