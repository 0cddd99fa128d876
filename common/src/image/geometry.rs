//! Where the pixels of a recipe's square come from.

use super::{
    DecodeMode, Interpolation, Preprocess, Resize,
    excerpt::{Scale, View, Window},
    resample::{self, span},
};

/// With [`DecodeMode::Fast`], how many times the resized side a scaled picture's
/// side has at least. Compared with hardly more pixels than needed, the cosine
/// distance to the exact features falls to a quarter, and decoding is little slower.
/// Caches say `fast` and mean this rule: another one needs another word.
pub const FAST_RESERVE: f64 = 2.0;

/// One direction of resize and crop, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    /// The decoded picture's side.
    source: u32,
    /// The same, parts of a pixel included.
    exact_source: f64,
    /// The whole side after resizing.
    resized: u64,
    /// Where the visible part of it begins.
    first: u64,
    /// The visible part's size.
    pub(super) length: u32,
    /// Black pixels before it.
    pub(super) border: u32,
}

impl Axis {
    /// The horizontal and the vertical direction for a stored picture of `full`
    /// columns and rows, decoded at `scale`.
    pub(super) fn both(recipe: &Preprocess, full: [u32; 2], scale: Scale) -> [Self; 2] {
        let resized = resized_size(recipe.resize, full);
        let source = scale.of(full);
        std::array::from_fn(|i| {
            let exact_source = f64::from(full[i]) * f64::from(scale.eighths()) / 8.0;
            let whole = Self {
                source: source[i],
                exact_source,
                resized: resized[i],
                first: 0,
                length: recipe.crop,
                border: 0,
            };
            whole.cropped(recipe.crop)
        })
    }

    fn cropped(self, crop: u32) -> Self {
        let crop_size = u64::from(crop);
        if self.resized <= crop_size {
            // Not above `crop`, so both fit.
            let length = self.resized as u32;
            return Self {
                length,
                border: (crop - length) / 2,
                ..self
            };
        }
        Self {
            first: half_to_even(self.resized - crop_size),
            ..self
        }
    }

    /// What the resampler has to do.
    pub(super) fn taps(self) -> resample::Axis {
        resample::Axis {
            source: self.source as usize,
            scale: self.exact_source / self.resized as f64,
            first: self.first,
            length: self.length as usize,
        }
    }

    /// Source pixels that the visible part is made of.
    fn source_range(self, interpolation: Interpolation) -> std::ops::Range<usize> {
        let taps = self.taps();
        let last = taps.length.saturating_sub(1) as u64;
        span(taps, interpolation, 0).start..span(taps, interpolation, last).end
    }
}

/// `round(doubled / 2)` as Python rounds: halves go to the even neighbour.
fn half_to_even(doubled: u64) -> u64 {
    let down = doubled / 2;
    down + (doubled % 2) * (down % 2)
}

/// Width and height after resizing. The long side can be far beyond `u32`; it is never allocated.
fn resized_size(resize: Resize, full: [u32; 2]) -> [u64; 2] {
    let [width, height] = full.map(u64::from);
    match resize {
        Resize::None => [width, height],
        Resize::Exact { width, height } => [u64::from(width), u64::from(height)],
        Resize::ShortSide(short) if width <= height => {
            [u64::from(short), u64::from(short) * height / width]
        }
        Resize::ShortSide(short) => [u64::from(short) * width / height, u64::from(short)],
    }
}

/// What a recipe looks at.
pub(super) struct Demand<'a> {
    pub(super) recipe: &'a Preprocess,
    pub(super) mode: DecodeMode,
}

impl View for Demand<'_> {
    fn scale(&self, full: [u32; 2]) -> Scale {
        if self.mode == DecodeMode::Exact || self.recipe.resize == Resize::None {
            return Scale::Full;
        }
        let resized = resized_size(self.recipe.resize, full);
        let is_enough = |scale: &Scale| {
            let mut sides = scale.of(full).into_iter().zip(resized);
            sides.all(|(side, resized)| f64::from(side) >= resized as f64 * FAST_RESERVE)
        };
        Scale::ALL
            .into_iter()
            .find(is_enough)
            .unwrap_or(Scale::Full)
    }

    fn window(&self, full: [u32; 2], scale: Scale) -> Window {
        let [x, y] = Axis::both(self.recipe, full, scale);
        Window {
            columns: x.source_range(self.recipe.interpolation),
            rows: y.source_range(self.recipe.interpolation),
        }
    }
}
