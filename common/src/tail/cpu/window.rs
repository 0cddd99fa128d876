//! Which input pixels the windows of a convolution read, and their copies in the order of the
//! outputs: the columns that make a product of a convolution ("im2col"), and the way back.

use std::ops::Range;

use crate::{
    backbone::{Padding, Shape},
    panel::LANES,
};

/// The windows of a square kernel over one image.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    /// Rows and columns.
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
    pub(super) kernel: usize,
    pub(super) stride: usize,
    /// Rows and columns of padding before the first.
    pub(super) before: [usize; 2],
}

/// Outputs of a row of an image that follow one another.
pub(super) struct Segment {
    pub(super) image: usize,
    /// Row of the image.
    pub(super) y: usize,
    pub(super) columns: Range<usize>,
    /// Its first output's number among those that were asked for.
    pub(super) at: usize,
}

impl Window {
    pub(super) fn new(
        (kernel, stride, padding): (usize, usize, Padding),
        [input, output]: [Shape; 2],
    ) -> Self {
        let before = |size| padding.along(size, kernel, stride).0;
        Self {
            input: [input.height, input.width],
            output: [output.height, output.width],
            kernel,
            stride,
            before: [before(input.height), before(input.width)],
        }
    }

    /// Positions of the kernel.
    pub(super) fn taps(self) -> usize {
        self.kernel * self.kernel
    }

    /// Whether every output reads the one input pixel in its place.
    pub(super) fn is_pointwise(self) -> bool {
        self.kernel == 1 && self.stride == 1 && self.input == self.output && self.before == [0, 0]
    }

    /// The `rows` outputs from `first` on, over all images.
    pub(super) fn segments(self, first: usize, rows: usize) -> impl Iterator<Item = Segment> {
        let [height, width] = self.output;
        let (mut row, end) = (first, first + rows);
        std::iter::from_fn(move || {
            if row == end {
                return None;
            }
            let (line, start) = (row / width, row % width);
            let columns = start..width.min(start + end - row);
            let segment = Segment {
                image: line / height,
                y: line % height,
                at: row - first,
                columns: columns.clone(),
            };
            row += columns.len();
            Some(segment)
        })
    }

    /// The row of input that row `y` of outputs reads at row `tap` of the kernel.
    pub(super) fn input_row(self, y: usize, tap: usize) -> Option<usize> {
        let row = (y * self.stride + tap).checked_sub(self.before[0])?;
        (row < self.input[0]).then_some(row)
    }

    /// Those of `columns` of outputs that have an input at column `tap` of the kernel, and the
    /// first one's input column.
    pub(super) fn inside(self, columns: &Range<usize>, tap: usize) -> (Range<usize>, usize) {
        let behind = (self.input[1] + self.before[1]).saturating_sub(tap);
        let end = behind.div_ceil(self.stride).min(columns.end);
        let before = self.before[1].saturating_sub(tap);
        let start = before
            .div_ceil(self.stride)
            .max(columns.start)
            .min(end.max(columns.start));
        let end = end.max(start);
        (
            start..end,
            (start * self.stride + tap).saturating_sub(self.before[1]),
        )
    }

    /// Pixels of one input image.
    fn input_pixels(self) -> usize {
        self.input[0] * self.input[1]
    }

    /// Copies what the outputs from `first` on read at position `tap` of the kernel from `panel`,
    /// `[input rows][LANES]`, into `column`, `[outputs][LANES]`; zeros where that is padding.
    pub(super) fn gather(self, tap: usize, panel: &[f32], first: usize, column: &mut [f32]) {
        let (ky, kx) = (tap / self.kernel, tap % self.kernel);
        for segment in self.segments(first, column.len() / LANES) {
            let count = segment.columns.len();
            let column = &mut column[segment.at * LANES..][..count * LANES];
            let Some(row) = self.input_row(segment.y, ky) else {
                column.fill(0.0);
                continue;
            };
            let (inside, x) = self.inside(&segment.columns, kx);
            let skipped = (inside.start - segment.columns.start) * LANES;
            let (padding, column) = column.split_at_mut(skipped);
            padding.fill(0.0);
            let (column, padding) = column.split_at_mut(inside.len() * LANES);
            padding.fill(0.0);
            let start = segment.image * self.input_pixels() + row * self.input[1] + x;
            let from = panel[start.min(panel.len() / LANES) * LANES..].chunks(self.stride * LANES);
            for (to, from) in column.chunks_exact_mut(LANES).zip(from) {
                to.copy_from_slice(&from[..LANES]);
            }
        }
    }

