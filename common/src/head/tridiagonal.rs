//! A symmetric matrix as A = Q·T·Qᵀ with T tridiagonal, by Householder reflections
//! (Golub and Van Loan, *Matrix Computations*, §8.3.1).
//!
//! One decomposition serves every shift: (s·A + t·I)·x = b is a tridiagonal system in
//! the basis Q. Eigenvalues would serve no better and take several times as long.

use rayon::prelude::*;

use super::matrix::{Matrix, Output, multiply};

/// Rows that a thread is given at least; fewer cost more to hand out than to do.
const THREAD_ROWS: usize = 64;

/// A = Q·T·Qᵀ.
#[derive(Clone, Debug)]
pub(super) struct Tridiagonal {
    diagonal: Vec<f64>,
    /// Beside the diagonal, one shorter.
    beside: Vec<f64>,
    /// Qᵀ, `[n, n]`.
    basis: Vec<f64>,
}

impl Tridiagonal {
    /// Decomposes the symmetric `matrix`, `[size, size]`.
    ///
    /// # Panics
    /// When `matrix` is not of that size.
    pub(super) fn of(mut matrix: Vec<f64>, size: usize) -> Self {
        assert_eq!(matrix.len(), size * size, "matrix size");
        let mut diagonal = vec![0.0; size];
        let mut beside = vec![0.0; size.saturating_sub(1)];
        let mut factors = vec![0.0; size];
        // The last reflection has not reached the rows below yet: A −= v·wᵀ + w·vᵀ.
        let (mut v, mut w) = (vec![0.0; size], vec![0.0; size]);
        for step in 0..size {
            let (head, rest) = matrix.split_at_mut((step + 1) * size);
            let row = &mut head[step * size..];
            reflect_row(row, (v[step], w[step]), (&v, &w), step);
            diagonal[step] = row[step];
            if step + 1 == size {
                break;
            }
            let tail = &mut row[step + 1..];
            (beside[step], factors[step]) = householder(tail);
            let products = reflect_and_multiply(rest, (&v, &w), tail, size);
            v[step + 1..].copy_from_slice(tail);
            complete(&mut w[step + 1..], &products, tail, factors[step]);
        }
        Self {
            diagonal,
            beside,
            basis: accumulate(&matrix, &factors, size),
        }
    }

    /// `rows`·Q: `[m, n]` → `[m, n]`.
    pub(super) fn rotate(&self, rows: &[f64]) -> Vec<f64> {
        self.times(rows, Matrix::transposed)
    }

    /// `rows`·Qᵀ: `[m, n]` → `[m, n]`.
    pub(super) fn rotate_back(&self, rows: &[f64]) -> Vec<f64> {
        self.times(rows, |basis| basis)
    }

    fn times<'a>(
        &'a self,
        rows: &[f64],
        side: impl Fn(Matrix<'a, f64>) -> Matrix<'a, f64>,
    ) -> Vec<f64> {
        let size = self.diagonal.len();
        let mut output = vec![0.0; rows.len()];
        let basis = side(Matrix::new(&self.basis, size, size));
        let rows = Matrix::new(rows, rows.len() / size, size);
        multiply(rows, basis, &mut output, Output::Replace);
        output
    }

    /// Solves (`scale`·T + `shift`·I)·x = `row` in place, for positive `scale` and
    /// `shift` and a positive semi-definite A; rounding below zero is cut off.
    pub(super) fn solve(&self, scale: f64, shift: f64, row: &mut [f64]) {
        let mut pivots = Vec::with_capacity(row.len());
        for index in 0..row.len() {
            let mut pivot = scale * self.diagonal[index] + shift;
            if index > 0 {
                let ratio = scale * self.beside[index - 1] / pivots[index - 1];
                pivot -= ratio * scale * self.beside[index - 1];
                row[index] -= ratio * row[index - 1];
            }
            // In exact arithmetic no pivot is below the smallest eigenvalue, `shift` or more.
            pivots.push(pivot.max(shift));
        }
        for index in (0..row.len()).rev() {
            if index + 1 < row.len() {
                row[index] -= scale * self.beside[index] * row[index + 1];
            }
            row[index] /= pivots[index];
        }
    }
}

/// Brings `row` up to date from column `first` on: it −= a·wᵀ + b·vᵀ.
fn reflect_row(row: &mut [f64], (a, b): (f64, f64), (v, w): (&[f64], &[f64]), first: usize) {
    let columns = row[first..].iter_mut().zip(&v[first..]).zip(&w[first..]);
    for ((value, v), w) in columns {
        *value -= a * w + b * v;
    }
}

