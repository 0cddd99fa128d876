//! Both passes in AVX2. A weight of 22 bits is split in two halves that fit the
//! 16-bit products of `vpmaddwd`: w = high · 2¹¹ + low. Two taps go into one
//! product, and the sums of both halves are put together at the end, all modulo
//! 2³² as in the plain loops.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128, _mm_packs_epi32,
    _mm_packus_epi16, _mm_set1_epi32, _mm_setr_epi8, _mm_srai_epi32, _mm_storeu_si128,
    _mm_unpackhi_epi8, _mm_unpacklo_epi8, _mm256_add_epi32, _mm256_broadcastsi128_si256,
    _mm256_castsi256_si128, _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_madd_epi16,
    _mm256_set_m128i, _mm256_set1_epi32, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_slli_epi32, _mm256_srai_epi32,
};

use super::{HALF, Lines, PRECISION_BITS, Source, Taps, across as across_plainly};
use crate::image::CHANNELS;

/// Bits of the lower half of a weight.
const LOW_BITS: u32 = 11;
/// Taps of one step along a line.
const GROUP: usize = 4;
/// Bytes of one load, and the least that a line must have.
pub(super) const LOAD: usize = 16;
/// Lines that are worked on together.
const LINES: usize = 4;

/// Two weights as the factors of `vpmaddwd`: both higher halves, both lower ones.
fn split(first: i32, second: i32) -> [i32; 2] {
    let pair = |a: i32, b: i32| (a & 0xFFFF) | b << 16;
    let low = (1 << LOW_BITS) - 1;
    [
        pair(first >> LOW_BITS, second >> LOW_BITS),
        pair(first & low, second & low),
    ]
}

/// The taps of a line in groups of four.
pub(super) struct Columns {
    /// For each output pixel: byte of its first tap, and its groups.
    spans: Vec<(usize, std::ops::Range<usize>)>,
    /// High and low halves of taps 0 and 1, and of 2 and 3; beyond the last tap 0.
    groups: Vec<[[i32; 2]; 2]>,
}

impl Columns {
    /// For lines of which the first pixel is pixel `skipped` of the axis.
    pub(super) fn new(taps: &Taps, skipped: usize) -> Self {
        let mut columns = Self {
            spans: Vec::with_capacity(taps.spans.len()),
            groups: Vec::new(),
        };
        for (first, span) in &taps.spans {
            let begin = columns.groups.len();
            for weights in taps.weights[span.clone()].chunks(GROUP) {
                let mut group = [0; GROUP];
                group[..weights.len()].copy_from_slice(weights);
                let [a, b, c, d] = group;
                columns.groups.push([split(a, b), split(c, d)]);
            }
            let groups = begin..columns.groups.len();
            columns.spans.push(((first - skipped) * CHANNELS, groups));
        }
        columns
    }

    /// Writes all lines, four at a time.
    #[target_feature(enable = "avx2")]
    pub(super) fn run(&self, source: Source<'_>, output: &mut Lines) {
        // Loads may end in the next line; the last one gets room of its own.
        let Some(last) = source.lines().checked_sub(1) else {
            return;
        };
        let mut padded = source.line(last).to_vec();
        padded.resize(source.line_bytes + LOAD, 0);
        let line = |index: usize| match index.checked_sub(last) {
            None => &source.bytes[index * source.line_bytes..],
            Some(_) => &padded[..],
        };
        let pitch = output.pitch;
        for (block, output) in output.bytes.chunks_mut(LINES * pitch).enumerate() {
            let lines = std::array::from_fn(|i| line(block * LINES + i));
            match output.len() / pitch {
                LINES => self.lines::<LINES>(lines, output, pitch),
                _ => {
                    for (line, output) in lines.into_iter().zip(output.chunks_mut(pitch)) {
                        self.lines([line], output, pitch);
                    }
                }
            }
        }
    }

    /// Writes `N` lines of `output`, and a byte behind each.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn lines<const N: usize>(&self, lines: [&[u8]; N], output: &mut [u8], pitch: usize) {
        for (pixel, (first, groups)) in self.spans.iter().enumerate() {
            let mut sums = [[_mm256_setzero_si256(); 2]; N];
            for (step, [left, right]) in self.groups[groups.clone()].iter().enumerate() {
                let factors = |half: usize| {
                    _mm256_set_m128i(_mm_set1_epi32(right[half]), _mm_set1_epi32(left[half]))
                };
                let [high, low] = [factors(0), factors(1)];
                for (line, [high_sum, low_sum]) in lines.iter().zip(&mut sums) {
                    let pairs = pairs(line, first + step * GROUP * CHANNELS);
                    *high_sum = _mm256_add_epi32(*high_sum, _mm256_madd_epi16(pairs, high));
                    *low_sum = _mm256_add_epi32(*low_sum, _mm256_madd_epi16(pairs, low));
                }
            }
            for (index, sums) in sums.into_iter().enumerate() {
                let at = index * pitch + pixel * CHANNELS;
                output[at..at + 4].copy_from_slice(&finish(sums).to_le_bytes());
            }
        }
    }
}

