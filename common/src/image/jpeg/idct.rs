//! The inverse DCT of libjpeg, to the last bit: the "slow" integer algorithm
//! (Loeffler, Ligtenberg & Moschytz, 1989, with 13 fractional bits), written as
//! the matrix it comes to, and the reduced ones for 1/2, 1/4 and 1/8 of the size.

use super::header::BLOCK;
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
    /// A side of the result: 8, 4, 2 or 1.
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

    /// A side of the result.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// The samples of a block. `magnitude` is the sum of
    /// |coefficient × quantisation|.
    pub(super) fn run(&self, coefficients: &[i16; BLOCK], magnitude: u64) -> Samples {
        #[cfg(target_arch = "x86_64")]
        if self.size == SIDE && magnitude <= MAX_SMALL_MAGNITUDE && self.vectors.has_avx2() {
            // SAFETY: the machine has AVX2.
            return unsafe { super::idct_avx2::full(coefficients, &self.quantisation) };
        }
        let _ = magnitude;
        let product = |at: usize| i64::from(coefficients[at]) * i64::from(self.quantisation[at]);
        let values = std::array::from_fn(product);
        match self.size {
            SIDE => two_passes(&values, Pass::FULL),
            4 => two_passes(&values, Pass::HALF),
            2 => two_passes(&values, Pass::QUARTER),
            _ => [to_sample(descale(values[0], 3)); BLOCK],
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
    let inputs = [x[1], x[5], x[3], x[7]];
    let odd = ODD.map(|factors| {
        let terms = factors.iter().zip(inputs);
        terms
            .map(|(factor, value)| i64::from(*factor) * value)
            .sum::<i64>()
    });
    let [wide, narrow] = EVEN.map(|[of_2, of_6]| i64::from(of_2) * x[2] + i64::from(of_6) * x[6]);
    let [plus, minus] = [(x[0] + x[4]) << CONST_BITS, (x[0] - x[4]) << CONST_BITS];
    let even = [plus + wide, minus + narrow, minus - narrow, plus - wide];
    std::array::from_fn(|i| match i {
        0..4 => even[i] + odd[i],
        _ => even[7 - i] - odd[7 - i],
    })
}

/// `jpeg_idct_4x4` of jidctred.c, which ignores the fifth number.
fn half(x: [i64; SIDE]) -> [i64; SIDE] {
    let even = 15137 * x[2] - 6270 * x[6];
    let [plus, minus] = [
        (x[0] << (CONST_BITS + 1)) + even,
        (x[0] << (CONST_BITS + 1)) - even,
    ];
    let inner = -1730 * x[7] + 11893 * x[5] - 17799 * x[3] + 8697 * x[1];
    let outer = -4176 * x[7] - 4926 * x[5] + 7373 * x[3] + 20995 * x[1];
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

/// `jpeg_idct_2x2` of jidctred.c, which ignores the even numbers but the first.
fn quarter(x: [i64; SIDE]) -> [i64; SIDE] {
    let even = x[0] << (CONST_BITS + 2);
    let odd = -5906 * x[7] + 6967 * x[5] - 10426 * x[3] + 29692 * x[1];
    [even + odd, even - odd, 0, 0, 0, 0, 0, 0]
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
