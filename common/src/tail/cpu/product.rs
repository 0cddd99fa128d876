//! `output = input · weights` for some rows and one panel of outputs.
//!
//! A row's sums are formed in the same order whatever rows lie beside it.

use crate::{
    engine::cpu::{
        isa::{Isa, Task},
        vector::Simd,
    },
    panel::{
        LANES, SQUARE,
        tile::{self, Factors, each_tile},
    },
};

/// Panels of inputs whose weights stay in the first-level cache while all rows pass. Their terms
/// are summed by themselves first: one chain over thousands would lose a digit.
pub(super) const SLAB_PANELS: usize = 16;

/// What becomes of what a result is written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Onto {
    /// It is forgotten.
    Nothing,
    /// The result is added to it.
    Sum,
}

impl Onto {
    /// What the part with number `part` of a sum is written onto.
    pub(super) fn part(self, part: usize) -> Self {
        if part == 0 { self } else { Self::Sum }
    }
}

/// Some rows times one panel.
pub(super) struct Product<'a> {
    /// From the first row of the first panel on.
    pub(super) input: &'a [f32],
    /// Floats from panel to panel of the input.
    pub(super) pitch: usize,
    /// `[input panels · LANES][LANES]`
    pub(super) weights: &'a [f32],
    /// `[rows][LANES]`
    pub(super) output: &'a mut [f32],
    pub(super) onto: Onto,
}

impl Product<'_> {
    pub(super) fn run(self, isa: Isa) {
        let (rows, panels) = (self.output.len() / LANES, self.weights.len() / SQUARE);
        // All that the tiles rely on when they work with pointers.
        assert!(
            panels > 0 && self.weights.len() == panels * SQUARE,
            "whole panels of weights"
        );
        assert_eq!(self.output.len(), rows * LANES, "whole rows");
        assert!(
            (panels - 1) * self.pitch + rows * LANES <= self.input.len(),
            "input"
        );
        match isa.lanes() {
            16 => isa.run(Tiles::<1>(self)),
            8 => isa.run(Tiles::<2>(self)),
            4 => isa.run(Tiles::<4>(self)),
            lanes => unreachable!("no kernel for {lanes} lanes"),
        }
    }
}

struct Tiles<'a, const V: usize>(Product<'a>);

impl<const V: usize> Task for Tiles<'_, V> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert_eq!(V * S::LANES, LANES);
        let Product {
            input,
            pitch,
            weights,
            output,
            onto,
        } = self.0;
        let rows = output.len() / LANES;
        for (slab, weights) in weights.chunks(SLAB_PANELS * SQUARE).enumerate() {
            let input = &input[slab * SLAB_PANELS * pitch..];
            let fresh = onto.part(slab) == Onto::Nothing;
            macro_rules! run_tile {
                ($row:expr, $height:literal) => {
                    // SAFETY: `Product::run` has checked the sizes: the input holds `rows` rows
                    // of every panel, the output `rows` rows, and `$row + $height` is at most
                    // `rows`.
                    unsafe {
                        let mut start = input.as_ptr().add($row * LANES);
                        let mut columns = weights.as_ptr();
                        let mut sums = tile::zero::<S, $height, V>(simd);
                        for _ in 0..weights.len() / SQUARE {
                            let factors = Factors {
                                start,
                                row: LANES,
                                term: 1,
                            };
                            tile::accumulate(simd, &mut sums, (factors, columns), LANES);
                            start = start.wrapping_add(pitch);
                            columns = columns.wrapping_add(SQUARE);
                        }
                        let output = output.as_mut_ptr().add($row * LANES);
                        if !fresh {
                            tile::add(simd, &mut sums, output);
                        }
                        tile::store(simd, &sums, output);
                    }
                };
            }
            each_tile!(V, rows, run_tile);
        }
    }
}
