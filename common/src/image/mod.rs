//! From the bytes of an image file to the numbers a backbone takes.
//!
//! In: a whole file as bytes, whatever its name says. Out: [`RgbImage`]
//! (interleaved RGB8, what Pillow's `Image.open(f).convert("RGB")` gives), or the
//! [`Excerpt`] of it that a recipe looks at, then a normalised f32
//! `[3, crop, crop]` or `[crop, crop, 3]` tensor: of the centre, or of a random
//! part ([`Augmentation`]).
//!
//! Invariants: the result depends on the bytes and the options alone; no input
//! panics or allocates more than its pixel cap allows; a damaged file is an
//! error, never a half-grey picture.

mod augment;
mod decode;
mod error;
mod excerpt;
mod geometry;
mod gif;
mod jpeg;
mod normalise;
mod orientation;
mod preprocess;
mod preprocessor;
mod raster;
mod resample;
mod resize;
mod vectors;

pub use augment::{
    Augment, Augmentation, CROP_RATIO, CROP_SCALE, CropFlip, FLIP_PROBABILITY, ViewKey,
};
pub use decode::{DEFAULT_MAX_PIXELS, DecodeMode, DecodeOptions, decode_excerpt, decode_rgb};
pub use error::{DecodeError, Format, UnknownName};
pub use excerpt::Excerpt;
pub use geometry::FAST_RESERVE;
pub use normalise::Layout;
pub use orientation::ExifPolicy;
pub use preprocess::{
    IMAGENET_MEAN, IMAGENET_STD, Interpolation, MAX_SIDE, Preprocess, PreprocessError, Resize,
};
pub use preprocessor::Preprocessor;

/// Which decoders and resizer made the pixels. Part of a cache's fingerprint:
/// decoders of JPEG differ from each other by a few grey levels, which moves
/// features of a small or dark picture by several percent. What this module decodes
/// itself, it decodes as the library named here does.
pub const DECODER: &str = "mozjpeg-sys 2.2.3, image 0.25.10, image-webp 0.2.4, gif 0.14.2";

/// Channels of every decoded image.
pub(crate) const CHANNELS: usize = 3;

/// A decoded picture: interleaved RGB, one byte a channel, rows from the top
/// without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RgbImage {
    /// Columns, in pixels.
    pub width: u32,
    /// Rows, in pixels.
    pub height: u32,
    /// `[height, width, 3]` bytes.
    pub pixels: Vec<u8>,
}

#[cfg(test)]
mod tests {
    #[test]
    fn decoder_identity_names_the_locked_versions() {
        let lock = include_str!("../../../Cargo.lock");
        for part in super::DECODER.split(", ") {
            let (name, version) = part.split_once(' ').unwrap();
            let entry = format!("name = \"{name}\"\nversion = \"{version}\"");
            assert!(lock.contains(&entry), "Cargo.lock has no {name} {version}");
        }
    }
}
