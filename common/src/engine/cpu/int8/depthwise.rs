//! Depthwise convolutions of integers, in floats: sums of integers below 2²⁴
//! are exact there, so that any order and any rounding of products gives the
//! same result, and weights have some 12 bits instead of 8.

use super::{
    super::{convolution::Site, isa::IntegerTask, scratch::Buffer},
    convolution::{Destination, Finishing, Operands, Quantised},
    integers::Integers,
    weights::{Limits, quantise},
};

/// A k×k depthwise convolution of a fixed place in the graph.
pub(in super::super) struct Depthwise {
    site: Site,
    kernel: usize,
    /// Integers, `[k · k, pitch]`.
    weights: Buffer,
    finishing: Finishing,
}

/// Floats hold the integers up to this one.
const EXACT: i64 = 1 << 24;

impl Depthwise {
    pub(super) fn new(conv: &Quantised<'_>, site: &Site) -> Self {
        let pitch = site.output.pitch;
        let taps = conv.folded.kernel * conv.folded.kernel;
        // `quantise` bounds sums by 2³¹, so 2⁷ of the room is taken away.
        let limits = Limits::shorts(conv.input.largest() * ((1 << 31) / EXACT));
        let mut weights = Buffer::zeroed(taps * pitch);
        let mut scales = Vec::with_capacity(conv.folded.out_channels);
        for channel in 0..conv.folded.out_channels {
            let (integers, scale) = quantise(&conv.row(channel), limits);
            for (tap, integer) in integers.into_iter().enumerate() {
                weights.as_mut_slice()[tap * pitch + channel] = integer as f32;
            }
            scales.push(scale);
        }
        Self {
            site: *site,
            kernel: conv.folded.kernel,
            weights,
            finishing: conv.finishing(site.isa, &scales),
        }
    }

    pub(super) fn run(&self, operands: &mut Operands<'_>) {
        let (input_len, output_len) = (self.site.input.image_len(), self.site.output.image_len());
        for image in 0..operands.images {
            let input = &operands.input[image * input_len..][..input_len];
            for y in 0..self.site.output.shape.height {
                let window = self.site.input.window(self.site.windows, y, 0);
                let output = operands.output.part(image * output_len, output_len);
                self.run_row(&input[window..], output, y);
            }
        }
    }

    /// Row `y` of the image `output`; `input` begins with the row's first
    /// window.
    pub(super) fn run_row(&self, input: &[i16], mut output: Destination<'_>, y: usize) {
        let (from, to) = (self.site.input, self.site.output);
        let row = Row {
            input,
            row_pitch: from.row_pitch(),
            pitch: to.pitch,
            output: output.part(to.pixel(y, 0), to.shape.width * to.pitch),
            weights: self.weights.as_slice(),
            finishing: &self.finishing,
        };
        // As in `super::super::depthwise`.
        match (self.kernel, self.site.windows.stride) {
            (3, 1) => self.site.isa.run_integers(ForSize::<3, 1, 7>(row)),
            (3, 2) => self.site.isa.run_integers(ForSize::<3, 2, 4>(row)),
            (5, 1) => self.site.isa.run_integers(ForSize::<5, 1, 7>(row)),
            (5, 2) => self.site.isa.run_integers(ForSize::<5, 2, 4>(row)),
            (kernel, stride) => unreachable!("no kernel for {kernel}×{kernel}/{stride}"),
        }
    }
}

/// One row of output pixels and the input from its first window on. Input and
/// output have one pitch.
struct Row<'a> {
    input: &'a [i16],
    row_pitch: usize,
    pitch: usize,
    output: Destination<'a>,
    weights: &'a [f32],
    finishing: &'a Finishing,
}

/// A row for a kernel of side `K` and stride `STRIDE`, `P` pixels at a time.
struct ForSize<'a, const K: usize, const STRIDE: usize, const P: usize>(Row<'a>);

impl<const K: usize, const STRIDE: usize, const P: usize> IntegerTask
    for ForSize<'_, K, STRIDE, P>
{
    #[inline(always)]
    fn run<S: Integers>(self, simd: S) {
        let mut row = self.0;
        let width = row.output.len() / row.pitch;
        let columns = (width - 1) * STRIDE + K;
        let finish = row.finishing.with(None);
        assert!((K - 1) * row.row_pitch + columns * row.pitch <= row.input.len());
        assert!(K * K * row.pitch <= row.weights.len());
        assert!(row.pitch <= finish.scale.len().min(finish.bias.len()));
        if width < P {
            for x in 0..width {
                // SAFETY: the windows of all pixels of the row, and every
                // channel's weights and scales, were asserted above.
                unsafe { pixels::<S, K, STRIDE, 1>(simd, &mut row, x) };
            }
            return;
        }
        for x in (0..width).step_by(P) {
            // The last group overlaps its neighbour and writes the same again.
            let x = x.min(width - P);
            // SAFETY: as above.
            unsafe { pixels::<S, K, STRIDE, P>(simd, &mut row, x) };
        }
    }
}

/// The output pixels `x..x + P`, all channels.
///
/// # Safety
/// The windows of these pixels lie in the input, the pixels in the output, and
/// weights and scales hold `pitch` channels, whole vectors of them.
#[inline(always)]
unsafe fn pixels<S: Integers, const K: usize, const STRIDE: usize, const P: usize>(
    simd: S,
    row: &mut Row<'_>,
    x: usize,
) {
    let pitch = row.pitch;
    let finish = row.finishing.with(None);
    let (low, high) = (simd.splat(finish.clamp[0]), simd.splat(finish.clamp[1]));
    let mut channel = 0;
    while channel + S::LANES <= pitch {
        let mut sums = [simd.splat(0.0); P];
        for y in 0..K {
            let mut taps = [simd.splat(0.0); K];
            for (tap, weight) in taps.iter_mut().enumerate() {
                let at = (y * K + tap) * pitch + channel;
                // SAFETY: the caller's promise, here and below.
                *weight = unsafe { simd.load_unchecked(row.weights, at) };
            }
            let start = y * row.row_pitch + x * STRIDE * pitch + channel;
            for column in 0..(P - 1) * STRIDE + K {
                // SAFETY: as above.
                let from = unsafe { row.input.as_ptr().add(start + column * pitch) };
                // SAFETY: as above.
                let value = unsafe { simd.load_as_floats(from) };
                for p in 0..P {
                    // Constant after unrolling.
                    if column >= p * STRIDE && column < p * STRIDE + K {
                        sums[p] = simd.mul_add(value, taps[column - p * STRIDE], sums[p]);
                    }
                }
            }
        }
        // SAFETY: as above.
        let scale = unsafe { simd.load_unchecked(finish.scale, channel) };
        // SAFETY: as above.
        let bias = unsafe { simd.load_unchecked(finish.bias, channel) };
        for (p, sum) in sums.iter().enumerate() {
            let value = simd.clamp(simd.scale_add(*sum, scale, bias), low, high);
            // SAFETY: as above.
            unsafe { row.output.store(simd, value, (x + p) * pitch + channel) };
        }
        channel += S::LANES;
    }
}
