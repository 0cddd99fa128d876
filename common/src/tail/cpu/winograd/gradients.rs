//! Both gradients of a convolution, by the adjoint of its transforms.

use rayon::prelude::*;

use super::{
    super::{
        maps::{Maps, Pool},
        outer::Outer,
        product::Onto,
        settle::{self, SettleTask, WeightGradient},
    },
    KERNELS_FLOATS, Winograd,
    grid::Transformed,
    kernels::{KernelFromPoints, TAPS},
    matrices::POINTS,
    operands::{Kernels, Part},
    tiles::Direction,
};
use crate::{
    engine::cpu::scratch::Buffer,
    panel::{LANES, SQUARE},
};

/// Panels of outputs whose gradients at all points stay in the second-level cache.
const GRADIENT_PANELS: usize = 2;

impl Winograd {
    /// Both gradients, given that by the products' results: that by the weights where there is a source,
    /// whose dots are returned ([`settle`]), and that by the inputs where it is wanted.
    pub(in super::super) fn backward(
        &self,
        (source, gradient): (Option<&Maps>, &Maps),
        mut wanted: WeightGradient<'_>,
        (weights, mut below): (&[f32], Option<(&mut Maps, Onto)>),
        pool: &Pool,
    ) -> Vec<f64> {
        let outputs = gradient.size().panels();
        let inputs = weights.len() / (outputs * TAPS * SQUARE);
        let mut dots = vec![0.0; outputs * LANES];
        let scale = wanted.scale;
        if let Some((to, Onto::Nothing)) = &mut below {
            to.panels_mut()
                .into_par_iter()
                .for_each(|panel| panel.fill(0.0));
        }
        let mut parts = self
            .parts(gradient.size().images, inputs.max(outputs))
            .peekable();
        if parts.peek().is_none() {
            wanted.clear();
        }
        for part in parts {
            let layout = Transformed::new(&part.grid, outputs);
            let by_products =
                self.transformed((gradient, Direction::Backwards), (&part, &layout), pool);
            if let Some(source) = source {
                let from = Transformed::new(&part.grid, inputs);
                let tiles = self.transformed((source, Direction::Forwards), (&part, &from), pool);
                let found = self.weight_gradient(
                    ((&tiles, &from), (&by_products, &layout)),
                    &part,
                    wanted.tasks(outputs, TAPS),
                    pool,
                );
                for (total, dot) in dots.iter_mut().zip(found) {
                    *total += dot;
                }
                pool.give(tiles);
                wanted.onto = Onto::Sum;
            }
            if let Some((to, _)) = &mut below {
                let by_products = (&by_products, &layout);
                self.input_gradient(by_products, &part, (weights, scale), (to, outputs), pool);
            }
            pool.give(by_products);
        }
        dots
    }

    fn weight_gradient(
        &self,
        (tiles, by_products): ((&Buffer, &Transformed), (&Buffer, &Transformed)),
        part: &Part,
        tasks: Vec<SettleTask<'_>>,
        pool: &Pool,
    ) -> Vec<f64> {
        let outputs = by_products.1.panels;
        let settled = tasks
            .into_par_iter()
            .enumerate()
            .with_max_len(1)
            .map(|(input, task)| {
                let mut sums = pool.take(outputs * TAPS * SQUARE);
                let sums_len = outputs * TAPS * SQUARE;
                let mut points = pool.take(POINTS * GRADIENT_PANELS * SQUARE);
                let groups =
                    sums.as_mut_slice()[..sums_len].chunks_mut(GRADIENT_PANELS * TAPS * SQUARE);
                for (group, sums) in groups.enumerate() {
                    let panels = sums.len() / (TAPS * SQUARE);
                    let pitch = panels * SQUARE;
                    for point in 0..POINTS {
                        let len = part.grid.rows[point] * LANES;
                        for panel in 0..panels {
                            let output = group * GRADIENT_PANELS + panel;
                            let outer = Outer {
                                input: rows(tiles, (point, input), len),
                                output: rows(by_products, (point, output), len),
                                sums: &mut points.as_mut_slice()[point * pitch + panel * SQUARE..]
                                    [..SQUARE],
                                onto: Onto::Nothing,
                            };
                            outer.run(self.isa);
                        }
                    }
                    for (panel, kernel) in sums.chunks_exact_mut(TAPS * SQUARE).enumerate() {
                        self.isa.run(KernelFromPoints {
                            points: &points.as_slice()[panel * SQUARE..],
                            pitch,
                            kernel,
                        });
                    }
                }
                pool.give(points);
                let dots = settle::settle(&sums.as_slice()[..sums_len], task, outputs, self.isa);
                pool.give(sums);
                dots
            });
        let settled: Vec<Vec<f64>> = settled.collect();
        settle::total(settled, outputs)
    }

    fn input_gradient(
        &self,
        (by_products, layout): (&Buffer, &Transformed),
        part: &Part,
        (weights, scale): (&[f32], &[f32]),
        (to, outputs): (&mut Maps, usize),
        pool: &Pool,
    ) {
        let inputs = to.size().panels();
        let group = (KERNELS_FLOATS / (POINTS * outputs * SQUARE)).clamp(1, inputs);
        for (number, panels) in to.panels_mut().chunks_mut(group).enumerate() {
            let first = number * group;
            let range = first..first + panels.len();
            let exchanged = Kernels {
                weights,
                inputs,
                scale: Some(scale),
            };
            let kernels = self.kernels((range, outputs), exchanged, pool);
            let below = Transformed::new(&part.grid, panels.len());
            let count = panels.len();
            let products = self.multiply(
                (by_products, layout),
                (&kernels, outputs),
                (part, &below, count),
                pool,
            );
            let ways = (part, Direction::Backwards);
            self.transform_back((&products, &below), ways, panels, |_, _| ());
            pool.give(kernels);
            pool.give(products);
        }
    }
}

/// The tiles of a panel at a point.
fn rows<'a>(
    (values, layout): (&'a Buffer, &Transformed),
    (point, panel): (usize, usize),
    len: usize,
) -> &'a [f32] {
    &values.as_slice()[layout.start[point] + panel * layout.pitch[point]..][..len]
}
