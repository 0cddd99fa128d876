//! The transforms of F(4×4, 3×3), interpolating at 0, ±1, ±2 and ∞.
//!
//! ```text
//!      ⎡4  0 −5  0 1 0⎤        ⎡ 6  0  0⎤        ⎡1 1  1 1  1 0⎤
//!      ⎢0 −4 −4  1 1 0⎥     1  ⎢−4 −4 −4⎥        ⎢0 1 −1 2 −2 0⎥
//! Bᵀ = ⎢0  4 −4 −1 1 0⎥ G = ── ⎢−4  4 −4⎥   Aᵀ = ⎢0 1  1 4  4 0⎥
//!      ⎢0 −2 −1  2 1 0⎥     24 ⎢ 1  2  4⎥        ⎣0 1 −1 8 −8 1⎦
//!      ⎢0  2 −1 −2 1 0⎥        ⎢ 1 −2  4⎥
//!      ⎣0  4  0 −5 0 1⎦        ⎣ 0  0 24⎦
//! ```

use super::{
    convolution::Folded,
    isa::Task,
    vector::Simd,
    winograd::{INPUTS, OUTPUTS, POINTS},
};

/// `G g Gᵀ` of every kernel, in f64: `[out, in, 36]`.
pub(super) fn transform_kernel(folded: &Folded) -> Vec<f32> {
    let mut transformed = Vec::with_capacity(folded.weight.len() / 9 * POINTS);
    for kernel in folded.weight.chunks_exact(9) {
        let mut columns = [[0.0; 3]; INPUTS];
        for x in 0..3 {
            let column = [0, 1, 2].map(|y| f64::from(kernel[y * 3 + x]));
            for (row, value) in kernel_line(column).into_iter().enumerate() {
                columns[row][x] = value;
            }
        }
        for row in columns {
            transformed.extend(kernel_line(row).map(|value| value as f32));
        }
    }
    transformed
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
        let mut channel = 0;
        while channel < self.channels {
            let zero = simd.splat(0.0);
            let mut columns = [[zero; INPUTS]; INPUTS];
            for x in 0..INPUTS {
                let mut line = [zero; INPUTS];
                for (y, value) in line.iter_mut().enumerate() {
                    let at = y * self.row_pitch + x * self.channels + channel;
                    *value = simd.load(self.input, at);
                }
                let line = input_line(simd, line);
                for y in 0..INPUTS {
                    columns[y][x] = line[y];
                }
            }
            for (y, row) in columns.into_iter().enumerate() {
                for (x, value) in input_line(simd, row).into_iter().enumerate() {
                    let at = (y * INPUTS + x) * self.point_pitch + channel;
                    simd.store(value, self.output, at);
                }
            }
            channel += S::LANES;
        }
    }
}

/// `Bᵀ · d`
#[inline(always)]
fn input_line<S: Simd>(simd: S, d: [S::Vector; INPUTS]) -> [S::Vector; INPUTS] {
    let (two, four) = (simd.splat(2.0), simd.splat(4.0));
    let (minus_four, minus_five) = (simd.splat(-4.0), simd.splat(-5.0));
    // d4 − 4·d2 and d3 − 4·d1; d4 − d2 and 2·(d3 − d1)
    let even_one = simd.mul_add(minus_four, d[2], d[4]);
    let odd_one = simd.mul_add(minus_four, d[1], d[3]);
    let even_two = simd.sub(d[4], d[2]);
    let odd_two = simd.mul(two, simd.sub(d[3], d[1]));
    [
        simd.mul_add(four, d[0], simd.mul_add(minus_five, d[2], d[4])),
        simd.add(even_one, odd_one),
        simd.sub(even_one, odd_one),
        simd.add(even_two, odd_two),
        simd.sub(even_two, odd_two),
        simd.mul_add(four, d[1], simd.mul_add(minus_five, d[3], d[5])),
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
    fn run<S: Simd>(self, simd: S) {
        let (low, high) = (simd.splat(self.clamp[0]), simd.splat(self.clamp[1]));
        let [height, width] = self.output.size;
        let mut channel = 0;
        while channel < self.channels {
            let zero = simd.splat(0.0);
            let mut columns = [[zero; INPUTS]; OUTPUTS];
            for x in 0..INPUTS {
                let mut line = [zero; INPUTS];
                for (y, value) in line.iter_mut().enumerate() {
                    let at = (y * INPUTS + x) * self.point_pitch + channel;
                    *value = simd.load(self.products, at);
                }
                let line = output_line(simd, line);
                for y in 0..OUTPUTS {
                    columns[y][x] = line[y];
                }
            }
            let bias = simd.load(self.bias, channel);
            for (y, row) in columns.into_iter().enumerate().take(height) {
                let line = output_line(simd, row);
                for (x, value) in line.into_iter().enumerate().take(width) {
                    let pixel = x * self.channels + channel;
                    let mut value = simd.add(value, bias);
                    if let Some((residual, row_pitch)) = self.residual {
                        value = simd.add(value, simd.load(residual, y * row_pitch + pixel));
                    }
                    let value = simd.clamp(value, low, high);
                    let at = y * self.output.row_pitch + pixel;
                    simd.store(value, self.output.values, at);
                }
            }
            channel += S::LANES;
        }
    }
}

/// `Aᵀ · m`
#[inline(always)]
fn output_line<S: Simd>(simd: S, m: [S::Vector; INPUTS]) -> [S::Vector; OUTPUTS] {
    let (two, four, eight) = (simd.splat(2.0), simd.splat(4.0), simd.splat(8.0));
    let (even_one, odd_one) = (simd.add(m[1], m[2]), simd.sub(m[1], m[2]));
    let (even_two, odd_two) = (simd.add(m[3], m[4]), simd.sub(m[3], m[4]));
    [
        simd.add(simd.add(m[0], even_one), even_two),
        simd.mul_add(two, odd_two, odd_one),
        simd.mul_add(four, even_two, even_one),
        simd.add(simd.mul_add(eight, odd_two, odd_one), m[5]),
    ]
}
