//! Vectors of f32 behind one trait, so that every inner loop is written once.
//!
//! A value of a [`Simd`] type is a token: it exists only where the machine has
//! the instructions (see [`super::isa`]), which is what makes the safe methods
//! safe. Loops that use it are compiled inside a function that enables those
//! instructions; everything between that function and the intrinsics is
//! `#[inline(always)]` and free of closures, which would not be inlined.

#[cfg(target_arch = "x86_64")]
use std::arch::x86_64::{
    __m256, __m512, _MM_HINT_T0, _MM_HINT_T1, _mm_prefetch, _mm256_add_ps, _mm256_fmadd_ps,
    _mm256_fnmadd_ps, _mm256_loadu_ps, _mm256_max_ps, _mm256_min_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_storeu_ps, _mm256_sub_ps, _mm512_add_ps, _mm512_fmadd_ps, _mm512_fnmadd_ps,
    _mm512_loadu_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_set1_ps, _mm512_storeu_ps,
    _mm512_sub_ps,
};

/// Arithmetic on vectors of [`Simd::LANES`] floats.
pub(crate) trait Simd: Copy {
    /// A register.
    type Vector: Copy;
    /// Floats in a vector.
    const LANES: usize;

    /// `value` in every lane.
    fn splat(self, value: f32) -> Self::Vector;
    /// `a + b`
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a − b`
    fn sub(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a · b`
    fn mul(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// `a · b + c`
    fn mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// `c − a · b`
    fn neg_mul_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// The larger of the two; `b` where either is not a number.
    fn max(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// The smaller of the two; `b` where either is not a number.
    fn min(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;

    /// Asks for the cache line of `address`, which may lie anywhere, in the
    /// first-level cache.
    fn prefetch_near(self, address: *const f32);
    /// The same for the second-level cache.
    fn prefetch_far(self, address: *const f32);

    /// # Safety
    /// `from` is valid for reading [`Simd::LANES`] floats.
    unsafe fn load_raw(self, from: *const f32) -> Self::Vector;
    /// # Safety
    /// `to` is valid for writing [`Simd::LANES`] floats.
    unsafe fn store_raw(self, vector: Self::Vector, to: *mut f32);

    /// The vector that starts at `at`.
    #[inline(always)]
    fn load(self, from: &[f32], at: usize) -> Self::Vector {
        let window = &from[at..at + Self::LANES];
        // SAFETY: the slice holds LANES floats.
        unsafe { self.load_raw(window.as_ptr()) }
    }

    /// Writes the vector to `at`.
    #[inline(always)]
    fn store(self, vector: Self::Vector, to: &mut [f32], at: usize) {
        let window = &mut to[at..at + Self::LANES];
        // SAFETY: the slice holds LANES floats.
        unsafe { self.store_raw(vector, window.as_mut_ptr()) }
    }

    /// [`Simd::load`], checked in debug builds only.
    ///
    /// # Safety
    /// `at + LANES` is at most the slice's length.
    #[inline(always)]
    unsafe fn load_unchecked(self, from: &[f32], at: usize) -> Self::Vector {
        debug_assert!(at + Self::LANES <= from.len());
        // SAFETY: the caller's promise.
        unsafe { self.load_raw(from.as_ptr().add(at)) }
    }

    /// [`Simd::store`], checked in debug builds only.
    ///
    /// # Safety
    /// `at + LANES` is at most the slice's length.
    #[inline(always)]
    unsafe fn store_unchecked(self, vector: Self::Vector, to: &mut [f32], at: usize) {
        debug_assert!(at + Self::LANES <= to.len());
        // SAFETY: the caller's promise.
        unsafe { self.store_raw(vector, to.as_mut_ptr().add(at)) }
    }

    /// `min(max(vector, low), high)`, which keeps what is not a number.
    #[inline(always)]
    fn clamp(self, vector: Self::Vector, low: Self::Vector, high: Self::Vector) -> Self::Vector {
        self.min(high, self.max(low, vector))
    }
}

/// Four lanes in plain Rust, left to the compiler to vectorise. The path of
/// every machine that is not x86-64 with AVX2; nobody has measured it on ARM.
#[derive(Clone, Copy)]
pub(super) struct Portable;

#[derive(Clone, Copy)]
pub(super) struct Four(pub(super) [f32; 4]);

macro_rules! lane_by_lane {
    ($($name:ident: |$a:ident, $b:ident| $result:expr;)*) => {$(
        #[inline(always)]
        fn $name(self, a: Four, b: Four) -> Four {
            let mut result = [0.0; 4];
            for lane in 0..4 {
                let ($a, $b) = (a.0[lane], b.0[lane]);
                result[lane] = $result;
            }
            Four(result)
        }
    )*};
}

#[inline(always)]
fn fused(a: Four, b: Four, mut c: Four) -> Four {
    for (lane, sum) in c.0.iter_mut().enumerate() {
        *sum = a.0[lane].mul_add(b.0[lane], *sum);
    }
    c
}

impl Simd for Portable {
    type Vector = Four;
    const LANES: usize = 4;

    lane_by_lane! {
        add: |a, b| a + b;
        sub: |a, b| a - b;
        mul: |a, b| a * b;
        max: |a, b| if a > b { a } else { b };
        min: |a, b| if a < b { a } else { b };
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Four {
        Four([value; 4])
    }

    #[inline(always)]
    fn mul_add(self, a: Four, b: Four, c: Four) -> Four {
        if cfg!(target_arch = "aarch64") {
            fused(a, b, c)
        } else {
            // Where the instruction is not part of the baseline, `f32::mul_add`
            // is a call into the C library.
            self.add(self.mul(a, b), c)
        }
    }

    #[inline(always)]
    fn neg_mul_add(self, a: Four, b: Four, c: Four) -> Four {
        self.mul_add(a, self.sub(self.splat(0.0), b), c)
    }

    #[inline(always)]
    fn prefetch_near(self, _address: *const f32) {}

    #[inline(always)]
    fn prefetch_far(self, _address: *const f32) {}

    #[inline(always)]
    unsafe fn load_raw(self, from: *const f32) -> Four {
        // SAFETY: the caller's promise; arrays of floats need no more than a
        // float's alignment.
        Four(unsafe { from.cast::<[f32; 4]>().read() })
    }

    #[inline(always)]
    unsafe fn store_raw(self, vector: Four, to: *mut f32) {
        // SAFETY: as above.
        unsafe { to.cast::<[f32; 4]>().write(vector.0) }
    }
}

/// Token of AVX2 with FMA, and of AVX-VNNI if `VNNI`: eight lanes.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx2<const VNNI: bool>(());

/// Token of AVX-512F with BW, and of AVX-512 VNNI if `VNNI`: sixteen lanes.
#[cfg(target_arch = "x86_64")]
#[derive(Clone, Copy)]
pub(super) struct Avx512<const VNNI: bool>(());

#[cfg(target_arch = "x86_64")]
macro_rules! x86_simd {
    ($token:ident, $vector:ty, $lanes:literal, $splat:ident, $load:ident, $store:ident,
     $mul_add:ident, $neg_mul_add:ident, $($name:ident = $intrinsic:ident),*) => {
        impl<const VNNI: bool> $token<VNNI> {
            /// # Safety
            /// The machine has the instructions that the token stands for.
            pub(super) unsafe fn new() -> Self {
                Self(())
            }
        }

        impl<const VNNI: bool> Simd for $token<VNNI> {
            type Vector = $vector;
            const LANES: usize = $lanes;

            $(
                #[inline(always)]
                fn $name(self, a: $vector, b: $vector) -> $vector {
                    // SAFETY: the token proves that the instruction exists.
                    unsafe { $intrinsic(a, b) }
                }
            )*

            #[inline(always)]
            fn splat(self, value: f32) -> $vector {
                // SAFETY: the token proves that the instruction exists.
                unsafe { $splat(value) }
            }

            #[inline(always)]
            fn mul_add(self, a: $vector, b: $vector, c: $vector) -> $vector {
                // SAFETY: the token proves that the instruction exists.
                unsafe { $mul_add(a, b, c) }
            }

            #[inline(always)]
            fn neg_mul_add(self, a: $vector, b: $vector, c: $vector) -> $vector {
                // SAFETY: the token proves that the instruction exists.
                unsafe { $neg_mul_add(a, b, c) }
            }

            #[inline(always)]
            fn prefetch_near(self, address: *const f32) {
                // SAFETY: a hint, which never faults.
                unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
            }

            #[inline(always)]
            fn prefetch_far(self, address: *const f32) {
                // SAFETY: a hint, which never faults.
                unsafe { _mm_prefetch::<_MM_HINT_T1>(address.cast()) }
            }

            #[inline(always)]
            unsafe fn load_raw(self, from: *const f32) -> $vector {
                // SAFETY: the token, and the caller's promise.
                unsafe { $load(from) }
            }

            #[inline(always)]
            unsafe fn store_raw(self, vector: $vector, to: *mut f32) {
                // SAFETY: the token, and the caller's promise.
                unsafe { $store(to, vector) }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
x86_simd!(
    Avx2,
    __m256,
    8,
    _mm256_set1_ps,
    _mm256_loadu_ps,
    _mm256_storeu_ps,
    _mm256_fmadd_ps,
    _mm256_fnmadd_ps,
    add = _mm256_add_ps,
    sub = _mm256_sub_ps,
    mul = _mm256_mul_ps,
    max = _mm256_max_ps,
    min = _mm256_min_ps
);

#[cfg(target_arch = "x86_64")]
x86_simd!(
    Avx512,
    __m512,
    16,
    _mm512_set1_ps,
    _mm512_loadu_ps,
    _mm512_storeu_ps,
    _mm512_fmadd_ps,
    _mm512_fnmadd_ps,
    add = _mm512_add_ps,
    sub = _mm512_sub_ps,
    mul = _mm512_mul_ps,
    max = _mm512_max_ps,
    min = _mm512_min_ps
);
