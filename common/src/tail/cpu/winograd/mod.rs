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

mod gradients;
mod grid;
mod kernels;
mod matrices;
mod operands;
mod plane;
mod tiles;

use rayon::prelude::*;

use self::{
    grid::{Grid, Transformed},
    kernels::{KernelToPoints, TAPS},
    matrices::{KERNEL, POINTS},
    operands::{Kernels, Part},
    plane::Plane,
    tiles::{Direction, FromPoints, ToPoints},
};
use super::{
    affine::Affine,
    maps::{Maps, Pool},
    product::{Onto, Product},
    window::Window,
};
use crate::{
    engine::cpu::{isa::Isa, scratch::Buffer},
    panel::{LANES, SQUARE},
};

/// Most floats of the transformed tiles of a part of a batch; few in tests, so that their small batches have parts.
const TILES_FLOATS: usize = if cfg!(test) { 1 << 12 } else { 6 << 20 };

/// Most floats of the transformed kernels of a part of the outputs; few in tests, likewise.
const KERNELS_FLOATS: usize = if cfg!(test) { 1 << 14 } else { 5 << 19 };

/// Channels on either side from which on the products save more than the transforms cost.
const LEAST_CHANNELS: usize = 16;

/// A 3×3 convolution of stride 1. Weights are `[output panels][input panels][TAPS]` squares.
#[derive(Clone, Copy)]
pub(super) struct Winograd {
    window: Window,
    isa: Isa,
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
}
