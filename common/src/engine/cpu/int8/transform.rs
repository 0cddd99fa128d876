//! The integer transforms of F(4×4, 3×3), interpolating at 0, ±1, ±2 and ∞.
//!
//! ```text
//!      ⎡4  0 −5  0 1 0⎤        ⎡ 1/4    0    0 ⎤
//!      ⎢0 −4 −4  1 1 0⎥        ⎢−1/6 −1/6 −1/6⎥        ⎡1 1  1 1  1 0⎤
//! Bᵀ = ⎢0  4 −4 −1 1 0⎥    G = ⎢−1/6  1/6 −1/6⎥   Aᵀ = ⎢0 1 −1 2 −2 0⎥
//!      ⎢0 −2 −1  2 1 0⎥        ⎢1/24 1/12  1/6⎥        ⎢0 1  1 4  4 0⎥
//!      ⎢0  2 −1 −2 1 0⎥        ⎢1/24 −1/12 1/6⎥        ⎣0 1 −1 8 −8 1⎦
//!      ⎣0  4  0 −5 0 1⎦        ⎣  0     0    1 ⎦
//! ```

#![expect(
    clippy::needless_range_loop,
    reason = "a matrix is walked by rows and by columns"
)]

use super::{
    super::{
        isa::IntegerTask,
        winograd::{INPUTS, OUTPUTS, POINTS},
    },
    convolution::Destination,
    integers::Integers,
    product::Finish,
};

/// `Bᵀ`
pub(super) const INPUT: [[i64; INPUTS]; INPUTS] = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
];

/// `G g Gᵀ` of the kernels of a row, `[in, 3, 3]`.
pub(super) fn transform_kernel(row: &[f64]) -> Vec<[f64; POINTS]> {
    let kernels = row.chunks_exact(9).map(|kernel| {
        let mut columns = [[0.0; 3]; INPUTS];
        for x in 0..3 {
            let column = kernel_line([kernel[x], kernel[3 + x], kernel[6 + x]]);
            for (y, value) in column.into_iter().enumerate() {
                columns[y][x] = value;
            }
        }
        let mut points = [0.0; POINTS];
        for (y, row) in columns.into_iter().enumerate() {
            points[y * INPUTS..][..INPUTS].copy_from_slice(&kernel_line(row));
        }
        points
    });
    kernels.collect()
}

/// `G · g`
fn kernel_line([a, b, c]: [f64; 3]) -> [f64; INPUTS] {
    [
        a / 4.0,
        -(a + b + c) / 6.0,
        -(a - b + c) / 6.0,
        (a + 2.0 * b + 4.0 * c) / 24.0,
        (a - 2.0 * b + 4.0 * c) / 24.0,
        c,
    ]
}

/// Largest magnitude of every point of `Bᵀ d B` for inputs within `range`.
pub(super) fn bounds([low, high]: [i16; 2]) -> [i64; POINTS] {
    let (low, high) = (i64::from(low), i64::from(high));
    let mut bounds = [0; POINTS];
    for (point, bound) in bounds.iter_mut().enumerate() {
        let (mut positive, mut negative) = (0, 0);
        for y in INPUT[point / INPUTS] {
            for x in INPUT[point % INPUTS] {
                positive += (y * x).max(0);
                negative += (y * x).min(0);
            }
        }
        let largest = positive * high + negative * low;
        let smallest = positive * low + negative * high;
        *bound = largest.max(-smallest);
    }
    bounds
}

/// `Bᵀ d B` of one tile, all channels.
pub(super) struct InputTransform<'a> {
    /// From the tile's first pixel on.
    pub(super) input: &'a [i16],
    pub(super) row_pitch: usize,
    /// Channels, a multiple of twice the lanes; also the elements from pixel
    /// to pixel.
    pub(super) channels: usize,
    /// From the tile's place in point 0 on.
    pub(super) output: &'a mut [i16],
    pub(super) point_pitch: usize,
}

impl IntegerTask for InputTransform<'_> {
    #[inline(always)]
    fn run<S: Integers>(self, simd: S) {
        let last_pixel = (INPUTS - 1) * (self.row_pitch + self.channels);
        assert!(last_pixel + self.channels <= self.input.len());
        assert!((POINTS - 1) * self.point_pitch + self.channels <= self.output.len());
        let mut channel = 0;
        while channel + 2 * S::LANES <= self.channels {
            let zero = simd.splat_shorts(0);
            let mut columns = [[zero; INPUTS]; INPUTS];
            for x in 0..INPUTS {
                let mut line = [zero; INPUTS];
                for (y, value) in line.iter_mut().enumerate() {
                    let at = y * self.row_pitch + x * self.channels + channel;
                    // SAFETY: no pixel lies behind the last one, asserted above.
                    *value = unsafe { simd.load_shorts(self.input.as_ptr().add(at)) };
                }
                let line = input_line(simd, line);
                for y in 0..INPUTS {
                    columns[y][x] = line[y];
                }
            }
            let mut at = channel;
            for row in columns {
                for value in input_line(simd, row) {
                    // SAFETY: the last point's channels were asserted above.
                    unsafe { simd.store_shorts(value, self.output.as_mut_ptr().add(at)) };
                    at += self.point_pitch;
                }
            }
            channel += 2 * S::LANES;
        }
    }
}

