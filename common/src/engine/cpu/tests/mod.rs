//! The engine against a naive f64 executor and the reference executor, on
//! every instruction set of the machine.

mod layers;
mod naive;
mod networks;

use std::convert::Infallible;

use rand::Rng;

use super::{CpuEngine, Isa, Settings};
use crate::{
    backbone::{Network, Parameter, Parameters},
    engine::Executor,
    random::stream,
};

/// He-scaled kernels and a normalisation that has seen data.
fn synthetic_parameters(network: &Network) -> Parameters {
    let mut random = stream(7, "synthetic parameters");
    let read = |parameter: &Parameter| -> Result<Vec<f32>, Infallible> {
        let len = parameter.shape.iter().product();
        let inputs: usize = parameter.shape[1..].iter().product();
        let (low, high) = match parameter.name.rsplit('.').next() {
            Some("weight") if parameter.shape.len() == 4 => {
                let bound = (6.0 / inputs as f32).sqrt();
                (-bound, bound)
            }
            Some("weight") => (0.6, 1.2),
            Some("running_var") => (0.7, 1.4),
            _ => (-0.1, 0.1),
        };
        Ok((0..len).map(|_| random.random_range(low..high)).collect())
    };
    let Ok(parameters) = Parameters::collect(network, read);
    parameters
}

/// Pixels `[batch, 3, H, W]` in ±2, as normalised ones are.
fn synthetic_pixels(batch: usize, [height, width]: [usize; 2]) -> Vec<f32> {
    let mut random = stream(8, "synthetic pixels");
    (0..batch * 3 * height * width)
        .map(|_| random.random_range(-2.0..2.0))
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
fn engine(network: &Network, layers: &[&str], input: [usize; 2], isa: Isa) -> CpuEngine {
    let layers: Vec<_> = layers.iter().map(|name| (*name).to_owned()).collect();
    let parameters = synthetic_parameters(network);
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