/// Replaces x by the v of the reflection I − f·v·vᵀ that makes x a multiple of the
/// first unit vector; returns that multiple and f.
fn householder(x: &mut [f64]) -> (f64, f64) {
    let norm = dot(x, x).sqrt();
    let first = x[0];
    let target = if first > 0.0 { -norm } else { norm };
    let pivot = first - target;
    if norm == 0.0 || dot(&x[1..], &x[1..]) == 0.0 {
        x.fill(0.0);
        return (first, 0.0);
    }
    x[0] = 1.0;
    x[1..].iter_mut().for_each(|value| *value /= pivot);
    (target, -pivot / target)
}

/// Brings the rows below up to date and multiplies them with `v`, in one pass.
fn reflect_and_multiply(
    rows: &mut [f64],
    previous: (&[f64], &[f64]),
    v: &[f64],
    size: usize,
) -> Vec<f64> {
    let first = size - v.len();
    let rows = rows.par_chunks_exact_mut(size).with_min_len(THREAD_ROWS);
    let product = |(index, row): (usize, &mut [f64])| {
        let pair = (previous.0[first + index], previous.1[first + index]);
        reflect_row(row, pair, previous, first);
        dot(&row[first..], v)
    };
    rows.enumerate().map(product).collect()
}

/// w = f·(p − f/2·(pᵀv)·v).
fn complete(w: &mut [f64], products: &[f64], v: &[f64], factor: f64) {
    let half = factor * dot(products, v) / 2.0;
    for ((w, product), v) in w.iter_mut().zip(products).zip(v) {
        *w = factor * (product - half * v);
    }
}

/// Qᵀ, the product of the reflections whose vectors are in the rows of `matrix`.
fn accumulate(matrix: &[f64], factors: &[f64], size: usize) -> Vec<f64> {
    let mut basis = vec![0.0; size * size];
    for index in 0..size {
        basis[index * size + index] = 1.0;
    }
    for step in (0..size.saturating_sub(1)).rev() {
        let first = step + 1;
        let v = &matrix[step * size + first..(step + 1) * size];
        let rows = basis[first * size..].par_chunks_exact_mut(size);
        rows.with_min_len(THREAD_ROWS).for_each(|row| {
            let length = factors[step] * dot(&row[first..], v);
            for (value, v) in row[first..].iter_mut().zip(v) {
                *value -= length * v;
            }
        });
    }
    basis
}

/// Σ aᵢ·bᵢ, in lanes so that the compiler can use vector instructions.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (a_lanes, a_rest) = a.as_chunks::<LANES>();
    let (b_lanes, b_rest) = b.as_chunks::<LANES>();
    for (a, b) in a_lanes.iter().zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::random;

    fn symmetric(size: usize) -> Vec<f64> {
        let mut stream = random::stream(1, "tridiagonal");
        let factor: Vec<f64> = (0..size * size)
            .map(|_| stream.random_range(-1.0..1.0))
            .collect();
        let mut product = vec![0.0; size * size];
        let factor = Matrix::new(&factor, size, size);
        multiply(factor, factor.transposed(), &mut product, Output::Replace);
        product
    }

    #[test]
    fn every_shift_is_solved_by_one_decomposition() {
        for size in [1, 2, 3, 7, 150] {
            let matrix = symmetric(size);
            let decomposed = Tridiagonal::of(matrix.clone(), size);
            let right: Vec<f64> = (0..size).map(|i| (i as f64).sin() + 1.0).collect();
            for (scale, shift) in [(1.0, 0.1), (0.5, 10.0), (2.0, 1e4)] {
                let mut row = decomposed.rotate(&right);
                decomposed.solve(scale, shift, &mut row);
                let x = decomposed.rotate_back(&row);
                for (index, expected) in right.iter().enumerate() {
                    let products = matrix[index * size..(index + 1) * size].iter().zip(&x);
                    let sum: f64 = products.map(|(a, x)| a * x).sum();
                    let found = scale * sum + shift * x[index];
                    assert!(
                        (found - expected).abs() < 1e-9,
                        "{size}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_diagonal_matrix_is_left_as_it_is() {
        let decomposed = Tridiagonal::of(vec![2.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0], 3);
        let mut row = vec![2.5, 3.5, 0.5];
        decomposed.solve(1.0, 0.5, &mut row);
        assert_eq!(row, [1.0; 3]);
    }
}
