//! A 3×3 convolution of stride 1 by Winograd's F(4×4, 3×3), and both of its gradients by the adjoint of
//! the same transforms: all three have a third of the multiplications.
//!
//! ```text
//!   forwards    V = Bᵀ d B,  U = G g Gᵀ      M[p] = V[p] · U[p]        Y  = Aᵀ M A
//!   weights     V,  dM = A dY Aᵀ             dU[p] = V[p]ᵀ · dM[p]     dg = Gᵀ dU G
//!   inputs      dM, U                        dV[p] = dM[p] · U[p]ᵀ     dd = B dV Bᵀ, added up
//! ```
//!
//! p is one of 36 points. A product's rows are the tiles of a batch (`grid`); large batches are done in
//! parts that depend on the shapes alone. Outputs (on the way back inputs) are done in parts whose
//! U stays in the cache from where it is made to where it is used.

mod grid;
mod kernels;
mod matrices;
mod tiles;

use rayon::prelude::*;

use self::{
    grid::{Grid, Transformed},
    kernels::{KernelFromPoints, KernelToPoints, TAPS},
    matrices::{KERNEL, POINTS},
    tiles::{Direction, FromPoints, Plane, ToPoints},
};
use super::{
    affine::Affine,
    maps::{Maps, Pool},
    outer::Outer,
    product::{Onto, Product},
    settle::{Settle, SettleTask, WeightGradient},
    square,
    window::Window,
};
use crate::{
    engine::cpu::{isa::Isa, scratch::Buffer},
    panel::{LANES, SQUARE},
};

/// Most floats of the transformed tiles of a part of a batch.
const TILES_FLOATS: usize = 6 << 20;

/// Most floats of the transformed kernels of a part of the outputs.
const KERNELS_FLOATS: usize = 5 << 19;

/// Panels of outputs whose gradients at all points stay in the second-level cache.
const GRADIENT_PANELS: usize = 2;

/// Channels on either side from which on the products save more than the transforms cost.
const LEAST_CHANNELS: usize = 16;

/// A 3×3 convolution of stride 1. Weights are `[output panels][input panels][TAPS]` squares.
#[derive(Clone, Copy)]
pub(super) struct Winograd {
    window: Window,
    isa: Isa,
}

/// Some images of a batch, and their tiles.
struct Part {
    images: usize,
    /// The first one's first row, of inputs or outputs, in floats.
    first: [usize; 2],
    grid: Grid,
}

impl Part {
    fn inputs<'a>(&self, panel: &'a [f32], pixels: usize) -> &'a [f32] {
        &panel[self.first[0]..][..self.images * pixels * LANES]
    }

    fn outputs<'a>(&self, panel: &'a [f32], pixels: usize) -> &'a [f32] {
        &panel[self.first[1]..][..self.images * pixels * LANES]
    }
}

impl Winograd {
    /// For `window` and `[inputs, outputs]` channels, where it pays.
    pub(super) fn suiting(window: Window, channels: [usize; 2], isa: Isa) -> Option<Self> {
        let suits = window.kernel == KERNEL && window.stride == 1;
        let pays = channels.iter().all(|&channels| channels >= LEAST_CHANNELS);
        (suits && pays).then_some(Self { window, isa })
    }

    fn pixels(&self) -> [usize; 2] {
        [self.window.input, self.window.output].map(|[height, width]| height * width)
    }

    /// The parts of a batch of `images` images with `panels` panels of channels.
    fn parts(&self, images: usize, panels: usize) -> impl Iterator<Item = Part> + use<> {
        let of_image = Grid::numbers(self.window.output) * panels * LANES;
        let most = (TILES_FLOATS / of_image).max(1);
        let part = images.div_ceil(images.div_ceil(most).max(1)).max(1);
        let (outputs, pixels) = (self.window.output, self.pixels());
        (0..images).step_by(part).map(move |first| {
            let images = part.min(images - first);
            Part {
                images,
                first: pixels.map(|pixels| first * pixels * LANES),
                grid: Grid::new(outputs, images),
            }
        })
    }

