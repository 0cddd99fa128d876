//! Vectors of integers behind one trait, beside [`Simd`]'s floats.
//!
//! Every operation gives the same integers on every set: sums wrap or are
//! bounded by the caller, nothing saturates unnoticed. Floats appear where an
//! integer sum is scaled; there, multiplication and addition are separate
//! roundings, which no set can do otherwise.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::*;

#[cfg(target_arch = "x86_64")]
use super::super::vector::{Avx2, Avx512};
use super::super::vector::{Four, Portable, Simd};

/// 3·2²²: a float that this was added to has an integer in its mantissa.
const ROUNDING: f32 = 12_582_912.0;

/// The integer nearest to `value`, which is within ±32767; ties to even.
#[inline(always)]
pub(in super::super) fn rounded(value: f32) -> i16 {
    // `round_ties_even` is a call into the C library where the instruction is
    // not part of the baseline.
    (value + ROUNDING).to_bits() as i16
}

/// Arithmetic on vectors of [`Simd::LANES`] 32-bit and twice as many 16-bit
/// integers.
pub(in super::super) trait Integers: Simd {
    /// 32-bit integers.
    type Words: Copy;
    /// 16-bit integers.
    type Shorts: Copy;

    /// `value` in every lane.
    fn splat_words(self, value: i32) -> Self::Words;
    /// `sum + a₀·b₀ + a₁·b₁` of the two 16-bit halves of every lane.
    fn dot_pairs(self, sum: Self::Words, a: Self::Words, b: Self::Words) -> Self::Words;
    /// `sum + Σ aᵢ·bᵢ` of the four bytes of every lane, those of `a` without
    /// sign. |b₀| + |b₁| and |b₂| + |b₃| are 128 at most ([`PAIR`]): beyond that, sets without an
    /// instruction for all four would saturate.
    ///
    /// [`PAIR`]: super::weights::PAIR
    fn dot_quads(self, sum: Self::Words, a: Self::Words, b: Self::Words) -> Self::Words;
    /// The nearest floats.
    fn to_floats(self, words: Self::Words) -> Self::Vector;

    /// `a + b`, wrapping.
    fn add_shorts(self, a: Self::Shorts, b: Self::Shorts) -> Self::Shorts;
    /// `a − b`, wrapping.
    fn sub_shorts(self, a: Self::Shorts, b: Self::Shorts) -> Self::Shorts;
    /// The larger of the two.
    fn max_shorts(self, a: Self::Shorts, b: Self::Shorts) -> Self::Shorts;

    /// # Safety
    /// `from` is valid for reading LANES words.
    unsafe fn load_words(self, from: *const i32) -> Self::Words;
    /// # Safety
    /// `to` is valid for writing LANES words.
    unsafe fn store_words(self, words: Self::Words, to: *mut i32);
    /// # Safety
    /// `from` is valid for reading 2·LANES shorts.
    unsafe fn load_shorts(self, from: *const i16) -> Self::Shorts;
    /// # Safety
    /// `to` is valid for writing 2·LANES shorts.
    unsafe fn store_shorts(self, shorts: Self::Shorts, to: *mut i16);
    /// LANES shorts as floats.
    ///
    /// # Safety
    /// `from` is valid for reading LANES shorts.
    unsafe fn load_as_floats(self, from: *const i16) -> Self::Vector;
    /// Floats within ±32767, rounded to the nearest integers, ties to even.
    ///
    /// # Safety
    /// `to` is valid for writing LANES shorts.
    unsafe fn store_rounded(self, floats: Self::Vector, to: *mut i16);
    /// The low bytes of `shorts`.
    ///
    /// # Safety
    /// `to` is valid for writing 2·LANES bytes.
    unsafe fn store_bytes(self, shorts: Self::Shorts, to: *mut u8);
    /// `value` in every lane.
    fn splat_shorts(self, value: i16) -> Self::Shorts;

    /// `a · b + c`, rounded twice.
    #[inline(always)]
    fn scale_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector {
        self.add(self.mul(a, b), c)
    }

    /// `2 · a`
    #[inline(always)]
    fn double(self, a: Self::Shorts) -> Self::Shorts {
        self.add_shorts(a, a)
    }
}

#[inline(always)]
fn halves(word: i32) -> [i32; 2] {
    [i32::from(word as i16), word >> 16]
}

impl Integers for Portable {
    type Words = [i32; 4];
    type Shorts = [i16; 8];

    #[inline(always)]
    fn splat_words(self, value: i32) -> [i32; 4] {
        [value; 4]
    }

    #[inline(always)]
    fn splat_shorts(self, value: i16) -> [i16; 8] {
        [value; 8]
    }

