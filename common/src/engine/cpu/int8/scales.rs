//! What the integers of every value stand for.

use super::{
    super::{
        BuildError,
        fusion::{Kind, Operation, fuse},
        winograd,
    },
    ranges::Ranges,
};
use crate::backbone::{Activation, Network};

/// Largest magnitude of a pixel: 14 bits, so that the first convolution loses
/// nothing of what 8-bit images hold.
const PIXEL: i16 = 8191;

/// Largest magnitude of a signed value: 13 bits. Linear bottlenecks add up
/// along the network, and a network has few of them.
const SIGNED: i16 = 4095;

/// The same where Winograd's transform, which multiplies by a hundred, reads it.
const SIGNED_NARROW: i16 = 127;

/// A value that a ReLU has passed: a byte.
const UNSIGNED: [i16; 2] = [0, 255];

/// How far beyond the calibration sample a signed value may go; its bits
/// suffice for both.
const SIGNED_HEADROOM: f32 = 1.5;

/// One value of the graph: `real = scale · integer`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in super::super) struct Scales {
    pub(in super::super) scale: f32,
    /// The integers there are.
    pub(in super::super) range: [i16; 2],
}

impl Scales {
    fn signed(largest: f32, limit: i16) -> Self {
        Self {
            scale: largest / f32::from(limit),
            range: [-limit, limit],
        }
    }

    /// Largest magnitude of an integer.
    pub(super) fn largest(&self) -> i64 {
        let [low, high] = self.range.map(i64::from);
        high.max(-low)
    }

    /// Whether its integers, moved to begin at zero, are bytes.
    pub(super) fn fits_bytes(&self) -> bool {
        let [low, high] = self.range.map(i64::from);
        high - low <= 255
    }
}

/// [`Scales`] of every value; `None` where it stays in floats, since no
/// convolution reads it.
pub(in super::super) struct Quantisation {
    pub(in super::super) scales: Vec<Option<Scales>>,
}

impl Quantisation {
    /// Of the values up to `length`. Which values are integers, and what they
    /// stand for, depends on the whole network and on `ranges`, not on the
    /// layers that are wanted.
    pub(in super::super) fn new(
        network: &Network,
        ranges: &Ranges,
        length: usize,
    ) -> Result<Self, BuildError> {
        let operations = fuse(network.nodes(), &[]);
        let is_read = readers(network, &operations)?;
        let mut scales = vec![None; length + 1];
        scales[0] = Some(Scales::signed(ranges.pixels, PIXEL));
        for operation in &operations {
            let value = operation.output.0;
            if value > length || !is_read[value] {
                continue;
            }
            scales[value] = match operation.kind {
                Kind::MaxPool(_) => scales[operation.input.0],
                Kind::Conv(_, activation) => {
                    let largest = ranges
                        .largest(value)
                        .ok_or(BuildError::Uncalibrated { value })?;
                    let largest = if largest > 0.0 { largest } else { 1.0 };
                    Some(match activation {
                        Activation::Identity => {
                            let limit = signed_limit(&operations, value);
                            Scales::signed(largest * SIGNED_HEADROOM, limit)
                        }
                        Activation::Relu | Activation::Relu6 => Scales {
                            scale: largest / f32::from(UNSIGNED[1]),
                            range: UNSIGNED,
                        },
                    })
                }
                Kind::Add(_) | Kind::GlobalAvgPool => None,
            };
        }
        Ok(Self { scales })
    }
}

fn signed_limit(operations: &[Operation<'_>], value: usize) -> i16 {
    let by_tiles = operations.iter().any(|operation| {
        operation.input.0 == value
            && matches!(operation.kind, Kind::Conv(conv, _) if winograd::suits(conv))
    });
    if by_tiles { SIGNED_NARROW } else { SIGNED }
}

/// Whether integers of a value are read.
fn readers(network: &Network, operations: &[Operation<'_>]) -> Result<Vec<bool>, BuildError> {
    let refused = |operation: &str| BuildError::NotInIntegers {
        network: network.name().to_owned(),
        operation: operation.to_owned(),
    };
    let mut is_read = vec![false; network.nodes().len() + 1];
    for operation in operations {
        match operation.kind {
            Kind::Conv(..) | Kind::MaxPool(_) => is_read[operation.input.0] = true,
            Kind::Add(_) => return Err(refused("an addition without a convolution before it")),
            Kind::GlobalAvgPool => {}
        }
        if let Some(residual) = operation.residual {
            is_read[residual.0] = true;
        }
    }
    for operation in operations {
        if matches!(operation.kind, Kind::GlobalAvgPool) && is_read[operation.input.0] {
            return Err(refused("an average pool of a value that convolutions read"));
        }
    }
    Ok(is_read)
}
