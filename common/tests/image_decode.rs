//! Decoding against Pillow's pixels (`data/fixtures`, made by `data/make_fixtures.py`), and against damage.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "clippy does not see that a test's supporting functions are tests too"
)]

use std::fs;
use std::path::{Path, PathBuf};

use common::image::{
    DecodeError, DecodeMode, DecodeOptions, ExifPolicy, Format, RgbImage, decode_rgb,
};
use proptest::prelude::*;
use serde_json::Value;

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../data/fixtures")
}

fn read(name: &str) -> Vec<u8> {
    fs::read(fixtures().join(name)).unwrap_or_else(|e| panic!("{name}: {e}"))
}

fn decode(bytes: &[u8]) -> Result<RgbImage, DecodeError> {
    decode_rgb(bytes, &DecodeOptions::default())
}

/// The expected pixels, read by a decoder of their own.
fn reference(name: &str) -> RgbImage {
    let image = image::load_from_memory(&read(name)).unwrap().into_rgb8();
    RgbImage {
        width: image.width(),
        height: image.height(),
        pixels: image.into_raw(),
    }
}

fn largest_difference(a: &RgbImage, b: &RgbImage) -> u8 {
    assert_eq!((a.width, a.height), (b.width, b.height));
    assert_eq!(a.pixels.len(), b.pixels.len());
    let differences = a.pixels.iter().zip(&b.pixels).map(|(x, y)| x.abs_diff(*y));
    differences.max().unwrap_or(0)
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap()
}

