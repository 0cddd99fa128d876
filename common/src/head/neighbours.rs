//! Classifiers that need no training: the k nearest neighbours, as DINO and DINOv2
//! weigh them, and the nearest centroid. Both compare features by their cosine.

use rayon::prelude::*;

use super::{Cosines, Head, HeadKind, Linear, Rows};

/// Numbers of neighbours that DINOv2's evaluation tries.
pub const DEFAULT_NEIGHBOURS: [usize; 4] = [10, 20, 100, 200];

/// DINOv2's temperature: a neighbour of cosine s weighs exp(s / temperature).
pub const DEFAULT_NEIGHBOUR_TEMPERATURE: f64 = 0.07;

/// The rows of a labelled set that are nearest to each query. The set passes by in
/// blocks; what is held are the queries and `most` neighbours of each.
#[derive(Debug)]
pub struct Neighbours {
    cosines: Cosines,
    most: usize,
    nearest: Vec<Nearest>,
    /// Rows that have passed.
    rows: u64,
}

/// The neighbours of one query: the best `most` of all, among some that are not.
#[derive(Clone, Debug, Default)]
struct Nearest {
    found: Vec<Neighbour>,
    /// Cosine of the last of the best once there are as many.
    least: Option<f32>,
}

#[derive(Clone, Copy, Debug)]
struct Neighbour {
    cosine: f32,
    row: u64,
    label: u32,
}

impl Neighbour {
    /// The nearer one first; of equals the one that came first.
    fn order(&self, other: &Self) -> std::cmp::Ordering {
        let nearer = other.cosine.total_cmp(&self.cosine);
        nearer.then(self.row.cmp(&other.row))
    }
}

impl Nearest {
    fn offer(&mut self, neighbour: Neighbour, most: usize) {
        if self.least.is_some_and(|least| neighbour.cosine <= least) {
            return;
        }
        self.found.push(neighbour);
        if self.found.len() >= 2 * most {
            self.keep(most);
        }
    }

    fn keep(&mut self, most: usize) {
        if self.found.len() >= most {
            let (_, last, _) = self
                .found
                .select_nth_unstable_by(most - 1, Neighbour::order);
            self.least = Some(last.cosine);
            self.found.truncate(most);
        }
    }
}

impl Neighbours {
    /// Of `queries`, `[Q, features]` of norm 1, the `most` nearest.
    ///
    /// # Panics
    /// When `queries` are not whole rows, or `most` is 0.
    pub fn new(queries: Vec<f32>, features: usize, most: usize) -> Self {
        assert!(most > 0, "at least one neighbour");
        let cosines = Cosines::new(queries, features);
        Self {
            nearest: vec![Nearest::default(); cosines.queries()],
            cosines,
            most,
            rows: 0,
        }
    }

    /// Compares a block of the labelled set, `[B, D]` of norm 1.
    pub fn add(&mut self, block: Rows) {
        let rows = block.labels.len();
        if rows == 0 {
            return;
        }
        let (first, most) = (self.rows, self.most);
        let cosines = self.cosines.with(block.features).par_chunks(rows);
        self.nearest
            .par_iter_mut()
            .zip(cosines)
            .for_each(|(nearest, cosines)| {
                let labelled = cosines.iter().zip(block.labels);
                for (row, (&cosine, &label)) in (first..).zip(labelled) {
                    nearest.offer(Neighbour { cosine, row, label }, most);
                }
            });
        self.rows += rows as u64;
    }

    /// The neighbours of every query, in order.
    pub fn finish(self) -> Votes {
        let most = self.most;
        let mut neighbours: Vec<_> = self.nearest;
        neighbours.par_iter_mut().for_each(|nearest| {
            nearest.keep(most);
            nearest.found.sort_unstable_by(Neighbour::order);
        });
        Votes { neighbours }
    }
}

/// The neighbours of every query, the nearest first.
#[derive(Debug)]
pub struct Votes {
    neighbours: Vec<Nearest>,
}

impl Votes {
    /// Scores of each class, `[Q, classes]`: the weights exp(s / temperature) of the
    /// `k` nearest, of which each query's nearest has weight 1.
    pub fn scores(&self, k: usize, temperature: f64, classes: usize) -> Vec<f32> {
        let mut scores = vec![0.0; self.neighbours.len() * classes];
        for (scores, nearest) in scores.chunks_exact_mut(classes).zip(&self.neighbours) {
            let best = nearest.found.first().map_or(0.0, |first| first.cosine);
            for neighbour in nearest.found.iter().take(k) {
                let distance = f64::from(neighbour.cosine) - f64::from(best);
                scores[neighbour.label as usize] += (distance / temperature).exp() as f32;
            }
        }
        scores
    }
}

/// Sums of each class's features, for the nearest centroid.
#[derive(Clone, Debug)]
pub struct Centroids {
    /// `[C, D]`
    sums: Vec<f64>,
    features: usize,
}

impl Centroids {
    /// Nothing seen yet.
    pub fn new(features: usize, classes: usize) -> Self {
        Self {
            sums: vec![0.0; features * classes],
            features,
        }
    }

    /// Adds rows, `[B, D]` of norm 1.
    pub fn add(&mut self, block: Rows) {
        let rows = block.features.chunks_exact(self.features);
        for (row, &label) in rows.zip(block.labels) {
            let start = label as usize * self.features;
            let sums = &mut self.sums[start..start + self.features];
            for (sum, &value) in sums.iter_mut().zip(row) {
                *sum += f64::from(value);
            }
        }
    }

    /// A linear head whose logits are the cosines with the classes' mean directions,
    /// for features of norm 1.
    pub fn head(&self) -> Head {
        let classes = self.sums.len() / self.features;
        let mut layer = Linear::zeros(self.features, classes);
        let rows = layer.weight.chunks_exact_mut(self.features);
        for (weight, sums) in rows.zip(self.sums.chunks_exact(self.features)) {
            let norm = sums.iter().map(|sum| sum * sum).sum::<f64>().sqrt();
            for (weight, sum) in weight.iter_mut().zip(sums) {
                *weight = (sum / norm.max(f64::MIN_POSITIVE)) as f32;
            }
        }
        Head::from_layers(HeadKind::Linear, vec![layer])
    }
}

#[cfg(test)]
mod tests;
