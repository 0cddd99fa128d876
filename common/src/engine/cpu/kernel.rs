//! The micro-kernel: a tile of output pixels × output channels, held in
//! registers while it runs along the whole sum.
//!
//! ```text
//!   input, one pixel a row            weights, one panel            output tile
//!   row 0 ─► [seg 0]…[seg 1]…      k │ v0 v1 │                    row 0 │ v0 v1 │
//!   row 1 ─► [seg 0]…[seg 1]…        │ v0 v1 │ one line for each   row 1 │ v0 v1 │
//!   …        length  pitch           ▼   …     float of a row       …
//! ```
//!
//! A row of the input is `count` segments of `length` contiguous floats, each
//! `pitch` behind the one before: one segment for a 1×1 convolution or a
//! product of Winograd's, k segments (rows of the window) for a k×k one. Rows
//! start wherever their offset says, so strides, borders and image boundaries
//! cost nothing.
//!
//! Every output is summed in the order of the weights, whatever tile it falls
//! into: an image's result does not depend on its neighbours in the batch.

use super::{
    isa::{Isa, Task},
    scratch::LINE,
    vector::Simd,
};

/// Heights of tiles that are compiled, the tallest first.
const TILE_ROWS: [usize; 7] = [14, 12, 8, 6, 4, 2, 1];

/// Terms from which on a tile's output is fetched while its sum is formed;
/// below, the hints cost more than they bring.
const LONG_SUM: usize = 64;

/// The floats of one input row, relative to its start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segments {
    pub(super) count: usize,
    pub(super) pitch: usize,
    pub(super) length: usize,
}

impl Segments {
    /// One segment.
    pub(super) fn contiguous(length: usize) -> Self {
        Self {
            count: 1,
            pitch: 0,
            length,
        }
    }

    /// Terms of the sum.
    pub(super) fn terms(self) -> usize {
        self.count * self.length
    }

    /// Floats between the first and the last that a row touches.
    fn reach(self) -> usize {
        (self.count - 1) * self.pitch + self.length
    }
}

/// Pixels of a buffer: where each begins.
#[derive(Clone, Copy)]
pub(super) struct Pixels<'a> {
    pub(super) values: &'a [f32],
    pub(super) offsets: &'a [u32],
}

impl Pixels<'_> {
    fn assert_reach(&self, reach: usize) {
        assert_reach(self.offsets, reach, self.values.len());
    }
}

/// One panel of weights and all that is applied with it.
pub(super) struct Panel<'a> {
    /// Vectors a row: 1 or 2.
    pub(super) vectors: usize,
    /// `[terms][vectors · lanes]`
    pub(super) weights: &'a [f32],
    /// `[vectors · lanes]`
    pub(super) bias: &'a [f32],
    /// First channel of the panel.
    pub(super) channel: usize,
    /// Bounds of the result.
    pub(super) clamp: [f32; 2],
}

/// `output[row] = clamp(input[row] · weights + bias + residual[row])` for the
/// channels of one panel.
pub(super) struct Product<'a> {
    pub(super) input: Pixels<'a>,
    pub(super) segments: Segments,
    pub(super) panel: Panel<'a>,
    /// Added before the clamp; rows in the order of the output's.
    pub(super) residual: Option<Pixels<'a>>,
    pub(super) output: &'a mut [f32],
    /// Start of every output pixel.
    pub(super) output_offsets: &'a [u32],
}

impl Product<'_> {
    /// Computes the product.
    pub(super) fn run(mut self, isa: Isa) {
        let rows = self.output_offsets.len();
        let width = self.panel.vectors * isa.lanes();
        // All that the tiles rely on when they work with pointers.
        assert!(self.segments.count > 0);
        assert_eq!(self.input.offsets.len(), rows);
        self.input.assert_reach(self.segments.reach());
        assert_reach(
            self.output_offsets,
            self.panel.channel + width,
            self.output.len(),
        );
        if let Some(residual) = self.residual {
            assert_eq!(residual.offsets.len(), rows);
            residual.assert_reach(self.panel.channel + width);
        }
        assert!(self.panel.weights.len() >= self.segments.terms() * width);
        assert!(self.panel.bias.len() >= width);

        let tallest = isa.tile_rows(self.panel.vectors);
        let mut first = 0;
        for tile_rows in TILE_ROWS.into_iter().filter(|rows| *rows <= tallest) {
            let end = first + (rows - first) / tile_rows * tile_rows;
            if first < end {
                self.run_tiles(isa, tile_rows, first, end);
            }
            first = end;
        }
    }

    fn run_tiles(&mut self, isa: Isa, tile_rows: usize, first: usize, end: usize) {
        macro_rules! tiles {
            ($($rows:literal),*) => {
                match (tile_rows, self.panel.vectors) {
                    $(
                        ($rows, 1) => isa.run(Tiles::<$rows, 1> { product: self, first, end }),
                        ($rows, 2) => isa.run(Tiles::<$rows, 2> { product: self, first, end }),
                    )*
                    (rows, vectors) => unreachable!("no kernel for {rows} × {vectors}"),
                }
            };
        }
        tiles!(14, 12, 8, 6, 4, 2, 1);
    }
}

/// The pixels `first..end`, `R` at a time.
struct Tiles<'a, 'b, const R: usize, const V: usize> {
    product: &'a mut Product<'b>,
    first: usize,
    end: usize,
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
        for _ in 0..product.segments.count {
            accumulate(
                simd,
                &mut sums,
                &input,
                (&mut weights, product.segments.length),
            );
            for input in &mut input {
                *input = input.wrapping_add(product.segments.pitch);
            }
        }
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
fn later_weights(weights: &[f32], tile: usize) -> *const f32 {
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

fn assert_reach(offsets: &[u32], reach: usize, len: usize) {
    let last = offsets.iter().copied().max().unwrap_or(0) as usize;
    assert!(
        last + reach <= len,
        "rows end at {}, the buffer at {len}",
        last + reach
    );
}