#[test]
fn every_format_gives_pillows_pixels() {
    let index: Value = serde_json::from_slice(&read("fixtures.json")).unwrap();
    let entries = index["good"].as_array().unwrap();
    assert!(entries.len() > 20);
    for entry in entries {
        // Such entries do not hold what Pillow gives; see the test of 16-bit grey.
        if entry.get("departs_from_pillow").is_some() {
            continue;
        }
        let file = text(entry, "file");
        let image = decode(&read(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
        let difference = largest_difference(&image, &reference(text(entry, "expected")));
        assert_eq!(difference, 0, "{file}");
    }
}

#[test]
fn sixteen_bit_grey_saturates_as_in_pillow() {
    let levels: Vec<u16> = vec![0, 1, 127, 255, 256, 257, 32768, 65535];
    let grey = image::ImageBuffer::<image::Luma<u16>, _>::from_raw(8, 1, levels).unwrap();
    for format in [image::ImageFormat::Png, image::ImageFormat::Tiff] {
        let mut file = std::io::Cursor::new(Vec::new());
        grey.write_to(&mut file, format).unwrap();
        let image = decode(file.get_ref()).unwrap();
        let red: Vec<u8> = image.pixels.chunks_exact(3).map(|p| p[0]).collect();
        assert_eq!(red, [0, 1, 127, 255, 255, 255, 255, 255], "{format:?}");
    }
}

#[test]
fn all_eight_orientations_are_turned_on_request_and_only_then() {
    let apply = DecodeOptions {
        exif: ExifPolicy::Apply,
        ..DecodeOptions::default()
    };
    for value in 1..=8 {
        let bytes = read(&format!("exif-{value}.jpg"));
        let stored = reference(&format!("exif-{value}.expected.png"));
        let upright = reference(&format!("exif-{value}.upright.png"));
        let ignored = decode(&bytes).unwrap();
        assert_eq!(largest_difference(&ignored, &stored), 0);
        let turned = decode_rgb(&bytes, &apply).unwrap();
        assert_eq!(
            largest_difference(&turned, &upright),
            0,
            "orientation {value}"
        );
    }
}

#[test]
fn applying_exif_leaves_files_without_it_alone() {
    let apply = DecodeOptions {
        exif: ExifPolicy::Apply,
        ..DecodeOptions::default()
    };
    for file in [
        "png-rgb.png",
        "webp-lossless.webp",
        "gif-two-frames.gif",
        "bmp-rgb.bmp",
    ] {
        let bytes = read(file);
        assert_eq!(decode_rgb(&bytes, &apply).unwrap(), decode(&bytes).unwrap());
    }
}

#[test]
fn empty_file_is_named_empty() {
    assert!(matches!(decode(&[]), Err(DecodeError::Empty)));
}

#[test]
fn text_called_jpg_is_not_an_image() {
    let error = decode(b"hello world").unwrap_err().to_string();
    assert!(
        error.starts_with("not an image: starts with `hello wo`"),
        "{error}"
    );
    assert!(!error.contains('\n'));
    let error = decode(&[0, 1, 0xFE]).unwrap_err().to_string();
    assert!(error.contains("starts with bytes 00 01 fe"), "{error}");
}

#[test]
fn jpeg_cut_anywhere_is_an_error() {
    for file in [
        "jpeg-420.jpg",
        "jpeg-progressive.jpg",
        "jpeg-restart.jpg",
        "jpeg-ycck.jpg",
    ] {
        let whole = read(file);
        for length in 3..whole.len() {
            let error = decode(&whole[..length]).expect_err(&format!("{file} cut to {length}"));
            let truncated = matches!(
                error,
                DecodeError::Truncated {
                    format: Format::Jpeg,
                    ..
                }
            );
            assert!(truncated, "{file} cut to {length}: {error}");
        }
    }
}

#[test]
fn truncation_is_seen_past_a_thumbnails_end_marker() {
    let whole = read("jpeg-420.jpg");
    // An application segment that holds a whole small JPEG, as cameras write.
    let mut photo = vec![0xFF, 0xD8, 0xFF, 0xE2];
    photo.extend_from_slice(&(whole.len() as u16 + 2).to_be_bytes());
    photo.extend_from_slice(&whole);
    photo.extend_from_slice(&whole[2..]);
    assert!(decode(&photo).is_ok());
    photo.truncate(photo.len() - 2);
    assert!(matches!(decode(&photo), Err(DecodeError::Truncated { .. })));
}

#[test]
fn bytes_after_the_end_of_a_jpeg_do_no_harm() {
    let whole = read("jpeg-420.jpg");
    let padded = [&whole[..], &[0; 100]].concat();
    assert_eq!(decode(&padded).unwrap(), decode(&whole).unwrap());
}

#[test]
fn lossless_files_cut_short_are_errors() {
    for file in [
        "png-rgb.png",
        "webp-lossless.webp",
        "bmp-rgb.bmp",
        "tiff-raw.tiff",
        "gif-two-frames.gif",
    ] {
        let whole = read(file);
        assert!(decode(&whole[..whole.len() / 3]).is_err(), "{file}");
    }
    let png = read("broken-truncated.png");
    assert!(matches!(decode(&png), Err(DecodeError::Truncated { .. })));
}

#[test]
fn huge_picture_is_refused_by_its_header_alone() {
    let mut header = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR".to_vec();
    header.extend_from_slice(&13_000_u32.to_be_bytes());
    header.extend_from_slice(&13_000_u32.to_be_bytes());
    header.extend_from_slice(&[8, 2, 0, 0, 0]);
    assert_eq!(
        decode(&header).unwrap_err().to_string(),
        "PNG of 13000×13000 = 169000000 pixels exceeds the cap of 100000000 (raise it with `--max-pixels 169000000`)"
    );
}

#[test]
fn pixel_cap_holds_for_every_format() {
    let capped = DecodeOptions {
        max_pixels: 45 * 31 - 1,
        ..DecodeOptions::default()
    };
    let enough = DecodeOptions {
        max_pixels: 45 * 31,
        ..DecodeOptions::default()
    };
    for file in [
        "jpeg-420.jpg",
        "png-rgb.png",
        "webp-lossy.webp",
        "gif-two-frames.gif",
        "bmp-rgb.bmp",
        "tiff-lzw.tiff",
    ] {
        let bytes = read(file);
        let refused = decode_rgb(&bytes, &capped);
        assert!(
            matches!(refused, Err(DecodeError::TooManyPixels { .. })),
            "{file}"
        );
        assert!(decode_rgb(&bytes, &enough).is_ok(), "{file}");
    }
}

#[test]
fn bare_canvas_of_a_gif_gets_the_palettes_first_colour() {
    // Two columns of canvas, one of them covered by the only frame.
    let mut file = Vec::new();
    let palette = [10, 20, 30, 200, 100, 50];
    let mut encoder = gif::Encoder::new(&mut file, 2, 1, &palette).unwrap();
    let frame = gif::Frame {
        width: 1,
        height: 1,
        left: 1,
        buffer: vec![1].into(),
        ..gif::Frame::default()
    };
    encoder.write_frame(&frame).unwrap();
    drop(encoder);
    let image = decode(&file).unwrap();
    assert_eq!(image.pixels, [10, 20, 30, 200, 100, 50]);
}

const MUTATED: [&str; 9] = [
    "jpeg-420.jpg",
    "jpeg-progressive.jpg",
    "jpeg-cmyk.jpg",
    "png-palette.png",
    "webp-lossy.webp",
    "webp-lossless.webp",
    "gif-two-frames.gif",
    "bmp-palette.bmp",
    "tiff-lzw.tiff",
];

/// A small cap, so that a mutated header cannot make the test slow.
const SMALL: DecodeOptions = DecodeOptions {
    exif: ExifPolicy::Apply,
    mode: DecodeMode::Exact,
    max_pixels: 1 << 20,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn mutated_files_never_panic(
        which in 0..MUTATED.len(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = read(MUTATED[which]);
        for (place, value) in changes {
            let at = place.index(bytes.len());
            bytes[at] = value;
        }
        if let Ok(image) = decode_rgb(&bytes, &SMALL) {
            prop_assert_eq!(image.pixels.len(), image.width as usize * image.height as usize * 3);
        }
    }

    #[test]
    fn random_bytes_after_a_known_start_never_panic(
        which in 0..MUTATED.len(),
        kept in 2_usize..40,
        tail in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let bytes = read(MUTATED[which]);
        let bytes = [&bytes[..kept], &tail[..]].concat();
        let _ = decode_rgb(&bytes, &SMALL);
    }
}
