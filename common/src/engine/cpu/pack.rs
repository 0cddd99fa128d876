//! Weights in the order in which the micro-kernel reads them, packed once.

use super::{isa::Isa, kernel::Panel, scratch::Buffer};

/// A matrix `[terms, channels]` cut into panels of two vectors of channels (one
/// in the last where that is enough); within a panel, term after term.
pub(super) struct Panels {
    weights: Buffer,
    terms: usize,
    channels: usize,
    lanes: usize,
}

impl Panels {
    /// Packs the matrix whose entries are `entry(term, channel)`.
    pub(super) fn pack(
        isa: Isa,
        [terms, channels]: [usize; 2],
        entry: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let lanes = isa.lanes();
        let mut panels = Self {
            weights: Buffer::zeroed(terms * channels.next_multiple_of(lanes)),
            terms,
            channels,
            lanes,
        };
        let spans: Vec<_> = panels.spans().collect();
        let mut rest = panels.weights.as_mut_slice();
        for (first, vectors) in spans {
            let width = vectors * lanes;
            let (panel, behind) = rest.split_at_mut(terms * width);
            for (term, row) in panel.chunks_exact_mut(width).enumerate() {
                for (column, value) in row.iter_mut().enumerate() {
                    if first + column < channels {
                        *value = entry(term, first + column);
                    }
                }
            }
            rest = behind;
        }
        panels
    }

    /// Terms of the sum.
    pub(super) fn terms(&self) -> usize {
        self.terms
    }

    /// The panels. `bias` has a value for every padded channel.
    pub(super) fn iter<'a>(
        &'a self,
        bias: &'a [f32],
        clamp: [f32; 2],
    ) -> impl Iterator<Item = Panel<'a>> {
        self.spans().map(move |(channel, vectors)| {
            let width = vectors * self.lanes;
            let start = channel * self.terms;
            Panel {
                vectors,
                weights: &self.weights.as_slice()[start..start + width * self.terms],
                bias: &bias[channel..channel + width],
                channel,
                clamp,
            }
        })
    }

    /// First channel and number of vectors of every panel.
    fn spans(&self) -> impl Iterator<Item = (usize, usize)> + use<> {
        let vectors = self.channels.div_ceil(self.lanes);
        let lanes = self.lanes;
        (0..vectors)
            .step_by(2)
            .map(move |first| (first * lanes, (vectors - first).min(2)))
    }
}

/// `bias` with zeros up to whole vectors.
pub(super) fn padded_bias(isa: Isa, bias: &[f32]) -> Buffer {
    let mut padded = Buffer::zeroed(bias.len().next_multiple_of(isa.lanes()));
    padded.as_mut_slice()[..bias.len()].copy_from_slice(bias);
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_is_found_where_the_kernel_looks_for_it() {
        for isa in Isa::available() {
            let (terms, channels) = (5, 3 * isa.lanes() - 1);
            let entry = |term: usize, channel: usize| (term * 1000 + channel + 1) as f32;
            let panels = Panels::pack(isa, [terms, channels], entry);
            let bias = padded_bias(isa, &vec![0.0; channels]);
            for panel in panels.iter(bias.as_slice(), [0.0; 2]) {
                let width = panel.vectors * isa.lanes();
                for (index, value) in panel.weights.iter().enumerate() {
                    let (term, channel) = (index / width, panel.channel + index % width);
                    let expected = if channel < channels {
                        entry(term, channel)
                    } else {
                        0.0
                    };
                    assert_eq!(*value, expected);
                }
            }
        }
    }
}
