//! Weights made by formula: for speed measurements, where values do not
//! matter, and for golden values, where another program has to make the very
//! same ones (`tests/judges/formula.py`).
//!
//! Element *i* of a tensor is the *i*-th number of the tensor's own stream:
//! splitmix64, seeded with the FNV-1a hash of the tensor's name, mapped to
//! `u` in [−1, 1). Computed in f64 and rounded once:
//!
//! | tensor | value |
//! |---|---|
//! | kernel | `u · √(6 / fan_in)` (He) |
//! | norm weight | `1 + 0.2 u`, halved at the end of a residual block |
//! | norm bias, running mean | `0.1 u` |
//! | running variance | `1 + 0.5 u` |

use std::{collections::HashSet, convert::Infallible};

use super::{Network, Op, Parameters, weights::Parameter};

impl Parameters {
    /// Weights of `network` made by the module's formula.
    pub fn synthetic(network: &Network) -> Self {
        let halved = residual_norms(network);
        let result = Self::collect(network, |parameter| {
            Ok::<_, Infallible>(tensor(parameter, &halved))
        });
        match result {
            Ok(parameters) => parameters,
            Err(never) => match never {},
        }
    }
}

/// Numbers of the stream `name`, uniform in [−1, 1).
pub fn uniform(name: &str) -> impl Iterator<Item = f64> {
    let mut state = fnv1a(name.as_bytes());
    std::iter::from_fn(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        Some((mix(state) >> 11) as f64 * 2f64.powi(-52) - 1.0)
    })
}

/// The weights of the norms that end a residual branch. Halved, they keep
/// activations from growing block by block.
fn residual_norms(network: &Network) -> HashSet<String> {
    let nodes = network.nodes();
    let additions = nodes.iter().filter(|node| matches!(node.op, Op::Add(_)));
    additions
        .filter_map(|node| nodes.get(node.inputs[0].0.checked_sub(1)?))
        .filter_map(|node| match &node.op {
            Op::Conv(conv) => Some(format!("{}.weight", conv.norm.name)),
            _ => None,
        })
        .collect()
}

fn tensor(parameter: &Parameter, halved: &HashSet<String>) -> Vec<f32> {
    let name = parameter.name.as_str();
    let length = parameter.shape.iter().product();
    let numbers = uniform(name).take(length);
    if parameter.shape.len() == 4 {
        let fan_in: usize = parameter.shape[1..].iter().product();
        let bound = (6.0 / fan_in as f64).sqrt();
        return numbers.map(|u| (u * bound) as f32).collect();
    }
    let value: fn(f64) -> f64 = if name.ends_with("running_var") {
        |u| 1.0 + 0.5 * u
    } else if name.ends_with("running_mean") || name.ends_with("bias") {
        |u| 0.1 * u
    } else if halved.contains(name) {
        |u| 0.5 * (1.0 + 0.2 * u)
    } else {
        |u| 1.0 + 0.2 * u
    };
    numbers.map(|u| value(u) as f32).collect()
}

/// FNV-1a, 64 bits.
fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// The output function of splitmix64.
fn mix(state: u64) -> u64 {
    let z = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
