//! The transforms of F(4×4, 3×3), interpolating at 0, ±p, ±q and ∞ with
//! p = 5/8 and q = 3/2. The usual ±1, ±2 would save a few multiplications and
//! lose half a digit.
//!
//! ```text
//!      ⎡p²q²   0   −(p²+q²)    0     1 0⎤
//!      ⎢ 0   −pq²    −q²       p     1 0⎥        ⎡1  1  1  1  1 0⎤
//! Bᵀ = ⎢ 0    pq²    −q²      −p     1 0⎥   Aᵀ = ⎢0  p −p  q −q 0⎥
//!      ⎢ 0   −p²q    −p²       q     1 0⎥        ⎢0 p² p² q² q² 0⎥
//!      ⎢ 0    p²q    −p²      −q     1 0⎥        ⎣0 p³−p³ q³−q³ 1⎦
//!      ⎣ 0   p²q²     0    −(p²+q²)  0 1⎦
//! ```
//!
//! Row x of G is (1, x, x²) / ∏ (x − other finite points), for ∞ (0, 0, 1).

#![expect(
    clippy::needless_range_loop,
    reason = "a matrix is walked by rows and by columns"
)]

use super::{
    convolution::Folded,
    isa::Task,
    vector::Simd,
    winograd::{INPUTS, OUTPUTS, POINTS},
};

/// The points ±p and ±q, exact in binary.
const P: f32 = 0.625;
const Q: f32 = 1.5;

/// `G g Gᵀ` of every kernel, calculated in f64: `[36, in, out]`.
pub(super) fn transform_kernel(folded: &Folded) -> Vec<f32> {
    let matrix = folded.in_channels * folded.out_channels;
    let mut transformed = vec![0.0; matrix * POINTS];
    // In this order writes go on where they were, and reads find their lines in the cache.
    for from in 0..folded.in_channels {
        for to in 0..folded.out_channels {
            let kernel = &folded.weight[(to * folded.in_channels + from) * 9..][..9];
            let mut columns = [[0.0; 3]; INPUTS];
            for x in 0..3 {
                let column = [0, 1, 2].map(|y| f64::from(kernel[y * 3 + x]));
                for (row, value) in kernel_line(column).into_iter().enumerate() {
                    columns[row][x] = value;
                }
            }
            let place = from * folded.out_channels + to;
            let values = columns.into_iter().flat_map(kernel_line);
            for (point, value) in values.enumerate() {
                transformed[point * matrix + place] = value as f32;
            }
        }
    }
    transformed
}

/// `G · g`
fn kernel_line([a, b, c]: [f64; 3]) -> [f64; INPUTS] {
    let (p, q) = (f64::from(P), f64::from(Q));
    let at = |x: f64, scale: f64| (a + b * x + c * x * x) / scale;
    let scale = |x: f64, other: f64| 2.0 * x * x * (x * x - other * other);
    [
        a / (p * p * q * q),
        at(p, scale(p, q)),
        at(-p, scale(p, q)),
        at(q, scale(q, p)),
        at(-q, scale(q, p)),
        c,
    ]
}

/// `Bᵀ d B` of one tile, all channels.
pub(super) struct InputTransform<'a> {
    /// From the tile's first pixel on.
    pub(super) input: &'a [f32],
    pub(super) row_pitch: usize,
    /// Channels, a multiple of the lanes; also the floats from pixel to pixel.
    pub(super) channels: usize,
    /// From the tile's place in point 0 on.
    pub(super) output: &'a mut [f32],
    pub(super) point_pitch: usize,
}

impl Task for InputTransform<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let last_pixel = (INPUTS - 1) * (self.row_pitch + self.channels);
        assert!(last_pixel + self.channels <= self.input.len());
        assert!((POINTS - 1) * self.point_pitch + self.channels <= self.output.len());
        let mut channel = 0;
        while channel + S::LANES <= self.channels {
            let zero = simd.splat(0.0);
            let mut columns = [[zero; INPUTS]; INPUTS];
            for x in 0..INPUTS {
                let mut line = [zero; INPUTS];
                for (y, value) in line.iter_mut().enumerate() {
                    let at = y * self.row_pitch + x * self.channels + channel;
                    // SAFETY: no pixel lies behind the last one, asserted above.
                    *value = unsafe { simd.load_unchecked(self.input, at) };
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
                    unsafe { simd.store_unchecked(value, self.output, at) };
                    at += self.point_pitch;
                }
            }
            channel += S::LANES;
        }
    }
}