    #[inline(always)]
    fn dot_pairs(self, mut sum: [i32; 4], a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        for lane in 0..4 {
            let ([a0, a1], [b0, b1]) = (halves(a[lane]), halves(b[lane]));
            sum[lane] = sum[lane].wrapping_add((a0 * b0).wrapping_add(a1 * b1));
        }
        sum
    }

    #[inline(always)]
    fn dot_quads(self, mut sum: [i32; 4], a: [i32; 4], b: [i32; 4]) -> [i32; 4] {
        for lane in 0..4 {
            for (a, b) in a[lane].to_ne_bytes().into_iter().zip(b[lane].to_ne_bytes()) {
                sum[lane] = sum[lane].wrapping_add(i32::from(a) * i32::from(b as i8));
            }
        }
        sum
    }

    #[inline(always)]
    fn to_floats(self, words: [i32; 4]) -> Four {
        let mut floats = [0.0; 4];
        for lane in 0..4 {
            floats[lane] = words[lane] as f32;
        }
        Four(floats)
    }

    #[inline(always)]
    fn add_shorts(self, mut a: [i16; 8], b: [i16; 8]) -> [i16; 8] {
        for lane in 0..8 {
            a[lane] = a[lane].wrapping_add(b[lane]);
        }
        a
    }

    #[inline(always)]
    fn sub_shorts(self, mut a: [i16; 8], b: [i16; 8]) -> [i16; 8] {
        for lane in 0..8 {
            a[lane] = a[lane].wrapping_sub(b[lane]);
        }
        a
    }

    #[inline(always)]
    fn max_shorts(self, mut a: [i16; 8], b: [i16; 8]) -> [i16; 8] {
        for lane in 0..8 {
            a[lane] = a[lane].max(b[lane]);
        }
        a
    }

    #[inline(always)]
    unsafe fn load_words(self, from: *const i32) -> [i32; 4] {
        // SAFETY: the caller's promise; arrays need no more than an element's
        // alignment, here and below.
        unsafe { from.cast::<[i32; 4]>().read() }
    }

    #[inline(always)]
    unsafe fn store_words(self, words: [i32; 4], to: *mut i32) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[i32; 4]>().write(words) }
    }

    #[inline(always)]
    unsafe fn load_shorts(self, from: *const i16) -> [i16; 8] {
        // SAFETY: the caller's promise.
        unsafe { from.cast::<[i16; 8]>().read() }
    }

    #[inline(always)]
    unsafe fn store_shorts(self, shorts: [i16; 8], to: *mut i16) {
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[i16; 8]>().write(shorts) }
    }

    #[inline(always)]
    unsafe fn load_as_floats(self, from: *const i16) -> Four {
        // SAFETY: the caller's promise.
        let shorts = unsafe { from.cast::<[i16; 4]>().read() };
        let mut floats = [0.0; 4];
        for lane in 0..4 {
            floats[lane] = f32::from(shorts[lane]);
        }
        Four(floats)
    }

    #[inline(always)]
    unsafe fn store_rounded(self, floats: Four, to: *mut i16) {
        let mut shorts = [0; 4];
        for (short, value) in shorts.iter_mut().zip(floats.0) {
            *short = rounded(value);
        }
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[i16; 4]>().write(shorts) }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, shorts: [i16; 8], to: *mut u8) {
        let mut bytes = [0; 8];
        for lane in 0..8 {
            bytes[lane] = shorts[lane] as u8;
        }
        // SAFETY: the caller's promise.
        unsafe { to.cast::<[u8; 8]>().write(bytes) }
    }
}

