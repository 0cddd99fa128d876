//! The samples of each component, as far as a window of the picture needs them.

use std::ops::Range;

use super::{
    header::{Header, Sampling},
    idct::{SIDE, Samples},
};
use crate::image::excerpt::Window;

/// Part of one component, in whole blocks.
pub(super) struct Plane {
    /// Samples of the component, horizontally and vertically; what lies beyond
    /// in the last blocks is no part of the picture.
    pub(super) size: [usize; 2],
    /// A side of a block after the transform.
    side: usize,
    /// Blocks that are kept, horizontally and vertically.
    blocks: [Range<usize>; 2],
    samples: Vec<u8>,
}

impl Plane {
    fn new(size: [usize; 2], side: usize, needed: [Range<usize>; 2]) -> Self {
        let blocks = needed.map(|range| range.start / side..range.end.div_ceil(side));
        let count = blocks[0].len() * blocks[1].len();
        Self {
            size,
            side,
            blocks,
            samples: vec![0; count * side * side],
        }
    }

    /// A side of a block after the transform.
    pub(super) fn side(&self) -> usize {
        self.side
    }

    fn line_len(&self) -> usize {
        self.blocks[0].len() * self.side
    }

    /// Whether the block in this column and row is kept.
    pub(super) fn holds(&self, column: usize, row: usize) -> bool {
        self.blocks[0].contains(&column) && self.blocks[1].contains(&row)
    }

    fn start_of(&self, column: usize, row: usize) -> usize {
        let line = (row - self.blocks[1].start) * self.side;
        line * self.line_len() + (column - self.blocks[0].start) * self.side
    }

    /// Puts a block in its place, which must be [held](Plane::holds).
    pub(super) fn put(&mut self, column: usize, row: usize, samples: &Samples) {
        let (start, line_len) = (self.start_of(column, row), self.line_len());
        let lines = self.samples[start..].chunks_mut(line_len);
        if self.side == SIDE {
            for (line, samples) in lines.zip(samples.chunks_exact(SIDE)) {
                line[..SIDE].copy_from_slice(samples);
            }
            return;
        }
        for (line, samples) in lines.zip(samples.chunks_exact(SIDE)).take(self.side) {
            line[..self.side].copy_from_slice(&samples[..self.side]);
        }
    }

    /// Columns `columns` of a row, both counted in the whole component.
    pub(super) fn line(&self, row: usize, columns: Range<usize>) -> &[u8] {
        let line = (row - self.blocks[1].start * self.side) * self.line_len();
        let first = self.blocks[0].start * self.side;
        &self.samples[line + columns.start - first..line + columns.end - first]
    }
}

/// How the components of a scaled picture relate.
pub(super) struct Geometry {
    /// A side of a block of brightness after the transform: 8, 4, 2 or 1.
    pub(super) side: usize,
    /// The same for colour. libjpeg scales it less where that saves upsampling.
    pub(super) colour_side: usize,
    /// Pixels a colour sample stands for, horizontally and vertically.
    pub(super) spread: [usize; 2],
}

impl Geometry {
    /// For a picture of `eighths` / 8 of its size. `None` for what libjpeg does
    /// in other ways than interpolation.
    pub(super) fn new(sampling: Sampling, eighths: usize) -> Option<Self> {
        let factors = sampling.factors();
        let colour_side = match sampling {
            Sampling::Quarter if eighths < SIDE => 2 * eighths,
            _ => eighths,
        };
        let spread = factors.map(|factor| factor * eighths / colour_side);
        if spread != [1, 1] && eighths == 1 {
            return None;
        }
        Some(Self {
            side: eighths,
            colour_side,
            spread,
        })
    }
}

/// The components of a picture, or what is needed of them.
pub(super) struct Planes {
    /// Brightness; then, unless the picture is grey, blue and red.
    pub(super) planes: Vec<Plane>,
    pub(super) geometry: Geometry,
}

impl Planes {
    /// Room for what `window` needs of a picture of `eighths` / 8 of its size.
    pub(super) fn new(header: &Header<'_>, eighths: usize, window: &Window) -> Option<Self> {
        let geometry = Geometry::new(header.sampling, eighths)?;
        let full = [header.width as usize, header.height as usize];
        let wanted = [window.columns.clone(), window.rows.clone()];
        let scaled = |size: usize, side: usize, per: usize| (size * side).div_ceil(per * SIDE);
        let size = full.map(|size| scaled(size, geometry.side, 1));
        let mut planes = vec![Plane::new(size, geometry.side, wanted.clone())];
        let factors = header.sampling.factors();
        let size = std::array::from_fn(|i| scaled(full[i], geometry.colour_side, factors[i]));
        // Interpolation of so few columns is another matter.
        if geometry.spread[0] > 1 && size[0] <= 2 {
            return None;
        }
        for _ in 1..header.sampling.components() {
            let needed = std::array::from_fn(|i| {
                let (range, spread) = (&wanted[i], geometry.spread[i]);
                // Interpolation looks at one neighbour on each side.
                let first = (range.start / spread).saturating_sub(1);
                first..(range.end.div_ceil(spread) + 1).min(size[i])
            });
            planes.push(Plane::new(size, geometry.colour_side, needed));
        }
        Some(Self { planes, geometry })
    }
}
