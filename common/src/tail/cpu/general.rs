//! A convolution of any window, and a fully connected layer, as products of columns.
//!
//! ```text
//!   forwards    Y  = col(X) · W          blocks of rows, slabs of terms: a slab's columns are gathered
//!                                        once for all outputs
//!   weights     dW = col(X)ᵀ · dY        a task owns some terms and gathers them over all rows
//!   inputs      dX = colᵀ(dY · Wᵀ)       a task owns some panels of inputs
//! ```
//!
//! Every task adds up what it owns in one order, so that no result depends on the number of threads.

use rayon::prelude::*;

use super::{
    affine::Affine,
    maps::{Maps, Pool},
    outer::{Outer, RUN_ROWS},
    product::{Onto, Product, SLAB_PANELS},
    settle::{self, WeightGradient},
    square,
    window::Window,
};
use crate::{
    engine::cpu::isa::Isa,
    panel::{LANES, SQUARE, panels},
};

/// Most rows of a block: a slab of their columns stays in the second-level cache.
const BLOCK_ROWS: usize = 112;

/// Rows whose gradients stay in the second-level cache while all of a task's terms pass.
const GRADIENT_ROWS: usize = 2 * RUN_ROWS;

/// Most panels of terms, or of inputs, of one task on the way back.
const TASK_PANELS: usize = 8;

/// Tasks that there are to be, where there is enough to share.
const TASKS: usize = 16;

/// Where a convolution reads.
#[derive(Clone, Copy)]
pub(super) enum Source<'a> {
    Panels(&'a Maps),
    /// `[images, C, H, W]`, and C: fewer channels than a panel has.
    Planar(&'a [f32], usize),
}

/// A convolution without groups.
#[derive(Clone, Copy)]
pub(super) struct General {
    pub(super) window: Window,
    pub(super) isa: Isa,
}

/// Panels of columns for some rows.
struct Columns<'a> {
    values: &'a [f32],
    pitch: usize,
}

