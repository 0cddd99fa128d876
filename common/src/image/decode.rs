//! Bytes of a file → [`RgbImage`]. The format comes from the content; the
//! file's name never matters.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::error::{describe_start, pixels};
use super::{DecodeError, ExifPolicy, Format, RgbImage, gif, jpeg, orientation, raster};

/// Largest picture that is decoded unless the caller says otherwise: 100
/// megapixels, 300 MB as RGB. Cameras stay below it, decompression bombs do not.
pub const DEFAULT_MAX_PIXELS: u64 = 100_000_000;

/// How files are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeOptions {
    /// What to do with an EXIF orientation. Default: [`ExifPolicy::Ignore`].
    pub exif: ExifPolicy,
    /// Pictures with more pixels (width × height) are refused by their header.
    /// Default: [`DEFAULT_MAX_PIXELS`].
    pub max_pixels: u64,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            exif: ExifPolicy::Ignore,
            max_pixels: DEFAULT_MAX_PIXELS,
        }
    }
}

/// Decodes a whole image file into interleaved RGB8, the pixels that Pillow's
/// `Image.open(f).convert("RGB")` gives: alpha is dropped rather than
/// composited, palettes are looked up, CMYK goes through Pillow's formula, an
/// animation gives its first frame, 16-bit colour keeps its high byte, and
/// 16-bit grey saturates at 255.
///
/// # Errors
/// [`DecodeError`], for every input that is not a complete picture within
/// `options.max_pixels`. Never panics.
pub fn decode_rgb(bytes: &[u8], options: &DecodeOptions) -> Result<RgbImage, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let format = recognise(bytes).ok_or_else(|| DecodeError::UnknownFormat {
        start: describe_start(bytes),
    })?;
    // The decoders are third-party code fed with hostile bytes. Should one of
    // them panic, this picture is rejected and the other million still get
    // through. Nothing outside the closure is touched, so nothing is left torn.
    catch_unwind(AssertUnwindSafe(|| decode_as(format, bytes, options))).unwrap_or_else(|cause| {
        Err(DecodeError::Panicked {
            format,
            message: panic_message(cause.as_ref()),
        })
    })
}

fn decode_as(
    format: Format,
    bytes: &[u8],
    options: &DecodeOptions,
) -> Result<RgbImage, DecodeError> {
    let image = match format {
        Format::Jpeg => jpeg::decode(bytes, options.max_pixels)?,
        Format::Gif => gif::decode(bytes, options.max_pixels)?,
        other => raster::decode(other, bytes, options.max_pixels)?,
    };
    // Orientation is part of TIFF itself, and Pillow turns the picture on
    // loading whatever the caller thinks of EXIF.
    let turn = match (format, options.exif) {
        (Format::Tiff, _) | (_, ExifPolicy::Apply) => orientation::read(bytes),
        (_, ExifPolicy::Ignore) => None,
    };
    Ok(match turn {
        Some(orientation) => orientation::apply(&image, orientation),
        None => image,
    })
}

fn recognise(bytes: &[u8]) -> Option<Format> {
    let riff = bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP");
    Some(match bytes {
        [0xFF, 0xD8, 0xFF, ..] => Format::Jpeg,
        [0x89, b'P', b'N', b'G', b'\r', b'\n', 0x1A, b'\n', ..] => Format::Png,
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => Format::Gif,
        [b'B', b'M', ..] => Format::Bmp,
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Format::Tiff,
        _ if riff => Format::WebP,
        _ => return None,
    })
}

/// Refuses a picture by the size in its header.
pub(crate) fn check_size(
    format: Format,
    (width, height): (u32, u32),
    max_pixels: u64,
) -> Result<(), DecodeError> {
    if pixels(width, height) <= max_pixels {
        return Ok(());
    }
    Err(DecodeError::TooManyPixels {
        format,
        width,
        height,
        max_pixels,
    })
}

pub(crate) fn panic_message(cause: &(dyn Any + Send)) -> String {
    let text = cause
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| cause.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("no message").replace('\n', " ")
}
