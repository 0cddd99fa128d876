//! A 1×1 expansion and the depthwise convolution behind it, strip by strip:
//! what lies between them, six times the size of what goes in, never leaves
//! the second-level cache.
//!
//! ```text
//!   input ──expand──► strip of expanded rows ──depthwise──► output rows
//!                     │ kept from before │ new │
//! ```

use std::ops::Range;

use super::{
    convolution::{Folded, Operands, Site},
    depthwise::Depthwise,
    direct::Direct,
    layout::{Border, Layout, Windows},
    scratch::Buffer,
};

/// Floats of a strip.
const STRIP_FLOATS: usize = 64 * 1024;

/// Floats of one image's expansion from which on strips pay.
pub(super) const LEAST_EXPANSION: usize = 160 * 1024;

/// Both convolutions.
pub(super) struct Strip {
    expansion: Direct,
    depthwise: Depthwise,
    kernel: usize,
    /// Of the depthwise convolution, over the expansion.
    windows: Windows,
    input: Layout,
    /// The strip as an image without rows above and below.
    strip: Layout,
    output: Layout,
}

impl Strip {
    /// `expanded` is where the expansion's result would lie; `site` reads the
    /// expansion's input and writes the depthwise convolution's output.
    pub(super) fn new(convs: [&Folded; 2], expanded: Layout, site: &Site) -> Self {
        let [expansion, depthwise] = convs;
        let kernel = depthwise.kernel;
        let mut strip = Layout {
            border: Border {
                top: 0,
                bottom: 0,
                ..expanded.border
            },
            ..expanded
        };
        strip.shape.height = (STRIP_FLOATS / strip.row_pitch()).max(kernel + site.windows.stride);
        let pointwise = Windows {
            before: [0, 0],
            stride: 1,
        };
        let expansion_site = Site {
            residual: None,
            output: strip,
            windows: pointwise,
            images: 1,
            ..*site
        };
        let depthwise_site = Site {
            input: strip,
            ..*site
        };
        Self {
            expansion: Direct::new(expansion, &expansion_site),
            depthwise: Depthwise::new(depthwise, &depthwise_site),
            kernel,
            windows: site.windows,
            input: site.input,
            strip,
            output: site.output,
        }
    }

    /// Floats of scratch.
    pub(super) fn scratch(&self) -> usize {
        self.strip.image_len()
    }

    pub(super) fn run(&self, operands: &mut Operands<'_>, scratch: &mut Buffer) {
        let strip = &mut scratch.as_mut_slice()[..self.strip.image_len()];
        self.strip.clear_border(strip);
        let (input_len, output_len) = (self.input.image_len(), self.output.image_len());
        for image in 0..operands.images {
            let input = &operands.input[image * input_len..][..input_len];
            let output = &mut operands.output[image * output_len..][..output_len];
            self.run_image(input, strip, output);
        }
    }

    /// Rows are counted in the padded expansion: row 0 is `before` above it.
    fn run_image(&self, input: &[f32], strip: &mut [f32], output: &mut [f32]) {
        let (stride, row_pitch) = (self.windows.stride, self.strip.row_pitch());
        let band = (self.strip.shape.height - self.kernel) / stride + 1;
        let column = (self.strip.border.left - self.windows.before[1]) * self.strip.pitch;
        let mut held: Range<usize> = 0..0;
        for begin in (0..self.output.shape.height).step_by(band) {
            let end = (begin + band).min(self.output.shape.height);
            let wanted = begin * stride..(end - 1) * stride + self.kernel;
            // What the band before has in common with this one moves up.
            let kept = held.end.saturating_sub(wanted.start);
            let from = (wanted.start - held.start) * row_pitch;
            strip.copy_within(from..from + kept * row_pitch, 0);
            let fresh = wanted.start + kept..wanted.end;
            self.expand(input, fresh, &mut strip[kept * row_pitch..]);
            for y in begin..end {
                let row = (y - begin) * stride * row_pitch;
                self.depthwise.run_row(&strip[row + column..], output, y);
            }
            held = wanted;
        }
    }

    /// Writes the rows `rows` of the padded expansion.
    fn expand(&self, input: &[f32], rows: Range<usize>, strip: &mut [f32]) {
        let row_pitch = self.strip.row_pitch();
        let (top, height) = (self.windows.before[0], self.input.shape.height);
        let inside = |row: usize| row.clamp(top, top + height).clamp(rows.start, rows.end);
        let (first, last) = (inside(rows.start), inside(rows.end));
        strip[..(first - rows.start) * row_pitch].fill(0.0);
        let below = (last - rows.start) * row_pitch..(rows.end - rows.start) * row_pitch;
        strip[below].fill(0.0);
        if first == last {
            return;
        }
        let mut operands = Operands {
            input: &input[(first - top) * self.input.row_pitch()..],
            residual: None,
            output: &mut strip[(first - rows.start) * row_pitch..],
            images: 1,
        };
        self.expansion
            .run_pixels(&mut operands, (last - first) * self.strip.shape.width);
    }
}