impl General {
    /// The panels of terms `terms` for `rows` rows from `first` on; `room` is where they are
    /// gathered.
    fn columns<'a>(
        &self,
        source: Source<'a>,
        terms: std::ops::Range<usize>,
        (first, rows): (usize, usize),
        room: &'a mut [f32],
    ) -> Columns<'a> {
        if let (Source::Panels(maps), true) = (source, self.window.is_pointwise()) {
            let pitch = maps.size().pitch();
            let values = &maps.values()[terms.start * pitch + first * LANES..];
            return Columns { values, pitch };
        }
        let room = &mut room[..terms.len() * rows * LANES];
        for (term, column) in terms.zip(room.chunks_exact_mut(rows * LANES)) {
            match source {
                Source::Panels(maps) => {
                    let taps = self.window.taps();
                    let panel = maps.panel(term / taps);
                    self.window.gather(term % taps, panel, first, column);
                }
                Source::Planar(images, channels) => {
                    let number = term * LANES;
                    self.window
                        .gather_planar((number, channels), images, first, column);
                }
            }
        }
        Columns {
            values: room,
            pitch: rows * LANES,
        }
    }

    /// `output = finish(col(source) · weights)`.
    pub(super) fn forward(
        &self,
        source: Source<'_>,
        weights: &[f32],
        output: &mut Maps,
        (finish, pool): (Option<&Affine>, &Pool),
    ) {
        let size = output.size();
        let terms = weights.len() / (SQUARE * size.panels());
        let block = size
            .rows()
            .div_ceil(size.rows().div_ceil(BLOCK_ROWS).max(1))
            .max(1);
        let blocks = output.blocks_mut(block).into_par_iter().enumerate();
        blocks.with_max_len(1).for_each(|(number, mut outputs)| {
            let rows = outputs[0].len() / LANES;
            let mut room = pool.take(SLAB_PANELS * rows * LANES);
            for slab in (0..terms).step_by(SLAB_PANELS) {
                let end = terms.min(slab + SLAB_PANELS);
                let place = (number * block, rows);
                let columns = self.columns(source, slab..end, place, room.as_mut_slice());
                let panels = weights.chunks_exact(terms * SQUARE);
                for (output, weights) in outputs.iter_mut().zip(panels) {
                    let product = Product {
                        input: columns.values,
                        pitch: columns.pitch,
                        weights: &weights[slab * SQUARE..end * SQUARE],
                        output,
                        onto: Onto::Nothing.part(slab),
                    };
                    product.run(self.isa);
                }
            }
            pool.give(room);
            if let Some(finish) = finish {
                for (panel, output) in outputs.iter_mut().enumerate() {
                    finish.apply(panel, output, self.isa);
                }
            }
        });
    }

    /// The gradient by the weights, given that by the products' results.
    pub(super) fn weight_gradient(
        &self,
        (source, gradient): (Source<'_>, &Maps),
        mut wanted: WeightGradient<'_>,
        pool: &Pool,
    ) -> Vec<f64> {
        let outputs = gradient.size().panels();
        let terms = wanted.terms;
        let most = (terms / TASKS).clamp(1, TASK_PANELS);
        let tasks = wanted.tasks(outputs, most);
        let settled = tasks.into_par_iter().enumerate().with_max_len(1);
        let dots = settled.map(|(number, task)| {
            let first = number * most;
            let range = first..terms.min(first + most);
            let mut sums = pool.take(outputs * range.len() * SQUARE);
            let sums_len = outputs * range.len() * SQUARE;
            self.sum_squares(
                (source, gradient),
                range,
                &mut sums.as_mut_slice()[..sums_len],
                pool,
            );
            let dots = settle::settle(&sums.as_slice()[..sums_len], task, outputs, self.isa);
            pool.give(sums);
            dots
        });
        let dots: Vec<Vec<f64>> = dots.collect();
        settle::total(dots, outputs)
    }

    /// `[output panels][terms]` squares.
    fn sum_squares(
        &self,
        (source, gradient): (Source<'_>, &Maps),
        terms: std::ops::Range<usize>,
        sums: &mut [f32],
        pool: &Pool,
    ) {
        let (all, pitch) = (gradient.size().rows(), gradient.size().pitch());
        if all == 0 {
            sums.fill(0.0);
        }
        let mut room = pool.take(terms.len() * GRADIENT_ROWS * LANES);
        for first in (0..all).step_by(GRADIENT_ROWS) {
            let rows = GRADIENT_ROWS.min(all - first);
            let columns = self.columns(source, terms.clone(), (first, rows), room.as_mut_slice());
            let outputs = gradient.values().chunks_exact(pitch);
            for (output, sums) in outputs.zip(sums.chunks_exact_mut(terms.len() * SQUARE)) {
                for (term, sums) in sums.chunks_exact_mut(SQUARE).enumerate() {
                    let outer = Outer {
                        input: &columns.values[term * columns.pitch..][..rows * LANES],
                        output: &output[first * LANES..][..rows * LANES],
                        sums,
                        onto: Onto::Nothing.part(first),
                    };
                    outer.run(self.isa);
                }
            }
        }
        pool.give(room);
    }

    /// The gradient by the inputs, given that by the products' results; `scale` multiplies what
    /// each output's weights are.
    pub(super) fn input_gradient(
        &self,
        gradient: &Maps,
        (weights, scale): (&[f32], &[f32]),
        (to, onto): (&mut Maps, Onto),
        pool: &Pool,
    ) {
        let (inputs, taps) = (to.size().panels(), self.window.taps());
        let group = if self.window.is_pointwise() {
            (inputs / TASKS).clamp(1, TASK_PANELS)
        } else {
            1
        };
        let mut panels = to.panels_mut();
        let groups = panels.par_chunks_mut(group).enumerate().with_max_len(1);
        groups.for_each(|(number, panels)| {
            let first = number * group * taps;
            let terms = first..first + panels.len() * taps;
            let depth = self::panels(scale.len()) * LANES * LANES;
            let mut transposed = pool.take(terms.len() * depth);
            let transposed_len = terms.len() * depth;
            let squares = &mut transposed.as_mut_slice()[..transposed_len];
            exchange((weights, scale), (terms, inputs * taps), squares);
            self.send_back(
                gradient,
                &transposed.as_slice()[..transposed_len],
                (panels, onto),
                pool,
            );
            pool.give(transposed);
        });
    }

    /// Sends a gradient back to some panels of inputs; `transposed` is `[their terms][outputs][LANES]`.
    fn send_back(
        &self,
        gradient: &Maps,
        transposed: &[f32],
        (panels, onto): (&mut [&mut [f32]], Onto),
        pool: &Pool,
    ) {
        let (size, taps) = (gradient.size(), self.window.taps());
        let direct = self.window.is_pointwise();
        if !direct && onto == Onto::Nothing {
            panels.iter_mut().for_each(|panel| panel.fill(0.0));
        }
        let mut room = pool.take(RUN_ROWS * LANES);
        let depth = size.panels() * SQUARE;
        for first in (0..size.rows()).step_by(RUN_ROWS) {
            let rows = RUN_ROWS.min(size.rows() - first);
            for (term, weights) in transposed.chunks_exact(depth).enumerate() {
                let panel = &mut panels[term / taps];
                let (output, onto) = if direct {
                    (&mut panel[first * LANES..][..rows * LANES], onto)
                } else {
                    (&mut room.as_mut_slice()[..rows * LANES], Onto::Nothing)
                };
                let product = Product {
                    input: &gradient.values()[first * LANES..],
                    pitch: size.pitch(),
                    weights,
                    output,
                    onto,
                };
                product.run(self.isa);
                if !direct {
                    let column = &room.as_slice()[..rows * LANES];
                    self.window.scatter(term % taps, column, first, panel);
                }
            }
        }
        pool.give(room);
    }
}

/// The weights of the panels of terms `range`, scaled, with terms and outputs exchanged:
/// `[terms][outputs][LANES]`.
fn exchange(
    (weights, scale): (&[f32], &[f32]),
    (range, terms): (std::ops::Range<usize>, usize),
    to: &mut [f32],
) {
    let outputs = weights.len() / (terms * SQUARE);
    for (term, to) in range.zip(to.chunks_exact_mut(outputs * SQUARE)) {
        for (panel, to) in to.chunks_exact_mut(SQUARE).enumerate() {
            let from = &weights[(panel * terms + term) * SQUARE..][..SQUARE];
            let scale = &scale[panel * LANES..][..LANES];
            square::exchange(from, scale, to);
        }
    }
}
