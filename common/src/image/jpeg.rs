//! JPEG through libjpeg (`mozjpeg`, compiled from C without assembly), whose
//! pixels are bit for bit those of Pillow and torchvision. A file that ends
//! early is an error instead of a picture with a grey lower half.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use mozjpeg::{ColorSpace, Decompress};

use super::decode::{check_size, panic_message};
use super::{CHANNELS, DecodeError, Format, RgbImage};

/// Decodes to RGB. Grey is replicated; CMYK and YCCK are taken as
/// Adobe-inverted and multiplied out, as Pillow does.
pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<RgbImage, DecodeError> {
    if !has_end_of_image(bytes) {
        return Err(DecodeError::Truncated {
            format: Format::Jpeg,
            bytes: bytes.len(),
        });
    }
    // The library ends a hopeless file by unwinding; its state is dropped on the way.
    let result = catch_unwind(AssertUnwindSafe(|| read(bytes, max_pixels)));
    result.unwrap_or_else(|cause| Err(corrupt(message(cause.as_ref()))))
}

fn read(bytes: &[u8], max_pixels: u64) -> Result<RgbImage, DecodeError> {
    let decoder = Decompress::new_mem(bytes).map_err(corrupt)?;
    // Both sides come from 16-bit fields.
    let (width, height) = (decoder.width() as u32, decoder.height() as u32);
    check_size(Format::Jpeg, (width, height), max_pixels)?;
    let pixels = match decoder.color_space() {
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => {
            let inks = scanlines(decoder, ColorSpace::JCS_CMYK)?;
            inks.chunks_exact(4)
                .flat_map(|inks| inks_to_rgb([inks[0], inks[1], inks[2], inks[3]]))
                .collect()
        }
        _ => scanlines(decoder, ColorSpace::JCS_RGB)?,
    };
    Ok(RgbImage {
        width,
        height,
        pixels,
    })
}

fn scanlines(decoder: Decompress<&[u8]>, space: ColorSpace) -> Result<Vec<u8>, DecodeError> {
    let mut started = decoder.to_colorspace(space).map_err(corrupt)?;
    let pixels = started.read_scanlines::<u8>().map_err(corrupt)?;
    started.finish().map_err(corrupt)?;
    Ok(pixels)
}

/// Pillow's CMYK → RGB on inverted inks: with `k` of the file, and an ink
/// `i = 255 − c`, a channel is `k − i·k / 255`, rounded.
fn inks_to_rgb([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; CHANNELS] {
    [cyan, magenta, yellow].map(|ink| {
        let product = u32::from(255 - ink) * u32::from(black) + 128;
        let rounded = ((product >> 8) + product) >> 8;
        // i · k / 255 is at most k.
        (u32::from(black) - rounded) as u8
    })
}

fn corrupt(error: io::Error) -> DecodeError {
    DecodeError::Corrupt {
        format: Format::Jpeg,
        source: Box::new(error),
    }
}

fn message(cause: &(dyn Any + Send)) -> io::Error {
    io::Error::other(panic_message(cause))
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
