//! EXIF orientation: reading the tag and turning the picture.

use std::fmt;
use std::io::Cursor;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{CHANNELS, RgbImage, UnknownName};

/// What to do with the orientation that cameras write into EXIF.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ExifPolicy {
    /// Take the pixels as they are stored, as torchvision's loaders do. TIFF is
    /// turned all the same, as there the tag is part of the format.
    #[default]
    Ignore,
    /// Turn the picture upright, like Pillow's `ImageOps.exif_transpose`.
    Apply,
}

impl fmt::Display for ExifPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ignore => "ignore",
            Self::Apply => "apply",
        })
    }
}

impl FromStr for ExifPolicy {
    type Err = UnknownName;

    fn from_str(word: &str) -> Result<Self, UnknownName> {
        match word {
            "ignore" => Ok(Self::Ignore),
            "apply" => Ok(Self::Apply),
            _ => Err(UnknownName {
                what: "EXIF policy",
                found: word.to_string(),
                choices: "ignore or apply",
            }),
        }
    }
}

/// How the stored pixels must be moved to stand upright; EXIF values 2 to 8.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Orientation {
    MirrorHorizontally,
    Rotate180,
    MirrorVertically,
    Transpose,
    /// A quarter turn clockwise.
    Rotate90,
    /// Mirrored along the other diagonal.
    Transverse,
    /// A quarter turn counter-clockwise.
    Rotate270,
}

impl Orientation {
    fn from_exif(value: u32) -> Option<Self> {
        Some(match value {
            2 => Self::MirrorHorizontally,
            3 => Self::Rotate180,
            4 => Self::MirrorVertically,
            5 => Self::Transpose,
            6 => Self::Rotate90,
            7 => Self::Transverse,
            8 => Self::Rotate270,
            _ => return None,
        })
    }

    /// Columns and rows of a picture of `size` after turning.
    pub(crate) fn size(self, [width, height]: [u32; 2]) -> [u32; 2] {
        if self.swaps_sides() {
            [height, width]
        } else {
            [width, height]
        }
    }

    fn swaps_sides(self) -> bool {
        matches!(
            self,
            Self::Transpose | Self::Rotate90 | Self::Transverse | Self::Rotate270
        )
    }
}

/// The orientation in a JPEG, PNG, WebP or TIFF file; `None` where the picture
/// stands upright, where there is no EXIF, and where EXIF is damaged (a broken
/// comment does not spoil the picture; Pillow ignores it too).
pub(crate) fn read(bytes: &[u8]) -> Option<Orientation> {
    let mut reader = exif::Reader::new();
    reader.continue_on_error(true);
    let fields = reader
        .read_from_container(&mut Cursor::new(bytes))
        .or_else(|error| error.distill_partial_result(|_| {}))
        .ok()?;
    let field = fields.get_field(exif::Tag::Orientation, exif::In::PRIMARY)?;
    Orientation::from_exif(field.value.get_uint(0)?)
}

/// Moves every pixel to its upright place.
pub(crate) fn apply(image: &RgbImage, orientation: Orientation) -> RgbImage {
    let (stored_width, stored_height) = (image.width as usize, image.height as usize);
    let [width, height] = orientation.size([image.width, image.height]);
    let (right, bottom) = (stored_width - 1, stored_height - 1);
    let mut pixels = Vec::with_capacity(image.pixels.len());
    for y in 0..height as usize {
        for x in 0..width as usize {
            let (column, row) = match orientation {
                Orientation::MirrorHorizontally => (right - x, y),
                Orientation::Rotate180 => (right - x, bottom - y),
                Orientation::MirrorVertically => (x, bottom - y),
                Orientation::Transpose => (y, x),
                Orientation::Rotate90 => (y, bottom - x),
                Orientation::Transverse => (right - y, bottom - x),
                Orientation::Rotate270 => (right - y, x),
            };
            let at = (row * stored_width + column) * CHANNELS;
            pixels.extend_from_slice(&image.pixels[at..at + CHANNELS]);
        }
    }
    RgbImage {
        width,
        height,
        pixels,
    }
}
