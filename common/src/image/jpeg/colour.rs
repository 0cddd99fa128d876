//! Planes → interleaved RGB: libjpeg's interpolation of the colour samples
//! ("fancy upsampling", a triangle filter) and its conversion from YCbCr.

use std::ops::Range;

use super::planes::{Plane, Planes};
use crate::image::{CHANNELS, excerpt::Window, vectors::Vectors};

/// Weights of red and blue with 16 fractional bits: 1.402, 1.772.
const RED_OF_RED: i32 = 91881;
const BLUE_OF_BLUE: i32 = 116_130;
/// Of green, negated: 0.34414, 0.71414.
pub(super) const GREEN_OF_BLUE: i32 = 22554;
pub(super) const GREEN_OF_RED: i32 = 46802;
const HALF: i32 = 1 << 15;

/// The pixels of the window: `[rows, columns, 3]`.
pub(super) fn to_rgb(planes: &Planes, window: &Window, vectors: Vectors) -> Vec<u8> {
    let columns = &window.columns;
    let mut pixels = vec![0; window.rows.len() * columns.len() * CHANNELS];
    let lines = window
        .rows
        .clone()
        .zip(pixels.chunks_exact_mut(columns.len() * CHANNELS));
    match planes.planes.as_slice() {
        [brightness, blue, red] => {
            let spread = planes.geometry.spread;
            let mut blues = Upsampler::new(blue, spread, vectors);
            let mut reds = Upsampler::new(red, spread, vectors);
            for (row, line) in lines {
                let colours = Line {
                    brightness: brightness.line(row, columns.clone()),
                    blue: blues.line(row, window),
                    red: reds.line(row, window),
                };
                colours.to_rgb(line, vectors);
            }
        }
        [brightness, ..] => {
            for (row, line) in lines {
                let values = brightness.line(row, columns.clone());
                for (pixel, value) in line.chunks_exact_mut(CHANNELS).zip(values) {
                    pixel.fill(*value);
                }
            }
        }
        [] => {}
    }
    pixels
}

/// Brings a colour plane to the picture's size, row by row.
struct Upsampler<'a> {
    plane: &'a Plane,
    spread: [usize; 2],
    vectors: Vectors,
    /// Samples of a row, or of two in a mixture, and one more at each end.
    sums: Vec<u16>,
    /// Samples of a row in the picture's width.
    wide: Vec<u8>,
}

impl<'a> Upsampler<'a> {
    fn new(plane: &'a Plane, spread: [usize; 2], vectors: Vectors) -> Self {
        Self {
            plane,
            spread,
            vectors,
            sums: Vec::new(),
            wide: Vec::new(),
        }
    }

    /// The samples of a row of the picture, the window's columns.
    fn line(&mut self, row: usize, window: &Window) -> &[u8] {
        let columns = &window.columns;
        if self.spread == [1, 1] {
            return self.plane.line(row, columns.clone());
        }
        let width = self.plane.size[0];
        let needed = columns.start / 2..columns.end.div_ceil(2);
        // With a neighbour on each side; beyond the picture's border, the sample
        // at the border is its own neighbour.
        let held = needed.start.saturating_sub(1)..(needed.end + 1).min(width);
        self.sums.clear();
        let mixture = self.mix(row, held);
        if needed.start == 0 {
            self.sums.insert(0, self.sums[0]);
        }
        if needed.end == width {
            self.sums.extend(self.sums.last().copied());
        }
        self.wide.resize(2 * needed.len(), 0);
        mixture.widen(&self.sums, &mut self.wide, self.vectors);
        let first = columns.start - 2 * needed.start;
        &self.wide[first..first + columns.len()]
    }

