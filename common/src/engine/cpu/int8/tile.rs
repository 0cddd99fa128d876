//! The micro-kernel on integers: `R` pixels × `V` vectors of channels, all
//! sums in registers.

use super::{
    super::{isa::IntegerTask, scratch::LINE, tile::later_weights},
    convolution::Destination,
    integers::Integers,
    pack::Dots,
    product::{Finish, Output, Product},
};

/// Words from which on a tile's output is fetched while its sum is formed.
const LONG_SUM: usize = 64;

/// The pixels `first..end`, `R` at a time.
pub(super) struct Tiles<'a, 'b, const R: usize, const V: usize> {
    pub(super) product: &'a mut Product<'b>,
    pub(super) first: usize,
    pub(super) end: usize,
}

impl<const R: usize, const V: usize> IntegerTask for Tiles<'_, '_, R, V> {
    #[inline(always)]
    fn run<S: Integers>(self, simd: S) {
        match self.product.input.dots() {
            Dots::Pairs => self.run_dots::<S, Pairs>(simd),
            Dots::Quads => self.run_dots::<S, Quads>(simd),
        }
    }
}

impl<const R: usize, const V: usize> Tiles<'_, '_, R, V> {
    #[inline(always)]
    fn run_dots<S: Integers, D: Dot>(self, simd: S) {
        let mut row = self.first;
        while row + R <= self.end {
            // SAFETY: `Product::check` has passed: every row's segments,
            // output and residual lie in their buffers, and weights, starts
            // and scales hold a panel.
            unsafe { tile::<S, D, R, V>(simd, self.product, row) };
            row += R;
        }
    }
}

/// # Safety
/// `Product::check` has passed, and `row + R` rows exist.
#[inline(always)]
unsafe fn tile<S: Integers, D: Dot, const R: usize, const V: usize>(
    simd: S,
    product: &mut Product<'_>,
    row: usize,
) {
    // Bytes of an element.
    let element = 4 / D::TERMS;
    let panel = &product.panel;
    let mut sums = [[simd.splat_words(0); V]; R];
    let mut input = [std::ptr::null(); R];
    // SAFETY: offsets and lengths were checked; `row + r` is below the number
    // of rows.
    unsafe {
        for v in 0..V {
            let start = product.starts.as_ptr().add(panel.channel + v * S::LANES);
            let start = simd.load_words(start);
            for sums in &mut sums {
                sums[v] = start;
            }
        }
        for (r, input) in input.iter_mut().enumerate() {
            let offset = *product.input_offsets.get_unchecked(row + r) as usize;
            *input = product.input.as_ptr().add(offset * element);
        }
        let groups = product.segments.length / D::TERMS;
        if groups * product.segments.count >= LONG_SUM {
            prefetch_output::<S, R, V>(simd, product, row);
        }
        let mut weights = Weights {
            next: panel.words.as_ptr(),
            later: later_weights(panel.words, row / R),
        };
        for _ in 0..product.segments.count {
            accumulate::<S, D, R, V>(simd, &mut sums, &input, (&mut weights, groups));
            for input in &mut input {
                *input = input.wrapping_add(product.segments.pitch * element);
            }
        }
        write::<S, R, V>(simd, product, row, &sums);
    }
}

/// # Safety
/// As [`tile`].
#[inline(always)]
unsafe fn write<S: Integers, const R: usize, const V: usize>(
    simd: S,
    product: &mut Product<'_>,
    row: usize,
    sums: &[[S::Words; V]; R],
) {
    let channel = product.panel.channel;
    for (r, sums) in sums.iter().enumerate() {
        // SAFETY: the caller's promise, here and below.
        let offset = unsafe { *product.output_offsets.get_unchecked(row + r) } as usize + channel;
        for (v, sum) in sums.iter().enumerate() {
            let lane = v * S::LANES;
            // SAFETY: as above.
            unsafe {
                match &mut product.output {
                    Output::Words(words) => {
                        simd.store_words(*sum, words.as_mut_ptr().add(offset + lane));
                    }
                    Output::Finished(finish, destination) => {
                        let value = finished(simd, finish, *sum, (row + r, channel + lane));
                        destination.store(simd, value, offset + lane);
                    }
                }
            }
        }
    }
}