#[cfg(target_arch = "x86_64")]
macro_rules! x86_integers {
    ($token:ident, $words:ty, $($name:ident($($argument:ident: $kind:ty),*) -> $result:ty = $body:expr;)*) => {
        impl<const VNNI: bool> Integers for $token<VNNI> {
            type Words = $words;
            type Shorts = $words;

            $(
                #[inline(always)]
                fn $name(self, $($argument: $kind),*) -> $result {
                    // SAFETY: the token proves that the instructions exist.
                    unsafe { $body }
                }
            )*

            x86_integers!(@memory $token);
        }
    };
    (@memory Avx2) => {
        x86_integers!(@loads
            _mm256_loadu_si256, _mm256_storeu_si256,
            |from| _mm256_cvtepi32_ps(_mm256_cvtepi16_epi32(_mm_loadu_si128(from.cast()))),
            |floats, to| {
                let words = _mm256_cvtps_epi32(floats);
                let (low, high) = (_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
                _mm_storeu_si128(to.cast(), _mm_packs_epi32(low, high));
            },
            |shorts, to| {
                let bytes = _mm256_and_si256(shorts, _mm256_set1_epi16(255));
                let (low, high) = (_mm256_castsi256_si128(bytes), _mm256_extracti128_si256::<1>(bytes));
                _mm_storeu_si128(to.cast(), _mm_packus_epi16(low, high));
            }
        );
    };
    (@memory Avx512) => {
        x86_integers!(@loads
            _mm512_loadu_si512, _mm512_storeu_si512,
            |from| _mm512_cvtepi32_ps(_mm512_cvtepi16_epi32(_mm256_loadu_si256(from.cast()))),
            |floats, to| _mm256_storeu_si256(to.cast(), _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(floats))),
            |shorts, to| _mm256_storeu_si256(to.cast(), _mm512_cvtepi16_epi8(shorts))
        );
    };
    (@loads $load:ident, $store:ident, |$from:ident| $floats:expr,
     |$rounded:ident, $shorts_to:ident| $round:expr, |$shorts:ident, $bytes_to:ident| $narrow:expr) => {
        #[inline(always)]
        unsafe fn load_words(self, from: *const i32) -> Self::Words {
            // SAFETY: the token, and the caller's promise, here and below.
            unsafe { $load(from.cast()) }
        }

        #[inline(always)]
        unsafe fn store_words(self, words: Self::Words, to: *mut i32) {
            // SAFETY: as above.
            unsafe { $store(to.cast(), words) }
        }

        #[inline(always)]
        unsafe fn load_shorts(self, from: *const i16) -> Self::Shorts {
            // SAFETY: as above.
            unsafe { $load(from.cast()) }
        }

        #[inline(always)]
        unsafe fn store_shorts(self, shorts: Self::Shorts, to: *mut i16) {
            // SAFETY: as above.
            unsafe { $store(to.cast(), shorts) }
        }

        #[inline(always)]
        unsafe fn load_as_floats(self, $from: *const i16) -> Self::Vector {
            // SAFETY: as above.
            unsafe { $floats }
        }

        #[inline(always)]
        unsafe fn store_rounded(self, $rounded: Self::Vector, $shorts_to: *mut i16) {
            // SAFETY: as above.
            unsafe { $round }
        }

        #[inline(always)]
        unsafe fn store_bytes(self, $shorts: Self::Shorts, $bytes_to: *mut u8) {
            // SAFETY: as above.
            unsafe { $narrow }
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86_integers! {
    Avx2, __m256i,
    splat_words(value: i32) -> __m256i = _mm256_set1_epi32(value);
    splat_shorts(value: i16) -> __m256i = _mm256_set1_epi16(value);
    to_floats(words: __m256i) -> __m256 = _mm256_cvtepi32_ps(words);
    add_shorts(a: __m256i, b: __m256i) -> __m256i = _mm256_add_epi16(a, b);
    sub_shorts(a: __m256i, b: __m256i) -> __m256i = _mm256_sub_epi16(a, b);
    max_shorts(a: __m256i, b: __m256i) -> __m256i = _mm256_max_epi16(a, b);
    dot_pairs(sum: __m256i, a: __m256i, b: __m256i) -> __m256i = if VNNI {
        _mm256_dpwssd_avx_epi32(sum, a, b)
    } else {
        _mm256_add_epi32(sum, _mm256_madd_epi16(a, b))
    };
    dot_quads(sum: __m256i, a: __m256i, b: __m256i) -> __m256i = if VNNI {
        _mm256_dpbusd_avx_epi32(sum, a, b)
    } else {
        let pairs = _mm256_maddubs_epi16(a, b);
        _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)))
    };
}

#[cfg(target_arch = "x86_64")]
x86_integers! {
    Avx512, __m512i,
    splat_words(value: i32) -> __m512i = _mm512_set1_epi32(value);
    splat_shorts(value: i16) -> __m512i = _mm512_set1_epi16(value);
    to_floats(words: __m512i) -> __m512 = _mm512_cvtepi32_ps(words);
    add_shorts(a: __m512i, b: __m512i) -> __m512i = _mm512_add_epi16(a, b);
    sub_shorts(a: __m512i, b: __m512i) -> __m512i = _mm512_sub_epi16(a, b);
    max_shorts(a: __m512i, b: __m512i) -> __m512i = _mm512_max_epi16(a, b);
    dot_pairs(sum: __m512i, a: __m512i, b: __m512i) -> __m512i = if VNNI {
        _mm512_dpwssd_epi32(sum, a, b)
    } else {
        _mm512_add_epi32(sum, _mm512_madd_epi16(a, b))
    };
    dot_quads(sum: __m512i, a: __m512i, b: __m512i) -> __m512i = if VNNI {
        _mm512_dpbusd_epi32(sum, a, b)
    } else {
        let pairs = _mm512_maddubs_epi16(a, b);
        _mm512_add_epi32(sum, _mm512_madd_epi16(pairs, _mm512_set1_epi16(1)))
    };
}
