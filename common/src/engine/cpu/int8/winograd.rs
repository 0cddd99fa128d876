//! Winograd's F(4×4, 3×3) on integers: as [`super::super::winograd`], exact up
//! to the last transform.
//!
//! ```text
//!   6×6 input integers ── Bᵀ d B ──► 36 shorts a channel, |·| ≤ 12 800 ┐
//!                                                                     ├─ 36 exact products
//!   3×3 kernel ──────── G g Gᵀ ──► 36 integers, a scale each ─────────┘       │
//!   4×4 output ◄─ Aᵀ (m · scale) A, finished ◄────────────────────────────────┘
//! ```
//!
//! Kernels are rounded after their transform, with a scale for every point and
//! output, and as many bits as sums of 32 bits leave them: 11 for 64 input
//! channels, 8 for 512, on average. That loses less than 8-bit weights before
//! the transform would, and costs a quarter of the products.

use super::{
    super::{
        convolution::Site,
        isa::Isa,
        kernel::Segments,
        pack::Sizes,
        scratch::{Buffer, TileBuffers},
        winograd::{Block, POINTS, Tile, tiles},
    },
    convolution::{Finishing, Operands, Quantised},
    pack::{Dots, Panels},
    product::{Output, Product, Values},
    transform::{InputTransform, OutputTransform, bounds, transform_kernel},
    weights::{Limits, quantise},
};

/// A 3×3 convolution of stride 1.
pub(in super::super) struct Winograd {
    site: Site,
    segments: Segments,
    /// One matrix a point.
    points: Panels,
    /// What an integer of a point's sum stands for in the output's unit:
    /// `[36, pitch]`.
    scales: Buffer,
    finishing: Finishing,
    /// What sums begin with.
    zeros: Buffer,
    tiles: Vec<Tile>,
    tiles_per_image: usize,
    block: Block,
}

impl Winograd {
    pub(super) fn new(conv: &Quantised<'_>, site: &Site) -> Self {
        let folded = conv.folded;
        let bounds = bounds(conv.input.range);
        let pitch = site.output.pitch;
        let mut scales = Buffer::zeroed(POINTS * pitch);
        // `[out][point][in]`
        let mut rows = Vec::with_capacity(folded.out_channels);
        for channel in 0..folded.out_channels {
            let transformed = transform_kernel(&conv.row(channel));
            let points: Vec<_> = (0..POINTS)
                .map(|point| {
                    let row: Vec<_> = transformed.iter().map(|kernel| kernel[point]).collect();
                    let (integers, scale) = quantise(&row, Limits::shorts(bounds[point]));
                    scales.as_mut_slice()[point * pitch + channel] = (scale / conv.unit()) as f32;
                    integers
                })
                .collect();
            rows.push(points);
        }
        let sizes = Sizes {
            matrices: POINTS,
            terms: folded.in_channels,
            channels: folded.out_channels,
        };
        let tiles = tiles(site);
        Self {
            site: *site,
            segments: Segments::contiguous(folded.in_channels.next_multiple_of(2)),
            points: Panels::pack(site.isa, Dots::Pairs, sizes, |point, from, to| {
                rows[to][point][from]
            }),
            scales,
            finishing: conv.finishing(site.isa, &vec![1.0; folded.out_channels]),
            zeros: Buffer::zeroed(pitch),
            tiles_per_image: tiles.len() / site.images,
            block: Block::new(
                tiles.len(),
                site.isa.tile_rows(2),
                [site.input.pitch, pitch],
            ),
            tiles,
        }
    }

    /// Floats of the transformed tiles before and after the products.
    pub(super) fn scratch(&self) -> [usize; 2] {
        let [input, output] = self.block.pitches.map(|pitch| POINTS * pitch);
        [input.div_ceil(2), output]
    }

    pub(super) fn run(&self, operands: &mut Operands<'_>, scratch: &mut TileBuffers) {
        let [input_len, output_len] = self.block.pitches.map(|pitch| POINTS * pitch);
        let transformed = &mut scratch.input.view_mut()[..input_len];
        let products = &mut scratch.output.view_mut()[..output_len];
        let tiles = &self.tiles[..operands.images * self.tiles_per_image];
        for block in tiles.chunks(self.block.tiles) {
            self.transform_inputs(block, operands.input, transformed);
            self.multiply(block.len(), transformed, products);
            self.transform_outputs(block, products, operands);
        }
    }

    fn isa(&self) -> Isa {
        self.site.isa
    }

    fn transform_inputs(&self, tiles: &[Tile], input: &[i16], transformed: &mut [i16]) {
        let layout = self.site.input;
        for (tile, index) in tiles.iter().zip(0..) {
            self.isa().run_integers(InputTransform {
                input: &input[tile.input..],
                row_pitch: layout.row_pitch(),
                channels: layout.pitch,
                output: &mut transformed[index * layout.pitch..],
                point_pitch: self.block.pitches[0],
            });
        }
    }

    fn multiply(&self, tiles: usize, transformed: &[i16], products: &mut [i32]) {
        let inputs = transformed.chunks_exact(self.block.pitches[0]);
        let outputs = products.chunks_exact_mut(self.block.pitches[1]);
        for (point, (input, output)) in inputs.zip(outputs).enumerate() {
            for panel in self.points.iter(point) {
                let product = Product {
                    input: Values::Shorts(input),
                    input_offsets: &self.block.offsets[0][..tiles],
                    segments: self.segments,
                    panel,
                    starts: self.zeros.view(),
                    output: Output::Words(output),
                    output_offsets: &self.block.offsets[1][..tiles],
                };
                product.run(self.isa());
            }
        }
    }

    fn transform_outputs(&self, tiles: &[Tile], products: &[i32], operands: &mut Operands<'_>) {
        let layout = self.site.output;
        for (tile, index) in tiles.iter().zip(0..) {
            let residual = operands.residual.zip(self.site.residual);
            let rest = operands.output.len() - tile.output;
            self.isa().run_integers(OutputTransform {
                products: &products[index * layout.pitch..],
                point_pitch: self.block.pitches[1],
                channels: layout.pitch,
                scales: self.scales.as_slice(),
                finish: self
                    .finishing
                    .with(residual.map(|(values, _)| (&values[tile.residual..], &[][..]))),
                residual_pitch: residual.map_or(0, |(_, layout)| layout.row_pitch()),
                target: operands.output.part(tile.output, rest),
                row_pitch: layout.row_pitch(),
                size: tile.size,
            });
        }
    }
}
