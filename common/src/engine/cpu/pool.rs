//! Steps without weights: pooling, addition, and the change of layout at the
//! network's input and outputs.

use super::{
    convolution::Operands,
    isa::{Isa, Task},
    layout::{Layout, Windows},
    vector::Simd,
};

/// Maximum over k×k windows.
pub(super) struct MaxPool {
    pub(super) isa: Isa,
    pub(super) input: Layout,
    pub(super) output: Layout,
    pub(super) windows: Windows,
    pub(super) kernel: usize,
}

impl MaxPool {
    pub(super) fn run(&self, operands: &mut Operands<'_>) {
        let (input_len, output_len) = (self.input.image_len(), self.output.image_len());
        for image in 0..operands.images {
            self.isa.run(MaxPoolImage {
                pool: self,
                input: &operands.input[image * input_len..][..input_len],
                output: &mut operands.output[image * output_len..][..output_len],
            });
        }
    }
}

/// The part of a window of side `kernel` that lies inside an axis (0: rows, 1:
/// columns) of some size.
pub(super) fn inside(
    windows: Windows,
    kernel: usize,
    (axis, index, size): (usize, usize, usize),
) -> (usize, usize) {
    let start = index * windows.stride;
    let before = windows.before[axis];
    let end = (start + kernel).saturating_sub(before).min(size);
    (start.saturating_sub(before), end)
}

struct MaxPoolImage<'a> {
    pool: &'a MaxPool,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Task for MaxPoolImage<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let (from, to) = (self.pool.input, self.pool.output);
        let (windows, kernel) = (self.pool.windows, self.pool.kernel);
        for y in 0..to.shape.height {
            let (top, bottom) = inside(windows, kernel, (0, y, from.shape.height));
            for x in 0..to.shape.width {
                let (left, right) = inside(windows, kernel, (1, x, from.shape.width));
                let (pixel, first) = (to.pixel(y, x), from.pixel(top, left));
                let mut channel = 0;
                while channel < to.pitch {
                    let mut largest = simd.load(self.input, first + channel);
                    for row in top..bottom {
                        let start = from.pixel(row, left) + channel;
                        for column in 0..right - left {
                            let value = simd.load(self.input, start + column * from.pitch);
                            largest = simd.max(value, largest);
                        }
                    }
                    simd.store(largest, self.output, pixel + channel);
                    channel += S::LANES;
                }
            }
        }
    }
}

/// Mean over all pixels.
pub(super) struct AveragePool {
    pub(super) isa: Isa,
    pub(super) input: Layout,
    pub(super) output: Layout,
}

impl AveragePool {
    pub(super) fn run(&self, operands: &mut Operands<'_>) {
        let (input_len, output_len) = (self.input.image_len(), self.output.image_len());
        for image in 0..operands.images {
            self.isa.run(AverageImage {
                layout: self.input,
                input: &operands.input[image * input_len..][..input_len],
                output: &mut operands.output[image * output_len..][self.output.pixel(0, 0)..],
            });
        }
    }
}

struct AverageImage<'a> {
    layout: Layout,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl Task for AverageImage<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let shape = self.layout.shape;
        let share = simd.splat(1.0 / (shape.height * shape.width) as f32);
        let mut channel = 0;
        while channel < self.layout.pitch {
            // Rows first: short sums lose less.
            let mut sum = simd.splat(0.0);
            for y in 0..shape.height {
                let mut row = simd.splat(0.0);
                for x in 0..shape.width {
                    let at = self.layout.pixel(y, x) + channel;
                    row = simd.add(row, simd.load(self.input, at));
                }
                sum = simd.add(sum, row);
            }
            simd.store(simd.mul(sum, share), self.output, channel);
            channel += S::LANES;
        }
    }
}

/// Sum of two values where no convolution could take it over.
pub(super) struct Addition {
    pub(super) input: Layout,
    pub(super) residual: Layout,
    pub(super) output: Layout,
    pub(super) clamp: [f32; 2],
}

impl Addition {
    pub(super) fn run(&self, operands: &mut Operands<'_>) {
        let Some(residual) = operands.residual else {
            unreachable!("an addition has two operands");
        };
        let shape = self.output.shape;
        let row_len = shape.width * self.output.pitch;
        let start =
            |layout: Layout, image: usize, y| image * layout.image_len() + layout.pixel(y, 0);
        for image in 0..operands.images {
            for y in 0..shape.height {
                let left = &operands.input[start(self.input, image, y)..][..row_len];
                let right = &residual[start(self.residual, image, y)..][..row_len];
                let sums = &mut operands.output[start(self.output, image, y)..][..row_len];
                for ((sum, left), right) in sums.iter_mut().zip(left).zip(right) {
                    *sum = (left + right).clamp(self.clamp[0], self.clamp[1]);
                }
            }
        }
    }
}

/// Pixels of one image, `[C, H, W]`, into `layout`.
pub(super) fn from_planar<T>(
    layout: &Layout,
    planes: &[f32],
    image: &mut [T],
    convert: impl Fn(f32) -> T,
) {
    let shape = layout.shape;
    for y in 0..shape.height {
        let start = layout.pixel(y, 0);
        let row = &mut image[start..start + shape.width * layout.pitch];
        for channel in 0..shape.channels {
            let plane = &planes[(channel * shape.height + y) * shape.width..][..shape.width];
            for (pixel, value) in row.chunks_exact_mut(layout.pitch).zip(plane) {
                pixel[channel] = convert(*value);
            }
        }
    }
}

/// One image in `layout` to `[C, H, W]`.
pub(super) fn to_planar<T: Copy>(
    layout: &Layout,
    image: &[T],
    planes: &mut [f32],
    convert: impl Fn(T) -> f32,
) {
    let shape = layout.shape;
    for y in 0..shape.height {
        let start = layout.pixel(y, 0);
        let row = &image[start..start + shape.width * layout.pitch];
        for (x, pixel) in row.chunks_exact(layout.pitch).enumerate() {
            for (channel, value) in pixel[..shape.channels].iter().enumerate() {
                planes[(channel * shape.height + y) * shape.width + x] = convert(*value);
            }
        }
    }
}

/// Pixels of one image, `[H, W, C]`, into `layout`.
pub(super) fn from_interleaved<T>(
    layout: &Layout,
    pixels: &[f32],
    image: &mut [T],
    convert: impl Fn(f32) -> T,
) {
    let shape = layout.shape;
    for (y, pixels) in pixels
        .chunks_exact(shape.width * shape.channels)
        .enumerate()
    {
        let start = layout.pixel(y, 0);
        let row = &mut image[start..start + shape.width * layout.pitch];
        let values = pixels.chunks_exact(shape.channels);
        for (pixel, values) in row.chunks_exact_mut(layout.pitch).zip(values) {
            for (number, value) in pixel.iter_mut().zip(values) {
                *number = convert(*value);
            }
        }
    }
}