    /// Of inputs (forwards) or of gradients by outputs (backwards): all points of all panels.
    fn transformed(
        &self,
        (maps, direction): (&Maps, Direction),
        (part, layout): (&Part, &Transformed),
        pool: &Pool,
    ) -> Buffer {
        let mut points = pool.take(layout.floats);
        let panels = layout.panels_mut(&mut points.as_mut_slice()[..layout.floats]);
        let panels = panels.into_par_iter().enumerate().with_max_len(1);
        panels.for_each(|(number, points)| {
            let panel = maps.panel(number);
            let [inputs, outputs] = self.pixels();
            let (pixels, plane) = match direction {
                Direction::Forwards => (part.inputs(panel, inputs), self.input_plane()),
                Direction::Backwards => (part.outputs(panel, outputs), self.output_plane()),
            };
            self.isa.run(ToPoints {
                grid: &part.grid,
                plane,
                images: part.images,
                pixels,
                points,
                direction,
            });
        });
        points
    }

    /// The reverse, for panels `first..` of `to`.
    fn transform_back(
        &self,
        (points, layout): (&Buffer, &Transformed),
        (part, direction): (&Part, Direction),
        to: &mut [&mut [f32]],
        finish: impl Fn(usize, &mut [f32]) + Sync,
    ) {
        let values = &points.as_slice()[..layout.floats];
        let panels = to.par_iter_mut().enumerate().with_max_len(1);
        panels.for_each(|(number, panel)| {
            let of_point = |point: usize| {
                let pitch = layout.pitch[point];
                &values[layout.start[point] + number * pitch..][..pitch]
            };
            let [inputs, outputs] = self.pixels();
            let (first, pixels, plane) = match direction {
                Direction::Forwards => (part.first[1], outputs, self.output_plane()),
                Direction::Backwards => (part.first[0], inputs, self.input_plane()),
            };
            let pixels = &mut panel[first..][..part.images * pixels * LANES];
            self.isa.run(FromPoints {
                grid: &part.grid,
                plane,
                images: part.images,
                points: (0..POINTS).map(of_point).collect(),
                pixels,
                direction,
            });
            finish(number, pixels);
        });
    }

    fn input_plane(&self) -> Plane {
        Plane {
            size: self.window.input,
            before: self.window.before,
        }
    }

    fn output_plane(&self) -> Plane {
        Plane {
            size: self.window.output,
            before: [0, 0],
        }
    }

    /// Transformed kernels between `depth` panels and each of `panels` others, for each point
    /// `[panels][depth]` squares.
    fn kernels(
        &self,
        (panels, depth): (std::ops::Range<usize>, usize),
        kernels: Kernels<'_>,
        pool: &Pool,
    ) -> Buffer {
        let of_point = panels.len() * depth * SQUARE;
        let mut points = pool.take(POINTS * of_point);
        let mut tasks: Vec<Vec<&mut [f32]>> = Vec::new();
        tasks.resize_with(panels.len(), Vec::new);
        for point in points.as_mut_slice()[..POINTS * of_point].chunks_exact_mut(of_point) {
            for (task, squares) in tasks.iter_mut().zip(point.chunks_exact_mut(depth * SQUARE)) {
                task.push(squares);
            }
        }
        let tasks = tasks.into_par_iter().enumerate().with_max_len(1);
        tasks.for_each(|(panel, mut points)| {
            let mut room = vec![0.0; TAPS * SQUARE];
            for number in 0..depth {
                let kernel = kernels.between(panels.start + panel, number, &mut room);
                let points = &mut points[..];
                self.isa.run(KernelToPoints {
                    kernel,
                    points,
                    number,
                });
            }
        });
        points
    }

