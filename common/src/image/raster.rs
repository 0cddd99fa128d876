//! PNG, WebP, BMP and TIFF through the `image` crate, converted to RGB8 the
//! way Pillow's `convert("RGB")` does.

use std::io::{Cursor, ErrorKind};

use image::error::ImageError;
use image::{DynamicImage, ExtendedColorType, ImageDecoder, ImageFormat, ImageReader, Limits};

use super::decode::check_size;
use super::{CHANNELS, DecodeError, Format, RgbImage};

/// Memory a decoder may take per allowed pixel: 16-bit RGBA.
const BYTES_PER_PIXEL: u64 = 8;
/// Memory a decoder may take besides: tables, rows, metadata.
const OVERHEAD_BYTES: u64 = 64 << 20;

pub(crate) fn decode(
    format: Format,
    bytes: &[u8],
    max_pixels: u64,
) -> Result<RgbImage, DecodeError> {
    if let (Format::Png, Some(size)) = (format, png_header_size(bytes)) {
        // The decoder would first read up to the pixel data.
        check_size(format, size, max_pixels)?;
    }
    let fail = |source| classify(format, bytes, source);
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(
        max_pixels
            .saturating_mul(BYTES_PER_PIXEL)
            .saturating_add(OVERHEAD_BYTES),
    );
    let mut reader = ImageReader::with_format(Cursor::new(bytes), image_format(format));
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(fail)?;
    check_size(format, decoder.dimensions(), max_pixels)?;
    let stored = decoder.original_color_type();
    let image = DynamicImage::from_decoder(decoder).map_err(fail)?;
    to_rgb(format, image, stored)
}

fn image_format(format: Format) -> ImageFormat {
    match format {
        Format::Jpeg => ImageFormat::Jpeg,
        Format::Png => ImageFormat::Png,
        Format::WebP => ImageFormat::WebP,
        Format::Gif => ImageFormat::Gif,
        Format::Bmp => ImageFormat::Bmp,
        Format::Tiff => ImageFormat::Tiff,
    }
}

/// Width and height of the IHDR chunk, which always comes first.
fn png_header_size(bytes: &[u8]) -> Option<(u32, u32)> {
    if bytes.get(12..16)? != b"IHDR" {
        return None;
    }
    let field = |at: usize| {
        let field = bytes.get(at..at + 4)?;
        Some(u32::from_be_bytes(field.try_into().ok()?))
    };
    Some((field(16)?, field(20)?))
}

fn classify(format: Format, bytes: &[u8], source: ImageError) -> DecodeError {
    if let ImageError::Unsupported(unsupported) = &source {
        return DecodeError::Unsupported {
            format,
            what: unsupported.to_string(),
        };
    }
    if ended_early(&source) {
        return DecodeError::Truncated {
            format,
            bytes: bytes.len(),
        };
    }
    DecodeError::Corrupt {
        format,
        source: Box::new(source),
    }
}

/// Whether an end of file is somewhere in the chain of causes. The PNG decoder
/// keeps its own variant private and only says it in words.
fn ended_early(error: &(dyn std::error::Error + 'static)) -> bool {
    let here = match error.downcast_ref::<std::io::Error>() {
        Some(io) => io.kind() == ErrorKind::UnexpectedEof,
        None => error.source().is_none() && error.to_string().contains("unexpected end of file"),
    };
    here || error.source().is_some_and(ended_early)
}

fn to_rgb(
    format: Format,
    image: DynamicImage,
    stored: ExtendedColorType,
) -> Result<RgbImage, DecodeError> {
    let (width, height) = (image.width(), image.height());
    // Pillow opens 16-bit grey as a wide integer and saturates it, but reads
    // the other 16-bit kinds by their high byte.
    let grey: fn(u16) -> u8 = if stored == ExtendedColorType::L16 {
        |v| v.min(255) as u8
    } else {
        high_byte
    };
    let pixels = match image {
        DynamicImage::ImageRgb8(rgb) => rgb.into_raw(),
        DynamicImage::ImageRgba8(rgba) => colour(&rgba, 4, |v| v),
        DynamicImage::ImageLuma8(luma) => replicate(&luma, 1, |v| v),
        DynamicImage::ImageLumaA8(luma) => replicate(&luma, 2, |v| v),
        DynamicImage::ImageRgb16(rgb) => colour(&rgb, 3, high_byte),
        DynamicImage::ImageRgba16(rgba) => colour(&rgba, 4, high_byte),
        DynamicImage::ImageLuma16(luma) => replicate(&luma, 1, grey),
        DynamicImage::ImageLumaA16(luma) => replicate(&luma, 2, grey),
        other => {
            return Err(DecodeError::Unsupported {
                format,
                what: format!("pixels of type {:?}", other.color()),
            });
        }
    };
    Ok(RgbImage {
        width,
        height,
        pixels,
    })
}

fn high_byte(value: u16) -> u8 {
    (value >> 8) as u8
}

/// Keeps the three colours of every `stride` samples.
fn colour<T: Copy>(samples: &[T], stride: usize, to_byte: fn(T) -> u8) -> Vec<u8> {
    samples
        .chunks_exact(stride)
        .flat_map(|s| [to_byte(s[0]), to_byte(s[1]), to_byte(s[2])])
        .collect()
}

/// Repeats the first of every `stride` samples in all channels.
fn replicate<T: Copy>(samples: &[T], stride: usize, to_byte: fn(T) -> u8) -> Vec<u8> {
    samples
        .chunks_exact(stride)
        .flat_map(|s| [to_byte(s[0]); CHANNELS])
        .collect()
}
