//! Winograd's F(4×4, 3×3) (Lavin and Gray, arXiv 1509.09308): a tile of 4×4
//! outputs of a 3×3 convolution from 36 products instead of 144.
//!
//! ```text
//!   6×6 input pixels ── Bᵀ d B ──► 36 numbers a channel ┐
//!                                                       ├─ 36 matrix products over channels
//!   3×3 kernel ──────── G g Gᵀ ──► 36 numbers (at load) ┘            │
//!   4×4 output pixels ◄─ Aᵀ m A + bias + residual, clamped ◄─────────┘
//! ```
//!
//! Tiles are done in blocks that stay in the cache between the three steps.

use super::{
    convolution::{Folded, Operands, Site},
    kernel::{Pixels, Product, Segments},
    pack::{Panels, Sizes, padded_bias},
    scratch::{Buffer, LINE, TileBuffers},
    winograd_transform::{Destination, InputTransform, OutputTransform, transform_kernel},
};
use crate::backbone::Conv;

/// Outputs along a tile's side.
pub(super) const OUTPUTS: usize = 4;
/// Inputs along a tile's side.
pub(super) const INPUTS: usize = 6;
/// Products a tile and channel pair.
pub(super) const POINTS: usize = INPUTS * INPUTS;

/// Floats that a block of transformed tiles should occupy, input and output
/// together.
const BLOCK_FLOATS: usize = 512 * 1024;

/// Channels on either side below which the transforms cost more than
/// the products save.
const LEAST_CHANNELS: usize = 16;

/// A 3×3 convolution of stride 1.
pub(super) struct Winograd {
    site: Site,
    in_channels: usize,
    /// One matrix a point.
    points: Panels,
    bias: Buffer,
    /// Bias of the products themselves.
    zeros: Buffer,
    clamp: [f32; 2],
    tiles: Vec<Tile>,
    tiles_per_image: usize,
    block: Block,
}

/// Where a tile lies in the three buffers of a call.
#[derive(Clone, Copy)]
pub(super) struct Tile {
    pub(super) input: usize,
    pub(super) residual: usize,
    pub(super) output: usize,
    /// Rows and columns that exist.
    pub(super) size: [usize; 2],
}

/// Shape of the transformed tiles of a block.
pub(super) struct Block {
    pub(super) tiles: usize,
    /// Offsets of a tile's channels among those of a point, input and output.
    pub(super) offsets: [Vec<u32>; 2],
    /// Numbers from point to point.
    pub(super) pitches: [usize; 2],
}

impl Block {
    pub(super) fn new(most: usize, tile_rows: usize, channels: [usize; 2]) -> Self {
        let wanted = BLOCK_FLOATS / (POINTS * (channels[0] + channels[1]));
        let wanted = wanted.clamp(8 * tile_rows, 16 * tile_rows);
        // Equal blocks, of whole micro-tiles.
        let blocks = most.div_ceil(wanted);
        let tiles = most.div_ceil(blocks).next_multiple_of(tile_rows);
        Self {
            tiles,
            offsets: channels.map(|pitch| (0..tiles).map(|tile| (tile * pitch) as u32).collect()),
            // A line more than needed: powers of two would put all points of
            // a tile into one set of the first-level cache.
            pitches: channels.map(|pitch| (tiles * pitch).next_multiple_of(LINE) + LINE),
        }
    }
}

impl Winograd {
    pub(super) fn new(folded: &Folded, site: &Site) -> Self {
        let transformed = transform_kernel(folded);
        let sizes = Sizes {
            matrices: POINTS,
            terms: folded.in_channels,
            channels: folded.out_channels,
        };
        let points = Panels::pack(site.isa, sizes, |point, from, to| {
            transformed[(point * folded.in_channels + from) * folded.out_channels + to]
        });
        let tiles = tiles(site);
        let tile_rows = site.isa.tile_rows(2);
        Self {
            site: *site,
            in_channels: folded.in_channels,
            points,
            bias: padded_bias(site.isa, &folded.bias),
            zeros: Buffer::zeroed(site.output.pitch),
            clamp: folded.clamp,
            tiles_per_image: tiles.len() / site.images,
            block: Block::new(
                tiles.len(),
                tile_rows,
                [site.input.pitch, site.output.pitch],
            ),
            tiles,
        }
    }

