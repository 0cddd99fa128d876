//! Resampling with antialias, in the arithmetic of Pillow's `Image.resize`, so
//! that every byte agrees: weights in f64, rounded to 22 fractional bits, sums
//! in i32, one rounding to bytes after each of the two passes.
//!
//! A deep network with random weights turns differences of one grey level into
//! percents of a feature, so "nearly Pillow" is not enough.

use super::{CHANNELS, Interpolation};

/// Fractional bits of a weight: 32 less 8 for the pixel and 2 for overshoot.
const PRECISION_BITS: u32 = 22;

/// Which source pixels make each output pixel of one direction, and how much.
#[derive(Debug)]
pub(super) struct Taps {
    /// For each output pixel: first source pixel, and where its weights are.
    spans: Vec<(usize, std::ops::Range<usize>)>,
    weights: Vec<i32>,
}

/// The output pixels `first .. first + length` of an axis of `source` pixels
/// that is scaled by `1 / scale`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Window {
    pub(super) source: usize,
    pub(super) scale: f64,
    pub(super) first: u64,
    pub(super) length: usize,
}

impl Taps {
    pub(super) fn new(window: Window, interpolation: Interpolation) -> Self {
        let stretch = window.scale.max(1.0);
        let support = radius(interpolation) * stretch;
        let mut taps = Self {
            spans: Vec::with_capacity(window.length),
            weights: Vec::new(),
        };
        for index in 0..window.length as u64 {
            let center = ((window.first + index) as f64 + 0.5) * window.scale;
            // Truncation as in C; a negative position begins at the border.
            let first = (center - support + 0.5).max(0.0) as usize;
            let end = ((center + support + 0.5) as usize).min(window.source);
            let weights: Vec<f64> = (first..end)
                .map(|x| weight(interpolation, (x as f64 - center + 0.5) / stretch))
                .collect();
            let sum: f64 = weights.iter().sum();
            let start = taps.weights.len();
            taps.weights.extend(weights.iter().map(|weight| {
                let scaled = weight / sum * f64::from(1 << PRECISION_BITS);
                (scaled + 0.5f64.copysign(scaled)) as i32
            }));
            taps.spans.push((first, start..taps.weights.len()));
        }
        taps
    }

    /// Source pixels that any output pixel reads.
    pub(super) fn source_range(&self) -> std::ops::Range<usize> {
        let first = self.spans.iter().map(|(first, _)| *first).min();
        let end = self.spans.iter().map(|(first, span)| first + span.len());
        first.unwrap_or(0)..end.max().unwrap_or(0)
    }

    /// Scales lines of `line_pixels`: `[n, line_pixels, 3]` → `[n, length, 3]`.
    pub(super) fn along_lines(&self, source: &[u8], line_pixels: usize, output: &mut Vec<u8>) {
        output.clear();
        for line in source.chunks_exact(line_pixels * CHANNELS) {
            for (first, span) in &self.spans {
                let weights = &self.weights[span.clone()];
                let mut sums = [1 << (PRECISION_BITS - 1); CHANNELS];
                for (pixel, weight) in line[first * CHANNELS..].chunks_exact(CHANNELS).zip(weights)
                {
                    for (sum, value) in sums.iter_mut().zip(pixel) {
                        *sum += i32::from(*value) * weight;
                    }
                }
                output.extend(sums.map(to_byte));
            }
        }
    }

    /// Scales columns: `[m, line_bytes]` → `[length, line_bytes]`, where line 0
    /// of `source` is source pixel `skipped`.
    pub(super) fn across_lines(
        &self,
        source: &[u8],
        line_bytes: usize,
        skipped: usize,
        output: &mut Vec<u8>,
    ) {
        output.clear();
        let mut sums = vec![0; line_bytes];
        for (first, span) in &self.spans {
            sums.fill(1 << (PRECISION_BITS - 1));
            let lines = source[(first - skipped) * line_bytes..].chunks_exact(line_bytes);
            for (line, weight) in lines.zip(&self.weights[span.clone()]) {
                for (sum, value) in sums.iter_mut().zip(line) {
                    *sum += i32::from(*value) * weight;
                }
            }
            output.extend(sums.iter().map(|sum| to_byte(*sum)));
        }
    }
}

fn to_byte(sum: i32) -> u8 {
    (sum >> PRECISION_BITS).clamp(0, 255) as u8
}

/// Half the width of the filter, in output pixels.
fn radius(interpolation: Interpolation) -> f64 {
    match interpolation {
        Interpolation::Bilinear => 1.0,
        Interpolation::Bicubic => 2.0,
    }
}

/// The filter: a triangle, or Keys' cubic with a = −0.5.
fn weight(interpolation: Interpolation, x: f64) -> f64 {
    const A: f64 = -0.5;
    let x = x.abs();
    match interpolation {
        Interpolation::Bilinear => (1.0 - x).max(0.0),
        Interpolation::Bicubic if x < 1.0 => ((A + 2.0) * x - (A + 3.0)) * x * x + 1.0,
        Interpolation::Bicubic if x < 2.0 => (((x - 5.0) * x + 8.0) * x - 4.0) * A,
        Interpolation::Bicubic => 0.0,
    }
}
