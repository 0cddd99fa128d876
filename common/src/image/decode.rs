//! Bytes of a file → [`RgbImage`]. The format comes from the content; the
//! file's name never matters.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use super::error::{describe_start, pixels};
use super::excerpt::{Everything, Excerpt, Scale, View, Window};
use super::geometry::Demand;
use super::orientation::Orientation;
use super::{
    DecodeError, ExifPolicy, Format, Preprocess, RgbImage, UnknownName, gif, jpeg, orientation,
    raster,
};

/// Largest picture that is decoded unless the caller says otherwise: 100
/// megapixels, 300 MB as RGB. Cameras stay below it, decompression bombs do not.
pub const DEFAULT_MAX_PIXELS: u64 = 100_000_000;

/// How closely large pictures are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DecodeMode {
    /// At full size, as Pillow and torchvision do.
    #[default]
    Exact,
    /// JPEGs at 1/2, 1/4 or 1/8 of their size where the recipe shrinks them
    /// further anyway. Much faster for photos of a camera; the features drift.
    Fast,
}

impl fmt::Display for DecodeMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Exact => "exact",
            Self::Fast => "fast",
        })
    }
}

impl FromStr for DecodeMode {
    type Err = UnknownName;

    fn from_str(word: &str) -> Result<Self, UnknownName> {
        match word {
            "exact" => Ok(Self::Exact),
            "fast" => Ok(Self::Fast),
            _ => Err(UnknownName {
                what: "decoding",
                found: word.to_string(),
                choices: "exact or fast",
            }),
        }
    }
}

/// How files are decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeOptions {
    /// What to do with an EXIF orientation. Default: [`ExifPolicy::Ignore`].
    pub exif: ExifPolicy,
    /// At which scale [`decode_excerpt`] decodes. Default: [`DecodeMode::Exact`].
    pub mode: DecodeMode,
    /// Pictures with more pixels (width × height) are refused by their header.
    /// Default: [`DEFAULT_MAX_PIXELS`].
    pub max_pixels: u64,
}

impl Default for DecodeOptions {
    fn default() -> Self {
        Self {
            exif: ExifPolicy::Ignore,
            mode: DecodeMode::Exact,
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
    Ok(decode(bytes, options, &Everything)?.image)
}

/// Decodes what a recipe needs of an image file: at least the pixels that its
/// square is made of, those of [`decode_rgb`] in [`DecodeMode::Exact`].
///
/// # Errors
/// [`DecodeError`], for every input that is not a complete picture within
/// `options.max_pixels`. Never panics.
pub fn decode_excerpt(
    bytes: &[u8],
    options: &DecodeOptions,
    recipe: &Preprocess,
) -> Result<Excerpt, DecodeError> {
    let mode = options.mode;
    decode(bytes, options, &Demand { recipe, mode })
}

fn decode(bytes: &[u8], options: &DecodeOptions, view: &dyn View) -> Result<Excerpt, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    let format = recognise(bytes).ok_or_else(|| DecodeError::UnknownFormat {
        start: describe_start(bytes),
    })?;
    // The decoders are third-party code fed with hostile bytes. Should one of
    // them panic, this picture is rejected and the other million still get
    // through. Nothing outside the closure is touched, so nothing is left torn.
    let result = catch_unwind(AssertUnwindSafe(|| {
        // Orientation is part of TIFF itself, and Pillow turns the picture on
        // loading whatever the caller thinks of EXIF.
        let turn = match (format, options.exif) {
            (Format::Tiff, _) | (_, ExifPolicy::Apply) => orientation::read(bytes),
            (_, ExifPolicy::Ignore) => None,
        };
        match turn {
            Some(turn) => decode_turned(format, bytes, options.max_pixels, (turn, view)),
            None => decode_as(format, bytes, options.max_pixels, view),
        }
    }));
    result.unwrap_or_else(|cause| {
        Err(DecodeError::Panicked {
            format,
            message: panic_message(cause.as_ref()),
        })
    })
}

fn decode_as(
    format: Format,
    bytes: &[u8],
    max_pixels: u64,
    view: &dyn View,
) -> Result<Excerpt, DecodeError> {
    match format {
        Format::Jpeg => jpeg::decode(bytes, max_pixels, view),
        Format::Gif => gif::decode(bytes, max_pixels).map(Excerpt::whole),
        other => raster::decode(other, bytes, max_pixels).map(Excerpt::whole),
    }
}

/// Decodes a picture that is then to be turned, which takes all of it.
fn decode_turned(
    format: Format,
    bytes: &[u8],
    max_pixels: u64,
    (turn, view): (Orientation, &dyn View),
) -> Result<Excerpt, DecodeError> {
    let mut excerpt = decode_as(format, bytes, max_pixels, &Turned { turn, view })?;
    excerpt.image = orientation::apply(&excerpt.image, turn);
    excerpt.place.full = turn.size(excerpt.place.full);
    Ok(excerpt)
}

/// All of a picture that lies on its side, at the scale that will do once it is
/// turned.
struct Turned<'a> {
    turn: Orientation,
    view: &'a dyn View,
}

impl View for Turned<'_> {
    fn scale(&self, full: [u32; 2]) -> Scale {
        self.view.scale(self.turn.size(full))
    }

    fn window(&self, full: [u32; 2], scale: Scale) -> Window {
        Window::whole(scale.of(full))
    }
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
