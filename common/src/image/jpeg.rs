//! JPEG through `zune-jpeg`, made as strict as Pillow: a file that ends early
//! is an error instead of a picture with a grey lower half.

use zune_core::bytestream::ZCursor;
use zune_core::colorspace::ColorSpace;
use zune_core::options::DecoderOptions;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;

use super::decode::check_size;
use super::{DecodeError, Format, RgbImage};

/// Largest side the format can express.
const MAX_SIDE_PIXELS: usize = u16::MAX as usize;

/// Decodes to RGB. Grey is replicated; CMYK and YCCK are taken as
/// Adobe-inverted, as Pillow does: `R = C·K / 255`.
pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<RgbImage, DecodeError> {
    let options = DecoderOptions::default()
        .set_strict_mode(true)
        .set_max_width(MAX_SIDE_PIXELS)
        .set_max_height(MAX_SIDE_PIXELS)
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder
        .decode_headers()
        .map_err(|source| classify(source, bytes))?;
    let (width, height) = decoder.dimensions().ok_or(DecodeError::Truncated {
        format: Format::Jpeg,
        bytes: bytes.len(),
    })?;
    // Both sides come from 16-bit fields.
    let (width, height) = (width as u32, height as u32);
    check_size(Format::Jpeg, (width, height), max_pixels)?;
    // The decoder only notices missing data at the start of a row of blocks.
    if !has_end_of_image(bytes) {
        return Err(DecodeError::Truncated {
            format: Format::Jpeg,
            bytes: bytes.len(),
        });
    }
    let pixels = decoder.decode().map_err(|source| classify(source, bytes))?;
    Ok(RgbImage {
        width,
        height,
        pixels,
    })
}

fn classify(source: DecodeErrors, bytes: &[u8]) -> DecodeError {
    let ended = matches!(
        source,
        DecodeErrors::ExhaustedData | DecodeErrors::IoErrors(_)
    );
    if ended || !has_end_of_image(bytes) {
        DecodeError::Truncated {
            format: Format::Jpeg,
            bytes: bytes.len(),
        }
    } else {
        DecodeError::Corrupt {
            format: Format::Jpeg,
            source: Box::new(source),
        }
    }
}

/// Whether an end-of-image marker follows the first scan's header. Segments
/// before it are stepped over, as an embedded thumbnail has a marker of its own;
/// after it the search goes from the end, where the marker usually is.
fn has_end_of_image(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xDA;
    let mut at = 2;
    while let Some(&[marker_prefix, marker, high, low]) = bytes.get(at..at + 4) {
        if marker_prefix != 0xFF {
            return false;
        }
        if marker == 0xFF {
            // A fill byte before the marker proper.
            at += 1;
            continue;
        }
        if marker == START_OF_SCAN {
            return bytes[at..].windows(2).rev().any(|w| w == [0xFF, 0xD9]);
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    false
}
