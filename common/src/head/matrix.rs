//! Products of row-major matrices, f32 or f64.
//!
//! Invariant: an element of the result is always summed in the same order, so
//! the bytes do not depend on the number of threads.

use std::{
    iter::Sum,
    ops::{Div, Mul, Sub},
};

use gemm::Parallelism;

/// A type that matrices are multiplied in.
pub(super) trait Element:
    Copy
    + PartialOrd
    + Send
    + Sync
    + Sum
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + 'static
{
    /// One.
    const ONE: Self;

    /// The nearest value.
    fn nearest(value: f64) -> Self;

    /// Without loss.
    fn wide(self) -> f64;

    /// e to this power.
    fn exp(self) -> Self;

    /// `values` in this type, in `room` where they are of another.
    fn borrow<'a>(values: &'a [f32], room: &'a mut Vec<Self>) -> &'a [Self];
}

impl Element for f32 {
    const ONE: Self = 1.0;

    fn nearest(value: f64) -> Self {
        value as Self
    }

    fn wide(self) -> f64 {
        f64::from(self)
    }

    fn exp(self) -> Self {
        self.exp()
    }

    fn borrow<'a>(values: &'a [f32], _room: &'a mut Vec<Self>) -> &'a [Self] {
        values
    }
}

impl Element for f64 {
    const ONE: Self = 1.0;

    fn nearest(value: f64) -> Self {
        value
    }

    fn wide(self) -> f64 {
        self
    }

    fn exp(self) -> Self {
        self.exp()
    }

    fn borrow<'a>(values: &'a [f32], room: &'a mut Vec<Self>) -> &'a [Self] {
        room.clear();
        room.extend(values.iter().map(|&value| Self::from(value)));
        room
    }
}

/// A row-major matrix, or the transpose of one, without copying.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a, T = f32> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    row_stride: isize,
    column_stride: isize,
}

impl<'a, T: Element> Matrix<'a, T> {
    /// `values` as `[rows, columns]`.
    pub(super) fn new(values: &'a [T], rows: usize, columns: usize) -> Self {
        assert_eq!(values.len(), rows * columns, "matrix size");
        Self {
            values,
            rows,
            columns,
            row_stride: columns as isize,
            column_stride: 1,
        }
    }

    /// The columns from `first` on, `count` of them, of a matrix that is not transposed.
    pub(super) fn columns(self, first: usize, count: usize) -> Self {
        assert!(
            self.column_stride == 1 && first + count <= self.columns,
            "columns"
        );
        Self {
            values: &self.values[first.min(self.values.len())..],
            columns: count,
            ..self
        }
    }

    /// The transpose.
    pub(super) fn transposed(self) -> Self {
        Self {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// What [`multiply`] does with what the output holds already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Output {
    /// It is replaced.
    Replace,
    /// The product is added to it.
    Add,
}

/// `output (+)= left · right`; `output` is row-major `[left.rows, right.columns]`.
/// All threads take part.
pub(super) fn multiply<T: Element>(
    left: Matrix<T>,
    right: Matrix<T>,
    output: &mut [T],
    mode: Output,
) {
    // Threads share out the elements of the output; the depth is cut into
    // blocks that do not depend on their number.
    product(left, right, (output, mode), Parallelism::Rayon(0));
}

/// As [`multiply`], for work that is divided between threads already.
pub(super) fn multiply_alone<T: Element>(
    left: Matrix<T>,
    right: Matrix<T>,
    output: &mut [T],
    mode: Output,
) {
    product(left, right, (output, mode), Parallelism::None);
}

fn product<T: Element>(
    left: Matrix<T>,
    right: Matrix<T>,
    (output, mode): (&mut [T], Output),
    threads: Parallelism,
) {
    assert_eq!(left.columns, right.rows, "inner dimensions");
    assert_eq!(output.len(), left.rows * right.columns, "output size");
    // SAFETY: the three pointers cover rows × columns elements with the strides
    // given (asserted in `Matrix::new`, in `Matrix::columns` and above), and `output`
    // is borrowed mutably, so it overlaps neither input.
    unsafe {
        gemm::gemm(
            left.rows,
            right.columns,
            left.columns,
            output.as_mut_ptr(),
            1,
            right.columns as isize,
            mode == Output::Add,
            left.values.as_ptr(),
            left.column_stride,
            left.row_stride,
            right.values.as_ptr(),
            right.column_stride,
            right.row_stride,
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            threads,
        );
    }
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;
    use crate::random;

    fn noise(len: usize, name: &str) -> Vec<f32> {
        let mut stream = random::stream(1, name);
        (0..len).map(|_| stream.random_range(-1.0..1.0)).collect()
    }

    fn product_with(threads: usize, rows: usize, depth: usize, columns: usize) -> Vec<u32> {
        let pool = rayon_pool(threads);
        let (left, right) = (noise(rows * depth, "left"), noise(columns * depth, "right"));
        let mut output = vec![0.0; rows * columns];
        pool.install(|| {
            multiply(
                Matrix::new(&left, rows, depth),
                Matrix::new(&right, columns, depth).transposed(),
                &mut output,
                Output::Replace,
            );
        });
        output.into_iter().map(f32::to_bits).collect()
    }

    fn rayon_pool(threads: usize) -> rayon::ThreadPool {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
    }

    #[test]
    fn product_has_the_same_bits_with_any_number_of_threads() {
        for (rows, depth, columns) in [
            (256, 1280, 512),
            (256, 1280, 10),
            (512, 256, 1280),
            (3, 5000, 7),
            (1, 1280, 1000),
        ] {
            let alone = product_with(1, rows, depth, columns);
            for threads in [2, 3, 5] {
                assert_eq!(
                    alone,
                    product_with(threads, rows, depth, columns),
                    "{rows}×{depth}×{columns} on {threads} threads"
                );
            }
        }
    }

    #[test]
    fn columns_of_a_matrix_are_multiplied_in_place() {
        let whole = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let last = Matrix::<f64>::new(&whole, 2, 3).columns(1, 2);
        let mut output = [0.0; 4];
        multiply_alone(last.transposed(), last, &mut output, Output::Replace);
        // [[2, 5], [3, 6]] · [[2, 3], [5, 6]] = [[29, 36], [36, 45]].
        assert_eq!(output, [29.0, 36.0, 36.0, 45.0]);
    }

    #[test]
    fn adding_keeps_what_the_output_held() {
        let left = [1.0, 2.0, 3.0, 4.0];
        let mut output = [10.0, 20.0, 30.0, 40.0];
        let matrix = Matrix::new(&left, 2, 2);
        multiply(matrix, matrix.transposed(), &mut output, Output::Add);
        // [[1, 2], [3, 4]] · [[1, 3], [2, 4]] = [[5, 11], [11, 25]].
        assert_eq!(output, [15.0, 31.0, 41.0, 65.0]);
    }
}
