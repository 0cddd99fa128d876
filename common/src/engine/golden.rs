//! Golden values of whole backbones, made by PyTorch in f64
//! (`tests/judges/golden.py`), that every executor has to reproduce.

use std::fs;

use serde::Deserialize;

use super::Executor;
use crate::backbone::{
    Network, Parameters,
    registry::{self, Entry},
    synthetic::uniform,
};

#[derive(Deserialize)]
struct Golden {
    weights: String,
    probes: Vec<Probe>,
    cases: Vec<Case>,
}

/// The bits of one weight, so that a difference in the formula shows as such.
#[derive(Deserialize)]
struct Probe {
    name: String,
    index: usize,
    bits: u32,
}

#[derive(Deserialize)]
struct Case {
    input: [usize; 4],
    stages: Vec<Stage>,
}

#[derive(Deserialize)]
struct Stage {
    name: String,
    shape: Vec<usize>,
    l2: f64,
    samples: Vec<(usize, f64)>,
}

/// Runs every case of `backbone` on the executors that `build` makes from
/// weights, layers and input size, and asserts that the relative L2 error of
/// each stage's sampled values is within `tolerance`.
pub(super) fn assert_matches_torch<E: Executor>(
    backbone: &str,
    tolerance: f64,
    build: impl Fn(&Network, &Parameters, &[String], [usize; 2]) -> E,
) {
    let path = format!(
        "{}/../data/golden/backbone-{backbone}.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let golden: Golden = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let entry = registry::find(backbone).unwrap();
    let network = entry.network();
    let parameters = weights(&golden, entry, &network);
    for case in &golden.cases {
        let [_, channels, height, width] = case.input;
        let layers: Vec<String> = case.stages.iter().map(|stage| stage.name.clone()).collect();
        let executor = build(&network, &parameters, &layers, [height, width]);
        let pixels: Vec<f32> = uniform("input")
            .take(channels * height * width)
            .map(|u| (2.0 * u) as f32)
            .collect();
        let outputs = executor.forward(&pixels, 1).unwrap();
        for ((stage, layer), output) in case.stages.iter().zip(executor.layers()).zip(&outputs) {
            assert_eq!(layer.shape.dimensions(), stage.shape, "{}", stage.name);
            assert_stage(backbone, stage, output, tolerance);
        }
    }
}

fn weights(golden: &Golden, entry: &Entry, network: &Network) -> Parameters {
    if golden.weights != "formula" {
        return entry
            .load_embedded(entry.embedded.unwrap())
            .unwrap()
            .parameters;
    }
    let parameters = Parameters::synthetic(network);
    for probe in &golden.probes {
        // Classifiers are no part of a backbone.
        if let Some(tensor) = parameters.get(&probe.name) {
            assert_eq!(tensor[probe.index].to_bits(), probe.bits, "{}", probe.name);
        }
    }
    parameters
}

fn assert_stage(backbone: &str, stage: &Stage, output: &[f32], tolerance: f64) {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let found = |index: usize| f64::from(output[index]);
    let errors = stage
        .samples
        .iter()
        .map(|(index, expected)| found(*index) - expected);
    let expected = stage.samples.iter().map(|(_, expected)| *expected);
    let error = norm(&mut { errors }) / norm(&mut { expected });
    assert!(
        error <= tolerance,
        "{backbone} {}: relative error of the samples {error:.1e}",
        stage.name
    );
    let l2 = norm(&mut output.iter().map(|value| f64::from(*value)));
    assert!(
        (l2 / stage.l2 - 1.0).abs() <= tolerance,
        "{backbone} {}: norm {l2}",
        stage.name
    );
}
