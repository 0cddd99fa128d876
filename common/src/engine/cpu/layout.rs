//! How one image's activation lies in memory: rows of pixels, a pixel's
//! channels together, and a border of zeros around the image.
//!
//! ```text
//!            left      width        right
//!          ┌──────┬───────────────┬───────┐
//!    top   │ 0  0 │ 0  0  0  0  0 │ 0   0 │   a cell is one pixel:
//!          ├──────┼───────────────┼───────┤   `pitch` numbers, the channels
//!  height  │ 0  0 │ ▪  ▪  ▪  ▪  ▪ │ 0   0 │   and zeros up to whole vectors
//!          │ 0  0 │ ▪  ▪  ▪  ▪  ▪ │ 0   0 │
//!          ├──────┼───────────────┼───────┤
//!  bottom  │ 0  0 │ 0  0  0  0  0 │ 0   0 │
//!          └──────┴───────────────┴───────┘
//! ```
//!
//! A k×k window is then k contiguous segments of k pixels, at any position:
//! no case distinction at the borders, no gathering of windows.

use crate::backbone::Shape;

/// Zeros around an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Border {
    pub(super) top: usize,
    pub(super) bottom: usize,
    pub(super) left: usize,
    pub(super) right: usize,
}

impl Border {
    /// The smallest border that contains both.
    pub(super) fn union(self, other: Self) -> Self {
        Self {
            top: self.top.max(other.top),
            bottom: self.bottom.max(other.bottom),
            left: self.left.max(other.left),
            right: self.right.max(other.right),
        }
    }
}

/// Where the numbers of an image are, floats or integers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) shape: Shape,
    pub(super) border: Border,
    /// Numbers a pixel.
    pub(super) pitch: usize,
}

/// Sliding windows over an image: the first one begins `before` rows and
/// columns outside of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Windows {
    pub(super) before: [usize; 2],
    pub(super) stride: usize,
}

impl Layout {
    /// Numbers between rows.
    pub(super) fn row_pitch(&self) -> usize {
        (self.border.left + self.shape.width + self.border.right) * self.pitch
    }

    /// Numbers an image, border included.
    pub(super) fn image_len(&self) -> usize {
        (self.border.top + self.shape.height + self.border.bottom) * self.row_pitch()
    }

    /// Offset of the pixel in row `y`, column `x`.
    pub(super) fn pixel(&self, y: usize, x: usize) -> usize {
        (self.border.top + y) * self.row_pitch() + (self.border.left + x) * self.pitch
    }

    /// Offset of the first pixel of the window at `y`, `x`.
    pub(super) fn window(&self, windows: Windows, y: usize, x: usize) -> usize {
        let row = self.border.top + y * windows.stride - windows.before[0];
        let column = self.border.left + x * windows.stride - windows.before[1];
        row * self.row_pitch() + column * self.pitch
    }

    /// Writes the border's zeros, since the buffer has held another layout.
    pub(super) fn clear_border<T: Copy + Default>(&self, image: &mut [T]) {
        let zero = T::default();
        let row_pitch = self.row_pitch();
        let (left, right) = (
            self.border.left * self.pitch,
            self.border.right * self.pitch,
        );
        let below = (self.border.top + self.shape.height) * row_pitch;
        image[..self.border.top * row_pitch].fill(zero);
        image[below..self.image_len()].fill(zero);
        if left + right > 0 {
            let inside = &mut image[self.border.top * row_pitch..below];
            for row in inside.chunks_exact_mut(row_pitch) {
                row[..left].fill(zero);
                row[row_pitch - right..].fill(zero);
            }
        }
    }

    /// Offsets of `images` images' pixels in output order, where the position
    /// (y, x) of an image begins at `offset(y, x)`.
    pub(super) fn table(
        &self,
        output: Shape,
        images: usize,
        offset: impl Fn(usize, usize) -> usize,
    ) -> Vec<u32> {
        let mut table = Vec::with_capacity(images * output.height * output.width);
        for image in 0..images {
            for y in 0..output.height {
                for x in 0..output.width {
                    table.push((image * self.image_len() + offset(y, x)) as u32);
                }
            }
        }
        table
    }
}
