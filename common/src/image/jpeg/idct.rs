//! The inverse DCT of libjpeg, to the last bit: the "slow" integer algorithm
//! (Loeffler, Ligtenberg & Moschytz, 1989, with 13 fractional bits), written as
//! the matrix it comes to, and the reduced ones for 1/2, 1/4 and 1/8 of the size.

use super::header::BLOCK;
#[cfg(target_arch = "x86_64")]
use super::idct_avx2::transform;
use crate::image::vectors::Vectors;

/// Fractional bits of the factors.
pub(super) const CONST_BITS: u32 = 13;
/// Fractional bits between the passes.
pub(super) const PASS1_BITS: u32 = 2;
/// A side of a block.
pub(super) const SIDE: usize = 8;

/// Factors of x₂ and x₆ in the even part.
pub(super) const EVEN: [[i16; 2]; 2] = [[10703, 4433], [4433, -10704]];
/// Factors of x₁, x₅, x₃, x₇ in the four sums of the odd part.
pub(super) const ODD: [[i16; 4]; 4] = [
    [11363, 6437, 9633, 2260],
    [9633, -11362, -2259, -6436],
    [6437, 2261, -11362, 9633],
    [2260, 9633, -6436, -11363],
];

/// Factors of x₂ and x₆ in the even part of the 4-point transform
/// (`jpeg_idct_4x4` of jidctred.c), which ignores x₄.
pub(super) const HALF_EVEN: [i16; 2] = [15137, -6270];
/// Factors of x₁, x₅, x₃, x₇ in both sums of its odd part.
pub(super) const HALF_ODD: [[i16; 4]; 2] =
    [[20995, -4926, 7373, -4176], [8697, 11893, -17799, -1730]];
/// The same for the one sum of the 2-point transform (`jpeg_idct_2x2`), which
/// ignores x₂, x₄ and x₆.
pub(super) const QUARTER_ODD: [i16; 4] = [29692, 6967, -10426, -5906];

/// Sum of |coefficient × quantisation| up to which 16 bits between the passes
/// and 32 bits in sums are enough: a pass multiplies by at most
/// 1.388 · 2^[`PASS1_BITS`].
#[cfg(target_arch = "x86_64")]
pub(super) const MAX_SMALL_MAGNITUDE: u64 = 5900;

/// Samples of a block, `size` × `size` of them, `SIDE` apart from row to row.
pub(super) type Samples = [u8; BLOCK];

/// Computes blocks of one component.
pub(super) struct Idct {
    quantisation: [u16; BLOCK],
    /// A side of the result: 8, 4 or 2.
    size: usize,
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code))]
    vectors: Vectors,
}

impl Idct {
    /// `quantisation`: row by row.
    pub(super) fn new(quantisation: [u16; BLOCK], size: usize, vectors: Vectors) -> Self {
        Self {
            quantisation,
            size,
            vectors,
        }
    }

    /// The samples of a block. `magnitude` is the sum of
    /// |coefficient × quantisation|.
    pub(super) fn run(&self, coefficients: &[i16; BLOCK], magnitude: u64) -> Samples {
        #[cfg(target_arch = "x86_64")]
        if magnitude <= MAX_SMALL_MAGNITUDE && self.vectors.has_avx2() {
            let transform = match self.size {
                SIDE => transform::<SIDE>,
                4 => transform::<4>,
                _ => transform::<2>,
            };
            // SAFETY: the machine has AVX2.
            return unsafe { transform(coefficients, &self.quantisation) };
        }
        let _ = magnitude;
        let product = |at: usize| i64::from(coefficients[at]) * i64::from(self.quantisation[at]);
        let values = std::array::from_fn(product);
        match self.size {
            SIDE => two_passes(&values, Pass::FULL),
            4 => two_passes(&values, Pass::HALF),
            _ => two_passes(&values, Pass::QUARTER),
        }
    }

