//! The input path on one thread: decoding, resizing, and the whole way from a
//! JPEG's bytes to the normalised tensor. The pictures are made here.
//!
//! ```text
//! cargo bench --workspace --bench input
//! ```

#![allow(
    clippy::expect_used,
    missing_docs,
    reason = "a benchmark that cannot be set up may stop; criterion's macros make undocumented items"
)]

use std::hint::black_box;

use common::image::{
    DecodeMode, DecodeOptions, Excerpt, Layout, Preprocess, Preprocessor, decode_excerpt,
    decode_rgb,
};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mozjpeg::{ColorSpace, Compress};

/// Columns and rows.
const SIZES: [[usize; 2]; 2] = [[500, 375], [2000, 1500]];
const QUALITY: f32 = 85.0;
/// Octaves of noise, each half as strong as the one before: about a photo's spectrum.
const OCTAVES: u32 = 8;

/// A picture with the spectrum of a photo, as JPEG with 4:2:0.
fn jpeg([width, height]: [usize; 2]) -> Vec<u8> {
    let mut pixels = Vec::with_capacity(width * height * 3);
    for y in 0..height {
        for x in 0..width {
            for channel in 0..3 {
                let octaves = (0..OCTAVES).map(|octave| {
                    let side = 1 << (OCTAVES - 1 - octave);
                    noise(x, y, side, channel) / f32::from(1_u16 << octave)
                });
                pixels.push((128.0 + 100.0 * octaves.sum::<f32>()).clamp(0.0, 255.0) as u8);
            }
        }
    }
    let mut encoder = Compress::new(ColorSpace::JCS_RGB);
    encoder.set_fastest_defaults();
    encoder.set_size(width, height);
    encoder.set_quality(QUALITY);
    let mut encoder = encoder.start_compress(Vec::new()).expect("a new encoder");
    encoder.write_scanlines(&pixels).expect("all lines");
    encoder.finish().expect("all lines were written")
}

/// Values between −1 and 1 on a lattice of `side` pixels, interpolated.
fn noise(x: usize, y: usize, side: usize, channel: usize) -> f32 {
    let corner = |column: usize, row: usize| {
        let mut hash = (column * 73_856_093) ^ (row * 19_349_663) ^ (side * 83_492_791) ^ channel;
        hash = (hash ^ (hash >> 13)).wrapping_mul(0x5bd1_e995);
        ((hash ^ (hash >> 15)) & 0xFFFF) as f32 / 32768.0 - 1.0
    };
    let (column, row) = (x / side, y / side);
    let (u, v) = (
        (x % side) as f32 / side as f32,
        (y % side) as f32 / side as f32,
    );
    let line = |row| corner(column, row) * (1.0 - u) + corner(column + 1, row) * u;
    line(row) * (1.0 - v) + line(row + 1) * v
}

fn input(criterion: &mut Criterion) {
    let recipe = Preprocess::imagenet();
    let mut preprocessor = Preprocessor::new(recipe, Layout::Interleaved).expect("a valid recipe");
    let mut output = vec![0.0; recipe.output_len()];
    let exact = DecodeOptions::default();
    let fast = DecodeOptions {
        mode: DecodeMode::Fast,
        ..exact
    };
    for size in SIZES {
        let file = jpeg(size);
        let mut group = criterion.benchmark_group(format!("{}x{}", size[0], size[1]));
        group.throughput(Throughput::Elements(1));
        let excerpt = |options: &DecodeOptions| -> Excerpt {
            decode_excerpt(black_box(&file), options, &recipe).expect("a whole file")
        };
        group.bench_function("decode", |bencher| {
            bencher.iter(|| decode_rgb(black_box(&file), &exact).expect("a whole file"));
        });
        let decoded = excerpt(&exact);
        group.bench_function("resize", |bencher| {
            bencher.iter(|| preprocessor.apply_excerpt(black_box(&decoded), &mut output));
        });
        for options in [exact, fast] {
            let name = BenchmarkId::new("whole", options.mode);
            group.bench_function(name, |bencher| {
                bencher.iter(|| preprocessor.apply_excerpt(&excerpt(&options), &mut output));
            });
        }
        group.finish();
    }
}

criterion_group!(benches, input);
criterion_main!(benches);
