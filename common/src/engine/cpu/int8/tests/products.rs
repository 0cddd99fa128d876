//! The micro-kernel alone: every width of product, height of tile, and number
//! of terms, against 64-bit sums.

use proptest::prelude::*;

use super::super::{
    super::{isa::Isa, kernel::Segments, pack::Sizes, scratch::Buffer},
    pack::{Dots, Panels},
    product::{Output, Product, Values},
    weights::PAIR,
};

/// Bytes as they come, and the largest.
fn bytes(len: usize, seed: u64) -> Vec<u8> {
    (0..len as u64)
        .map(|index| match (index * 7 + seed) % 11 {
            0..4 => 255,
            4 => 0,
            _ => ((index * 2_654_435_761 + seed * 97) >> 7) as u8,
        })
        .collect()
}

/// Neighbours are [`PAIR`] together at most, and often that.
fn weight(term: usize, channel: usize, seed: u64) -> i32 {
    let pair = term / 2;
    let (first, second) = match (pair * 3 + channel + seed as usize) % 6 {
        0 => (127, 1),
        1 => (64, 64),
        2 => (-127, -1),
        3 => (-1, 127),
        _ => {
            let first = ((pair * 31 + channel * 17 + seed as usize) % 255) as i32 - 127;
            (first, (PAIR - first.abs()).min(pair as i32 % 127))
        }
    };
    if term.is_multiple_of(2) {
        first
    } else {
        second
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn products_of_either_width_are_exact(
        rows in 1usize..40,
        channels in 1usize..70,
        (count, length, gap) in (1usize..4, 1usize..40, 0usize..9),
        start in -1000i32..1000,
        seed in 0u64..1000,
    ) {
        for isa in Isa::available() {
            for dots in [Dots::Pairs, Dots::Quads] {
                let segments = Segments {
                    count,
                    pitch: length.next_multiple_of(4) + gap,
                    length: length.next_multiple_of(dots.terms()),
                };
                let sizes = Sizes { matrices: 1, terms: segments.terms(), channels };
                // Terms behind `length` meet weights of zero.
                let weight = |term: usize, channel| {
                    let is_padding = term % segments.length >= length;
                    if is_padding { 0 } else { weight(term, channel, seed) }
                };
                let panels = Panels::pack(isa, dots, sizes, |_, term, channel| weight(term, channel));
                let row_len = segments.pitch * count;
                let bytes = bytes(rows * row_len, seed);
                let shorts: Vec<_> = bytes.iter().map(|byte| i16::from(*byte)).collect();
                let pitch = channels.next_multiple_of(isa.lanes());
                let mut starts = Buffer::zeroed(pitch);
                starts.view_mut::<i32>().fill(start);
                let mut found = vec![0; rows * pitch];
                let offsets = |step: usize| (0..rows).map(|row| (row * step) as u32).collect::<Vec<_>>();
                for panel in panels.iter(0) {
                    let product = Product {
                        input: match dots {
                            Dots::Pairs => Values::Shorts(&shorts),
                            Dots::Quads => Values::Bytes(&bytes),
                        },
                        input_offsets: &offsets(row_len),
                        segments,
                        panel,
                        starts: starts.view(),
                        output: Output::Words(&mut found),
                        output_offsets: &offsets(pitch),
                    };
                    product.run(isa);
                }
                for row in 0..rows {
                    for channel in 0..channels {
                        let mut sum = i64::from(start);
                        for term in 0..segments.terms() {
                            let within = term / segments.length * segments.pitch
                                + term % segments.length;
                            let value = i64::from(bytes[row * row_len + within]);
                            sum += value * i64::from(weight(term, channel));
                        }
                        prop_assert_eq!(i64::from(found[row * pitch + channel]), sum, "{} {:?}", isa, dots);
                    }
                }
            }
        }
    }
}
