//! Disjoint sets of places.

/// Each place points towards the root of its set, its smallest place.
pub(crate) struct Joined(Vec<usize>);

impl Joined {
    /// `count` places, each a set of its own.
    pub(crate) fn apart(count: usize) -> Self {
        Self((0..count).collect())
    }

    /// The smallest place of the set that holds `place`.
    pub(crate) fn root(&self, mut place: usize) -> usize {
        while self.0[place] != place {
            place = self.0[place];
        }
        place
    }

    /// Makes the sets of `a` and `b` one.
    pub(crate) fn join(&mut self, a: usize, b: usize) {
        let (a, b) = (self.shortened(a), self.shortened(b));
        // The smaller place is the root, so that the result does not depend on the order.
        self.0[a.max(b)] = a.min(b);
    }

    /// As [`Joined::root`], halving the way for the next time.
    fn shortened(&mut self, mut place: usize) -> usize {
        while self.0[place] != place {
            self.0[place] = self.0[self.0[place]];
            place = self.0[place];
        }
        place
    }
}
