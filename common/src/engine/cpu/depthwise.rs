//! Depthwise convolutions: every channel has a k×k kernel of its own, so the
//! lanes run over channels and there is no sum across them.

use super::{
    convolution::{Folded, Operands, Site},
    isa::Task,
    scratch::Buffer,
    vector::Simd,
};

/// A k×k depthwise convolution of a fixed place in the graph.
pub(super) struct Depthwise {
    site: Site,
    kernel: usize,
    /// `[k · k, pitch]`
    weights: Buffer,
    /// `[pitch]`
    bias: Buffer,
    clamp: [f32; 2],
}

impl Depthwise {
    pub(super) fn new(folded: &Folded, site: &Site) -> Self {
        let pitch = site.output.pitch;
        let taps = folded.kernel * folded.kernel;
        let mut weights = Buffer::zeroed(taps * pitch);
        for (index, value) in folded.weight.iter().enumerate() {
            weights.as_mut_slice()[index % taps * pitch + index / taps] = *value;
        }
        let mut bias = Buffer::zeroed(pitch);
        bias.as_mut_slice()[..folded.bias.len()].copy_from_slice(&folded.bias);
        Self {
            site: *site,
            kernel: folded.kernel,
            weights,
            bias,
            clamp: folded.clamp,
        }
    }

    /// Whether there is a kernel for the size and stride.
    pub(super) fn supports(kernel: usize, stride: usize) -> bool {
        matches!((kernel, stride), (3 | 5, 1 | 2))
    }

    pub(super) fn run(&self, operands: &mut Operands<'_>) {
        let (input_len, output_len) = (self.site.input.image_len(), self.site.output.image_len());
        for image in 0..operands.images {
            let input = &operands.input[image * input_len..][..input_len];
            let output = &mut operands.output[image * output_len..][..output_len];
            for y in 0..self.site.output.shape.height {
                let window = self.site.input.window(self.site.windows, y, 0);
                self.run_row(&input[window..], output, y);
            }
        }
    }

    /// Row `y` of `output`; `input` begins with the row's first window.
    pub(super) fn run_row(&self, input: &[f32], output: &mut [f32], y: usize) {
        let (from, to) = (self.site.input, self.site.output);
        let start = to.pixel(y, 0);
        let row = Row {
            input,
            row_pitch: from.row_pitch(),
            pitch: to.pitch,
            output: &mut output[start..start + to.shape.width * to.pitch],
            weights: self.weights.as_slice(),
            bias: self.bias.as_slice(),
            clamp: self.clamp,
        };
        // The last number are the pixels done together: they share input
        // columns, and seven sums keep the multipliers busy and divide the
        // maps of a 224×224 input. With stride 2 so many columns fall out of
        // the first-level cache.
        match (self.kernel, self.site.windows.stride) {
            (3, 1) => self.site.isa.run(ForSize::<3, 1, 7>(row)),
            (3, 2) => self.site.isa.run(ForSize::<3, 2, 4>(row)),
            (5, 1) => self.site.isa.run(ForSize::<5, 1, 7>(row)),
            (5, 2) => self.site.isa.run(ForSize::<5, 2, 4>(row)),
            (kernel, stride) => unreachable!("no kernel for {kernel}×{kernel}/{stride}"),
        }
    }
}

/// One row of output pixels and the input from its first window on. Input and
/// output have one pitch.
struct Row<'a> {
    input: &'a [f32],
    row_pitch: usize,
    pitch: usize,
    output: &'a mut [f32],
    weights: &'a [f32],
    bias: &'a [f32],
    clamp: [f32; 2],
}

/// A row for a kernel of side `K` and stride `STRIDE`, `P` pixels at a time.
struct ForSize<'a, const K: usize, const STRIDE: usize, const P: usize>(Row<'a>);

impl<const K: usize, const STRIDE: usize, const P: usize> Task for ForSize<'_, K, STRIDE, P> {
    #[inline(always)]
    fn run<S: Simd>(self, simd: S) {
        let mut row = self.0;
        let width = row.output.len() / row.pitch;
        let columns = (width - 1) * STRIDE + K;
        assert!((K - 1) * row.row_pitch + columns * row.pitch <= row.input.len());
        assert!(K * K * row.pitch <= row.weights.len() && row.pitch <= row.bias.len());
        if width < P {
            for x in 0..width {
                // SAFETY: the windows of all pixels of the row, and every
                // channel's weights and bias, were asserted above.
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
/// weights and bias hold `pitch` channels.
#[inline(always)]
unsafe fn pixels<S: Simd, const K: usize, const STRIDE: usize, const P: usize>(
    simd: S,
    row: &mut Row<'_>,
    x: usize,
) {
    let pitch = row.pitch;
    let (low, high) = (simd.splat(row.clamp[0]), simd.splat(row.clamp[1]));
    let mut channel = 0;
    while channel + S::LANES <= pitch {
        // SAFETY: the caller's promise, here and below.
        let mut sums = [unsafe { simd.load_unchecked(row.bias, channel) }; P];
        for y in 0..K {
            let mut taps = [simd.splat(0.0); K];
            for (tap, weight) in taps.iter_mut().enumerate() {
                let at = (y * K + tap) * pitch + channel;
                // SAFETY: as above.
                *weight = unsafe { simd.load_unchecked(row.weights, at) };
            }
            let start = y * row.row_pitch + x * STRIDE * pitch + channel;
            for column in 0..(P - 1) * STRIDE + K {
                // SAFETY: as above.
                let value = unsafe { simd.load_unchecked(row.input, start + column * pitch) };
                for p in 0..P {
                    // Constant after unrolling.
                    if column >= p * STRIDE && column < p * STRIDE + K {
                        sums[p] = simd.mul_add(value, taps[column - p * STRIDE], sums[p]);
                    }
                }
            }
        }
        for (p, sum) in sums.iter().enumerate() {
            let value = simd.clamp(*sum, low, high);
            // SAFETY: as above.
            unsafe { simd.store_unchecked(value, row.output, (x + p) * pitch + channel) };
        }
        channel += S::LANES;
    }
}