    /// The adjoint of [`Window::gather`]: adds `column` to the pixels that it would have come from.
    pub(super) fn scatter(self, tap: usize, column: &[f32], first: usize, panel: &mut [f32]) {
        let (ky, kx) = (tap / self.kernel, tap % self.kernel);
        for segment in self.segments(first, column.len() / LANES) {
            let Some(row) = self.input_row(segment.y, ky) else {
                continue;
            };
            let (inside, x) = self.inside(&segment.columns, kx);
            let skipped = segment.at + inside.start - segment.columns.start;
            let column = &column[skipped * LANES..][..inside.len() * LANES];
            let start = segment.image * self.input_pixels() + row * self.input[1] + x;
            let last = panel.len() / LANES;
            let to = panel[start.min(last) * LANES..].chunks_mut(self.stride * LANES);
            for (from, to) in column.chunks_exact(LANES).zip(to) {
                for (to, from) in to[..LANES].iter_mut().zip(from) {
                    *to += from;
                }
            }
        }
    }

    /// As [`Window::gather`], from images `[C, H, W]`: sixteen numbers of a window from `number` on,
    /// in the order of a PyTorch kernel, `[C, k, k]`; zeros behind the last.
    pub(super) fn gather_planar(
        self,
        (number, channels): (usize, usize),
        images: &[f32],
        first: usize,
        column: &mut [f32],
    ) {
        let count = (channels * self.taps()).saturating_sub(number).min(LANES);
        let len = channels * self.input_pixels();
        for segment in self.segments(first, column.len() / LANES) {
            let outputs = segment.columns.len();
            let column = &mut column[segment.at * LANES..][..outputs * LANES];
            column.fill(0.0);
            let image = &images[segment.image * len..][..len];
            for lane in 0..count {
                let (channel, tap) = ((number + lane) / self.taps(), (number + lane) % self.taps());
                let (ky, kx) = (tap / self.kernel, tap % self.kernel);
                let Some(row) = self.input_row(segment.y, ky) else {
                    continue;
                };
                let (inside, x) = self.inside(&segment.columns, kx);
                let line = (channel * self.input[0] + row) * self.input[1];
                let from = image[line..line + self.input[1]]
                    .iter()
                    .skip(x)
                    .step_by(self.stride);
                let skipped = inside.start - segment.columns.start;
                let to = column[lane..].iter_mut().step_by(LANES).skip(skipped);
                for (to, from) in to.zip(from).take(inside.len()) {
                    *to = *from;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(kernel: usize, stride: usize, padding: Padding, input: [usize; 2]) -> Window {
        let output = input.map(|size| {
            let (before, after) = padding.along(size, kernel, stride);
            (size + before + after).saturating_sub(kernel) / stride + 1
        });
        let shape = |[height, width]: [usize; 2]| Shape {
            channels: 1,
            height,
            width,
        };
        Window::new((kernel, stride, padding), [shape(input), shape(output)])
    }

    #[test]
    fn every_tap_reads_its_pixel_or_padding() {
        for (kernel, stride, padding, input) in [
            (3, 1, Padding::Symmetric(1), [7, 5]),
            (3, 2, Padding::Same, [7, 5]),
            (5, 2, Padding::Same, [6, 9]),
            (1, 2, Padding::Symmetric(0), [5, 4]),
            (7, 2, Padding::Symmetric(3), [9, 3]),
            (3, 1, Padding::Symmetric(1), [1, 1]),
            (5, 1, Padding::Same, [2, 1]),
        ] {
            let window = window(kernel, stride, padding, input);
            let pixels = input[0] * input[1];
            let panel: Vec<f32> = (0..2 * pixels * LANES).map(|i| 1.0 + i as f32).collect();
            let rows = 2 * window.output[0] * window.output[1];
            for (tap, first) in (0..kernel * kernel).flat_map(|tap| [(tap, 0), (tap, rows / 3)]) {
                let mut column = vec![f32::NAN; (rows - first) * LANES];
                window.gather(tap, &panel, first, &mut column);
                for row in first..rows {
                    let [height, width] = window.output;
                    let (image, y, x) = (row / (height * width), row / width % height, row % width);
                    let y = (y * stride + tap / kernel) as isize - window.before[0] as isize;
                    let x = (x * stride + tap % kernel) as isize - window.before[1] as isize;
                    let inside =
                        (0..input[0] as isize).contains(&y) && (0..input[1] as isize).contains(&x);
                    let pixel = image * pixels + (y * input[1] as isize + x).max(0) as usize;
                    let expected = if inside {
                        panel[pixel * LANES + 3]
                    } else {
                        0.0
                    };
                    assert_eq!(column[(row - first) * LANES + 3], expected);
                }
            }
        }
    }
}