/// `Bᵀ · d`
#[inline(always)]
fn input_line<S: Simd>(simd: S, d: [S::Vector; INPUTS]) -> [S::Vector; INPUTS] {
    let (p, p2) = (simd.splat(P), simd.splat(P * P));
    let (q, q2) = (simd.splat(Q), simd.splat(Q * Q));
    let (product, sum) = (simd.splat(P * P * Q * Q), simd.splat(P * P + Q * Q));
    let even_p = simd.neg_mul_add(q2, d[2], d[4]);
    let odd_p = simd.neg_mul_add(q2, d[1], d[3]);
    let even_q = simd.neg_mul_add(p2, d[2], d[4]);
    let odd_q = simd.neg_mul_add(p2, d[1], d[3]);
    [
        simd.mul_add(product, d[0], simd.neg_mul_add(sum, d[2], d[4])),
        simd.mul_add(p, odd_p, even_p),
        simd.neg_mul_add(p, odd_p, even_p),
        simd.mul_add(q, odd_q, even_q),
        simd.neg_mul_add(q, odd_q, even_q),
        simd.mul_add(product, d[1], simd.neg_mul_add(sum, d[3], d[5])),
    ]
}

/// Output pixels of a tile.
pub(super) struct Destination<'a> {
    /// From the tile's first pixel on.
    pub(super) values: &'a mut [f32],
    pub(super) row_pitch: usize,
    /// Rows and columns that exist.
    pub(super) size: [usize; 2],
}

/// `clamp(Aᵀ m A + bias + residual)` of one tile, all channels.
pub(super) struct OutputTransform<'a> {
    /// From the tile's place in point 0 on.
    pub(super) products: &'a [f32],
    pub(super) point_pitch: usize,
    /// Channels, a multiple of the lanes; also the floats from pixel to pixel.
    pub(super) channels: usize,
    pub(super) bias: &'a [f32],
    pub(super) clamp: [f32; 2],
    /// From the tile's first pixel on, and the floats from row to row.
    pub(super) residual: Option<(&'a [f32], usize)>,
    pub(super) output: Destination<'a>,
}

impl Task for OutputTransform<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let [height, width] = self.output.size;
        assert!((1..=OUTPUTS).contains(&height) && (1..=OUTPUTS).contains(&width));
        let pixels = |row_pitch| (height - 1) * row_pitch + width * self.channels;
        assert!((POINTS - 1) * self.point_pitch + self.channels <= self.products.len());
        assert!(self.channels <= self.bias.len());
        assert!(pixels(self.output.row_pitch) <= self.output.values.len());
        if let Some((residual, row_pitch)) = self.residual {
            assert!(pixels(row_pitch) <= residual.len());
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
    /// Products, bias, residual and output reach to `channel + LANES` in every
    /// point and pixel.
    #[inline(always)]
    unsafe fn channels_at<S: Simd>(&mut self, simd: S, channel: usize) {
        let (low, high) = (simd.splat(self.clamp[0]), simd.splat(self.clamp[1]));
        let [height, width] = self.output.size;
        let zero = simd.splat(0.0);
        let mut columns = [[zero; INPUTS]; OUTPUTS];
        for x in 0..INPUTS {
            let mut line = [zero; INPUTS];
            for (y, value) in line.iter_mut().enumerate() {
                let at = (y * INPUTS + x) * self.point_pitch + channel;
                // SAFETY: the caller's promise.
                *value = unsafe { simd.load_unchecked(self.products, at) };
            }
            let line = output_line(simd, line);
            for y in 0..OUTPUTS {
                columns[y][x] = line[y];
            }
        }
        // SAFETY: the caller's promise.
        let bias = unsafe { simd.load_unchecked(self.bias, channel) };
        for y in 0..OUTPUTS {
            let line = output_line(simd, columns[y]);
            for x in 0..OUTPUTS {
                if y >= height || x >= width {
                    continue;
                }
                let pixel = x * self.channels + channel;
                let mut value = simd.add(line[x], bias);
                if let Some((residual, row_pitch)) = self.residual {
                    // SAFETY: the caller's promise.
                    let residual = unsafe { simd.load_unchecked(residual, y * row_pitch + pixel) };
                    value = simd.add(value, residual);
                }
                let value = simd.clamp(value, low, high);
                let at = y * self.output.row_pitch + pixel;
                // SAFETY: the caller's promise.
                unsafe { simd.store_unchecked(value, self.output.values, at) };
            }
        }
    }
}

/// `Aᵀ · m`
#[inline(always)]
fn output_line<S: Simd>(simd: S, m: [S::Vector; INPUTS]) -> [S::Vector; OUTPUTS] {
    let (p, p2, p3) = (simd.splat(P), simd.splat(P * P), simd.splat(P * P * P));
    let (q, q2, q3) = (simd.splat(Q), simd.splat(Q * Q), simd.splat(Q * Q * Q));
    let (even_p, odd_p) = (simd.add(m[1], m[2]), simd.sub(m[1], m[2]));
    let (even_q, odd_q) = (simd.add(m[3], m[4]), simd.sub(m[3], m[4]));
    [
        simd.add(simd.add(m[0], even_p), even_q),
        simd.mul_add(q, odd_q, simd.mul(p, odd_p)),
        simd.mul_add(q2, even_q, simd.mul(p2, even_p)),
        simd.mul_add(q3, odd_q, simd.mul_add(p3, odd_p, m[5])),
    ]
}
