//! The first frame of a GIF, on its canvas, as Pillow shows it: transparent
//! pixels keep their palette colour, and canvas that the frame leaves bare gets
//! the transparent colour's entry, or the palette's first.

use std::io;

use gif::{ColorOutput, DecodeOptions, DecodingError};

use super::decode::check_size;
use super::{CHANNELS, DecodeError, Format, RgbImage};

pub(crate) fn decode(bytes: &[u8], max_pixels: u64) -> Result<RgbImage, DecodeError> {
    let fail = |source| classify(bytes, source);
    let mut options = DecodeOptions::new();
    options.set_color_output(ColorOutput::Indexed);
    let mut decoder = options.read_info(bytes).map_err(fail)?;
    let (screen_width, screen_height) = (decoder.width(), decoder.height());
    let frame = match decoder.next_frame_info().map_err(fail)? {
        Some(frame) => frame.clone(),
        None => return Err(truncated(bytes)),
    };
    // A frame beyond the canvas makes it grow.
    let width = u32::from(screen_width).max(u32::from(frame.left) + u32::from(frame.width));
    let height = u32::from(screen_height).max(u32::from(frame.top) + u32::from(frame.height));
    check_size(Format::Gif, (width, height), max_pixels)?;

    let mut indices = vec![0; usize::from(frame.width) * usize::from(frame.height)];
    decoder.read_into_buffer(&mut indices).map_err(fail)?;
    let palette = frame.palette.as_deref().or(decoder.global_palette());
    let colours = colour_table(palette);
    let bare = colours[usize::from(frame.transparent.unwrap_or(0))];
    let line_bytes = width as usize * CHANNELS;
    let mut pixels = bare.repeat(width as usize * height as usize);
    if indices.is_empty() {
        return Err(truncated(bytes));
    }
    let rows = indices.chunks_exact(usize::from(frame.width));
    let lines = pixels.chunks_exact_mut(line_bytes);
    for (line, row) in lines.skip(usize::from(frame.top)).zip(rows) {
        let places = line.chunks_exact_mut(CHANNELS);
        for (place, index) in places.skip(usize::from(frame.left)).zip(row) {
            place.copy_from_slice(&colours[usize::from(*index)]);
        }
    }
    Ok(RgbImage {
        width,
        height,
        pixels,
    })
}

/// A colour for every index; without a palette, shades of grey.
fn colour_table(palette: Option<&[u8]>) -> [[u8; CHANNELS]; 256] {
    let Some(palette) = palette else {
        return std::array::from_fn(|index| [index as u8; CHANNELS]);
    };
    let mut colours = [[0; CHANNELS]; 256];
    for (colour, entry) in colours.iter_mut().zip(palette.chunks_exact(CHANNELS)) {
        colour.copy_from_slice(entry);
    }
    colours
}

fn truncated(bytes: &[u8]) -> DecodeError {
    DecodeError::Truncated {
        format: Format::Gif,
        bytes: bytes.len(),
    }
}

fn classify(bytes: &[u8], source: DecodingError) -> DecodeError {
    match source {
        DecodingError::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            truncated(bytes)
        }
        other => DecodeError::Corrupt {
            format: Format::Gif,
            source: Box::new(other),
        },
    }
}
