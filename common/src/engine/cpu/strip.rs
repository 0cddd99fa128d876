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
    scratch::{Buffer, Element},
};

/// Bytes of a strip.
const STRIP_BYTES: usize = 256 * 1024;

/// Numbers of one image's expansion from which on strips pay.
pub(super) const LEAST_EXPANSION: usize = 160 * 1024;

/// The two convolutions of a strip.
pub(super) trait Pair {
    /// What values are made of.
    type Number: Element;

    /// Expands the first `pixels` pixels of `input`.
    fn expand(&self, input: &[Self::Number], strip: &mut [Self::Number], pixels: usize);

    /// Row `y` of the depthwise convolution's output; `strip` begins with the
    /// row's first window.
    fn run_row(&self, strip: &[Self::Number], output: &mut [Self::Number], y: usize);
}

/// Both convolutions and how rows pass between them.
pub(super) struct Strip<P> {
    pair: P,
    kernel: usize,
    /// Of the depthwise convolution, over the expansion.
    windows: Windows,
    input: Layout,
    /// The strip as an image without rows above and below.
    strip: Layout,
    output: Layout,
}

impl<P: Pair> Strip<P> {
    /// `expanded` is where the expansion's result would lie; `site` reads the
    /// expansion's input and writes the output of the depthwise convolution,
    /// whose side is `kernel`. `pair` makes the convolutions for their sites.
    pub(super) fn new(
        kernel: usize,
        (expanded, site): (Layout, &Site),
        pair: impl FnOnce([Site; 2]) -> P,
    ) -> Self {
        let mut strip = Layout {
            border: Border {
                top: 0,
                bottom: 0,
                ..expanded.border
            },
            ..expanded
        };
        let rows = STRIP_BYTES / size_of::<P::Number>() / strip.row_pitch();
        strip.shape.height = rows.max(kernel + site.windows.stride);
        let pointwise = Windows {
            before: [0, 0],
            stride: 1,
        };
        let expansion = Site {
            residual: None,
            output: strip,
            windows: pointwise,
            images: 1,
            ..*site
        };
        let depthwise = Site {
            input: strip,
            ..*site
        };
        Self {
            pair: pair([expansion, depthwise]),
            kernel,
            windows: site.windows,
            input: site.input,
            strip,
            output: site.output,
        }
    }

    /// Floats of scratch.
    pub(super) fn scratch(&self) -> usize {
        (self.strip.image_len() * size_of::<P::Number>()).div_ceil(size_of::<f32>())
    }

    /// Does `images` images.
    pub(super) fn run_images(
        &self,
        input: &[P::Number],
        output: &mut [P::Number],
        (images, scratch): (usize, &mut Buffer),
    ) {
        let strip = &mut scratch.view_mut()[..self.strip.image_len()];
        self.strip.clear_border(strip);
        let (input_len, output_len) = (self.input.image_len(), self.output.image_len());
        for image in 0..images {
            let input = &input[image * input_len..];
            let output = &mut output[image * output_len..][..output_len];
            self.run_image(input, strip, output);
        }
    }

    /// Rows are counted in the padded expansion: row 0 is `before` above it.
    fn run_image(&self, input: &[P::Number], strip: &mut [P::Number], output: &mut [P::Number]) {
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
                self.pair.run_row(&strip[row + column..], output, y);
            }
            held = wanted;
        }
    }

    /// Writes the rows `rows` of the padded expansion.
    fn expand(&self, input: &[P::Number], rows: Range<usize>, strip: &mut [P::Number]) {
        let row_pitch = self.strip.row_pitch();
        let (top, height) = (self.windows.before[0], self.input.shape.height);
        let inside = |row: usize| row.clamp(top, top + height).clamp(rows.start, rows.end);
        let (first, last) = (inside(rows.start), inside(rows.end));
        let zero = P::Number::default();
        strip[..(first - rows.start) * row_pitch].fill(zero);
        let below = (last - rows.start) * row_pitch..(rows.end - rows.start) * row_pitch;
        strip[below].fill(zero);
        if first < last {
            self.pair.expand(
                &input[(first - top) * self.input.row_pitch()..],
                &mut strip[(first - rows.start) * row_pitch..],
                (last - first) * self.strip.shape.width,
            );
        }
    }
}

/// Both convolutions in floats.
pub(super) struct Floats {
    expansion: Direct,
    depthwise: Depthwise,
}

impl Strip<Floats> {
    /// Of the expansion and the depthwise convolution; see [`Strip::new`].
    pub(super) fn of_floats(convs: [&Folded; 2], expanded: Layout, site: &Site) -> Self {
        let [expansion, depthwise] = convs;
        Self::new(
            depthwise.kernel,
            (expanded, site),
            |[expansion_site, depthwise_site]| Floats {
                expansion: Direct::new(expansion, &expansion_site),
                depthwise: Depthwise::new(depthwise, &depthwise_site),
            },
        )
    }

    pub(super) fn run(&self, operands: &mut Operands<'_>, scratch: &mut Buffer) {
        self.run_images(operands.input, operands.output, (operands.images, scratch));
    }
}

impl Pair for Floats {
    type Number = f32;

    fn expand(&self, input: &[f32], strip: &mut [f32], pixels: usize) {
        let mut operands = Operands {
            input,
            residual: None,
            output: strip,
            images: 1,
        };
        self.expansion.run_pixels(&mut operands, pixels);
    }

    fn run_row(&self, strip: &[f32], output: &mut [f32], y: usize) {
        self.depthwise.run_row(strip, output, y);
    }
}