/// Four pixels from byte `at` on: channels of pixels 0 and 1 side by side in the
/// lower half, of 2 and 3 in the upper half, 16 bits each.
#[inline]
#[target_feature(enable = "avx2")]
fn pairs(line: &[u8], at: usize) -> __m256i {
    let bytes = &line[at..at + LOAD];
    // SAFETY: the slice holds 16 bytes.
    let pixels = unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) };
    let x = -1;
    let left = _mm_setr_epi8(0, x, 3, x, 1, x, 4, x, 2, x, 5, x, x, x, x, x);
    let right = _mm_setr_epi8(6, x, 9, x, 7, x, 10, x, 8, x, 11, x, x, x, x, x);
    _mm256_shuffle_epi8(
        _mm256_broadcastsi128_si256(pixels),
        _mm256_set_m128i(right, left),
    )
}

/// A pixel from its sums; the highest byte means nothing.
#[inline]
#[target_feature(enable = "avx2")]
fn finish([high, low]: [__m256i; 2]) -> i32 {
    let sums = _mm256_add_epi32(_mm256_slli_epi32::<{ LOW_BITS as i32 }>(high), low);
    let sum = _mm_add_epi32(
        _mm256_castsi256_si128(sums),
        _mm256_extracti128_si256::<1>(sums),
    );
    let rounded = _mm_add_epi32(sum, _mm_set1_epi32(HALF));
    let values = _mm_srai_epi32::<{ PRECISION_BITS as i32 }>(rounded);
    let words = _mm_packs_epi32(values, values);
    _mm_cvtsi128_si32(_mm_packus_epi16(words, words))
}

/// The weighted sum of lines, 16 bytes at a time.
#[target_feature(enable = "avx2")]
pub(super) fn across(weights: &[i32], lines: Source<'_>, output: &mut [u8]) {
    let whole = output.len() / LOAD * LOAD;
    assert!((weights.len().max(1) - 1) * lines.line_bytes + whole <= lines.bytes.len());
    for (step, bytes) in output.chunks_exact_mut(LOAD).enumerate() {
        let mut sums = [[_mm256_setzero_si256(); 2]; 2];
        for (pair, weights) in weights.chunks(2).enumerate() {
            let at = pair * 2 * lines.line_bytes + step * LOAD;
            let upper = load(lines.bytes, at);
            let (lower, second) = match weights {
                [_, second] => (load(lines.bytes, at + lines.line_bytes), *second),
                _ => (upper, 0),
            };
            let [high, low] = split(weights[0], second);
            let (high, low) = (_mm256_set1_epi32(high), _mm256_set1_epi32(low));
            let halves = [
                _mm_unpacklo_epi8(upper, lower),
                _mm_unpackhi_epi8(upper, lower),
            ];
            for (half, [high_sum, low_sum]) in halves.into_iter().zip(&mut sums) {
                let values = _mm256_cvtepu8_epi16(half);
                *high_sum = _mm256_add_epi32(*high_sum, _mm256_madd_epi16(values, high));
                *low_sum = _mm256_add_epi32(*low_sum, _mm256_madd_epi16(values, low));
            }
        }
        let mut values = [_mm256_set1_epi32(HALF); 2];
        for (value, [high, low]) in values.iter_mut().zip(sums) {
            let sum = _mm256_add_epi32(_mm256_slli_epi32::<{ LOW_BITS as i32 }>(high), low);
            *value = _mm256_srai_epi32::<{ PRECISION_BITS as i32 }>(_mm256_add_epi32(*value, sum));
        }
        let words = values;
        let first = _mm_packs_epi32(
            _mm256_castsi256_si128(words[0]),
            _mm256_extracti128_si256::<1>(words[0]),
        );
        let second = _mm_packs_epi32(
            _mm256_castsi256_si128(words[1]),
            _mm256_extracti128_si256::<1>(words[1]),
        );
        // SAFETY: the chunk has 16 bytes.
        unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), _mm_packus_epi16(first, second)) };
    }
    across_plainly(weights, lines, output, whole);
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8], at: usize) -> __m128i {
    debug_assert!(at + LOAD <= bytes.len());
    // SAFETY: `across` has checked that all loads end within the lines.
    unsafe { _mm_loadu_si128(bytes.as_ptr().add(at).cast()) }
}