    /// At every point the product of transformed tiles and kernels.
    fn multiply(
        &self,
        (tiles, from): (&Buffer, &Transformed),
        (kernels, depth): (&Buffer, usize),
        (part, to, panels): (&Part, &Transformed, usize),
        pool: &Pool,
    ) -> Buffer {
        let mut products = pool.take(to.floats);
        let mut tasks = Vec::with_capacity(POINTS);
        let mut rest = &mut products.as_mut_slice()[..to.floats];
        for point in 0..POINTS {
            let (of_point, others) = rest.split_at_mut(panels * to.pitch[point] + LANES);
            tasks.push((point, of_point));
            rest = others;
        }
        let panel = depth * SQUARE;
        let tasks = tasks.into_par_iter().with_max_len(1);
        tasks.for_each(|(point, output)| {
            let kernels = &kernels.as_slice()[point * panels * panel..][..panels * panel];
            let outputs = output.chunks_exact_mut(to.pitch[point]).take(panels);
            for (output, weights) in outputs.zip(kernels.chunks_exact(panel)) {
                let product = Product {
                    input: &tiles.as_slice()[from.start[point]..],
                    pitch: from.pitch[point],
                    weights,
                    output: &mut output[..part.grid.rows[point] * LANES],
                    onto: Onto::Nothing,
                };
                product.run(self.isa);
            }
        });
        products
    }

    /// `output = finish(source ∗ weights)`.
    pub(super) fn forward(
        &self,
        source: &Maps,
        weights: &[f32],
        output: &mut Maps,
        (finish, pool): (Option<&Affine>, &Pool),
    ) {
        let (inputs, outputs) = (source.size().panels(), output.size().panels());
        let group = (KERNELS_FLOATS / (POINTS * inputs * SQUARE)).clamp(1, outputs);
        let mut panels = output.panels_mut();
        for part in self.parts(source.size().images, inputs.max(outputs)) {
            let from = Transformed::new(&part.grid, inputs);
            let tiles = self.transformed((source, Direction::Forwards), (&part, &from), pool);
            for (number, panels) in panels.chunks_mut(group).enumerate() {
                let first = number * group;
                let range = first..first + panels.len();
                let kernels = self.kernels(
                    (range, inputs),
                    Kernels {
                        weights,
                        inputs,
                        scale: None,
                    },
                    pool,
                );
                let to = Transformed::new(&part.grid, panels.len());
                let count = panels.len();
                let products = self.multiply(
                    (&tiles, &from),
                    (&kernels, inputs),
                    (&part, &to, count),
                    pool,
                );
                let ways = (&part, Direction::Forwards);
                self.transform_back((&products, &to), ways, panels, |panel, rows| {
                    if let Some(finish) = finish {
                        finish.apply(first + panel, rows, self.isa);
                    }
                });
                pool.give(kernels);
                pool.give(products);
            }
            pool.give(tiles);
        }
    }

    /// Both gradients, given that by the products' results: that by the weights where there is a source,
    /// whose dots are returned ([`super::settle`]), and that by the inputs where it is wanted.
    pub(super) fn backward(
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
                let mut dots = vec![0.0; outputs * LANES];
                self.isa.run(Settle {
                    sums: &sums.as_slice()[..sums_len],
                    task,
                    dots: &mut dots,
                });
                pool.give(sums);
                dots
            });
        let settled: Vec<Vec<f64>> = settled.collect();
        super::settle::total(settled, outputs)
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

/// The kernels of a convolution, on the way back with inputs and outputs exchanged.
#[derive(Clone, Copy)]
struct Kernels<'a> {
    weights: &'a [f32],
    /// Panels.
    inputs: usize,
    /// On the way back, one a channel of outputs.
    scale: Option<&'a [f32]>,
}

impl<'a> Kernels<'a> {
    /// The nine squares between a panel of results and one of what they are made of; `room` is for
    /// exchanged ones.
    fn between<'b>(&self, result: usize, term: usize, room: &'b mut [f32]) -> &'b [f32]
    where
        'a: 'b,
    {
        let (output, input) = match self.scale {
            None => (result, term),
            Some(_) => (term, result),
        };
        let kernel =
            &self.weights[(output * self.inputs + input) * TAPS * SQUARE..][..TAPS * SQUARE];
        let Some(scale) = self.scale else {
            return kernel;
        };
        let scale = &scale[output * LANES..][..LANES];
        for (from, to) in kernel
            .chunks_exact(SQUARE)
            .zip(room.chunks_exact_mut(SQUARE))
        {
            square::exchange(from, scale, to);
        }
        room
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