    /// The one sample that a block without other coefficients than the first
    /// consists of, at any size.
    pub(super) fn flat(&self, coefficient: i16) -> u8 {
        let value = i64::from(coefficient) * i64::from(self.quantisation[0]);
        to_sample(descale(value, 3))
    }
}

/// One direction of a transform: eight numbers to `size`.
#[derive(Clone, Copy)]
struct Pass {
    size: usize,
    /// Fractional bits that the sums have beyond [`CONST_BITS`].
    extra_bits: u32,
    sums: fn([i64; SIDE]) -> [i64; SIDE],
}

impl Pass {
    const FULL: Self = Self {
        size: SIDE,
        extra_bits: 0,
        sums: full,
    };
    const HALF: Self = Self {
        size: 4,
        extra_bits: 1,
        sums: half,
    };
    const QUARTER: Self = Self {
        size: 2,
        extra_bits: 2,
        sums: quarter,
    };
}

fn two_passes(values: &[i64; BLOCK], pass: Pass) -> Samples {
    let mut between = [0; BLOCK];
    for column in 0..SIDE {
        let sums = (pass.sums)(std::array::from_fn(|row| values[row * SIDE + column]));
        for (row, sum) in sums.into_iter().enumerate().take(pass.size) {
            let bits = CONST_BITS + pass.extra_bits - PASS1_BITS;
            // libjpeg keeps an int.
            between[row * SIDE + column] = i64::from(descale(sum, bits) as i32);
        }
    }
    let mut samples = [0; BLOCK];
    for row in 0..pass.size {
        let sums = (pass.sums)(std::array::from_fn(|column| between[row * SIDE + column]));
        for (column, sum) in sums.into_iter().enumerate().take(pass.size) {
            let bits = CONST_BITS + pass.extra_bits + PASS1_BITS + 3;
            samples[row * SIDE + column] = to_sample(descale(sum, bits));
        }
    }
    samples
}

fn full(x: [i64; SIDE]) -> [i64; SIDE] {
    let [wide, narrow] = EVEN.map(|factors| sum(factors, [x[2], x[6]]));
    let [plus, minus] = [(x[0] + x[4]) << CONST_BITS, (x[0] - x[4]) << CONST_BITS];
    let even = [plus + wide, minus + narrow, minus - narrow, plus - wide];
    let odd = ODD.map(|factors| sum(factors, [x[1], x[5], x[3], x[7]]));
    std::array::from_fn(|i| match i {
        0..4 => even[i] + odd[i],
        _ => even[7 - i] - odd[7 - i],
    })
}

fn half(x: [i64; SIDE]) -> [i64; SIDE] {
    let (first, rest) = (x[0] << (CONST_BITS + 1), sum(HALF_EVEN, [x[2], x[6]]));
    let [plus, minus] = [first + rest, first - rest];
    let [outer, inner] = HALF_ODD.map(|factors| sum(factors, [x[1], x[5], x[3], x[7]]));
    [
        plus + outer,
        minus + inner,
        minus - inner,
        plus - outer,
        0,
        0,
        0,
        0,
    ]
}

fn quarter(x: [i64; SIDE]) -> [i64; SIDE] {
    let even = x[0] << (CONST_BITS + 2);
    let odd = sum(QUARTER_ODD, [x[1], x[5], x[3], x[7]]);
    [even + odd, even - odd, 0, 0, 0, 0, 0, 0]
}

fn sum<const N: usize>(factors: [i16; N], values: [i64; N]) -> i64 {
    let terms = factors.into_iter().zip(values);
    terms.map(|(factor, value)| i64::from(factor) * value).sum()
}

fn descale(value: i64, bits: u32) -> i64 {
    (value + (1 << (bits - 1))) >> bits
}

/// libjpeg's range limit: a table of 1024 entries, into which the low bits of
/// any number point.
fn to_sample(value: i64) -> u8 {
    let wrapped = (value << 54) >> 54;
    (wrapped + 128).clamp(0, 255) as u8
}
