//! The one product: pixels × a panel of weights, cut into tiles that are held
//! in registers ([`super::tile`]) while they run along the whole sum.
//!
//! ```text
//!   input, one pixel a row            weights, one panel            output tile
//!   row 0 ─► [seg 0]…[seg 1]…      k │ v0 v1 │                    row 0 │ v0 v1 │
//!   row 1 ─► [seg 0]…[seg 1]…        │ v0 v1 │ one line for each   row 1 │ v0 v1 │
//!   …        length  pitch           ▼   …     float of a row       …
//! ```
//!
//! A row of the input is `count` segments of `length` contiguous floats, each
//! `pitch` behind the one before: one segment for a 1×1 convolution or a
//! product of Winograd's, k segments (rows of the window) for a k×k one. Rows
//! start wherever their offset says, so strides, borders and image boundaries
//! cost nothing.
//!
//! Every output is summed in the order of the weights, whatever tile it falls
//! into: an image's result does not depend on its neighbours in the batch.

use super::{isa::Isa, tile::Tiles};

/// Heights of tiles that are compiled, the tallest first.
const TILE_ROWS: [usize; 7] = [14, 12, 8, 6, 4, 2, 1];

/// The floats of one input row, relative to its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segments {
    pub(super) count: usize,
    pub(super) pitch: usize,
    pub(super) length: usize,
}

impl Segments {
    /// One segment.
    pub(super) fn contiguous(length: usize) -> Self {
        Self {
            count: 1,
            pitch: 0,
            length,
        }
    }

    /// Terms of the sum.
    pub(super) fn terms(self) -> usize {
        self.count * self.length
    }

    /// Floats between the first and the last that a row touches.
    pub(super) fn reach(self) -> usize {
        (self.count - 1) * self.pitch + self.length
    }
}

/// Pixels of a buffer: where each begins.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub(super) values: &'a [f32],
    pub(super) offsets: &'a [u32],
}

impl Pixels<'_> {
    fn assert_reach(&self, reach: usize) {
        assert_reach(self.offsets, reach, self.values.len());
    }
}

/// One panel of weights and all that is applied with it.
pub(super) struct Panel<'a> {
    /// Vectors a row: 1 or 2.
    pub(super) vectors: usize,
    /// `[terms][vectors · lanes]`
    pub(super) weights: &'a [f32],
    /// `[vectors · lanes]`
    pub(super) bias: &'a [f32],
    /// First channel of the panel.
    pub(super) channel: usize,
    /// Bounds of the result.
    pub(super) clamp: [f32; 2],
}

/// `output[row] = clamp(input[row] · weights + bias + residual[row])` for the
/// channels of one panel.
pub(super) struct Product<'a> {
    pub(super) input: Pixels<'a>,
    pub(super) segments: Segments,
    pub(super) panel: Panel<'a>,
    /// Added before the clamp; rows in the order of the output's.
    pub(super) residual: Option<Pixels<'a>>,
    pub(super) output: &'a mut [f32],
    /// Start of every output pixel.
    pub(super) output_offsets: &'a [u32],
}

impl Product<'_> {
    /// Computes the product.
    pub(super) fn run(mut self, isa: Isa) {
        let rows = self.output_offsets.len();
        let width = self.panel.vectors * isa.lanes();
        // All that the tiles rely on when they work with pointers.
        assert!(self.segments.count > 0);
        assert_eq!(self.input.offsets.len(), rows);
        self.input.assert_reach(self.segments.reach());
        assert_reach(
            self.output_offsets,
            self.panel.channel + width,
            self.output.len(),
        );
        if let Some(residual) = self.residual {
            assert_eq!(residual.offsets.len(), rows);
            residual.assert_reach(self.panel.channel + width);
        }
        assert!(self.panel.weights.len() >= self.segments.terms() * width);
        assert!(self.panel.bias.len() >= width);

        let tallest = isa.tile_rows(self.panel.vectors);
        let mut first = 0;
        for tile_rows in TILE_ROWS.into_iter().filter(|rows| *rows <= tallest) {
            let end = first + (rows - first) / tile_rows * tile_rows;
            if first < end {
                self.run_tiles(isa, tile_rows, first, end);
            }
            first = end;
        }
    }

    fn run_tiles(&mut self, isa: Isa, tile_rows: usize, first: usize, end: usize) {
        macro_rules! tiles {
            ($($rows:literal),*) => {
                match (tile_rows, self.panel.vectors) {
                    $(
                        ($rows, 1) => isa.run(Tiles::<$rows, 1> { product: self, first, end }),
                        ($rows, 2) => isa.run(Tiles::<$rows, 2> { product: self, first, end }),
                    )*
                    (rows, vectors) => unreachable!("no kernel for {rows} × {vectors}"),
                }
            };
        }
        tiles!(14, 12, 8, 6, 4, 2, 1);
    }
}

/// Refuses rows that touch anything behind a buffer of `len` numbers.
pub(super) fn assert_reach(offsets: &[u32], reach: usize, len: usize) {
    let last = offsets.iter().copied().max().unwrap_or(0) as usize;
    assert!(
        last + reach <= len,
        "rows end at {}, the buffer at {len}",
        last + reach
    );
}