/// # Safety
/// As [`tile`], for the row and the vector of channels from `channel` on.
#[inline(always)]
unsafe fn finished<S: Integers>(
    simd: S,
    finish: &Finish<'_>,
    sum: S::Words,
    (row, channel): (usize, usize),
) -> S::Vector {
    // SAFETY: the caller's promise.
    unsafe {
        let scale = simd.load_raw(finish.scale.as_ptr().add(channel));
        let bias = simd.load_raw(finish.bias.as_ptr().add(channel));
        let mut value = simd.scale_add(simd.to_floats(sum), scale, bias);
        if let Some(residual) = finish.residual {
            let from = *residual.offsets.get_unchecked(row) as usize + channel;
            let addend = simd.load_as_floats(residual.values.as_ptr().add(from));
            value = simd.scale_add(addend, simd.splat(residual.scale), value);
        }
        let [low, high] = finish.clamp;
        simd.clamp(value, simd.splat(low), simd.splat(high))
    }
}

/// Asks for the lines that the tile will write.
///
/// # Safety
/// `row + R` rows exist.
#[inline(always)]
unsafe fn prefetch_output<S: Integers, const R: usize, const V: usize>(
    simd: S,
    product: &Product<'_>,
    row: usize,
) {
    let (start, element) = match &product.output {
        Output::Words(words) => (words.as_ptr().cast::<u8>(), 4),
        Output::Finished(_, Destination::Shorts(shorts)) => (shorts.as_ptr().cast(), 2),
        Output::Finished(_, Destination::Floats(floats)) => (floats.as_ptr().cast(), 4),
    };
    for r in 0..R {
        // SAFETY: the caller's promise.
        let offset = unsafe { *product.output_offsets.get_unchecked(row + r) } as usize;
        let first = (offset + product.panel.channel) * element;
        let mut byte = 0;
        while byte < V * S::LANES * element {
            simd.prefetch_near(start.wrapping_add(first + byte).cast());
            byte += LINE * 4;
        }
    }
}

/// Where the kernel is in the weights.
struct Weights {
    next: *const i32,
    /// What to bring closer meanwhile: the panel behind this one.
    later: *const i32,
}

/// The product of two words.
trait Dot {
    /// Terms in a word.
    const TERMS: usize;

    fn dot<S: Integers>(simd: S, sum: S::Words, a: S::Words, b: S::Words) -> S::Words;
}

struct Pairs;

impl Dot for Pairs {
    const TERMS: usize = 2;

    #[inline(always)]
    fn dot<S: Integers>(simd: S, sum: S::Words, a: S::Words, b: S::Words) -> S::Words {
        simd.dot_pairs(sum, a, b)
    }
}

struct Quads;

impl Dot for Quads {
    const TERMS: usize = 4;

    #[inline(always)]
    fn dot<S: Integers>(simd: S, sum: S::Words, a: S::Words, b: S::Words) -> S::Words {
        simd.dot_quads(sum, a, b)
    }
}

/// Adds one segment's terms, `groups` words of them.
///
/// # Safety
/// Every input is valid for `groups` words, the weights for `groups · V`
/// vectors.
#[inline(always)]
unsafe fn accumulate<S: Integers, D: Dot, const R: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::Words; V]; R],
    input: &[*const u8; R],
    (weights, groups): (&mut Weights, usize),
) {
    let mut group = 0;
    // Four words a turn: see `super::super::tile`.
    while group + 4 <= groups {
        let mut line = 0;
        while line < V * S::LANES {
            simd.prefetch_far(weights.later.cast());
            weights.later = weights.later.wrapping_add(LINE);
            line += LINE;
        }
        for next in 0..4 {
            // SAFETY: `group + next` is below `groups`.
            unsafe { rank_one::<S, D, R, V>(simd, sums, input, (weights, group + next)) };
        }
        group += 4;
    }
    while group < groups {
        // SAFETY: as above.
        unsafe { rank_one::<S, D, R, V>(simd, sums, input, (weights, group)) };
        group += 1;
    }
}

/// # Safety
/// Every input is valid at word `group`, the weights for `V` vectors.
#[inline(always)]
unsafe fn rank_one<S: Integers, D: Dot, const R: usize, const V: usize>(
    simd: S,
    sums: &mut [[S::Words; V]; R],
    input: &[*const u8; R],
    (weights, group): (&mut Weights, usize),
) {
    // SAFETY: the caller's promise.
    unsafe {
        let mut columns = [simd.splat_words(0); V];
        for (v, column) in columns.iter_mut().enumerate() {
            *column = simd.load_words(weights.next.add(v * S::LANES));
        }
        for r in 0..R {
            let word = input[r].add(4 * group).cast::<i32>().read_unaligned();
            let value = simd.splat_words(word);
            for v in 0..V {
                sums[r][v] = D::dot(simd, sums[r][v], value, columns[v]);
            }
        }
        weights.next = weights.next.add(V * S::LANES);
    }
}
