//! Integer weights in the order in which the micro-kernel reads them: as
//! [`super::super::pack`], with two 16-bit or four 8-bit terms of a channel in
//! one word.

use super::super::{
    isa::Isa,
    pack::{Sizes, spans},
    scratch::Buffer,
};

/// How many terms share a word, and so the width of both factors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Dots {
    /// Two products of 16-bit integers.
    Pairs,
    /// Four products of an unsigned and a signed byte.
    Quads,
}

impl Dots {
    /// Terms in a word.
    pub(super) fn terms(self) -> usize {
        match self {
            Self::Pairs => 2,
            Self::Quads => 4,
        }
    }

    fn pack(self, terms: [i32; 4]) -> i32 {
        match self {
            Self::Pairs => terms[0] & 0xffff | terms[1] << 16,
            Self::Quads => i32::from_ne_bytes(terms.map(|term| term as u8)),
        }
    }
}

/// Matrices of packed weights.
pub(super) struct Panels {
    words: Buffer,
    /// Words of a channel.
    groups: usize,
    channels: usize,
    lanes: usize,
}

/// The weights of one panel.
#[derive(Clone, Copy)]
pub(super) struct Panel<'a> {
    /// Vectors a row: 1 or 2.
    pub(super) vectors: usize,
    /// `[groups][vectors · lanes]`
    pub(super) words: &'a [i32],
    /// First channel.
    pub(super) channel: usize,
}

impl Panels {
    /// Packs the matrices whose entries are `entry(matrix, term, channel)`.
    pub(super) fn pack(
        isa: Isa,
        dots: Dots,
        sizes: Sizes,
        entry: impl Fn(usize, usize, usize) -> i32,
    ) -> Self {
        let mut panels = Self {
            words: Buffer::default(),
            groups: sizes.terms.div_ceil(dots.terms()),
            channels: sizes.channels,
            lanes: isa.lanes(),
        };
        panels.words = Buffer::zeroed(sizes.matrices * panels.matrix_len());
        let spans: Vec<_> = spans(panels.channels, panels.lanes).collect();
        let mut rest = panels.words.view_mut::<i32>();
        for matrix in 0..sizes.matrices {
            for (first, vectors) in &spans {
                let width = vectors * panels.lanes;
                let (panel, behind) = rest.split_at_mut(panels.groups * width);
                for (group, row) in panel.chunks_exact_mut(width).enumerate() {
                    for (word, channel) in row.iter_mut().zip(*first..sizes.channels) {
                        let mut terms = [0; 4];
                        let from = group * dots.terms();
                        let within = from..sizes.terms.min(from + dots.terms());
                        for (value, term) in terms.iter_mut().zip(within) {
                            *value = entry(matrix, term, channel);
                        }
                        *word = dots.pack(terms);
                    }
                }
                rest = behind;
            }
        }
        panels
    }

    /// The panels of a matrix.
    pub(super) fn iter(&self, matrix: usize) -> impl Iterator<Item = Panel<'_>> {
        spans(self.channels, self.lanes).map(move |(channel, vectors)| {
            let start = matrix * self.matrix_len() + channel * self.groups;
            let len = vectors * self.lanes * self.groups;
            Panel {
                vectors,
                words: &self.words.view()[start..start + len],
                channel,
            }
        })
    }

    fn matrix_len(&self) -> usize {
        self.groups * self.channels.next_multiple_of(self.lanes)
    }
}
