//! What can be wrong with the bytes of an image. No path in here: the caller
//! knows which file it read.

use std::fmt;

/// A file format that is recognised by its first bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// JPEG: baseline and progressive; grey, YCbCr, RGB, CMYK, YCCK.
    Jpeg,
    /// PNG; of an animated one the default image.
    Png,
    /// WebP, lossy and lossless; the first frame.
    WebP,
    /// GIF; the first frame.
    Gif,
    /// Windows bitmap.
    Bmp,
    /// TIFF; the first page.
    Tiff,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        })
    }
}

/// Why bytes did not become a picture.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// There is nothing to decode.
    #[error("the file is empty (0 bytes)")]
    Empty,
    /// No known format starts like this.
    #[error("not an image: starts with {start} (known: JPEG, PNG, WebP, GIF, BMP, TIFF)")]
    UnknownFormat {
        /// The first bytes: quoted where they are text, else in hexadecimal.
        start: String,
    },
    /// The data ends before the picture does.
    #[error("truncated {format}: the file ends after {bytes} bytes, before the picture does")]
    Truncated {
        /// The recognised format.
        format: Format,
        /// Length of the file.
        bytes: usize,
    },
    /// The data breaks the rules of its format.
    #[error("corrupt {format}: {source}")]
    Corrupt {
        /// The recognised format.
        format: Format,
        /// The decoder's own words.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A valid file of a kind that is not read.
    #[error("{format} of an unsupported kind: {what} (convert the file to 8-bit RGB)")]
    Unsupported {
        /// The recognised format.
        format: Format,
        /// What the decoder or the conversion does not know.
        what: String,
    },
    /// The header asks for more pixels than the cap allows.
    #[error(
        "{format} of {width}×{height} = {} pixels exceeds the cap of {max_pixels} (raise it with `--max-pixels {}`)",
        pixels(*width, *height), pixels(*width, *height)
    )]
    TooManyPixels {
        /// The recognised format.
        format: Format,
        /// Columns, from the header.
        width: u32,
        /// Rows, from the header.
        height: u32,
        /// The cap.
        max_pixels: u64,
    },
    /// A decoder broke down; the picture is refused, the job goes on.
    #[error("corrupt {format}: the decoder panicked ({message})")]
    Panicked {
        /// The recognised format.
        format: Format,
        /// What the panic said.
        message: String,
    },
}

/// A word from the command line or a file that names none of the choices.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} `{found}` is unknown (choose {choices})")]
pub struct UnknownName {
    /// What was to be named.
    pub what: &'static str,
    /// The word found.
    pub found: String,
    /// The words that would have done.
    pub choices: &'static str,
}

pub(crate) fn pixels(width: u32, height: u32) -> u64 {
    u64::from(width) * u64::from(height)
}

/// The first bytes of a file, fit for a one-line message.
pub(crate) fn describe_start(bytes: &[u8]) -> String {
    const SHOWN_BYTES: usize = 8;
    let start = &bytes[..bytes.len().min(SHOWN_BYTES)];
    if start.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
        format!("`{}`", String::from_utf8_lossy(start))
    } else {
        let hex: Vec<String> = start.iter().map(|b| format!("{b:02x}")).collect();
        format!("bytes {}", hex.join(" "))
    }
}
