//! Resampling with antialias, in the arithmetic of Pillow's `Image.resize`, so
//! that every byte agrees: weights in f64, rounded to 22 fractional bits, sums
//! in i32, one rounding to bytes after each of the two passes.
//!
//! A deep network with random weights turns differences of one grey level into
//! percents of a feature, so "nearly Pillow" is not enough.

#[cfg(target_arch = "x86_64")]
mod avx2;

use std::ops::Range;

use super::{CHANNELS, Interpolation, vectors::Vectors};

/// Fractional bits of a weight: 32 less 8 for the pixel and 2 for overshoot.
const PRECISION_BITS: u32 = 22;
/// One half, which rounds a sum.
const HALF: i32 = 1 << (PRECISION_BITS - 1);

/// The output pixels `first .. first + length` of an axis of `source` pixels
/// that is scaled by `1 / scale`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Axis {
    pub(super) source: usize,
    pub(super) scale: f64,
    pub(super) first: u64,
    pub(super) length: usize,
}

impl Axis {
    fn center(self, index: u64) -> f64 {
        ((self.first + index) as f64 + 0.5) * self.scale
    }
}

/// Source pixels that make output pixel `index` of an axis.
pub(super) fn span(axis: Axis, interpolation: Interpolation, index: u64) -> Range<usize> {
    let support = radius(interpolation) * axis.scale.max(1.0);
    let center = axis.center(index);
    // Truncation as in C; a negative position begins at the border.
    let first = (center - support + 0.5).max(0.0) as usize;
    first..((center + support + 0.5) as usize).min(axis.source)
}

/// Which source pixels make each output pixel of one direction, and how much.
#[derive(Debug, Clone)]
pub(super) struct Taps {
    axis: Axis,
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    vectors: Vectors,
    /// For each output pixel: first source pixel, and where its weights are.
    spans: Vec<(usize, Range<usize>)>,
    weights: Vec<i32>,
}

impl Taps {
    pub(super) fn new(axis: Axis, interpolation: Interpolation, vectors: Vectors) -> Self {
        let stretch = axis.scale.max(1.0);
        let mut taps = Self {
            axis,
            vectors,
            spans: Vec::with_capacity(axis.length),
            weights: Vec::new(),
        };
        for index in 0..axis.length as u64 {
            let center = axis.center(index);
            let span = span(axis, interpolation, index);
            let first = span.start;
            let weights: Vec<f64> = span
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

    /// The axis that the taps were made for.
    pub(super) fn axis(&self) -> Axis {
        self.axis
    }

    /// Source pixels that any output pixel reads.
    pub(super) fn source_range(&self) -> Range<usize> {
        let first = self.spans.iter().map(|(first, _)| *first).min();
        let end = self.spans.iter().map(|(first, span)| first + span.len());
        first.unwrap_or(0)..end.max().unwrap_or(0)
    }

    /// Scales lines: output line `i` is `length` pixels made of line `i` of `source`.
    pub(super) fn along_lines(&self, source: Source<'_>, output: &mut Lines) {
        output.reset(self.spans.len() * CHANNELS, source.lines());
        #[cfg(target_arch = "x86_64")]
        if self.vectors.has_avx2() && source.line_bytes >= avx2::LOAD {
            let columns = avx2::Columns::new(self, source.skipped);
            // SAFETY: the machine has AVX2.
            unsafe { columns.run(source, output) };
            return;
        }
        let lines = source.bytes.chunks_exact(source.line_bytes);
        for (line, output) in lines.zip(output.bytes.chunks_exact_mut(output.pitch)) {
            for ((first, span), pixel) in self.spans.iter().zip(output.chunks_exact_mut(CHANNELS)) {
                let mut sums = [HALF; CHANNELS];
                let values = line[(first - source.skipped) * CHANNELS..].chunks_exact(CHANNELS);
                for (value, weight) in values.zip(&self.weights[span.clone()]) {
                    for (sum, value) in sums.iter_mut().zip(value) {
                        *sum += i32::from(*value) * weight;
                    }
                }
                pixel.copy_from_slice(&sums.map(to_byte));
            }
        }
    }

    /// Makes output line `index` of the lines of `source`.
    pub(super) fn across_lines(&self, index: usize, source: Source<'_>, output: &mut [u8]) {
        let (first, span) = &self.spans[index];
        let lines = Source {
            bytes: &source.bytes[(first - source.skipped) * source.line_bytes..],
            ..source
        };
        let weights = &self.weights[span.clone()];
        #[cfg(target_arch = "x86_64")]
        if self.vectors.has_avx2() {
            // SAFETY: the machine has AVX2.
            unsafe { avx2::across(weights, lines, output) };
            return;
        }
        across(weights, lines, output, 0);
    }
}

/// Bytes from `from` on of the weighted sum of lines, the first of them with the
/// first weight.
fn across(weights: &[i32], lines: Source<'_>, output: &mut [u8], from: usize) {
    const STEP: usize = 64;
    for (step, bytes) in output[from..].chunks_mut(STEP).enumerate() {
        let mut sums = [HALF; STEP];
        let columns = &lines.bytes[from + step * STEP..];
        for (line, weight) in columns.chunks(lines.line_bytes).zip(weights) {
            for (sum, value) in sums[..bytes.len()].iter_mut().zip(line) {
                *sum += i32::from(*value) * weight;
            }
        }
        for (byte, sum) in bytes.iter_mut().zip(sums) {
            *byte = to_byte(sum);
        }
    }
}

/// Lines of pixels that are read.
#[derive(Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) line_bytes: usize,
    /// Pixels of the axis before the first one here.
    pub(super) skipped: usize,
}

impl Source<'_> {
    pub(super) fn lines(&self) -> usize {
        self.bytes.len() / self.line_bytes
    }

    /// Line `index` of these.
    pub(super) fn line(&self, index: usize) -> &[u8] {
        &self.bytes[index * self.line_bytes..][..self.line_bytes]
    }
}

/// Lines of pixels that are written.
#[derive(Debug, Clone, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
    /// Bytes from line to line; the last ones belong to no pixel.
    pitch: usize,
}

impl Lines {
    /// Room for `count` lines, whatever they hold now.
    pub(super) fn reset(&mut self, line_bytes: usize, count: usize) {
        self.pitch = (line_bytes + 1).next_multiple_of(LINE_ALIGNMENT);
        self.bytes.resize(self.pitch * count, 0);
    }

    /// The lines, line 0 being pixel `skipped` of an axis across them.
    pub(super) fn source(&self, skipped: usize) -> Source<'_> {
        Source {
            bytes: &self.bytes,
            line_bytes: self.pitch,
            skipped,
        }
    }

    /// Line by line, padding included.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut [u8]> {
        self.bytes.chunks_exact_mut(self.pitch)
    }
}

/// Bytes to a multiple of which lines are padded.
const LINE_ALIGNMENT: usize = 32;

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