    /// Floats of the transformed tiles before and after the products.
    pub(super) fn scratch(&self) -> [usize; 2] {
        self.block.pitches.map(|pitch| POINTS * pitch)
    }

    pub(super) fn run(&self, operands: &mut Operands<'_>, scratch: &mut TileBuffers) {
        let [input_len, output_len] = self.scratch();
        let transformed = &mut scratch.input.as_mut_slice()[..input_len];
        let products = &mut scratch.output.as_mut_slice()[..output_len];
        let tiles = &self.tiles[..operands.images * self.tiles_per_image];
        for block in tiles.chunks(self.block.tiles) {
            self.transform_inputs(block, operands.input, transformed);
            self.multiply(block.len(), transformed, products);
            self.transform_outputs(block, products, operands);
        }
    }

    fn transform_inputs(&self, tiles: &[Tile], input: &[f32], transformed: &mut [f32]) {
        let layout = self.site.input;
        for (tile, index) in tiles.iter().zip(0..) {
            self.site.isa.run(InputTransform {
                input: &input[tile.input..],
                row_pitch: layout.row_pitch(),
                channels: layout.pitch,
                output: &mut transformed[index * layout.pitch..],
                point_pitch: self.block.pitches[0],
            });
        }
    }

    fn multiply(&self, tiles: usize, transformed: &[f32], products: &mut [f32]) {
        let unbounded = [f32::NEG_INFINITY, f32::INFINITY];
        let inputs = transformed.chunks_exact(self.block.pitches[0]);
        let outputs = products.chunks_exact_mut(self.block.pitches[1]);
        for (point, (input, output)) in inputs.zip(outputs).enumerate() {
            for panel in self.points.iter(point, self.zeros.as_slice(), unbounded) {
                let product = Product {
                    input: Pixels {
                        values: input,
                        offsets: &self.block.offsets[0][..tiles],
                    },
                    segments: Segments::contiguous(self.in_channels),
                    panel,
                    residual: None,
                    output,
                    output_offsets: &self.block.offsets[1][..tiles],
                };
                product.run(self.site.isa);
            }
        }
    }

    fn transform_outputs(&self, tiles: &[Tile], products: &[f32], operands: &mut Operands<'_>) {
        let layout = self.site.output;
        for (tile, index) in tiles.iter().zip(0..) {
            let residual = operands.residual.zip(self.site.residual);
            self.site.isa.run(OutputTransform {
                products: &products[index * layout.pitch..],
                point_pitch: self.block.pitches[1],
                channels: layout.pitch,
                bias: self.bias.as_slice(),
                clamp: self.clamp,
                residual: residual
                    .map(|(values, layout)| (&values[tile.residual..], layout.row_pitch())),
                output: Destination {
                    values: &mut operands.output[tile.output..],
                    row_pitch: layout.row_pitch(),
                    size: tile.size,
                },
            });
        }
    }
}

/// Whether the algorithm fits `conv` and pays.
pub(super) fn suits(conv: &Conv) -> bool {
    conv.kernel == 3
        && conv.stride == 1
        && conv.groups == 1
        && conv.in_channels.min(conv.out_channels) >= LEAST_CHANNELS
}

/// Rows (or columns) of input that tiles read along an axis of `outputs`.
pub(super) fn rows_read(outputs: usize) -> usize {
    outputs.next_multiple_of(OUTPUTS) + INPUTS - OUTPUTS
}

/// All tiles of a call.
pub(super) fn tiles(site: &Site) -> Vec<Tile> {
    let shape = site.output.shape;
    let mut tiles = Vec::new();
    for image in 0..site.images {
        for y in (0..shape.height).step_by(OUTPUTS) {
            for x in (0..shape.width).step_by(OUTPUTS) {
                let (input, output) = (site.input, site.output);
                tiles.push(Tile {
                    input: image * input.image_len() + input.window(site.windows, y, x),
                    residual: site.residual.map_or(0, |residual| {
                        image * residual.image_len() + residual.pixel(y, x)
                    }),
                    output: image * output.image_len() + output.pixel(y, x),
                    size: [shape.height - y, shape.width - x].map(|rest| rest.min(OUTPUTS)),
                });
            }
        }
    }
    tiles
}
