//! JPEG, with the pixels of libjpeg bit for bit, which are those of Pillow and
//! torchvision.
//!
//! ```text
//!   bytes ─► header ─► segments ─► huffman ─► idct ─► planes ─► colour ─► RGB
//!     │      markers   unstuffed   blocks             samples of the window
//!     └────► library: libjpeg itself
//! ```
//!
//! Files as most cameras and programs write them (baseline, grey or YCbCr, one
//! scan, nothing amiss) are decoded here, with vector instructions and only where
//! the window needs pixels. Whatever is unusual or damaged in the least is left
//! to libjpeg, so that it alone decides what is an error and what a repaired
//! picture looks like. Both ways give the same bytes.

mod colour;
#[cfg(target_arch = "x86_64")]
mod colour_avx2;
mod header;
mod huffman;
mod idct;
#[cfg(target_arch = "x86_64")]
mod idct_avx2;
mod library;
mod planes;
mod scan;
mod segments;
#[cfg(test)]
mod tests;

use self::{header::Header, planes::Planes};
use super::{
    DecodeError, Format, RgbImage,
    decode::check_size,
    excerpt::{Excerpt, Place, View},
    vectors::Vectors,
};

/// Decodes what `view` asks for to RGB; more if the file is an unusual one. Grey
/// is replicated; CMYK and YCCK are taken as Adobe-inverted and multiplied out, as
/// Pillow does. A file that ends early is an error instead of a picture with a
/// grey lower half.
pub(super) fn decode(
    bytes: &[u8],
    max_pixels: u64,
    view: &dyn View,
) -> Result<Excerpt, DecodeError> {
    if !has_end_of_image(bytes) {
        return Err(DecodeError::Truncated {
            format: Format::Jpeg,
            bytes: bytes.len(),
        });
    }
    if let Some(header) = Header::parse(bytes) {
        check_size(Format::Jpeg, (header.width, header.height), max_pixels)?;
        if let Some(excerpt) = decode_baseline(&header, view, Vectors::from_environment()) {
            return Ok(excerpt);
        }
    }
    library::decode(bytes, max_pixels, view)
}

fn decode_baseline(header: &Header<'_>, view: &dyn View, vectors: Vectors) -> Option<Excerpt> {
    let full = [header.width, header.height];
    let scale = view.scale(full);
    let window = view.window(full, scale);
    let mut planes = Planes::new(header, scale.eighths() as usize, &window)?;
    scan::decode(header, &mut planes, vectors)?;
    Some(Excerpt {
        place: Place {
            full,
            scale,
            offset: [window.columns.start, window.rows.start],
        },
        image: RgbImage {
            width: window.columns.len() as u32,
            height: window.rows.len() as u32,
            pixels: colour::to_rgb(&planes, &window, vectors),
        },
    })
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
