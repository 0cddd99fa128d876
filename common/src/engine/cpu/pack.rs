//! Weights in the order in which the micro-kernel reads them, packed once.

use super::{isa::Isa, kernel::Panel, scratch::Buffer};

/// Matrices `[terms, channels]` cut into panels of two vectors of channels (one
/// in the last where that is enough); within a panel, term after term. Panel
/// follows panel and matrix follows matrix, so that what the kernel needs next
/// always lies behind what it has.
pub(super) struct Panels {
    weights: Buffer,
    terms: usize,
    channels: usize,
    lanes: usize,
}

/// Sizes of matrices to pack.
#[derive(Clone, Copy)]
pub(super) struct Sizes {
    pub(super) matrices: usize,
    pub(super) terms: usize,
    pub(super) channels: usize,
}

impl Panels {
    /// Packs the matrices whose entries are `entry(matrix, term, channel)`.
    pub(super) fn pack(isa: Isa, sizes: Sizes, entry: impl Fn(usize, usize, usize) -> f32) -> Self {
        let lanes = isa.lanes();
        let Sizes {
            matrices,
            terms,
            channels,
        } = sizes;
        let matrix_len = terms * channels.next_multiple_of(lanes);
        let mut panels = Self {
            weights: Buffer::zeroed(matrices * matrix_len),
            terms,
            channels,
            lanes,
        };
        let spans: Vec<_> = spans(panels.channels, panels.lanes).collect();
        let packed = panels.weights.as_mut_slice().chunks_exact_mut(matrix_len);
        for (matrix, mut rest) in packed.enumerate() {
            for (first, vectors) in &spans {
                let width = vectors * lanes;
                let (panel, behind) = rest.split_at_mut(terms * width);
                for (term, row) in panel.chunks_exact_mut(width).enumerate() {
                    for (value, channel) in row.iter_mut().zip(*first..channels) {
                        *value = entry(matrix, term, channel);
                    }
                }
                rest = behind;
            }
        }
        panels
    }

    /// The panels of a matrix. `bias` has a value for every padded channel.
    pub(super) fn iter<'a>(
        &'a self,
        matrix: usize,
        bias: &'a [f32],
        clamp: [f32; 2],
    ) -> impl Iterator<Item = Panel<'a>> {
        let matrix_len = self.terms * self.channels.next_multiple_of(self.lanes);
        spans(self.channels, self.lanes).map(move |(channel, vectors)| {
            let width = vectors * self.lanes;
            let start = matrix * matrix_len + channel * self.terms;
            Panel {
                vectors,
                weights: &self.weights.as_slice()[start..start + width * self.terms],
                bias: &bias[channel..channel + width],
                channel,
                clamp,
            }
        })
    }
}

/// First channel and number of vectors of every panel that `channels` are cut
/// into.
pub(super) fn spans(channels: usize, lanes: usize) -> impl Iterator<Item = (usize, usize)> {
    let vectors = channels.div_ceil(lanes);
    (0..vectors)
        .step_by(2)
        .map(move |first| (first * lanes, (vectors - first).min(2)))
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
            let sizes = Sizes {
                matrices: 2,
                terms: 5,
                channels: 3 * isa.lanes() - 1,
            };
            let entry = |matrix: usize, term: usize, channel: usize| {
                (matrix * 10_000 + term * 1000 + channel + 1) as f32
            };
            let panels = Panels::pack(isa, sizes, entry);
            let bias = padded_bias(isa, &vec![0.0; sizes.channels]);
            for matrix in 0..sizes.matrices {
                for panel in panels.iter(matrix, bias.as_slice(), [0.0; 2]) {
                    let width = panel.vectors * isa.lanes();
                    for (index, value) in panel.weights.iter().enumerate() {
                        let (term, channel) = (index / width, panel.channel + index % width);
                        let expected = if channel < sizes.channels {
                            entry(matrix, term, channel)
                        } else {
                            0.0
                        };
                        assert_eq!(*value, expected);
                    }
                }
            }
        }
    }
}
