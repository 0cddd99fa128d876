//! Convolutions by the definition: every output pixel is a row of the
//! micro-kernel's product, its window k segments of the bordered input.

use super::{
    convolution::{Folded, Operands, Site},
    isa::Isa,
    kernel::{Pixels, Product, Segments},
    pack::{Panels, Sizes, padded_bias},
    scratch::Buffer,
};

/// Floats that the input and the output of a block of rows should occupy: they
/// stay in the second-level cache while all panels pass over them.
const BLOCK_FLOATS: usize = 64 * 1024;

/// Micro-tiles a block at least: fewer would fetch the weights too often.
const BLOCK_TILES: usize = 4;

/// A k×k convolution with any stride.
pub(super) struct Direct {
    isa: Isa,
    segments: Segments,
    panels: Panels,
    bias: Buffer,
    clamp: [f32; 2],
    /// Start of every output pixel's window, in all images of a call.
    input: Vec<u32>,
    /// Start of every residual pixel.
    residual: Option<Vec<u32>>,
    /// Start of every output pixel.
    output: Vec<u32>,
    pixels: usize,
    block_rows: usize,
}

impl Direct {
    pub(super) fn new(folded: &Folded, site: &Site) -> Self {
        let (input, output) = (site.input, site.output);
        // In a window's row the channels of neighbouring pixels are one pitch
        // apart; what lies between them meets weights of zero.
        let segments = Segments {
            count: folded.kernel,
            pitch: input.row_pitch(),
            length: (folded.kernel - 1) * input.pitch + folded.in_channels,
        };
        let entry = |_, term: usize, channel: usize| {
            let (y, within) = (term / segments.length, term % segments.length);
            let (x, from) = (within / input.pitch, within % input.pitch);
            if from < folded.in_channels {
                folded.at(channel, from, [y, x])
            } else {
                0.0
            }
        };
        let shape = output.shape;
        let tile_rows = site.isa.tile_rows(2);
        let terms = segments.terms();
        let block_tiles = BLOCK_FLOATS / (terms + output.pitch) / tile_rows;
        let sizes = Sizes {
            matrices: 1,
            terms,
            channels: folded.out_channels,
        };
        Self {
            isa: site.isa,
            segments,
            panels: Panels::pack(site.isa, sizes, entry),
            bias: padded_bias(site.isa, &folded.bias),
            clamp: folded.clamp,
            input: input.table(shape, site.images, |y, x| input.window(site.windows, y, x)),
            residual: site
                .residual
                .map(|layout| layout.table(shape, site.images, |y, x| layout.pixel(y, x))),
            output: output.table(shape, site.images, |y, x| output.pixel(y, x)),
            pixels: shape.height * shape.width,
            block_rows: block_tiles.max(BLOCK_TILES) * tile_rows,
        }
    }

    pub(super) fn run(&self, operands: &mut Operands<'_>) {
        self.run_pixels(operands, operands.images * self.pixels);
    }

    /// The first `rows` pixels.
    pub(super) fn run_pixels(&self, operands: &mut Operands<'_>, rows: usize) {
        for first in (0..rows).step_by(self.block_rows) {
            let block = first..rows.min(first + self.block_rows);
            for panel in self.panels.iter(0, self.bias.as_slice(), self.clamp) {
                let residual = operands.residual.zip(self.residual.as_ref());
                let product = Product {
                    input: Pixels {
                        values: operands.input,
                        offsets: &self.input[block.clone()],
                    },
                    segments: self.segments,
                    panel,
                    residual: residual.map(|(values, offsets)| Pixels {
                        values,
                        offsets: &offsets[block.clone()],
                    }),
                    output: operands.output,
                    output_offsets: &self.output[block.clone()],
                };
                product.run(self.isa);
            }
        }
    }
}
