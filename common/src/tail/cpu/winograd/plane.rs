//! The pixels that a tile covers.

use super::matrices::INPUTS;
use crate::panel::LANES;

/// Pixels of a panel that tiles cover.
#[derive(Clone, Copy)]
pub(super) struct Plane {
    /// Rows and columns of an image.
    pub(super) size: [usize; 2],
    /// Rows and columns of padding before the first that a tile reads.
    pub(super) before: [usize; 2],
}

/// Where in a panel the pixels of a tile are; `None` for padding.
pub(super) struct Pixels {
    pub(super) rows: [Option<usize>; INPUTS],
    pub(super) columns: [Option<usize>; INPUTS],
}

impl Plane {
    /// The `count` rows and columns from those of `place` on, of image `image`; in floats.
    #[inline(always)]
    pub(super) fn pixels(&self, image: usize, place: [usize; 2], count: [usize; 2]) -> Pixels {
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
