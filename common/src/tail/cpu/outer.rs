//! `sums = inputᵀ · output` over some rows, of one panel of either.

use super::product::Onto;
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

/// Rows that are summed by themselves first: one chain over all pixels of a batch would lose
/// digits.
pub(super) const RUN_ROWS: usize = 128;

/// The gradient by the weights between two panels.
pub(super) struct Outer<'a> {
    /// `[rows][LANES]`
    pub(super) input: &'a [f32],
    /// `[rows][LANES]`
    pub(super) output: &'a [f32],
    /// `[LANES inputs][LANES outputs]`
    pub(super) sums: &'a mut [f32],
    pub(super) onto: Onto,
}

impl Outer<'_> {
    pub(super) fn run(self, isa: Isa) {
        // All that the tiles rely on when they work with pointers.
        assert_eq!(self.input.len() % LANES, 0, "whole rows");
        assert_eq!(self.input.len(), self.output.len(), "rows");
        assert_eq!(self.sums.len(), SQUARE, "sums of a square");
        match isa.lanes() {
            16 => isa.run(Tiles::<1>(self)),
            8 => isa.run(Tiles::<2>(self)),
            4 => isa.run(Tiles::<4>(self)),
            lanes => unreachable!("no kernel for {lanes} lanes"),
        }
    }
}

struct Tiles<'a, const V: usize>(Outer<'a>);

impl<const V: usize> Task for Tiles<'_, V> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert_eq!(V * S::LANES, LANES);
        let Outer {
            input,
            output,
            sums: to,
            onto,
        } = self.0;
        if input.is_empty() && onto == Onto::Nothing {
            to.fill(0.0);
        }
        let runs = input
            .chunks(RUN_ROWS * LANES)
            .zip(output.chunks(RUN_ROWS * LANES));
        for (run, (input, output)) in runs.enumerate() {
            let fresh = onto.part(run) == Onto::Nothing;
            macro_rules! run_tile {
                ($row:expr, $height:literal) => {
                    // SAFETY: `Outer::run` has checked that both have the same whole rows and
                    // that there is a square of sums; `$row + $height` is at most LANES.
                    unsafe {
                        let to = to.as_mut_ptr().add($row * LANES);
                        let mut sums = tile::zero::<S, $height, V>(simd);
                        let factors = Factors {
                            start: input.as_ptr().add($row),
                            row: 1,
                            term: LANES,
                        };
                        let rows = output.len() / LANES;
                        tile::accumulate(simd, &mut sums, (factors, output.as_ptr()), rows);
                        if !fresh {
                            tile::add(simd, &mut sums, to);
                        }
                        tile::store(simd, &sums, to);
                    }
                };
            }
            each_tile!(V, LANES, run_tile);
        }
    }
}
