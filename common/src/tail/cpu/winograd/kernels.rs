//! Kernels to points, and gradients at points back to kernels, one panel of inputs and one of outputs
//! at a time.
//!
//! ```text
//!   U  = G g Gᵀ          with inputs and outputs exchanged, and scaled, for the way back
//!   dg = Gᵀ dU G
//! ```

#![expect(
    clippy::needless_range_loop,
    reason = "a matrix is walked by rows and by columns"
)]

use super::matrices::{INPUTS, KERNEL, Matrix, POINTS, kernel, times, transposed};
use crate::{
    engine::cpu::{isa::Task, vector::Simd},
    panel::SQUARE,
};

/// Squares of a kernel.
pub(super) const TAPS: usize = KERNEL * KERNEL;

const TO_POINTS: Matrix = kernel();
const FROM_POINTS: Matrix = transposed(kernel());

/// The nine squares of a kernel to one at each point.
pub(super) struct KernelToPoints<'a, 'b> {
    /// `[TAPS]` squares.
    pub(super) kernel: &'a [f32],
    /// For each point squares, of which that with number `number` is written.
    pub(super) points: &'a mut [&'b mut [f32]],
    pub(super) number: usize,
}

impl Task for KernelToPoints<'_, '_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert_eq!(self.kernel.len(), TAPS * SQUARE, "squares of a kernel");
        assert_eq!(self.points.len(), POINTS, "points");
        let end = (self.number + 1) * SQUARE;
        let fits = |point: &&mut [f32]| point.len() >= end;
        assert!(self.points.iter().all(fits), "a square a point");
        let mut at = 0;
        while at < SQUARE {
            let zero = simd.splat(0.0);
            let mut columns = [[zero; INPUTS]; INPUTS];
            for x in 0..KERNEL {
                let mut line = [zero; INPUTS];
                for y in 0..KERNEL {
                    // SAFETY: a vector within one of the squares asserted above.
                    line[y] =
                        unsafe { simd.load_unchecked(self.kernel, (y * KERNEL + x) * SQUARE + at) };
                }
                let line = times(simd, &TO_POINTS, &line);
                for y in 0..INPUTS {
                    columns[y][x] = line[y];
                }
            }
            for y in 0..INPUTS {
                let line = times(simd, &TO_POINTS, &columns[y]);
                for x in 0..INPUTS {
                    // SAFETY: as above.
                    unsafe {
                        let point = self.points.get_unchecked_mut(y * INPUTS + x);
                        simd.store_unchecked(line[x], point, self.number * SQUARE + at);
                    }
                }
            }
            at += S::LANES;
        }
    }
}

/// The adjoint: a square at each point to the nine of a kernel.
pub(super) struct KernelFromPoints<'a> {
    /// `[POINTS]` squares, `pitch` floats apart.
    pub(super) points: &'a [f32],
    pub(super) pitch: usize,
    /// `[TAPS]` squares.
    pub(super) kernel: &'a mut [f32],
}

impl Task for KernelFromPoints<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        assert_eq!(self.kernel.len(), TAPS * SQUARE, "squares of a kernel");
        assert!(
            (POINTS - 1) * self.pitch + SQUARE <= self.points.len(),
            "points"
        );
        let mut at = 0;
        while at < SQUARE {
            let zero = simd.splat(0.0);
            let mut columns = [[zero; INPUTS]; INPUTS];
            for x in 0..INPUTS {
                let mut line = [zero; INPUTS];
                for y in 0..INPUTS {
                    let point = (y * INPUTS + x) * self.pitch + at;
                    // SAFETY: a vector within one of the squares asserted above.
                    line[y] = unsafe { simd.load_unchecked(self.points, point) };
                }
                let line = times(simd, &FROM_POINTS, &line);
                for y in 0..KERNEL {
                    columns[y][x] = line[y];
                }
            }
            for y in 0..KERNEL {
                let line = times(simd, &FROM_POINTS, &columns[y]);
                for x in 0..KERNEL {
                    let to = (y * KERNEL + x) * SQUARE + at;
                    // SAFETY: as above.
                    unsafe { simd.store_unchecked(line[x], self.kernel, to) };
                }
            }
            at += S::LANES;
        }
    }
}
