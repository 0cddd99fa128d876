//! Cutting parts into chunks of plan rows.

use std::ops::Range;

use common::cache::{Cache, PartIndex};

/// Some rows of one part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Chunk {
    pub(super) part: PartIndex,
    /// Plan rows.
    pub(super) rows: Range<u64>,
    /// Whether the part ends with this chunk.
    pub(super) place: Place,
}

/// A chunk's place in its part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Inner,
    Last,
}

/// All chunks of a job, in the order in which they are written.
pub(super) struct Chunks(Vec<Chunk>);

impl Chunks {
    pub(super) fn new(cache: &Cache, parts: &[PartIndex], chunk_rows: usize) -> Self {
        let cut = |part: &PartIndex| cut(*part, cache.rows_of(*part), chunk_rows.max(1) as u64);
        Self(parts.iter().flat_map(cut).collect())
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The chunk of a number below [`Chunks::len`].
    pub(super) fn get(&self, sequence: u64) -> &Chunk {
        &self.0[sequence as usize]
    }
}

fn cut(part: PartIndex, rows: Range<u64>, chunk_rows: u64) -> Vec<Chunk> {
    let count = (rows.end - rows.start).div_ceil(chunk_rows);
    (0..count)
        .map(|index| {
            let start = rows.start + index * chunk_rows;
            Chunk {
                part,
                rows: start..(start + chunk_rows).min(rows.end),
                place: if index + 1 == count {
                    Place::Last
                } else {
                    Place::Inner
                },
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_cover_a_part_and_only_the_last_ends_it() {
        let chunks = cut(PartIndex(2), 20..27, 3);
        let rows: Vec<_> = chunks.iter().map(|chunk| chunk.rows.clone()).collect();
        assert_eq!(rows, [20..23, 23..26, 26..27]);
        let places: Vec<_> = chunks.iter().map(|chunk| chunk.place).collect();
        assert_eq!(places, [Place::Inner, Place::Inner, Place::Last]);
    }
}
