//! Times the input path on real files: `input_speed FOLDER [exact|fast]`.
//!
//! Prints milliseconds of processor time a picture: for decoding all of it, and
//! for the way from the file's bytes to the normalised tensor; the least of five
//! rounds.

#![allow(clippy::print_stdout, reason = "the example's output")]

use std::{error::Error, fs, hint::black_box, path::PathBuf, time::Instant};

use common::image::{DecodeOptions, Layout, Preprocess, Preprocessor, decode_excerpt, decode_rgb};

const ROUNDS: usize = 5;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let (folder, mode) = match arguments.as_slice() {
        [folder] => (folder, "exact"),
        [folder, mode] => (folder, mode.as_str()),
        _ => return Err("usage: input_speed FOLDER [exact|fast]".into()),
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(PathBuf::from(folder))? {
        files.push(fs::read(entry?.path())?);
    }
    let options = DecodeOptions {
        mode: mode.parse()?,
        ..DecodeOptions::default()
    };
    let recipe = Preprocess::imagenet();
    let mut preprocessor = Preprocessor::new(recipe, Layout::Interleaved)?;
    let mut output = vec![0.0; recipe.output_len()];
    let start = Instant::now();
    let mut least = [f64::INFINITY; 2];
    for _ in 0..ROUNDS {
        let begin = seconds(start);
        for file in &files {
            black_box(decode_rgb(file, &options)?);
        }
        let middle = seconds(start);
        for file in &files {
            let excerpt = decode_excerpt(file, &options, &recipe)?;
            preprocessor.apply_excerpt(&excerpt, &mut output)?;
            black_box(&output);
        }
        let spent = [middle - begin, seconds(start) - middle];
        least = std::array::from_fn(|i| least[i].min(spent[i] * 1e3 / files.len() as f64));
    }
    let [decode, whole] = least;
    println!(
        "{} files: decode {decode:.3} ms, whole {whole:.3} ms ({:.0} images/s)",
        files.len(),
        1e3 / whole
    );
    Ok(())
}

/// Processor time of this thread where Linux tells, else the time since `start`.
fn seconds(start: Instant) -> f64 {
    let statistics = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = statistics
        .split(' ')
        .next()
        .and_then(|n| n.parse::<f64>().ok());
    nanoseconds.map_or_else(|| start.elapsed().as_secs_f64(), |n| n / 1e9)
}
