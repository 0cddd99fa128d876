//! The micro-kernel: `R` pixels × `V` vectors of channels, all sums in
//! registers.

use std::mem::MaybeUninit;

use super::{isa::Task, kernel::Product, scratch::LINE, vector::Simd};

/// Terms from which on a tile's output is fetched while its sum is formed;
/// below, the hints cost more than they bring.
const LONG_SUM: usize = 64;

/// Terms that are summed in registers before they join the total. One chain
/// over thousands of terms would lose a digit: its rounding errors grow with
/// the partial sum.
const RUN_TERMS: usize = 64;

/// The pixels `first..end`, `R` at a time.
pub(super) struct Tiles<'a, 'b, const R: usize, const V: usize> {
    pub(super) product: &'a mut Product<'b>,
    pub(super) first: usize,
    pub(super) end: usize,
}

impl<const R: usize, const V: usize> Task for Tiles<'_, '_, R, V> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut row = self.first;
        while row + R <= self.end {
            // SAFETY: `Product::run` has checked that every row's segments,
            // output and residual lie in their buffers, and that weights and
            // bias hold a panel.
            unsafe { tile::<S, R, V>(simd, self.product, row) };
            row += R;
        }
    }
}

/// # Safety
/// The checks of [`Product::run`] hold, and `row + R` rows exist.
#[inline(always)]
unsafe fn tile<S: Simd, const R: usize, const V: usize>(
    simd: S,
    product: &mut Product<'_>,
    row: usize,
) {
    let panel = &product.panel;
    let mut sums = [[simd.splat(0.0); V]; R];
    let mut input = [std::ptr::null(); R];
    // SAFETY: offsets and lengths were checked by `Product::run`; `row + r`
    // is below the number of rows.
    unsafe {
        for v in 0..V {
            let bias = simd.load_raw(panel.bias.as_ptr().add(v * S::LANES));
            for sums in &mut sums {
                sums[v] = bias;
            }
        }
        for (r, input) in input.iter_mut().enumerate() {
            let offset = *product.input.offsets.get_unchecked(row + r);
            *input = product.input.values.as_ptr().add(offset as usize);
        }
        if product.segments.terms() >= LONG_SUM {
            prefetch_output::<S, R, V>(simd, product, row);
        }
        let mut weights = Weights {
            next: panel.weights.as_ptr(),
            later: later_weights(panel.weights, row / R),
        };
        let mut totals = Totals::new();
        let mut rest = product.segments.terms();
        for _ in 0..product.segments.count {
            let mut first = 0;
            while first < product.segments.length {
                let terms = (product.segments.length - first).min(RUN_TERMS);
                let run = input.map(|input| input.add(first));
                accumulate(simd, &mut sums, &run, (&mut weights, terms));
                first += terms;
                rest -= terms;
                if rest > 0 {
                    totals.after(simd, terms, &mut sums);
                }
            }
            for input in &mut input {
                *input = input.wrapping_add(product.segments.pitch);
            }
        }
        totals.join(simd, &mut sums);
        let (low, high) = (simd.splat(panel.clamp[0]), simd.splat(panel.clamp[1]));
        for (r, sums) in sums.iter().enumerate() {
            let offset = *product.output_offsets.get_unchecked(row + r) as usize + panel.channel;
            for (v, sum) in sums.iter().enumerate() {
                let mut value = *sum;
                if let Some(residual) = product.residual {
                    let from = *residual.offsets.get_unchecked(row + r) as usize + panel.channel;
                    let from = residual.values.as_ptr().add(from + v * S::LANES);
                    value = simd.add(value, simd.load_raw(from));
                }
                let to = product.output.as_mut_ptr().add(offset + v * S::LANES);
                simd.store_raw(simd.clamp(value, low, high), to);
            }
        }
    }
}

/// The sums of the runs that have ended, in memory. A short sum has none.
struct Totals<T, const R: usize, const V: usize> {
    /// Written by the first run that ends.
    sums: [[MaybeUninit<T>; V]; R],
    any: bool,
    /// Terms in registers.
    pending: usize,
}

impl<T: Copy, const R: usize, const V: usize> Totals<T, R, V> {
    #[inline(always)]
    fn new() -> Self {
        Self {
            sums: [[MaybeUninit::uninit(); V]; R],
            any: false,
            pending: 0,
        }
    }

