//! How large every value becomes on a sample of images.

use serde::{Deserialize, Serialize};

use super::super::{
    BuildError, CpuEngine, Numbers, Settings,
    layout::Layout,
    schedule::{Input, Observer, Stop},
    scratch::Scratch,
    step::Span,
};
use crate::{
    backbone::{Network, Parameters},
    engine::EngineError,
};

/// Bits of a range's mantissa that are kept, rounded up: what instruction sets
/// differ in is further behind.
const KEPT_BITS: u32 = 11;

/// What the integers of int8 features stand for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranges {
    /// Largest magnitude that a normalised pixel can have.
    pub pixels: f32,
    /// Largest magnitudes on the sample, by the value's number in the network.
    pub values: Vec<ValueRange>,
}

/// How large a value becomes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValueRange {
    /// Its number: `i + 1` is the output of node `i`.
    pub value: usize,
    /// Largest magnitude.
    pub largest: f32,
}

impl Ranges {
    /// Largest magnitude of a value.
    pub(super) fn largest(&self, value: usize) -> Option<f32> {
        let found = self.values.iter().find(|range| range.value == value)?;
        found.largest.is_finite().then_some(found.largest)
    }

    /// The ranges of both samples together.
    #[must_use]
    pub fn union(mut self, other: Self) -> Self {
        self.pixels = self.pixels.max(other.pixels);
        for range in other.values {
            match self
                .values
                .iter_mut()
                .find(|ours| ours.value == range.value)
            {
                Some(ours) => ours.largest = ours.largest.max(range.largest),
                None => self.values.push(range),
            }
        }
        self.values.sort_by_key(|range| range.value);
        self
    }
}

/// Finds [`Ranges`] by running the backbone in f32.
pub struct RangeFinder {
    engine: CpuEngine,
}

impl RangeFinder {
    /// For a backbone up to the deepest of `layers`.
    ///
    /// # Errors
    /// As [`CpuEngine::new`].
    pub fn new(
        network: &Network,
        parameters: &Parameters,
        layers: &[String],
        settings: Settings,
    ) -> Result<Self, BuildError> {
        let numbers = (settings, Numbers::ObservedFloats);
        let engine = CpuEngine::build(network, parameters, layers, numbers)?;
        Ok(Self { engine })
    }

    /// The ranges over `batch` images, `[batch, 3, H, W]` f32, normalised, that
    /// of their pixels among them; and the images' features, as
    /// [`Executor::forward`](crate::engine::Executor::forward) returns them.
    ///
    /// # Errors
    /// When `pixels` has another length.
    pub fn observe(
        &self,
        pixels: &[f32],
        batch: usize,
    ) -> Result<(Ranges, Vec<Vec<f32>>), EngineError> {
        self.engine.check_length(pixels, batch)?;
        let mut found = Found::default();
        let features = self.engine.run(Input::Planar(pixels), (batch, &mut found));
        let ranges = Ranges {
            pixels: pixels.iter().copied().map(f32::abs).fold(0.0, f32::max),
            values: Vec::new(),
        };
        Ok((ranges.union(found.ranges), features))
    }
}

#[derive(Default)]
struct Found {
    ranges: Ranges,
}

impl Observer for Found {
    fn after(&mut self, _position: [usize; 2], (stop, scratch, span): (&Stop, &Scratch, Span)) {
        let Stop::Step(step) = stop else {
            return;
        };
        let layout = &step.output.layout;
        let images = step.output.view::<f32>(&scratch.slots, span);
        let images = images.chunks_exact(layout.image_len()).take(span.images);
        let largest = images
            .map(|image| largest(layout, image))
            .fold(0.0, f32::max);
        let range = ValueRange {
            value: step.value.0,
            largest: rounded_up(largest),
        };
        let ranges = std::mem::take(&mut self.ranges);
        self.ranges = ranges.union(Ranges {
            pixels: 0.0,
            values: vec![range],
        });
    }
}

fn largest(layout: &Layout, image: &[f32]) -> f32 {
    let row_len = layout.shape.width * layout.pitch;
    let rows = (0..layout.shape.height).map(|y| &image[layout.pixel(y, 0)..][..row_len]);
    rows.flatten().copied().map(f32::abs).fold(0.0, f32::max)
}

fn rounded_up(value: f32) -> f32 {
    let dropped = f32::MANTISSA_DIGITS - KEPT_BITS;
    let mask = (1 << dropped) - 1;
    f32::from_bits((value.to_bits() + mask) & !mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_rounded_up_by_little() {
        for value in [0.0, 1.0, 1.001, 5.999_999, 123.456] {
            let rounded = rounded_up(value);
            assert!(
                rounded >= value && rounded <= value * 1.001,
                "{value} {rounded}"
            );
            assert_eq!(rounded_up(rounded), rounded);
        }
    }
}