    /// Appends the samples of a row to the sums, mixed with those of the nearer
    /// neighbour row where rows were halved, too.
    fn mix(&mut self, row: usize, columns: Range<usize>) -> Mixture {
        if self.spread[1] == 1 {
            let samples = self.plane.line(row, columns);
            self.sums.extend(samples.iter().copied().map(u16::from));
            return Mixture::ONE_ROW;
        }
        let near = row / 2;
        let far = match row % 2 {
            0 => near.saturating_sub(1),
            _ => (near + 1).min(self.plane.size[1] - 1),
        };
        let near = self.plane.line(near, columns.clone()).iter();
        let pairs = near.zip(self.plane.line(far, columns));
        let mixed = pairs.map(|(near, far)| 3 * u16::from(*near) + u16::from(*far));
        self.sums.extend(mixed);
        Mixture::TWO_ROWS
    }
}

/// How sums of samples become samples: (3 · nearer + farther + bias) >> shift.
#[derive(Clone, Copy)]
pub(super) struct Mixture {
    /// For the left and the right of two samples.
    bias: [u16; 2],
    shift: u32,
}

impl Mixture {
    /// Of samples themselves (`h2v1_fancy_upsample`).
    const ONE_ROW: Self = Self {
        bias: [1, 2],
        shift: 2,
    };
    /// Of 3 · nearer + farther row (`h2v2_fancy_upsample`).
    const TWO_ROWS: Self = Self {
        bias: [8, 7],
        shift: 4,
    };

    /// `sums`: `[n + 2]`; `wide`: `[2 n]`.
    fn widen(self, sums: &[u16], wide: &mut [u8], vectors: Vectors) {
        #[cfg(target_arch = "x86_64")]
        if vectors.has_avx2() {
            // SAFETY: the machine has AVX2.
            unsafe { super::colour_avx2::widen(self, sums, wide) };
            return;
        }
        let _ = vectors;
        self.widen_plainly(sums, wide);
    }

    /// The loop itself, to be compiled for several instruction sets.
    #[inline(always)]
    pub(super) fn widen_plainly(self, sums: &[u16], wide: &mut [u8]) {
        let len = wide.len() / 2;
        let (left, near, right) = (&sums[..len], &sums[1..=len], &sums[2..2 + len]);
        for (i, pair) in wide.chunks_exact_mut(2).enumerate() {
            let nearer = 3 * near[i];
            pair[0] = ((nearer + left[i] + self.bias[0]) >> self.shift) as u8;
            pair[1] = ((nearer + right[i] + self.bias[1]) >> self.shift) as u8;
        }
    }
}

/// A row of pixels as its three components.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) brightness: &'a [u8],
    pub(super) blue: &'a [u8],
    pub(super) red: &'a [u8],
}

impl Line<'_> {
    fn to_rgb(self, pixels: &mut [u8], vectors: Vectors) {
        #[cfg(target_arch = "x86_64")]
        if vectors.has_avx2() {
            // SAFETY: the machine has AVX2.
            unsafe { super::colour_avx2::to_rgb(self, pixels) };
            return;
        }
        let _ = vectors;
        self.to_rgb_plainly(pixels, 0);
    }

    /// Converts from pixel `first` on.
    pub(super) fn to_rgb_plainly(self, pixels: &mut [u8], first: usize) {
        let colours = self.blue.iter().zip(self.red);
        let samples = self.brightness.iter().zip(colours).skip(first);
        let places = pixels.chunks_exact_mut(CHANNELS).skip(first);
        for ((brightness, (blue, red)), pixel) in samples.zip(places) {
            let y = i32::from(*brightness);
            let (blue, red) = (i32::from(*blue) - 128, i32::from(*red) - 128);
            let green = (HALF - GREEN_OF_BLUE * blue - GREEN_OF_RED * red) >> 16;
            pixel[0] = (y + ((RED_OF_RED * red + HALF) >> 16)).clamp(0, 255) as u8;
            pixel[1] = (y + green).clamp(0, 255) as u8;
            pixel[2] = (y + ((BLUE_OF_BLUE * blue + HALF) >> 16)).clamp(0, 255) as u8;
        }
    }
}