/// `Bᵀ · d`
#[inline(always)]
fn input_line<S: Integers>(simd: S, d: [S::Shorts; INPUTS]) -> [S::Shorts; INPUTS] {
    // d₄ − 4 d₂, d₃ − 4 d₁, d₄ − d₂, 2 (d₃ − d₁)
    let even_1 = simd.sub_shorts(d[4], four_times(simd, d[2]));
    let odd_1 = simd.sub_shorts(d[3], four_times(simd, d[1]));
    let even_2 = simd.sub_shorts(d[4], d[2]);
    let odd_2 = simd.double(simd.sub_shorts(d[3], d[1]));
    [
        // 4 (d₀ − d₂) + d₄ − d₂
        simd.add_shorts(four_times(simd, simd.sub_shorts(d[0], d[2])), even_2),
        simd.add_shorts(even_1, odd_1),
        simd.sub_shorts(even_1, odd_1),
        simd.add_shorts(even_2, odd_2),
        simd.sub_shorts(even_2, odd_2),
        // 4 (d₁ − d₃) + d₅ − d₃
        simd.sub_shorts(simd.sub_shorts(d[5], d[3]), simd.double(odd_2)),
    ]
}

#[inline(always)]
fn four_times<S: Integers>(simd: S, a: S::Shorts) -> S::Shorts {
    simd.double(simd.double(a))
}

/// `Aᵀ (m · scale) A`, finished, of one tile, all channels.
pub(super) struct OutputTransform<'a> {
    /// From the tile's place in point 0 on.
    pub(super) products: &'a [i32],
    pub(super) point_pitch: usize,
    /// Channels, a multiple of the lanes; also the elements from pixel to pixel.
    pub(super) channels: usize,
    /// `[36, channels]`, in the unit of the result.
    pub(super) scales: &'a [f32],
    /// With the residual from the tile's first pixel on, without offsets;
    /// `scale` is not used.
    pub(super) finish: Finish<'a>,
    /// Elements from row to row of the residual.
    pub(super) residual_pitch: usize,
    /// From the tile's first pixel on.
    pub(super) target: Destination<'a>,
    /// Elements from row to row of the target.
    pub(super) row_pitch: usize,
    /// Rows and columns that exist.
    pub(super) size: [usize; 2],
}

impl IntegerTask for OutputTransform<'_> {
    #[inline(always)]
    fn run<S: Integers>(mut self, simd: S) {
        let [height, width] = self.size;
        assert!((1..=OUTPUTS).contains(&height) && (1..=OUTPUTS).contains(&width));
        let pixels = |row_pitch| (height - 1) * row_pitch + width * self.channels;
        assert!((POINTS - 1) * self.point_pitch + self.channels <= self.products.len());
        assert!(POINTS * self.channels <= self.scales.len());
        assert!(self.channels <= self.finish.bias.len());
        assert!(pixels(self.row_pitch) <= self.target.len());
        if let Some(residual) = self.finish.residual {
            assert!(pixels(self.residual_pitch) <= residual.values.len());
        }
        let mut channel = 0;
        while channel + S::LANES <= self.channels {
            // SAFETY: asserted above, for every pixel of the tile that exists.
            unsafe { self.channels_at(simd, channel) };
            channel += S::LANES;
        }
    }
}

impl OutputTransform<'_> {
    /// One vector of channels.
    ///
    /// # Safety
    /// Products, scales, residual and target reach to `channel + LANES` in
    /// every point and pixel of the tile.
    #[inline(always)]
    unsafe fn channels_at<S: Integers>(&mut self, simd: S, channel: usize) {
        let [height, width] = self.size;
        let zero = simd.splat(0.0);
        let mut columns = [[zero; INPUTS]; OUTPUTS];
        for x in 0..INPUTS {
            let mut line = [zero; INPUTS];
            for (y, value) in line.iter_mut().enumerate() {
                let point = y * INPUTS + x;
                // SAFETY: the caller's promise, here and below.
                *value = unsafe {
                    let at = point * self.point_pitch + channel;
                    let sum = simd.load_words(self.products.as_ptr().add(at));
                    let scale = self.scales.as_ptr().add(point * self.channels + channel);
                    simd.mul(simd.to_floats(sum), simd.load_raw(scale))
                };
            }
            let line = output_line(simd, line);
            for y in 0..OUTPUTS {
                columns[y][x] = line[y];
            }
        }
        // SAFETY: as above.
        let bias = unsafe { simd.load_unchecked(self.finish.bias, channel) };
        let (low, high) = (
            simd.splat(self.finish.clamp[0]),
            simd.splat(self.finish.clamp[1]),
        );
        for y in 0..OUTPUTS {
            let line = output_line(simd, columns[y]);
            for x in 0..OUTPUTS {
                if y >= height || x >= width {
                    continue;
                }
                let pixel = x * self.channels + channel;
                let mut value = simd.add(line[x], bias);
                if let Some(residual) = self.finish.residual {
                    // SAFETY: as above.
                    value = unsafe {
                        let at = y * self.residual_pitch + pixel;
                        let addend = simd.load_as_floats(residual.values.as_ptr().add(at));
                        simd.scale_add(addend, simd.splat(residual.scale), value)
                    };
                }
                let value = simd.clamp(value, low, high);
                let at = y * self.row_pitch + pixel;
                // SAFETY: as above.
                unsafe { self.target.store(simd, value, at) };
            }
        }
    }
}

/// `Aᵀ · m`
#[inline(always)]
fn output_line<S: Integers>(simd: S, m: [S::Vector; INPUTS]) -> [S::Vector; OUTPUTS] {
    let (even_1, odd_1) = (simd.add(m[1], m[2]), simd.sub(m[1], m[2]));
    let (even_2, odd_2) = (simd.add(m[3], m[4]), simd.sub(m[3], m[4]));
    let (two, four, eight) = (simd.splat(2.0), simd.splat(4.0), simd.splat(8.0));
    [
        simd.add(simd.add(m[0], even_1), even_2),
        simd.scale_add(two, odd_2, odd_1),
        simd.scale_add(four, even_2, even_1),
        simd.add(simd.scale_add(eight, odd_2, odd_1), m[5]),
    ]
}
