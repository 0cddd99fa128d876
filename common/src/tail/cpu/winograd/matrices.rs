//! The matrices of F(m×m, 3×3) for m up to 4 (Lavin and Gray, arXiv 1509.09308), which share one transform
//! of the kernel.
//!
//! Interpolation is at 0, ±p, ±q and ∞ with p = 5/8 and q = 3/2; tiles of 3 outputs do without −q, of
//! 2 without ±q, of 1 without −p and ±q. With N the product of (x − a) over the finite points a that are
//! used:
//!
//! ```text
//!   G   row a: (1, a, a²) / Π (a − b) over the other finite points b of all     row ∞: (0, 0, 1)
//!   Bᵀ  row a: coefficients of N / (x − a), times Π (a − b) over the unused b   row ∞: those of N
//!   Aᵀ  row k: aᵏ in column a                                                   column ∞: 1 in the last row
//! ```

use crate::engine::cpu::vector::Simd;

/// Most outputs along a tile's side.
pub(super) const OUTPUTS: usize = 4;
/// Most inputs, and points, along a tile's side.
pub(super) const INPUTS: usize = 6;
/// Points of a tile.
pub(super) const POINTS: usize = INPUTS * INPUTS;
/// Rows and columns of a kernel.
pub(super) const KERNEL: usize = 3;

/// The finite points; ∞ follows them.
const FINITE: [f64; INPUTS - 1] = [0.0, 0.625, -0.625, 1.5, -1.5];

/// A matrix, filled up with zeros.
pub(super) type Matrix = [[f32; INPUTS]; INPUTS];

/// Whether tiles of `outputs` outputs along an axis use the point with number `point`.
pub(super) const fn uses(outputs: usize, point: usize) -> bool {
    point == INPUTS - 1 || point <= outputs
}

/// Π (a − b) over the finite points b other than a that are used, or that are not.
const fn distances(outputs: usize, point: usize, used: bool) -> f64 {
    let mut product = 1.0;
    let mut other = 0;
    while other < FINITE.len() {
        if other != point && uses(outputs, other) == used {
            product *= FINITE[point] - FINITE[other];
        }
        other += 1;
    }
    product
}

/// Coefficients of Π (x − b) over the used finite points b other than `without`, the constant one first.
const fn polynomial(outputs: usize, without: usize) -> [f64; INPUTS] {
    let mut coefficients = [0.0; INPUTS];
    coefficients[0] = 1.0;
    let mut point = 0;
    while point < FINITE.len() {
        if point != without && uses(outputs, point) {
            let mut power = INPUTS - 1;
            while power > 0 {
                coefficients[power] = coefficients[power - 1] - FINITE[point] * coefficients[power];
                power -= 1;
            }
            coefficients[0] *= -FINITE[point];
        }
        point += 1;
    }
    coefficients
}

/// Bᵀ for tiles of `outputs`: inputs to points.
pub(super) const fn spread(outputs: usize) -> Matrix {
    let mut matrix = [[0.0; INPUTS]; INPUTS];
    let mut point = 0;
    while point < INPUTS {
        if uses(outputs, point) {
            let coefficients = polynomial(outputs, point);
            let scale = if point < FINITE.len() {
                distances(outputs, point, false)
            } else {
                1.0
            };
            let mut input = 0;
            while input < INPUTS {
                matrix[point][input] = (coefficients[input] * scale) as f32;
                input += 1;
            }
        }
        point += 1;
    }
    matrix
}

/// Aᵀ for tiles of `outputs`: points to outputs.
pub(super) const fn collect(outputs: usize) -> Matrix {
    let mut matrix = [[0.0; INPUTS]; INPUTS];
    let mut point = 0;
    while point < FINITE.len() {
        let mut power = 1.0;
        let mut output = 0;
        while output < outputs && uses(outputs, point) {
            matrix[output][point] = power as f32;
            power *= FINITE[point];
            output += 1;
        }
        point += 1;
    }
    matrix[outputs - 1][INPUTS - 1] = 1.0;
    matrix
}

