//! The micro-kernels: a tile of sums in registers, `R` rows of [`LANES`] columns.
//!
//! Every sum is formed one term after the other, in the order of the terms, whatever
//! tile, block or thread it falls to. That is what makes the numbers of a head
//! independent of its neighbours.

use super::LANES;
use crate::engine::cpu::vector::Simd;

/// Sums of a tile: `R` rows of `V` vectors.
pub(crate) type Sums<S, const R: usize, const V: usize> = [[<S as Simd>::Vector; V]; R];

/// Walks over `$rows` rows in the tallest tiles that leave all sums in registers, and
/// smaller ones for the rest: `$tile!(row, height)`.
macro_rules! each_tile {
    ($vectors:expr, $rows:expr, $tile:ident) => {{
        let rows: usize = $rows;
        let mut row = 0;
        macro_rules! tiles {
            ($height:literal) => {
                while rows - row >= $height {
                    $tile!(row, $height);
                    row += $height;
                }
            };
        }
        match $vectors {
            1 => {
                tiles!(12);
                tiles!(4);
            }
            2 => {
                tiles!(6);
                tiles!(4);
                tiles!(2);
            }
            _ => tiles!(2),
        }
        tiles!(1);
    }};
}
pub(crate) use each_tile;

/// Sums before the first term.
#[inline(always)]
pub(crate) fn zero<S: Simd, const R: usize, const V: usize>(simd: S) -> Sums<S, R, V> {
    [[simd.splat(0.0); V]; R]
}

/// Adds the sums that `from`, `[R][LANES]`, holds.
///
/// # Safety
/// `from` is valid for reading `R · LANES` floats, and `V · S::LANES` is `LANES`.
#[inline(always)]
pub(crate) unsafe fn add<S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: &mut Sums<S, R, V>,
    from: *const f32,
) {
    for (row, sums) in sums.iter_mut().enumerate() {
        for (vector, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            let value = unsafe { simd.load_raw(from.add(row * LANES + vector * S::LANES)) };
            *sum = simd.add(value, *sum);
        }
    }
}

/// Loads the sums that `from`, `[R][LANES]`, holds.
///
/// # Safety
/// `from` is valid for reading `R · LANES` floats, and `V · S::LANES` is `LANES`.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd, const R: usize, const V: usize>(
    simd: S,
    from: *const f32,
) -> Sums<S, R, V> {
    let mut sums = zero::<S, R, V>(simd);
    for (row, sums) in sums.iter_mut().enumerate() {
        for (vector, sum) in sums.iter_mut().enumerate() {
            // SAFETY: the caller's promise.
            *sum = unsafe { simd.load_raw(from.add(row * LANES + vector * S::LANES)) };
        }
    }
    sums
}

/// Writes the sums to `to`, `[R][LANES]`.
///
/// # Safety
/// `to` is valid for writing `R · LANES` floats, and `V · S::LANES` is `LANES`.
#[inline(always)]
pub(crate) unsafe fn store<S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: &Sums<S, R, V>,
    to: *mut f32,
) {
    for (row, sums) in sums.iter().enumerate() {
        for (vector, sum) in sums.iter().enumerate() {
            // SAFETY: the caller's promise.
            unsafe { simd.store_raw(*sum, to.add(row * LANES + vector * S::LANES)) };
        }
    }
}

/// Factors of a tile's rows: that of row r and term t is at `start + r · row + t · term`.
#[derive(Clone, Copy)]
pub(crate) struct Factors {
    pub(crate) start: *const f32,
    pub(crate) row: usize,
    pub(crate) term: usize,
}

/// Adds `terms` terms: `sums[r] += factors[r][t] · columns[t]`, where `columns` is
/// `[terms][LANES]`.
///
/// # Safety
/// All factors and columns are valid for reading, and `V · S::LANES` is `LANES`.
#[inline(always)]
pub(crate) unsafe fn accumulate<S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: &mut Sums<S, R, V>,
    (factors, columns): (Factors, *const f32),
    terms: usize,
) {
    for term in 0..terms {
        // SAFETY: the caller's promise; `term` and `r` are below the numbers it holds for.
        unsafe {
            let mut column = [simd.splat(0.0); V];
            for (vector, column) in column.iter_mut().enumerate() {
                *column = simd.load_raw(columns.add(term * LANES + vector * S::LANES));
            }
            let start = factors.start.add(term * factors.term);
            for (r, sums) in sums.iter_mut().enumerate() {
                let factor = simd.splat(*start.add(r * factors.row));
                for (sum, column) in sums.iter_mut().zip(column) {
                    *sum = simd.mul_add(factor, column, *sum);
                }
            }
        }
    }
}
