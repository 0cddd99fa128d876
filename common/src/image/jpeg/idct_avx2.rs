//! The full inverse DCT, a column or row of the block a lane.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_loadu_si128, _mm_mullo_epi16, _mm_setzero_si128, _mm_unpackhi_epi16,
    _mm_unpacklo_epi16, _mm256_add_epi8, _mm256_add_epi32, _mm256_extract_epi64, _mm256_madd_epi16,
    _mm256_packs_epi16, _mm256_packs_epi32, _mm256_permute2x128_si256, _mm256_set_m128i,
    _mm256_set1_epi8, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_shuffle_epi8, _mm256_slli_epi16,
    _mm256_srai_epi16, _mm256_srai_epi32, _mm256_sub_epi32, _mm256_unpackhi_epi16,
    _mm256_unpackhi_epi32, _mm256_unpacklo_epi16, _mm256_unpacklo_epi32,
};

use super::{
    header::BLOCK,
    idct::{CONST_BITS, EVEN, ODD, PASS1_BITS, SIDE, Samples},
};

/// Exact while the sum of |coefficient × quantisation| is at most
/// [`MAX_SMALL_MAGNITUDE`](super::idct::MAX_SMALL_MAGNITUDE).
#[target_feature(enable = "avx2")]
pub(super) fn full(coefficients: &[i16; BLOCK], quantisation: &[u16; BLOCK]) -> Samples {
    let mut rows = [_mm_setzero_si128(); SIDE];
    for (row, values) in rows.iter_mut().enumerate() {
        // SAFETY: eight 16-bit numbers from the start of a row lie in the block.
        let load = |from: *const u8| unsafe { _mm_loadu_si128(from.add(row * 16).cast()) };
        let coefficients = load(coefficients.as_ptr().cast());
        *values = _mm_mullo_epi16(coefficients, load(quantisation.as_ptr().cast()));
    }
    let pair = |a: usize, b: usize| {
        let low = _mm_unpacklo_epi16(rows[a], rows[b]);
        _mm256_set_m128i(_mm_unpackhi_epi16(rows[a], rows[b]), low)
    };
    let columns = [pair(0, 4), pair(2, 6), pair(1, 5), pair(3, 7)];
    let between = pass::<{ (CONST_BITS - PASS1_BITS) as i32 }>(columns);
    let samples = pass::<{ (CONST_BITS + PASS1_BITS + 3) as i32 }>(transpose(between));
    to_rows(samples)
}

/// One direction for eight lanes. `pairs`: numbers (0, 4), (2, 6), (1, 5) and
/// (3, 7), 16 bits each; returns the eight sums shifted down by `BITS`, rounded.
#[inline]
#[target_feature(enable = "avx2")]
fn pass<const BITS: i32>(pairs: [__m256i; 4]) -> [__m256i; SIDE] {
    let sum = |pair: __m256i, factors: [i16; 2]| {
        let low = i32::from(factors[0] as u16);
        _mm256_madd_epi16(pair, _mm256_set1_epi32(low | i32::from(factors[1]) << 16))
    };
    let one = 1 << CONST_BITS;
    let rounding = _mm256_set1_epi32(1 << (BITS - 1));
    let plus = _mm256_add_epi32(sum(pairs[0], [one, one]), rounding);
    let minus = _mm256_add_epi32(sum(pairs[0], [one, -one]), rounding);
    let [wide, narrow] = [sum(pairs[1], EVEN[0]), sum(pairs[1], EVEN[1])];
    let even = [
        _mm256_add_epi32(plus, wide),
        _mm256_add_epi32(minus, narrow),
        _mm256_sub_epi32(minus, narrow),
        _mm256_sub_epi32(plus, wide),
    ];
    let mut results = [rounding; SIDE];
    for (i, (even, [of_1, of_5, of_3, of_7])) in even.into_iter().zip(ODD).enumerate() {
        let odd = _mm256_add_epi32(sum(pairs[2], [of_1, of_5]), sum(pairs[3], [of_3, of_7]));
        results[i] = _mm256_srai_epi32::<BITS>(_mm256_add_epi32(even, odd));
        results[7 - i] = _mm256_srai_epi32::<BITS>(_mm256_sub_epi32(even, odd));
    }
    results
}

/// `rows[i]`: eight columns of row `i`, 32 bits each. Returns pairs of columns
/// as [`pass`] takes them, a row a lane.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(rows: [__m256i; SIDE]) -> [__m256i; 4] {
    // Of four rows: (columns 0 and 1 | 4 and 5), (2 and 3 | 6 and 7).
    let four = |first: usize| {
        let upper = _mm256_packs_epi32(rows[first], rows[first + 1]);
        let lower = _mm256_packs_epi32(rows[first + 2], rows[first + 3]);
        let even = _mm256_unpacklo_epi16(upper, lower);
        let odd = _mm256_unpackhi_epi16(upper, lower);
        [
            _mm256_unpacklo_epi16(even, odd),
            _mm256_unpackhi_epi16(even, odd),
        ]
    };
    let (upper, lower) = (four(0), four(4));
    let halves = |i: usize| {
        [
            _mm256_permute2x128_si256::<0x20>(upper[i], lower[i]),
            _mm256_permute2x128_si256::<0x31>(upper[i], lower[i]),
        ]
    };
    let ([c01, c45], [c23, c67]) = (halves(0), halves(1));
    [
        _mm256_unpacklo_epi16(c01, c45),
        _mm256_unpacklo_epi16(c23, c67),
        _mm256_unpackhi_epi16(c01, c45),
        _mm256_unpackhi_epi16(c23, c67),
    ]
}

/// `columns[i]`: eight rows of column `i`. Limits them as libjpeg does and turns
/// them into rows of bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn to_rows(columns: [__m256i; SIDE]) -> Samples {
    let limited = |first: usize| {
        let two = _mm256_packs_epi32(columns[first], columns[first + 1]);
        // Ten bits, as the table that libjpeg looks samples up in.
        _mm256_srai_epi16::<6>(_mm256_slli_epi16::<6>(two))
    };
    let bytes = |first: usize| {
        let signed = _mm256_packs_epi16(limited(first), limited(first + 2));
        let order = _mm256_setr_epi8(
            0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0, 4, 8, 12, 1, 5, 9, 13, 2, 6,
            10, 14, 3, 7, 11, 15,
        );
        let samples = _mm256_add_epi8(signed, _mm256_set1_epi8(-128));
        _mm256_shuffle_epi8(samples, order)
    };
    let (left, right) = (bytes(0), bytes(4));
    let outer = _mm256_unpacklo_epi32(left, right);
    let inner = _mm256_unpackhi_epi32(left, right);
    let rows = [
        _mm256_extract_epi64::<0>(outer),
        _mm256_extract_epi64::<1>(outer),
        _mm256_extract_epi64::<0>(inner),
        _mm256_extract_epi64::<1>(inner),
        _mm256_extract_epi64::<2>(outer),
        _mm256_extract_epi64::<3>(outer),
        _mm256_extract_epi64::<2>(inner),
        _mm256_extract_epi64::<3>(inner),
    ];
    let mut samples = [0; BLOCK];
    for (row, bytes) in samples.chunks_exact_mut(SIDE).zip(rows) {
        row.copy_from_slice(&bytes.to_le_bytes());
    }
    samples
}
