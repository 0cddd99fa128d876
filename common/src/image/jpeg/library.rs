//! JPEG through libjpeg itself (`mozjpeg`, compiled from C without assembly).

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use mozjpeg::{ColorSpace, Decompress};

use crate::image::{
    CHANNELS, DecodeError, Format, RgbImage,
    decode::{check_size, panic_message},
    excerpt::{Excerpt, Place, View},
};

/// Decodes a whole picture at the view's scale.
pub(super) fn decode(
    bytes: &[u8],
    max_pixels: u64,
    view: &dyn View,
) -> Result<Excerpt, DecodeError> {
    // The library ends a hopeless file by unwinding; its state is dropped on the way.
    let result = catch_unwind(AssertUnwindSafe(|| read(bytes, max_pixels, view)));
    result.unwrap_or_else(|cause| Err(corrupt(message(cause.as_ref()))))
}

fn read(bytes: &[u8], max_pixels: u64, view: &dyn View) -> Result<Excerpt, DecodeError> {
    let mut decoder = Decompress::new_mem(bytes).map_err(corrupt)?;
    // Both sides come from 16-bit fields.
    let full = [decoder.width() as u32, decoder.height() as u32];
    check_size(Format::Jpeg, (full[0], full[1]), max_pixels)?;
    let scale = view.scale(full);
    decoder.scale(scale.eighths() as u8);
    let pixels = match decoder.color_space() {
        ColorSpace::JCS_CMYK | ColorSpace::JCS_YCCK => {
            let inks = scanlines(decoder, ColorSpace::JCS_CMYK)?;
            inks.chunks_exact(4)
                .flat_map(|inks| inks_to_rgb([inks[0], inks[1], inks[2], inks[3]]))
                .collect()
        }
        _ => scanlines(decoder, ColorSpace::JCS_RGB)?,
    };
    let [width, height] = scale.of(full);
    Ok(Excerpt {
        place: Place {
            full,
            scale,
            offset: [0, 0],
        },
        image: RgbImage {
            width,
            height,
            pixels,
        },
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
