//! Tiles to points and back, one panel of channels at a time.
//!
//! ```text
//!   spread    V  = Bᵀ d B     of the inputs of every tile        its adjoint   d += B dV Bᵀ
//!   collect   Y  = Aᵀ M A     to the outputs of every tile       its adjoint   dM = A dY Aᵀ
//! ```

#![expect(
    clippy::needless_range_loop,
    reason = "a matrix is walked by rows and by columns"
)]

use super::{
    grid::{Class, Grid},
    matrices::{INPUTS, Matrix, OUTPUTS, POINTS, collect, spread, times, transposed, uses},
};
use crate::{
    engine::cpu::{isa::Task, vector::Simd},
    panel::LANES,
};

/// Pixels of a panel that tiles cover.
#[derive(Clone, Copy)]
pub(super) struct Plane {
    /// Rows and columns of an image.
    pub(super) size: [usize; 2],
    /// Rows and columns of padding before the first that a tile reads.
    pub(super) before: [usize; 2],
}

/// Where in a panel the pixels of a tile are; `None` for padding.
struct Pixels {
    rows: [Option<usize>; INPUTS],
    columns: [Option<usize>; INPUTS],
}

impl Plane {
    /// The `count` rows and columns from those of `place` on, of image `image`; in floats.
    #[inline(always)]
    fn pixels(&self, image: usize, place: [usize; 2], count: [usize; 2]) -> Pixels {
        let [height, width] = self.size;
        let mut pixels = Pixels {
            rows: [None; INPUTS],
            columns: [None; INPUTS],
        };
        for number in 0..count[0] {
            let row = (place[0] + number).wrapping_sub(self.before[0]);
            if row < height {
                pixels.rows[number] = Some((image * height + row) * width * LANES);
            }
        }
        for number in 0..count[1] {
            let column = (place[1] + number).wrapping_sub(self.before[1]);
            if column < width {
                pixels.columns[number] = Some(column * LANES);
            }
        }
        pixels
    }
}

/// Applies one of the matrices of a tile's size along an axis.
macro_rules! by_size {
    ($simd:expr, $size:expr, $matrix:expr, $line:expr) => {
        match $size {
            4 => times($simd, const { &$matrix(4) }, $line),
            3 => times($simd, const { &$matrix(3) }, $line),
            2 => times($simd, const { &$matrix(2) }, $line),
            _ => times($simd, const { &$matrix(1) }, $line),
        }
    };
}

const fn spread_back(outputs: usize) -> Matrix {
    transposed(spread(outputs))
}

const fn collect_back(outputs: usize) -> Matrix {
    transposed(collect(outputs))
}

/// Pixels to points: by [`spread`] from inputs, or by the adjoint of [`collect`] from outputs.
pub(super) struct ToPoints<'a> {
    pub(super) grid: &'a Grid,
    pub(super) plane: Plane,
    pub(super) images: usize,
    /// `[rows][LANES]`
    pub(super) pixels: &'a [f32],
    /// For each point `[tiles][LANES]`.
    pub(super) points: Vec<&'a mut [f32]>,
    pub(super) direction: Direction,
}

/// Which way a transform goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    /// As the convolution.
    Forwards,
    /// As the gradient.
    Backwards,
}

/// Floats that every image, panel or point has to have: what loops without bounds checks rely on.
fn check(grid: &Grid, plane: Plane, images: usize, pixels: usize, points: &[usize]) {
    assert_eq!(
        pixels,
        images * plane.size[0] * plane.size[1] * LANES,
        "pixels"
    );
    assert_eq!(points.len(), POINTS, "points");
    for (rows, points) in grid.rows.iter().zip(points) {
        assert!(rows * LANES <= *points, "tiles at a point");
    }
    for class in &grid.classes {
        for first in class.first.iter().enumerate() {
            let (point, Some(first)) = first else {
                continue;
            };
            let end = first + images * class.places.len();
            assert!(end <= grid.rows[point], "tiles of a class");
        }
    }
}

impl Task for ToPoints<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let lens: Vec<usize> = self.points.iter().map(|point| point.len()).collect();
        check(self.grid, self.plane, self.images, self.pixels.len(), &lens);
        for class in &self.grid.classes {
            for image in 0..self.images {
                for (number, &place) in class.places.iter().enumerate() {
                    let tile = image * class.places.len() + number;
                    let mut lane = 0;
                    while lane < LANES {
                        // SAFETY: `check` has found all pixels of every image, and room for all
                        // tiles at every point that the class uses; a vector ends at LANES.
                        unsafe { self.tile(simd, class, (image, place, tile), lane) };
                        lane += S::LANES;
                    }
                }
            }
        }
    }
}

