//! The loops of [`colour`](super::colour) in AVX2.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_or_si128, _mm_setr_epi8, _mm_shuffle_epi8,
    _mm_storeu_si128, _mm256_add_epi16, _mm256_add_epi32, _mm256_castsi256_si128,
    _mm256_cvtepu8_epi16, _mm256_madd_epi16, _mm256_mulhi_epi16, _mm256_packs_epi32,
    _mm256_packus_epi16, _mm256_permute4x64_epi64, _mm256_set1_epi16, _mm256_set1_epi32,
    _mm256_srai_epi16, _mm256_srai_epi32, _mm256_sub_epi16, _mm256_unpackhi_epi16,
    _mm256_unpacklo_epi16,
};

use super::colour::{GREEN_OF_BLUE, GREEN_OF_RED, Line, Mixture};
use crate::image::CHANNELS;

/// Pixels in one step.
const STEP: usize = 16;

#[target_feature(enable = "avx2")]
pub(super) fn widen(mixture: Mixture, sums: &[u16], wide: &mut [u8]) {
    mixture.widen_plainly(sums, wide);
}

#[target_feature(enable = "avx2")]
pub(super) fn to_rgb(line: Line<'_>, pixels: &mut [u8]) {
    let whole = line.brightness.len() / STEP * STEP;
    let samples = line.brightness.chunks_exact(STEP).zip(
        line.blue
            .chunks_exact(STEP)
            .zip(line.red.chunks_exact(STEP)),
    );
    for ((brightness, (blue, red)), pixels) in samples.zip(pixels.chunks_exact_mut(STEP * CHANNELS))
    {
        let half = _mm256_set1_epi16(128);
        let brightness = load(brightness);
        let blue = _mm256_sub_epi16(load(blue), half);
        let red = _mm256_sub_epi16(load(red), half);
        let channels = [
            // 1.402 = 1 + 26345 / 2¹⁶
            _mm256_add_epi16(brightness, _mm256_add_epi16(red, share::<26345>(red))),
            _mm256_add_epi16(brightness, green(blue, red)),
            // 1.772 = 2 − 14942 / 2¹⁶
            _mm256_add_epi16(
                brightness,
                _mm256_add_epi16(_mm256_add_epi16(blue, blue), share::<-14942>(blue)),
            ),
        ];
        store(channels, pixels);
    }
    line.to_rgb_plainly(pixels, whole);
}

/// `value · FACTOR / 2¹⁶`, rounded: the high half of the doubled product, and half
/// of that, rounded.
#[inline]
#[target_feature(enable = "avx2")]
fn share<const FACTOR: i16>(value: __m256i) -> __m256i {
    let doubled = _mm256_mulhi_epi16(_mm256_add_epi16(value, value), _mm256_set1_epi16(FACTOR));
    _mm256_srai_epi16::<1>(_mm256_add_epi16(doubled, _mm256_set1_epi16(1)))
}

/// What blue and red add to green.
#[inline]
#[target_feature(enable = "avx2")]
fn green(blue: __m256i, red: __m256i) -> __m256i {
    // The factor of red is beyond 16 bits; one whole is subtracted at the end.
    const RED: i32 = (1 << 16) - GREEN_OF_RED;
    let factors = _mm256_set1_epi32((-GREEN_OF_BLUE & 0xFFFF) | RED << 16);
    let rounded = |pairs: __m256i| {
        let sum = _mm256_madd_epi16(pairs, factors);
        _mm256_srai_epi32::<16>(_mm256_add_epi32(sum, _mm256_set1_epi32(1 << 15)))
    };
    let low = rounded(_mm256_unpacklo_epi16(blue, red));
    let high = rounded(_mm256_unpackhi_epi16(blue, red));
    _mm256_sub_epi16(_mm256_packs_epi32(low, high), red)
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(samples: &[u8]) -> __m256i {
    assert!(samples.len() >= STEP);
    // SAFETY: the slice holds 16 bytes.
    _mm256_cvtepu8_epi16(unsafe { _mm_loadu_si128(samples.as_ptr().cast()) })
}

/// Limits 16 pixels to bytes and interleaves them.
#[inline]
#[target_feature(enable = "avx2")]
fn store(channels: [__m256i; CHANNELS], pixels: &mut [u8]) {
    assert!(pixels.len() >= STEP * CHANNELS);
    let bytes = |channel: __m256i| {
        let packed = _mm256_packus_epi16(channel, channel);
        _mm256_castsi256_si128(_mm256_permute4x64_epi64::<0b1000>(packed))
    };
    let (red, green, blue) = (bytes(channels[0]), bytes(channels[1]), bytes(channels[2]));
    let x = -1;
    let parts = [
        [
            _mm_setr_epi8(0, x, x, 1, x, x, 2, x, x, 3, x, x, 4, x, x, 5),
            _mm_setr_epi8(x, 0, x, x, 1, x, x, 2, x, x, 3, x, x, 4, x, x),
            _mm_setr_epi8(x, x, 0, x, x, 1, x, x, 2, x, x, 3, x, x, 4, x),
        ],
        [
            _mm_setr_epi8(x, x, 6, x, x, 7, x, x, 8, x, x, 9, x, x, 10, x),
            _mm_setr_epi8(5, x, x, 6, x, x, 7, x, x, 8, x, x, 9, x, x, 10),
            _mm_setr_epi8(x, 5, x, x, 6, x, x, 7, x, x, 8, x, x, 9, x, x),
        ],
        [
            _mm_setr_epi8(x, 11, x, x, 12, x, x, 13, x, x, 14, x, x, 15, x, x),
            _mm_setr_epi8(x, x, 11, x, x, 12, x, x, 13, x, x, 14, x, x, 15, x),
            _mm_setr_epi8(10, x, x, 11, x, x, 12, x, x, 13, x, x, 14, x, x, 15),
        ],
    ];
    for (part, [of_red, of_green, of_blue]) in parts.into_iter().enumerate() {
        let mixed: __m128i = _mm_or_si128(
            _mm_or_si128(
                _mm_shuffle_epi8(red, of_red),
                _mm_shuffle_epi8(green, of_green),
            ),
            _mm_shuffle_epi8(blue, of_blue),
        );
        // SAFETY: the slice holds three times 16 bytes.
        unsafe { _mm_storeu_si128(pixels.as_mut_ptr().add(16 * part).cast(), mixed) };
    }
}
