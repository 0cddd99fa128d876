//! Eigenvectors of a small symmetric matrix by Jacobi's rotations (Golub and Van
//! Loan, *Matrix Computations*, §8.5).

use crate::head::matrix::{Matrix, Output, multiply};

/// Sweeps over all pairs at most; convergence is quadratic, a handful is usual.
const MAX_SWEEPS: usize = 30;

/// Off-diagonal norm, as a share of the whole, that counts as zero.
const ROUNDING: f64 = 1e-14;

/// A = U·diag(values)·Uᵀ.
pub(super) struct Eigen {
    /// In no order.
    pub(super) values: Vec<f64>,
    /// Uᵀ, `[n, n]`: a row is an eigenvector.
    vectors: Vec<f64>,
}

impl Eigen {
    /// Decomposes the symmetric `matrix`, `[size, size]`.
    pub(super) fn of(mut matrix: Vec<f64>, size: usize) -> Self {
        let mut vectors = vec![0.0; size * size];
        for index in 0..size {
            vectors[index * size + index] = 1.0;
        }
        let whole: f64 = matrix.iter().map(|value| value * value).sum();
        for _ in 0..MAX_SWEEPS {
            let on: f64 = (0..size).map(|i| matrix[i * size + i].powi(2)).sum();
            let all: f64 = matrix.iter().map(|value| value * value).sum();
            if all - on <= whole * ROUNDING {
                break;
            }
            for p in 0..size {
                for q in p + 1..size {
                    rotate(&mut matrix, &mut vectors, (p, q), size);
                }
            }
        }
        Self {
            values: (0..size).map(|i| matrix[i * size + i]).collect(),
            vectors,
        }
    }

    /// Uᵀ·`rows`, `[n, m]`.
    pub(super) fn enter(&self, rows: &[f64]) -> Vec<f64> {
        let size = self.values.len();
        times(Matrix::new(&self.vectors, size, size), rows, size)
    }

    /// U·`rows`, `[n, m]`.
    pub(super) fn leave(&self, rows: &[f64]) -> Vec<f64> {
        let size = self.values.len();
        let vectors = Matrix::new(&self.vectors, size, size);
        times(vectors.transposed(), rows, size)
    }
}

fn times(left: Matrix<f64>, rows: &[f64], size: usize) -> Vec<f64> {
    let mut output = vec![0.0; rows.len()];
    let rows = Matrix::new(rows, size, rows.len() / size);
    multiply(left, rows, &mut output, Output::Replace);
    output
}

/// Makes element (p, q) zero.
fn rotate(matrix: &mut [f64], vectors: &mut [f64], (p, q): (usize, usize), size: usize) {
    let beside = matrix[p * size + q];
    if beside == 0.0 {
        return;
    }
    let slope = (matrix[q * size + q] - matrix[p * size + p]) / (2.0 * beside);
    let tangent = slope.signum() / (slope.abs() + slope.hypot(1.0));
    let cosine = 1.0 / tangent.hypot(1.0);
    let sine = tangent * cosine;
    for row in matrix.chunks_exact_mut(size) {
        let (a, b) = (row[p], row[q]);
        row[p] = cosine * a - sine * b;
        row[q] = sine * a + cosine * b;
    }
    for values in [matrix, vectors] {
        for column in 0..size {
            let (a, b) = (values[p * size + column], values[q * size + column]);
            values[p * size + column] = cosine * a - sine * b;
            values[q * size + column] = sine * a + cosine * b;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eigenvectors_put_the_matrix_together_again() {
        let matrix = vec![4.0, 1.0, -2.0, 1.0, 2.0, 0.0, -2.0, 0.0, 3.0];
        let eigen = Eigen::of(matrix.clone(), 3);
        let mut rows = eigen.enter(&[1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, 1.0]);
        for (row, value) in rows.chunks_exact_mut(3).zip(&eigen.values) {
            row.iter_mut().for_each(|element| *element *= value);
        }
        for (found, expected) in eigen.leave(&rows).iter().zip(&matrix) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}