impl ToPoints<'_> {
    /// # Safety
    /// `check` holds, the class has the place and its points the tile, and `lane + S::LANES` is at most
    /// LANES.
    #[inline(always)]
    unsafe fn tile<S: Simd>(
        &mut self,
        simd: S,
        class: &Class,
        (image, place, tile): (usize, [usize; 2], usize),
        lane: usize,
    ) {
        let [height, width] = class.size;
        let forwards = self.direction == Direction::Forwards;
        let more = if forwards { INPUTS - OUTPUTS } else { 0 };
        let pixels = self
            .plane
            .pixels(image, place, [height + more, width + more]);
        let zero = simd.splat(0.0);
        let mut columns = [[zero; INPUTS]; INPUTS];
        for x in 0..width + more {
            let Some(column) = pixels.columns[x] else {
                continue;
            };
            let mut line = [zero; INPUTS];
            for y in 0..height + more {
                if let Some(row) = pixels.rows[y] {
                    // SAFETY: the pixel is one of the image's.
                    line[y] = unsafe { simd.load_unchecked(self.pixels, row + column + lane) };
                }
            }
            let line = if forwards {
                by_size!(simd, height, spread, &line)
            } else {
                by_size!(simd, height, collect_back, &line)
            };
            for y in 0..INPUTS {
                columns[y][x] = line[y];
            }
        }
        for y in 0..INPUTS {
            if !uses(height, y) {
                continue;
            }
            let line = if forwards {
                by_size!(simd, width, spread, &columns[y])
            } else {
                by_size!(simd, width, collect_back, &columns[y])
            };
            for x in 0..INPUTS {
                let point = y * INPUTS + x;
                if let Some(first) = class.first[point] {
                    // SAFETY: the caller's promise.
                    unsafe {
                        let points = self.points.get_unchecked_mut(point);
                        simd.store_unchecked(line[x], points, (first + tile) * LANES + lane);
                    }
                }
            }
        }
    }
}

/// Points to pixels: by [`collect`] to outputs, which are overwritten, or by the adjoint of [`spread`] onto
/// inputs, to which it is added.
pub(super) struct FromPoints<'a> {
    pub(super) grid: &'a Grid,
    pub(super) plane: Plane,
    pub(super) images: usize,
    /// For each point `[tiles][LANES]`.
    pub(super) points: Vec<&'a [f32]>,
    /// `[rows][LANES]`
    pub(super) pixels: &'a mut [f32],
    pub(super) direction: Direction,
}

impl Task for FromPoints<'_> {
    #[inline(always)]
    fn run<S: Simd>(mut self, simd: S) {
        let lens: Vec<usize> = self.points.iter().map(|point| point.len()).collect();
        check(self.grid, self.plane, self.images, self.pixels.len(), &lens);
        for image in 0..self.images {
            for class in &self.grid.classes {
                for (number, &place) in class.places.iter().enumerate() {
                    let tile = image * class.places.len() + number;
                    let mut lane = 0;
                    while lane < LANES {
                        // SAFETY: as in `ToPoints`.
                        unsafe { self.tile(simd, class, (image, place, tile), lane) };
                        lane += S::LANES;
                    }
                }
            }
        }
    }
}

impl FromPoints<'_> {
    /// # Safety
    /// As [`ToPoints::tile`].
    #[inline(always)]
    unsafe fn tile<S: Simd>(
        &mut self,
        simd: S,
        class: &Class,
        (image, place, tile): (usize, [usize; 2], usize),
        lane: usize,
    ) {
        let [height, width] = class.size;
        let forwards = self.direction == Direction::Forwards;
        let more = if forwards { 0 } else { INPUTS - OUTPUTS };
        let pixels = self
            .plane
            .pixels(image, place, [height + more, width + more]);
        let zero = simd.splat(0.0);
        let mut columns = [[zero; INPUTS]; INPUTS];
        for x in 0..INPUTS {
            if !uses(width, x) {
                continue;
            }
            let mut line = [zero; INPUTS];
            for y in 0..INPUTS {
                let point = y * INPUTS + x;
                if let Some(first) = class.first[point] {
                    // SAFETY: the caller's promise.
                    line[y] = unsafe {
                        let points = self.points.get_unchecked(point);
                        simd.load_unchecked(points, (first + tile) * LANES + lane)
                    };
                }
            }
            let line = if forwards {
                by_size!(simd, height, collect, &line)
            } else {
                by_size!(simd, height, spread_back, &line)
            };
            for y in 0..INPUTS {
                columns[y][x] = line[y];
            }
        }
        for y in 0..height + more {
            let Some(row) = pixels.rows[y] else {
                continue;
            };
            let line = if forwards {
                by_size!(simd, width, collect, &columns[y])
            } else {
                by_size!(simd, width, spread_back, &columns[y])
            };
            for x in 0..width + more {
                let Some(column) = pixels.columns[x] else {
                    continue;
                };
                let at = row + column + lane;
                // SAFETY: the pixel is one of the image's.
                unsafe {
                    let mut value = line[x];
                    if !forwards {
                        value = simd.add(simd.load_unchecked(self.pixels, at), value);
                    }
                    simd.store_unchecked(value, self.pixels, at);
                }
            }
        }
    }
}
