//! Maximum over k×k windows of integers, which stand for what the input's do.

use super::{
    super::{
        isa::IntegerTask,
        pool::{MaxPool, inside},
    },
    convolution::{Destination, Operands},
    integers::Integers,
};

/// Runs `pool`.
pub(super) fn run(pool: &MaxPool, operands: &mut Operands<'_>) {
    let (input_len, output_len) = (pool.input.image_len(), pool.output.image_len());
    let Destination::Shorts(output) = &mut operands.output else {
        unreachable!("a pool's output is what its input is");
    };
    for image in 0..operands.images {
        pool.isa.run_integers(Image {
            pool,
            input: &operands.input[image * input_len..][..input_len],
            output: &mut output[image * output_len..][..output_len],
        });
    }
}

struct Image<'a> {
    pool: &'a MaxPool,
    input: &'a [i16],
    output: &'a mut [i16],
}

impl IntegerTask for Image<'_> {
    #[inline(always)]
    fn run<S: Integers>(self, simd: S) {
        let (from, to) = (self.pool.input, self.pool.output);
        let (windows, kernel) = (self.pool.windows, self.pool.kernel);
        assert_eq!(from.pitch, to.pitch);
        assert!(self.input.len() >= from.image_len() && self.output.len() >= to.image_len());
        for y in 0..to.shape.height {
            let (top, bottom) = inside(windows, kernel, (0, y, from.shape.height));
            for x in 0..to.shape.width {
                let (left, right) = inside(windows, kernel, (1, x, from.shape.width));
                let (pixel, first) = (to.pixel(y, x), from.pixel(top, left));
                let mut channel = 0;
                while channel + 2 * S::LANES <= to.pitch {
                    // SAFETY: pixels inside the images, whole vectors of
                    // channels; the images were measured above.
                    unsafe {
                        let input = self.input.as_ptr().add(channel);
                        let mut largest = simd.load_shorts(input.add(first));
                        for row in top..bottom {
                            let start = from.pixel(row, left);
                            for column in 0..right - left {
                                let value = input.add(start + column * from.pitch);
                                largest = simd.max_shorts(largest, simd.load_shorts(value));
                            }
                        }
                        simd.store_shorts(largest, self.output.as_mut_ptr().add(pixel + channel));
                    }
                    channel += 2 * S::LANES;
                }
            }
        }
    }
}
