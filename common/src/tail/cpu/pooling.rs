//! Maximum over windows and mean over all pixels, forwards and backwards.

use rayon::prelude::*;

use super::{maps::Maps, product::Onto, window::Window};
use crate::panel::LANES;

/// Which position of a window had the maximum, `[panels]` of `[rows][LANES]`.
pub(super) type Winners = Vec<Vec<u8>>;

impl Window {
    /// The maximum of every window; padding never wins, and of equal numbers the first does. What
    /// is not a number wins over all that are.
    pub(super) fn max_pool(self, source: &Maps, output: &mut Maps) -> Winners {
        let panels = output.panels_mut().into_par_iter().enumerate();
        let winners = panels.map(|(number, output)| {
            let input = source.panel(number);
            output.fill(f32::NEG_INFINITY);
            let mut winners = vec![0; output.len()];
            self.each_pair(output.len() / LANES, |tap, to, from| {
                let winners = &mut winners[to * LANES..][..LANES];
                let rows = output[to * LANES..][..LANES].iter_mut();
                for ((largest, value), winner) in
                    rows.zip(&input[from * LANES..][..LANES]).zip(winners)
                {
                    if *value > *largest || value.is_nan() {
                        (*largest, *winner) = (*value, tap as u8);
                    }
                }
            });
            winners
        });
        winners.collect()
    }

    /// The gradient by the inputs of [`Window::max_pool`].
    pub(super) fn max_pool_back(
        self,
        (gradient, winners): (&Maps, &Winners),
        (to, onto): (&mut Maps, Onto),
    ) {
        let panels = to.panels_mut().into_par_iter().zip(winners).enumerate();
        panels.for_each(|(number, (to, winners))| {
            if onto == Onto::Nothing {
                to.fill(0.0);
            }
            let gradient = gradient.panel(number);
            self.each_pair(gradient.len() / LANES, |tap, from, pixel| {
                for lane in 0..LANES {
                    if usize::from(winners[from * LANES + lane]) == tap {
                        to[pixel * LANES + lane] += gradient[from * LANES + lane];
                    }
                }
            });
        });
    }

    /// Calls `visit` with position, output row and input row, for all that are no padding.
    fn each_pair(self, rows: usize, mut visit: impl FnMut(usize, usize, usize)) {
        for segment in self.segments(0, rows) {
            for tap in 0..self.taps() {
                let Some(row) = self.input_row(segment.y, tap / self.kernel) else {
                    continue;
                };
                let (inside, x) = self.inside(&segment.columns, tap % self.kernel);
                let start = (segment.image * self.input[0] + row) * self.input[1] + x;
                for (number, output) in inside.enumerate() {
                    visit(tap, segment.at + output, start + number * self.stride);
                }
            }
        }
    }
}

/// The mean over all pixels.
pub(super) fn average(source: &Maps, output: &mut Maps) {
    let pixels = source.size().pixels();
    let share = 1.0 / pixels as f32;
    let panels = output.panels_mut().into_par_iter().enumerate();
    panels.for_each(|(number, output)| {
        let images = source.panel(number).chunks_exact(pixels * LANES);
        for (mean, image) in output.chunks_exact_mut(LANES).zip(images) {
            let mut sums = [0.0; LANES];
            for row in image.chunks_exact(LANES) {
                for lane in 0..LANES {
                    sums[lane] += row[lane];
                }
            }
            for (mean, sum) in mean.iter_mut().zip(sums) {
                *mean = sum * share;
            }
        }
    });
}

/// The gradient by the inputs of [`average`].
pub(super) fn average_back(gradient: &Maps, (to, onto): (&mut Maps, Onto)) {
    let pixels = to.size().pixels();
    let share = 1.0 / pixels as f32;
    let panels = to.panels_mut().into_par_iter().enumerate();
    panels.for_each(|(number, to)| {
        let images = to.chunks_exact_mut(pixels * LANES);
        for (image, gradient) in images.zip(gradient.panel(number).chunks_exact(LANES)) {
            for row in image.chunks_exact_mut(LANES) {
                for lane in 0..LANES {
                    let before = if onto == Onto::Sum { row[lane] } else { 0.0 };
                    row[lane] = before + gradient[lane] * share;
                }
            }
        }
    });
}
