//! The part of a picture that is looked at, at the scale at which it is.

use std::ops::Range;

use super::RgbImage;

/// How much smaller than stored a JPEG is decoded. A block of its transform then
/// gives 8, 4, 2 or 1 pixels a side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Scale {
    Eighth,
    Quarter,
    Half,
    Full,
}

impl Scale {
    /// All of them, the smallest first.
    pub(crate) const ALL: [Self; 4] = [Self::Eighth, Self::Quarter, Self::Half, Self::Full];

    /// The decoded size in eighths of the stored one.
    pub(crate) fn eighths(self) -> u32 {
        match self {
            Self::Eighth => 1,
            Self::Quarter => 2,
            Self::Half => 4,
            Self::Full => 8,
        }
    }

    /// Columns and rows of a picture of `full` columns and rows, parts of a pixel
    /// counted as one.
    pub(crate) fn of(self, full: [u32; 2]) -> [u32; 2] {
        full.map(|side| (u64::from(side) * u64::from(self.eighths())).div_ceil(8) as u32)
    }
}

/// A rectangle of pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) columns: Range<usize>,
    pub(crate) rows: Range<usize>,
}

impl Window {
    /// All pixels of a picture of `size`: columns, rows.
    pub(crate) fn whole(size: [u32; 2]) -> Self {
        let [columns, rows] = size.map(|side| 0..side as usize);
        Self { columns, rows }
    }
}

/// What a decoder is asked for. `full`: columns and rows of the stored picture.
pub(crate) trait View {
    /// The smallest scale that will do.
    fn scale(&self, full: [u32; 2]) -> Scale;

    /// The pixels that are looked at in the picture at that scale: at least one,
    /// none beyond its sides.
    fn window(&self, full: [u32; 2], scale: Scale) -> Window;
}

/// All pixels as they are stored.
pub(crate) struct Everything;

impl View for Everything {
    fn scale(&self, _full: [u32; 2]) -> Scale {
        Scale::Full
    }

    fn window(&self, full: [u32; 2], scale: Scale) -> Window {
        Window::whole(scale.of(full))
    }
}

/// Where an excerpt lies in its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Columns and rows of the stored picture.
    pub(crate) full: [u32; 2],
    pub(crate) scale: Scale,
    /// Columns of the scaled picture to the left of the excerpt, and rows above it.
    pub(crate) offset: [usize; 2],
}

impl Place {
    /// Of a whole picture that is not scaled.
    pub(crate) fn whole(image: &RgbImage) -> Self {
        Self {
            full: [image.width, image.height],
            scale: Scale::Full,
            offset: [0, 0],
        }
    }
}

/// The part of a picture that a recipe looks at, from
/// [`decode_excerpt`](super::decode_excerpt).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Excerpt {
    pub(crate) place: Place,
    pub(crate) image: RgbImage,
}

impl Excerpt {
    /// A whole picture that is not scaled.
    pub(crate) fn whole(image: RgbImage) -> Self {
        Self {
            place: Place::whole(&image),
            image,
        }
    }
}
