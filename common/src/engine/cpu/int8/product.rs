//! The one product on integers: as [`super::super::kernel`], with exact sums.
//!
//! What becomes of a sum is said by [`Output`]: Winograd's are kept, others
//! are finished: scaled, biased, added to the residual, clamped, and rounded
//! to the next layer's integers.

use super::{
    super::{
        isa::Isa,
        kernel::{Segments, assert_reach},
    },
    convolution::Destination,
    pack::{Dots, Panel},
    tile::Tiles,
};

/// Heights of tiles that are compiled, the tallest first.
const TILE_ROWS: [usize; 6] = [14, 12, 6, 3, 2, 1];

/// Factors on the left.
#[derive(Clone, Copy)]
pub(super) enum Values<'a> {
    /// For [`Dots::Pairs`].
    Shorts(&'a [i16]),
    /// For [`Dots::Quads`].
    Bytes(&'a [u8]),
}

impl Values<'_> {
    pub(super) fn dots(self) -> Dots {
        match self {
            Self::Shorts(_) => Dots::Pairs,
            Self::Bytes(_) => Dots::Quads,
        }
    }

    pub(super) fn as_ptr(self) -> *const u8 {
        match self {
            Self::Shorts(values) => values.as_ptr().cast(),
            Self::Bytes(values) => values.as_ptr(),
        }
    }

    fn len(self) -> usize {
        match self {
            Self::Shorts(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }
}

/// What is added to a sum before it is clamped.
#[derive(Clone, Copy)]
pub(super) struct Residual<'a> {
    pub(super) values: &'a [i16],
    /// Start of every pixel, in the order of the output's.
    pub(super) offsets: &'a [u32],
    /// What an integer stands for in the output's unit.
    pub(super) scale: f32,
}

/// From sums to values: `clamp(sum · scale + bias + residual)`, for every
/// padded channel.
#[derive(Clone, Copy)]
pub(super) struct Finish<'a> {
    pub(super) scale: &'a [f32],
    pub(super) bias: &'a [f32],
    pub(super) clamp: [f32; 2],
    pub(super) residual: Option<Residual<'a>>,
}

/// Where results go.
pub(super) enum Output<'a> {
    /// Sums as they are.
    Words(&'a mut [i32]),
    /// Finished values.
    Finished(Finish<'a>, Destination<'a>),
}

/// `output[row] = input[row] · weights` for the channels of one panel.
pub(super) struct Product<'a> {
    pub(super) input: Values<'a>,
    /// Start of every row.
    pub(super) input_offsets: &'a [u32],
    /// What a row is; the length of a segment is padded to whole words.
    pub(super) segments: Segments,
    pub(super) panel: Panel<'a>,
    /// What every sum begins with, for every padded channel.
    pub(super) starts: &'a [i32],
    pub(super) output: Output<'a>,
    /// Start of every output pixel.
    pub(super) output_offsets: &'a [u32],
}

impl Product<'_> {
    /// Computes the product.
    pub(super) fn run(mut self, isa: Isa) {
        self.check(isa);
        let rows = self.output_offsets.len();
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

    /// All that the tiles rely on when they work with pointers.
    fn check(&self, isa: Isa) {
        let rows = self.output_offsets.len();
        let end = self.panel.channel + self.panel.vectors * isa.lanes();
        assert!(self.segments.count > 0);
        assert!(
            self.segments
                .length
                .is_multiple_of(self.input.dots().terms())
        );
        assert_eq!(self.input_offsets.len(), rows);
        assert_reach(self.input_offsets, self.segments.reach(), self.input.len());
        let (finish, len) = match &self.output {
            Output::Words(output) => (None, output.len()),
            Output::Finished(finish, output) => (Some(finish), output.len()),
        };
        assert_reach(self.output_offsets, end, len);
        if let Some(finish) = finish {
            assert!(finish.scale.len() >= end && finish.bias.len() >= end);
            if let Some(residual) = finish.residual {
                assert_eq!(residual.offsets.len(), rows);
                assert_reach(residual.offsets, end, residual.values.len());
            }
        }
        let groups = self.segments.terms() / self.input.dots().terms();
        assert!(self.panel.words.len() >= groups * self.panel.vectors * isa.lanes());
        assert!(self.starts.len() >= end);
    }

    fn run_tiles(&mut self, isa: Isa, tile_rows: usize, first: usize, end: usize) {
        macro_rules! tiles {
            ($($rows:literal),*) => {
                match (tile_rows, self.panel.vectors) {
                    $(
                        ($rows, 1) => isa.run_integers(Tiles::<$rows, 1> { product: self, first, end }),
                        ($rows, 2) => isa.run_integers(Tiles::<$rows, 2> { product: self, first, end }),
                    )*
                    (rows, vectors) => unreachable!("no kernel for {rows} × {vectors}"),
                }
            };
        }
        tiles!(14, 12, 6, 3, 2, 1);
    }
}
