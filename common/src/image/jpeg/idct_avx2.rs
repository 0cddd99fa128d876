//! The inverse DCTs, a column or row of the block a lane. The passes take pairs of
//! numbers, (0, 4), (2, 6), (1, 5) and (3, 7), of 16 bits each.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm_loadu_si128, _mm_mullo_epi16, _mm_setzero_si128,
    _mm_unpackhi_epi16, _mm_unpacklo_epi16, _mm256_add_epi8, _mm256_add_epi32,
    _mm256_extract_epi64, _mm256_madd_epi16, _mm256_packs_epi16, _mm256_packs_epi32,
    _mm256_permute2x128_si256, _mm256_set_m128i, _mm256_set1_epi8, _mm256_set1_epi32,
    _mm256_setr_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16,
    _mm256_sra_epi32, _mm256_srai_epi16, _mm256_sub_epi32, _mm256_unpackhi_epi16,
    _mm256_unpackhi_epi32, _mm256_unpacklo_epi16, _mm256_unpacklo_epi32,
};

use super::{
    header::BLOCK,
    idct::{CONST_BITS, EVEN, HALF_EVEN, HALF_ODD, ODD, PASS1_BITS, QUARTER_ODD, SIDE, Samples},
};

/// The samples of a block, `SIZE` × `SIZE` of them. Exact while the sum of
/// |coefficient × quantisation| is at most
/// [`MAX_SMALL_MAGNITUDE`](super::idct::MAX_SMALL_MAGNITUDE).
#[target_feature(enable = "avx2")]
pub(super) fn transform<const SIZE: usize>(
    coefficients: &[i16; BLOCK],
    quantisation: &[u16; BLOCK],
) -> Samples {
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
    let (first_bits, second_bits) = (CONST_BITS - PASS1_BITS, CONST_BITS + PASS1_BITS + 3);
    let pass = |pairs: [__m256i; 4], bits: u32| match SIZE {
        SIDE => full(pairs, bits),
        4 => half(pairs, bits + 1),
        _ => quarter(pairs, bits + 2),
    };
    to_rows(pass(transpose(pass(columns, first_bits)), second_bits))
}

/// Eight sums.
#[inline]
#[target_feature(enable = "avx2")]
fn full(pairs: [__m256i; 4], bits: u32) -> [__m256i; SIDE] {
    let one = 1 << CONST_BITS;
    let [plus, minus] = [sum(pairs[0], [one, one]), sum(pairs[0], [one, -one])];
    let [wide, narrow] = [sum(pairs[1], EVEN[0]), sum(pairs[1], EVEN[1])];
    let even = [
        _mm256_add_epi32(plus, wide),
        _mm256_add_epi32(minus, narrow),
        _mm256_sub_epi32(minus, narrow),
        _mm256_sub_epi32(plus, wide),
    ];
    let mut results = [_mm256_setzero_si256(); SIDE];
    for (i, (even, [of_1, of_5, of_3, of_7])) in even.into_iter().zip(ODD).enumerate() {
        let odd = _mm256_add_epi32(sum(pairs[2], [of_1, of_5]), sum(pairs[3], [of_3, of_7]));
        [results[i], results[7 - i]] = butterfly(even, odd, bits);
    }
    results
}

/// Four sums.
#[inline]
#[target_feature(enable = "avx2")]
fn half(pairs: [__m256i; 4], bits: u32) -> [__m256i; SIDE] {
    let first = sum(pairs[0], [1 << (CONST_BITS + 1), 0]);
    let rest = sum(pairs[1], HALF_EVEN);
    let even = [_mm256_add_epi32(first, rest), _mm256_sub_epi32(first, rest)];
    let mut results = [_mm256_setzero_si256(); SIDE];
    for (i, (even, [of_1, of_5, of_3, of_7])) in even.into_iter().zip(HALF_ODD).enumerate() {
        let odd = _mm256_add_epi32(sum(pairs[2], [of_1, of_5]), sum(pairs[3], [of_3, of_7]));
        [results[i], results[3 - i]] = butterfly(even, odd, bits);
    }
    results
}

/// Two sums.
#[inline]
#[target_feature(enable = "avx2")]
fn quarter(pairs: [__m256i; 4], bits: u32) -> [__m256i; SIDE] {
    let half_even = sum(pairs[0], [1 << (CONST_BITS + 1), 0]);
    let [of_1, of_5, of_3, of_7] = QUARTER_ODD;
    let odd = _mm256_add_epi32(sum(pairs[2], [of_1, of_5]), sum(pairs[3], [of_3, of_7]));
    let mut results = [_mm256_setzero_si256(); SIDE];
    [results[0], results[1]] = butterfly(_mm256_add_epi32(half_even, half_even), odd, bits);
    results
}

/// The products of both numbers of each pair, added.
#[inline]
#[target_feature(enable = "avx2")]
fn sum(pairs: __m256i, factors: [i16; 2]) -> __m256i {
    let low = i32::from(factors[0] as u16);
    _mm256_madd_epi16(pairs, _mm256_set1_epi32(low | i32::from(factors[1]) << 16))
}

/// `even ± odd`, shifted down by `bits` and rounded.
#[inline]
#[target_feature(enable = "avx2")]
fn butterfly(even: __m256i, odd: __m256i, bits: u32) -> [__m256i; 2] {
    let rounded = _mm256_add_epi32(even, _mm256_set1_epi32(1 << (bits - 1)));
    let bits = _mm_cvtsi32_si128(bits as i32);
    [
        _mm256_sra_epi32(_mm256_add_epi32(rounded, odd), bits),
        _mm256_sra_epi32(_mm256_sub_epi32(rounded, odd), bits),
    ]
}

/// `rows[i]`: eight columns of row `i`, 32 bits each. Returns pairs of columns
/// as [`full`] takes them, a row a lane.
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