/// G: a line of the kernel to points.
pub(super) const fn kernel() -> Matrix {
    let mut matrix = [[0.0; INPUTS]; INPUTS];
    let mut point = 0;
    while point < FINITE.len() {
        let scale = 1.0 / distances(OUTPUTS, point, true);
        let mut power = 1.0;
        let mut tap = 0;
        while tap < KERNEL {
            matrix[point][tap] = (power * scale) as f32;
            power *= FINITE[point];
            tap += 1;
        }
        point += 1;
    }
    matrix[INPUTS - 1][KERNEL - 1] = 1.0;
    matrix
}

/// The adjoint.
pub(super) const fn transposed(matrix: Matrix) -> Matrix {
    let mut result = [[0.0; INPUTS]; INPUTS];
    let mut row = 0;
    while row < INPUTS {
        let mut column = 0;
        while column < INPUTS {
            result[column][row] = matrix[row][column];
            column += 1;
        }
        row += 1;
    }
    result
}

/// `matrix · line`; of a constant matrix the zeros cost nothing. Without loops: those are not always
/// unrolled, and then nothing of it is constant.
#[inline(always)]
pub(super) fn times<S: Simd>(
    simd: S,
    matrix: &Matrix,
    line: &[S::Vector; INPUTS],
) -> [S::Vector; INPUTS] {
    [
        dot(simd, &matrix[0], line),
        dot(simd, &matrix[1], line),
        dot(simd, &matrix[2], line),
        dot(simd, &matrix[3], line),
        dot(simd, &matrix[4], line),
        dot(simd, &matrix[5], line),
    ]
}

#[inline(always)]
fn dot<S: Simd>(simd: S, row: &[f32; INPUTS], line: &[S::Vector; INPUTS]) -> S::Vector {
    let sum = plus(simd, None, (row[0], line[0]));
    let sum = plus(simd, sum, (row[1], line[1]));
    let sum = plus(simd, sum, (row[2], line[2]));
    let sum = plus(simd, sum, (row[3], line[3]));
    let sum = plus(simd, sum, (row[4], line[4]));
    match plus(simd, sum, (row[5], line[5])) {
        Some(sum) => sum,
        None => simd.splat(0.0),
    }
}

/// `sum + factor · value`
#[inline(always)]
fn plus<S: Simd>(
    simd: S,
    sum: Option<S::Vector>,
    (factor, value): (f32, S::Vector),
) -> Option<S::Vector> {
    if factor == 0.0 {
        return sum;
    }
    Some(match sum {
        None if factor == 1.0 => value,
        None => simd.mul(simd.splat(factor), value),
        Some(sum) if factor == 1.0 => simd.add(sum, value),
        Some(sum) => simd.mul_add(simd.splat(factor), value, sum),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_size_of_tile_correlates_with_the_kernel() {
        let dot = |row: &[f32], values: &[f64]| -> f64 {
            row.iter().zip(values).map(|(a, b)| f64::from(*a) * b).sum()
        };
        let (d, g) = ([0.3, -1.0, 2.0, 0.7, -0.2, 1.1], [0.9, -0.4, 1.3]);
        for outputs in 1..=OUTPUTS {
            let products: Vec<f64> = (0..INPUTS)
                .map(|point| {
                    dot(&kernel()[point], &g) * dot(&spread(outputs)[point], &d[..outputs + 2])
                })
                .collect();
            for output in 0..outputs {
                let found = dot(&collect(outputs)[output], &products);
                let expected: f64 = g.iter().zip(&d[output..]).map(|(g, d)| g * d).sum();
                assert!(
                    (found - expected).abs() < 1e-6,
                    "{outputs}: {found}, not {expected}"
                );
            }
            let used = (0..INPUTS).filter(|&point| uses(outputs, point)).count();
            assert_eq!(used, outputs + KERNEL - 1);
        }
    }
}
