//! The engine against a naive f64 executor and the reference executor, on
//! every instruction set of the machine.

pub(super) mod layers;
mod naive;
mod networks;

use super::{CpuEngine, Isa, Settings};
use crate::{
    backbone::{Network, Parameters, synthetic::uniform},
    engine::Executor,
};

/// Pixels `[batch, 3, H, W]` in ±2, as normalised ones are.
pub(super) fn synthetic_pixels(batch: usize, [height, width]: [usize; 2]) -> Vec<f32> {
    uniform("synthetic pixels")
        .take(batch * 3 * height * width)
        .map(|u| (2.0 * u) as f32)
        .collect()
}

/// ‖found − expected‖ / ‖expected‖
fn relative_error(found: &[f32], expected: &[f64]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let square = |value: f64| value * value;
    let difference: f64 = found
        .iter()
        .zip(expected)
        .map(|(found, expected)| square(f64::from(*found) - expected))
        .sum();
    let norm: f64 = expected.iter().copied().map(square).sum();
    (difference / norm.max(f64::MIN_POSITIVE)).sqrt()
}

/// An engine for the stages `layers`.
pub(super) fn engine(network: &Network, layers: &[&str], input: [usize; 2], isa: Isa) -> CpuEngine {
    let layers: Vec<_> = layers.iter().map(|name| (*name).to_owned()).collect();
    let parameters = Parameters::synthetic(network);
    CpuEngine::new(network, &parameters, &layers, Settings { input, isa }).unwrap()
}

/// The features of the stages `layers`.
fn features(
    network: &Network,
    layers: &[&str],
    (pixels, input): (&[f32], [usize; 2]),
    isa: Isa,
) -> Vec<Vec<f32>> {
    let batch = pixels.len() / (3 * input[0] * input[1]);
    engine(network, layers, input, isa)
        .forward(pixels, batch)
        .unwrap()
}
