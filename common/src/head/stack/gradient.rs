//! `dW = inputᵀ · dY` over all rows of a batch, and at once the step that it leads to:
//! a gradient never leaves the first-level cache.

use super::{
    layout::Activations,
    update::{Lanes, Rule},
};
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

/// The step of some inputs of one panel of outputs.
pub(super) struct WeightStep<'a> {
    /// The layer's input, and the panel of it that the first weights belong to.
    pub(super) input: &'a Activations,
    pub(super) input_panel: usize,
    /// The loss's gradient by the layer's output, and the panel of it.
    pub(super) output: &'a Activations,
    pub(super) output_panel: usize,
    pub(super) rule: Rule,
    pub(super) lanes: &'a Lanes,
    /// Whole panels of inputs: `[panels · LANES][LANES]`.
    pub(super) weights: &'a mut [f32],
    /// The optimizer's state, of the same shape.
    pub(super) moments: [&'a mut [f32]; 2],
}

impl WeightStep<'_> {
    pub(super) fn run(self, isa: Isa) {
        let panels = self.weights.len() / SQUARE;
        // All that the tiles rely on when they work with pointers.
        assert_eq!(self.weights.len(), panels * SQUARE, "whole panels");
        assert!(
            self.input_panel + panels <= self.input.panels(),
            "input panels"
        );
        assert!(self.output_panel < self.output.panels(), "output panel");
        assert_eq!(self.input.rows(), self.output.rows(), "rows");
        match isa.lanes() {
            16 => isa.run(Tiles::<1>(self)),
            8 => isa.run(Tiles::<2>(self)),
            4 => isa.run(Tiles::<4>(self)),
            lanes => unreachable!("no kernel for {lanes} lanes"),
        }
    }
}

struct Tiles<'a, const V: usize>(WeightStep<'a>);

impl<const V: usize> Task for Tiles<'_, V> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert_eq!(V * S::LANES, LANES);
        let step = self.0;
        let [firsts, seconds] = step.moments;
        let moments = firsts
            .chunks_exact_mut(SQUARE)
            .zip(seconds.chunks_exact_mut(SQUARE));
        let squares = step.weights.chunks_exact_mut(SQUARE).zip(moments);
        for (panel, (weights, (first, second))) in squares.enumerate() {
            let mut gradient = [0.0; SQUARE];
            macro_rules! run_tile {
                ($row:expr, $height:literal) => {
                    // SAFETY: `WeightStep::run` has checked that both have the same rows and
                    // the panels that are asked for; `$row + $height` is at most LANES.
                    unsafe {
                        let to = gradient.as_mut_ptr().add($row * LANES);
                        let mut sums = tile::load::<S, $height, V>(simd, to);
                        for (input, output) in step.input.blocks().zip(step.output.blocks()) {
                            let rows = output.len() / (step.output.panels() * LANES);
                            let skipped = (step.input_panel + panel) * rows * LANES;
                            let factors = Factors {
                                start: input.as_ptr().add(skipped + $row),
                                row: 1,
                                term: LANES,
                            };
                            let columns = output.as_ptr().add(step.output_panel * rows * LANES);
                            tile::accumulate(simd, &mut sums, (factors, columns), rows);
                        }
                        tile::store(simd, &sums, to);
                    }
                };
            }
            each_tile!(V, LANES, run_tile);
            step.rule
                .apply(step.lanes, weights, &gradient, [first, second]);
        }
    }
}

/// The step of the biases of one panel of outputs: their gradient is the sum of dY
/// over the rows.
pub(super) fn step_biases(
    (output, output_panel): (&Activations, usize),
    (rule, lanes): (Rule, &Lanes),
    biases: &mut [f32],
    moments: [&mut [f32]; 2],
) {
    let mut gradient = [0.0; LANES];
    for block in output.blocks() {
        let rows = block.len() / output.panels();
        for row in block[output_panel * rows..][..rows].chunks_exact(LANES) {
            for (sum, value) in gradient.iter_mut().zip(row) {
                *sum += value;
            }
        }
    }
    rule.apply(&lanes.of_biases(), biases, &gradient, moments);
}
