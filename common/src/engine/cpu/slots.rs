//! Buffers shared by values that never live at the same time.

use super::{schedule::BLOCK_IMAGES, step::Extent};

/// When a value lives, in operations, and how much room it needs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lifetime {
    first: usize,
    last: usize,
    floats: usize,
    pub(super) extent: Extent,
}

impl Lifetime {
    /// Of a value that nothing writes or reads.
    pub(super) fn unused() -> Self {
        Self {
            first: usize::MAX,
            last: 0,
            floats: 0,
            extent: Extent::Chunk,
        }
    }

    /// The value is written or read by `operation`.
    pub(super) fn extend(&mut self, operation: usize) {
        self.first = self.first.min(operation);
        self.last = self.last.max(operation);
    }

    fn is_unused(&self) -> bool {
        self.first > self.last
    }

    /// Decides the extent; `chunks` are the images at a time of every
    /// operation, equal within a phase.
    pub(super) fn place(&mut self, chunks: &[usize], image_floats: usize) {
        if self.is_unused() {
            return;
        }
        let (begin, end) = (chunks[self.first], chunks[self.last]);
        if begin == end {
            self.floats = begin * image_floats;
            return;
        }
        self.extent = Extent::Block;
        self.floats = BLOCK_IMAGES * image_floats;
        // A phase is a loop: what it writes for one chunk has to survive all
        // of its steps for the next, and what it reads for the last as well.
        let is_begin = |images: &usize| *images == begin;
        self.first = chunks.iter().position(is_begin).unwrap_or(self.first);
        let is_end = |images: &usize| *images == end;
        self.last = chunks.iter().rposition(is_end).unwrap_or(self.last);
    }
}

/// A slot for every value, and every slot's size in floats.
pub(super) fn assign(lifetimes: &[Lifetime]) -> (Vec<usize>, Vec<usize>) {
    let mut order: Vec<_> = (0..lifetimes.len())
        .filter(|value| !lifetimes[*value].is_unused())
        .collect();
    order.sort_by_key(|value| lifetimes[*value].first);
    let mut slots = vec![0; lifetimes.len()];
    let mut sizes: Vec<usize> = Vec::new();
    let mut busy_until: Vec<usize> = Vec::new();
    for value in order {
        let lifetime = lifetimes[value];
        // The free slot whose size fits best.
        let free = (0..sizes.len())
            .filter(|slot| busy_until[*slot] < lifetime.first)
            .min_by_key(|slot| sizes[*slot].abs_diff(lifetime.floats));
        let slot = free.unwrap_or(sizes.len());
        if slot == sizes.len() {
            sizes.push(0);
            busy_until.push(0);
        }
        sizes[slot] = sizes[slot].max(lifetime.floats);
        busy_until[slot] = lifetime.last;
        slots[value] = slot;
    }
    (slots, sizes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lifetime(first: usize, last: usize, floats: usize) -> Lifetime {
        Lifetime {
            first,
            last,
            floats,
            extent: Extent::Chunk,
        }
    }

    #[test]
    fn values_that_live_together_never_share_a_slot() {
        let lifetimes = [
            lifetime(0, 1, 10),
            lifetime(1, 3, 20),
            lifetime(2, 2, 8),
            lifetime(2, 3, 30),
        ];
        let (slots, sizes) = assign(&lifetimes);
        assert_eq!(slots[2], slots[0]);
        assert_ne!(slots[1], slots[2]);
        assert!(slots[3] != slots[1] && slots[3] != slots[2]);
        assert_eq!(sizes, [10, 20, 30]);
    }

    #[test]
    fn what_crosses_a_phase_lives_through_both() {
        let chunks = [1, 1, 8, 8];
        let mut crossing = lifetime(1, 2, 0);
        crossing.place(&chunks, 5);
        assert_eq!((crossing.first, crossing.last), (0, 3));
        assert_eq!((crossing.extent, crossing.floats), (Extent::Block, 40));
        let mut inner = lifetime(2, 3, 0);
        inner.place(&chunks, 5);
        assert_eq!((inner.extent, inner.floats), (Extent::Chunk, 40));
    }
}
