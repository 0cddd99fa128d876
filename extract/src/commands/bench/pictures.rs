//! The files that are measured with: from a source, or made on the spot.

use std::io;

use anyhow::Result;
use common::{image::decode_rgb, interrupt::Interrupt, source::Source};
use mozjpeg::{ColorSpace, Compress};

use crate::plan::BenchPlan;

/// Pixels of the pictures that are made: those of ImageNet's typical photo.
pub(super) const SIZE: [usize; 2] = [500, 375];
const QUALITY: f32 = 85.0;
/// Files that are kept in memory; more add nothing to a measurement.
const MOST_FILES: usize = 256;
const MADE_FILES: usize = 16;

/// No image to measure with.
#[derive(Debug, thiserror::Error)]
#[error("`{source_path}`: no image can be read (name a folder or a table of images)")]
pub(in crate::commands) struct NoImages {
    source_path: String,
}

/// The bytes of the files.
pub(super) fn files(plan: &BenchPlan, interrupt: &Interrupt) -> Result<Vec<Vec<u8>>> {
    let Some(path) = &plan.source else {
        let made: Result<_, io::Error> = (0..MADE_FILES).map(photo).collect();
        return Ok(made?);
    };
    let source = Source::open(path)?;
    let listing = source.list(interrupt)?;
    let sound = listing
        .samples
        .iter()
        .filter(|sample| sample.problem.is_none());
    let mut files = Vec::new();
    for sample in sound.take(MOST_FILES) {
        let mut file = Vec::new();
        let read = source.read(&sample.uri, &mut file).is_ok();
        if read && decode_rgb(&file, &plan.embedder.decode).is_ok() {
            files.push(file);
        }
    }
    if files.is_empty() {
        return Err(NoImages {
            source_path: path.display().to_string(),
        }
        .into());
    }
    Ok(files)
}

/// A JPEG with about the detail of a photo: smooth waves under fine grain.
fn photo(number: usize) -> io::Result<Vec<u8>> {
    let [width, height] = SIZE;
    let mut state = number as u32 + 1;
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            // xorshift, Marsaglia 2003
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let grain = (state % 24) as f32;
            let (x, y) = (x as f32, y as f32);
            for channel in 1..=3_u8 {
                let scale = 12.0 * f32::from(channel) + number as f32;
                let wave = (x / scale).sin() + (y / (scale + 7.0)).cos();
                pixels.push((110.0 + 48.0 * wave + grain) as u8);
            }
        }
    }
    let mut encoder = Compress::new(ColorSpace::JCS_RGB);
    encoder.set_fastest_defaults();
    encoder.set_size(width, height);
    encoder.set_quality(QUALITY);
    let mut encoder = encoder.start_compress(Vec::new())?;
    encoder.write_scanlines(&pixels)?;
    encoder.finish()
}
