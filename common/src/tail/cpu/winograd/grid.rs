//! How an image is cut into tiles, and where they lie among the transformed ones.
//!
//! A tile is up to 4×4 outputs. One with fewer rows or columns does without some of the points that the
//! transforms interpolate at, so that points have different numbers of tiles:
//!
//! ```text
//!   7×7 outputs of an image: tiles of 4×4, 4×3, 3×4 and 3×3, at 36, 30, 30 and 25 points (121, not 144)
//! ```

use super::matrices::{INPUTS, OUTPUTS, POINTS, uses};
use crate::panel::LANES;

/// Tiles of one size.
pub(super) struct Class {
    /// Rows and columns of outputs.
    pub(super) size: [usize; 2],
    /// Each one's first output in an image, row and column.
    pub(super) places: Vec<[usize; 2]>,
    /// For each point, the first of these tiles among all at it; `None` where they do without.
    pub(super) first: [Option<usize>; POINTS],
}

/// The tiles of some images.
pub(super) struct Grid {
    pub(super) classes: Vec<Class>,
    /// Tiles at each point.
    pub(super) rows: [usize; POINTS],
}

impl Grid {
    /// Of `images` images of `outputs` rows and columns.
    pub(super) fn new(outputs: [usize; 2], images: usize) -> Self {
        let [heights, widths] = outputs.map(cut);
        let mut rows = [0; POINTS];
        let mut classes = Vec::new();
        for (height, tops) in &heights {
            for (width, lefts) in &widths {
                let size = [*height, *width];
                let places = tops
                    .iter()
                    .flat_map(|&top| lefts.iter().map(move |&left| [top, left]));
                let places: Vec<_> = places.collect();
                let mut first = [None; POINTS];
                for (point, first) in first.iter_mut().enumerate() {
                    if uses(size[0], point / INPUTS) && uses(size[1], point % INPUTS) {
                        *first = Some(rows[point]);
                        rows[point] += images * places.len();
                    }
                }
                classes.push(Class {
                    size,
                    places,
                    first,
                });
            }
        }
        Self { classes, rows }
    }

    /// Tiles at all points of one image and one channel.
    pub(super) fn numbers(outputs: [usize; 2]) -> usize {
        Self::new(outputs, 1).rows.iter().sum()
    }
}

/// The sizes that occur along an axis, each with where its tiles begin.
fn cut(outputs: usize) -> Vec<(usize, Vec<usize>)> {
    let whole = outputs / OUTPUTS;
    let starts: Vec<usize> = (0..whole).map(|tile| tile * OUTPUTS).collect();
    let mut sizes = Vec::new();
    if whole > 0 {
        sizes.push((OUTPUTS, starts));
    }
    if !outputs.is_multiple_of(OUTPUTS) {
        sizes.push((outputs % OUTPUTS, vec![whole * OUTPUTS]));
    }
    sizes
}

/// Where the panels of transformed tiles lie: for each point `[panels][tiles][LANES]`.
pub(super) struct Transformed {
    /// Floats before those of a point.
    pub(super) start: [usize; POINTS],
    /// Floats from panel to panel of a point.
    pub(super) pitch: [usize; POINTS],
    pub(super) floats: usize,
    /// Panels at each point.
    pub(super) panels: usize,
}

impl Transformed {
    pub(super) fn new(grid: &Grid, panels: usize) -> Self {
        let mut layout = Self {
            start: [0; POINTS],
            pitch: grid.rows.map(|rows| (rows | 1) * LANES),
            floats: 0,
            panels,
        };
        for point in 0..POINTS {
            // A line more than needed: otherwise the points of a tile would share a few sets of the
            // first-level cache.
            layout.start[point] = layout.floats;
            layout.floats += panels * layout.pitch[point] + LANES;
        }
        layout
    }

    /// For every panel its part of each point.
    pub(super) fn panels_mut<'a>(&self, mut values: &'a mut [f32]) -> Vec<Vec<&'a mut [f32]>> {
        let mut panels: Vec<Vec<&mut [f32]>> = Vec::new();
        panels.resize_with(self.panels, Vec::new);
        for pitch in self.pitch {
            let (of_point, rest) = values.split_at_mut(pitch * self.panels + LANES);
            for (panel, part) in panels.iter_mut().zip(of_point.chunks_exact_mut(pitch)) {
                panel.push(part);
            }
            values = rest;
        }
        panels
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smaller_tiles_do_without_points() {
        for (outputs, numbers) in [
            ([4, 4], 36),
            ([7, 7], 121),
            ([14, 14], 22 * 22),
            ([5, 1], 9 * 3),
        ] {
            assert_eq!(Grid::numbers(outputs), numbers);
        }
        let grid = Grid::new([7, 7], 32);
        assert_eq!(grid.rows[0], 128);
        assert_eq!(grid.rows[4 * INPUTS + 4], 32);
    }
}