    /// Takes the registers' `sums` over once they hold a run.
    #[inline(always)]
    fn after<S: Simd<Vector = T>>(&mut self, simd: S, terms: usize, sums: &mut [[T; V]; R]) {
        self.pending += terms;
        if self.pending < RUN_TERMS {
            return;
        }
        self.join(simd, sums);
        for (totals, sums) in self.sums.iter_mut().zip(sums) {
            for (total, sum) in totals.iter_mut().zip(sums) {
                total.write(*sum);
                *sum = simd.splat(0.0);
            }
        }
        self.any = true;
        self.pending = 0;
    }

    /// Adds the totals to the registers' `sums`.
    #[inline(always)]
    fn join<S: Simd<Vector = T>>(&self, simd: S, sums: &mut [[T; V]; R]) {
        if !self.any {
            return;
        }
        for (totals, sums) in self.sums.iter().zip(sums) {
            for (total, sum) in totals.iter().zip(sums) {
                // SAFETY: a run that ended has written all of them.
                *sum = simd.add(unsafe { total.assume_init() }, *sum);
            }
        }
    }
}

/// Asks for the lines that the tile will write, and those of its residual: by
/// the end of the sum they are there.
///
/// # Safety
/// `row + R` rows exist.
#[inline(always)]
unsafe fn prefetch_output<S: Simd, const R: usize, const V: usize>(
    simd: S,
    product: &Product<'_>,
    row: usize,
) {
    let channel = product.panel.channel;
    for r in 0..R {
        let mut line = channel;
        while line < channel + V * S::LANES {
            // SAFETY: the caller's promise.
            let offset = unsafe { *product.output_offsets.get_unchecked(row + r) } as usize;
            simd.prefetch_near(product.output.as_ptr().wrapping_add(offset + line));
            if let Some(residual) = product.residual {
                // SAFETY: the caller's promise.
                let offset = unsafe { *residual.offsets.get_unchecked(row + r) } as usize;
                simd.prefetch_near(residual.values.as_ptr().wrapping_add(offset + line));
            }
            line += LINE;
        }
    }
}

/// Where the kernel is in the weights.
struct Weights {
    next: *const f32,
    /// What to bring closer meanwhile: the panel behind this one.
    later: *const f32,
}

/// The quarter of the panel behind `weights` that is the tile's to prefetch:
/// fetching it while this one is at work hides the way from memory.
#[inline(always)]
pub(super) fn later_weights<T>(weights: &[T], tile: usize) -> *const T {
    let panel = weights.len();
    weights
        .as_ptr()
        .wrapping_add(panel + tile % 4 * (panel / 4))
}

/// Adds one segment's terms.
///
/// # Safety
/// Every input is valid for `length` floats, the weights for `length · V`
/// vectors.
#[inline(always)]
unsafe fn accumulate<S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::Vector; V]; R],
    input: &[*const f32; R],
    (weights, length): (&mut Weights, usize),
) {
    let mut term = 0;
    // Four terms a turn: with fourteen rows the row pointers do not fit into
    // registers, and this way each is fetched once in four terms. A turn's
    // share of a quarter panel is one line for every line of a term.
    while term + 4 <= length {
        let mut line = 0;
        while line < V * S::LANES {
            simd.prefetch_far(weights.later);
            weights.later = weights.later.wrapping_add(LINE);
            line += LINE;
        }
        for next in 0..4 {
            // SAFETY: `term + next` is below `length`.
            unsafe { rank_one(simd, sums, input, (weights, term + next)) };
        }
        term += 4;
    }
    while term < length {
        // SAFETY: as above.
        unsafe { rank_one(simd, sums, input, (weights, term)) };
        term += 1;
    }
}

/// # Safety
/// Every input is valid at `term`, the weights for `V` vectors.
#[inline(always)]
unsafe fn rank_one<S: Simd, const R: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::Vector; V]; R],
    input: &[*const f32; R],
    (weights, term): (&mut Weights, usize),
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut columns = [simd.splat(0.0); V];
        for (v, column) in columns.iter_mut().enumerate() {
            *column = simd.load_raw(weights.next.add(v * S::LANES));
        }
        for r in 0..R {
            let value = simd.splat(*input[r].add(term));
            for v in 0..V {
                sums[r][v] = simd.mul_add(value, columns[v], sums[r][v]);
            }
        }
        weights.next = weights.next.add(V * S::LANES);
    }
}
