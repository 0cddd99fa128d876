//! A convolution between quantised values, before an algorithm is chosen.

use super::{
    super::{convolution::Folded, isa::Isa, scratch::Buffer},
    integers::Integers,
    product::{Finish, Residual},
    scales::Scales,
};

/// A convolution and what its operands' integers stand for.
pub(super) struct Quantised<'a> {
    pub(super) folded: &'a Folded,
    pub(super) input: &'a Scales,
    pub(super) residual: Option<&'a Scales>,
    /// `None` where the result stays in floats.
    pub(super) output: Option<&'a Scales>,
}

/// The buffers of one call, from the first image on.
pub(in super::super) struct Operands<'a> {
    pub(in super::super) input: &'a [i16],
    pub(in super::super) residual: Option<&'a [i16]>,
    pub(in super::super) output: Destination<'a>,
    pub(in super::super) images: usize,
}

/// Where a step writes.
pub(in super::super) enum Destination<'a> {
    /// Integers for the next convolution.
    Shorts(&'a mut [i16]),
    /// Values that no convolution reads.
    Floats(&'a mut [f32]),
}

/// [`Finish`]'s numbers, for every padded channel.
pub(super) struct Finishing {
    scale: Buffer,
    bias: Buffer,
    residual: f32,
    clamp: [f32; 2],
}

impl Destination<'_> {
    /// `len` numbers from `start` on.
    pub(super) fn part(&mut self, start: usize, len: usize) -> Destination<'_> {
        match self {
            Self::Shorts(shorts) => Destination::Shorts(&mut shorts[start..start + len]),
            Self::Floats(floats) => Destination::Floats(&mut floats[start..start + len]),
        }
    }

    /// Writes a vector of finished values, rounded where they become integers.
    ///
    /// # Safety
    /// There is room for LANES numbers at `at`.
    #[inline(always)]
    pub(super) unsafe fn store<S: Integers>(&mut self, simd: S, values: S::Vector, at: usize) {
        debug_assert!(at + S::LANES <= self.len());
        // SAFETY: the caller's promise.
        unsafe {
            match self {
                Self::Shorts(shorts) => simd.store_rounded(values, shorts.as_mut_ptr().add(at)),
                Self::Floats(floats) => simd.store_raw(values, floats.as_mut_ptr().add(at)),
            }
        }
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Shorts(shorts) => shorts.len(),
            Self::Floats(floats) => floats.len(),
        }
    }
}

impl Quantised<'_> {
    /// The weights of one output, `[in / groups, k, k]`, as they apply to the
    /// input's integers.
    pub(super) fn row(&self, output: usize) -> Vec<f64> {
        let len = self.folded.weight.len() / self.folded.out_channels;
        let weights = &self.folded.weight[output * len..][..len];
        let scale = f64::from(self.input.scale);
        weights
            .iter()
            .map(|weight| f64::from(*weight) * scale)
            .collect()
    }

    /// What an integer of the output stands for; 1 in floats.
    pub(super) fn unit(&self) -> f64 {
        self.output.map_or(1.0, |output| f64::from(output.scale))
    }

    /// How sums of `scales[output]` an integer become results.
    pub(super) fn finishing(&self, isa: Isa, scales: &[f64]) -> Finishing {
        let channels = self.folded.out_channels;
        let padded = |value: &dyn Fn(usize) -> f64| {
            let mut buffer = Buffer::zeroed(channels.next_multiple_of(2 * isa.lanes()));
            for (channel, entry) in buffer.as_mut_slice()[..channels].iter_mut().enumerate() {
                *entry = (value(channel) / self.unit()) as f32;
            }
            buffer
        };
        let residual = self
            .residual
            .map_or(0.0, |residual| f64::from(residual.scale));
        Finishing {
            scale: padded(&|channel| scales[channel]),
            bias: padded(&|channel| f64::from(self.folded.bias[channel])),
            residual: (residual / self.unit()) as f32,
            clamp: self
                .output
                .map_or(self.folded.clamp, |output| output.range.map(f32::from)),
        }
    }
}

impl Finishing {
    /// With the residual's pixels, if there is one.
    pub(super) fn with<'a>(&'a self, residual: Option<(&'a [i16], &'a [u32])>) -> Finish<'a> {
        Finish {
            scale: self.scale.as_slice(),
            bias: self.bias.as_slice(),
            clamp: self.clamp,
            residual: residual.map(|(values, offsets)| Residual {
                values,
                offsets,
                scale: self.residual,
            }),
        }
    }
}
