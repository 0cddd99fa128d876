//! What follows a convolution: `y = clip(z · scale + shift)`, one scale and shift a channel, and
//! the way back.

use rayon::prelude::*;

use super::maps::Maps;
use crate::{
    backbone::Activation,
    engine::cpu::{
        isa::{Isa, Task},
        vector::Simd,
    },
    panel::LANES,
};

/// The bounds of an activation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Clip {
    low: f32,
    high: f32,
}

impl From<Activation> for Clip {
    fn from(activation: Activation) -> Self {
        let (low, high) = match activation {
            Activation::Identity => (f32::NEG_INFINITY, f32::INFINITY),
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Relu6 => (0.0, 6.0),
        };
        Self { low, high }
    }
}

impl Clip {
    /// Whether it leaves everything as it is.
    pub(super) fn is_identity(self) -> bool {
        self == Self::from(Activation::Identity)
    }

    /// The value between the bounds; what is not a number stays so.
    #[inline(always)]
    pub(super) fn apply(self, value: f32) -> f32 {
        let value = if value < self.low { self.low } else { value };
        if value > self.high { self.high } else { value }
    }

    /// Applies it to all values.
    pub(super) fn apply_to(self, maps: &mut Maps, isa: Isa) {
        if !self.is_identity() {
            let panels = maps.panels_mut().into_par_iter();
            panels.for_each(|values| isa.run(Bound { clip: self, values }));
        }
    }

    /// The gradient before it: none at the bounds, as in PyTorch.
    #[inline(always)]
    pub(super) fn back(self, gradient: f32, result: f32) -> f32 {
        if result > self.low && result < self.high {
            gradient
        } else {
            0.0
        }
    }
}

struct Bound<'a> {
    clip: Clip,
    values: &'a mut [f32],
}

impl Task for Bound<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        for value in self.values {
            *value = self.clip.apply(*value);
        }
    }
}

/// One scale and one shift a channel, filled up with zeros to whole panels.
#[derive(Clone, Debug)]
pub(super) struct Affine {
    pub(super) scale: Vec<f32>,
    pub(super) shift: Vec<f32>,
    pub(super) clip: Clip,
}

impl Affine {
    /// Applies it to rows of panel `panel`.
    pub(super) fn apply(&self, panel: usize, rows: &mut [f32], isa: Isa) {
        let lanes = panel * LANES..(panel + 1) * LANES;
        isa.run(Apply {
            scale: &self.scale[lanes.clone()],
            shift: &self.shift[lanes],
            clip: self.clip,
            rows,
        });
    }
}

impl Affine {
    /// Applies it to `from`.
    pub(super) fn apply_to(&self, from: &Maps, to: &mut Maps, isa: Isa) {
        let panels = to.panels_mut().into_par_iter().enumerate();
        panels.for_each(|(number, panel)| {
            panel.copy_from_slice(from.panel(number));
            self.apply(number, panel, isa);
        });
    }
}

struct Apply<'a> {
    scale: &'a [f32],
    shift: &'a [f32],
    clip: Clip,
    rows: &'a mut [f32],
}

impl Task for Apply<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let (mut scale, mut shift) = ([0.0; LANES], [0.0; LANES]);
        scale.copy_from_slice(self.scale);
        shift.copy_from_slice(self.shift);
        for row in self.rows.chunks_exact_mut(LANES) {
            for lane in 0..LANES {
                row[lane] = self.clip.apply(row[lane] * scale[lane] + shift[lane]);
            }
        }
    }
}

/// Rows of one panel on the way back through an activation: `gradient` becomes that by what came
/// in.
pub(super) struct ClipBack<'a> {
    pub(super) clip: Clip,
    pub(super) results: &'a [f32],
    pub(super) gradient: &'a mut [f32],
}

impl Task for ClipBack<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let rows = self.gradient.chunks_exact_mut(LANES);
        for (gradient, results) in rows.zip(self.results.chunks_exact(LANES)) {
            for lane in 0..LANES {
                gradient[lane] = self.clip.back(gradient[lane], results[lane]);
            }
        }
    }
}

/// `to = clip(one + other)`, all of one length, whole rows.
pub(super) struct Addition<'a> {
    pub(super) one: &'a [f32],
    pub(super) other: &'a [f32],
    pub(super) clip: Clip,
    pub(super) to: &'a mut [f32],
}

impl Task for Addition<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let terms = self
            .one
            .chunks_exact(LANES)
            .zip(self.other.chunks_exact(LANES));
        for (to, (one, other)) in self.to.chunks_exact_mut(LANES).zip(terms) {
            for lane in 0..LANES {
                to[lane] = self.clip.apply(one[lane] + other[lane]);
            }
        }
    }
}

/// `to += from`.
pub(super) struct Accumulation<'a> {
    pub(super) from: &'a [f32],
    pub(super) to: &'a mut [f32],
}

impl Task for Accumulation<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        for (to, from) in self.to.iter_mut().zip(self.from) {
            *to += from;
        }
    }
}
