//! `output = input · weights + bias` on one block of rows and one panel of outputs.

use crate::{
    engine::cpu::{
        isa::{Isa, Task},
        vector::Simd,
    },
    panel::{
        LANES,
        tile::{self, Factors, each_tile},
    },
};

/// Panels of inputs whose weights stay in the first-level cache while all rows pass.
const DEPTH_PANELS: usize = 16;

/// One block times one panel.
pub(super) struct Product<'a> {
    /// `[input panels][rows][LANES]`
    pub(super) input: &'a [f32],
    /// `[input panels · LANES][LANES]`
    pub(super) weights: &'a [f32],
    /// `[LANES]`
    pub(super) bias: &'a [f32],
    /// `[rows][LANES]`, overwritten.
    pub(super) output: &'a mut [f32],
}

impl Product<'_> {
    pub(super) fn run(self, isa: Isa) {
        let rows = self.output.len() / LANES;
        let depth = self.weights.len() / LANES;
        // All that the tiles rely on when they work with pointers.
        assert_eq!(self.output.len(), rows * LANES, "whole rows of a panel");
        assert_eq!(self.weights.len() % (LANES * LANES), 0, "whole panels");
        assert_eq!(self.input.len(), rows * depth, "input of the block");
        assert_eq!(self.bias.len(), LANES, "bias of a panel");
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
            weights,
            bias,
            output,
        } = self.0;
        for row in output.chunks_exact_mut(LANES) {
            row.copy_from_slice(bias);
        }
        let rows = output.len() / LANES;
        let panel = rows * LANES;
        let input_slabs = input.chunks(DEPTH_PANELS * panel);
        let weight_slabs = weights.chunks(DEPTH_PANELS * LANES * LANES);
        for (input, weights) in input_slabs.zip(weight_slabs) {
            macro_rules! run_tile {
                ($row:expr, $height:literal) => {
                    // SAFETY: `Product::run` has checked the sizes: the slab has as many
                    // panels of `rows` rows as `weights` has panels of inputs, the output
                    // `rows` rows, and `$row + $height` is at most `rows`.
                    unsafe {
                        let output = output.as_mut_ptr().add($row * LANES);
                        let mut sums = tile::load::<S, $height, V>(simd, output);
                        let mut start = input.as_ptr().add($row * LANES);
                        let mut columns = weights.as_ptr();
                        for _ in 0..weights.len() / (LANES * LANES) {
                            let factors = Factors {
                                start,
                                row: LANES,
                                term: 1,
                            };
                            tile::accumulate(simd, &mut sums, (factors, columns), LANES);
                            start = start.wrapping_add(panel);
                            columns = columns.wrapping_add(LANES * LANES);
                        }
                        tile::store(simd, &sums, output);
                    }
                };
            }
            each_tile!(V, rows, run_tile);
        }
    }
}
