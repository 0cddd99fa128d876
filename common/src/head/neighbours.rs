//! Classifiers that need no training: the k nearest neighbours, as DINO and DINOv2
//! weigh them, and the nearest centroid. Both compare features by their cosine.

use rayon::prelude::*;

use super::{
    Head, HeadKind, Linear, Rows,
    matrix::{Matrix, Output, multiply},
};

/// Numbers of neighbours that DINOv2's evaluation tries.
pub const DEFAULT_NEIGHBOURS: [usize; 4] = [10, 20, 100, 200];

/// DINOv2's temperature: a neighbour of cosine s weighs exp(s / temperature).
pub const DEFAULT_NEIGHBOUR_TEMPERATURE: f64 = 0.07;

/// The rows of a labelled set that are nearest to each query. The set passes by in
/// blocks; what is held are the queries and `most` neighbours of each.
#[derive(Debug)]
pub struct Neighbours {
    /// `[Q, D]`, each of norm 1.
    queries: Vec<f32>,
    features: usize,
    most: usize,
    nearest: Vec<Nearest>,
    /// Rows that have passed.
    rows: u64,
    /// Cosines of a block, `[Q, B]`.
    cosines: Vec<f32>,
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
        assert_eq!(queries.len() % features, 0, "whole rows");
        assert!(most > 0, "at least one neighbour");
        Self {
            nearest: vec![Nearest::default(); queries.len() / features],
            queries,
            features,
            most,
            rows: 0,
            cosines: Vec::new(),
        }
    }

    /// Compares a block of the labelled set, `[B, D]` of norm 1.
    pub fn add(&mut self, block: Rows) {
        let rows = block.labels.len();
        if rows == 0 {
            return;
        }
        self.cosines.resize(self.nearest.len() * rows, 0.0);
        multiply(
            Matrix::new(&self.queries, self.nearest.len(), self.features),
            Matrix::new(block.features, rows, self.features).transposed(),
            &mut self.cosines,
            Output::Replace,
        );
        let (first, most) = (self.rows, self.most);
        let cosines = self.cosines.par_chunks(rows);
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
mod tests {
    use rand::Rng;

    use super::*;
    use crate::random;

    const FEATURES: usize = 5;

    /// Rows of norm 1.
    fn directions(rows: usize, name: &str) -> Vec<f32> {
        let mut stream = random::stream(3, name);
        let mut values = Vec::new();
        for _ in 0..rows {
            let row: [f32; FEATURES] = std::array::from_fn(|_| stream.random_range(-1.0..1.0));
            let norm = row.iter().map(|value| value * value).sum::<f32>().sqrt();
            values.extend(row.iter().map(|value| value / norm));
        }
        values
    }

    #[test]
    fn neighbours_are_those_of_a_full_sort_whatever_the_blocks() {
        let (rows, queries, k) = (57, 9, 6);
        let (set, asked) = (directions(rows, "set"), directions(queries, "asked"));
        let labels: Vec<u32> = (0..rows as u32).map(|row| row % 4).collect();
        for block in [1, 10, rows] {
            let mut neighbours = Neighbours::new(asked.clone(), FEATURES, k);
            for (features, labels) in set.chunks(block * FEATURES).zip(labels.chunks(block)) {
                neighbours.add(Rows { features, labels });
            }
            let found = neighbours.finish();
            for (query, nearest) in asked.chunks_exact(FEATURES).zip(&found.neighbours) {
                let cosine = |row: &[f32]| row.iter().zip(query).map(|(a, b)| a * b).sum::<f32>();
                let cosines: Vec<_> = set.chunks_exact(FEATURES).map(cosine).collect();
                let mut expected: Vec<u64> = (0..rows as u64).collect();
                expected.sort_by(|&a, &b| cosines[b as usize].total_cmp(&cosines[a as usize]));
                let found: Vec<_> = nearest
                    .found
                    .iter()
                    .map(|neighbour| neighbour.row)
                    .collect();
                assert_eq!(found, expected[..k], "blocks of {block}");
            }
        }
    }

    #[test]
    fn nearer_neighbours_outweigh_more_of_them() {
        let set = [1.0, 0.0, 0.8, 0.6, 0.8, -0.6];
        let mut neighbours = Neighbours::new(vec![1.0, 0.0], 2, 3);
        neighbours.add(Rows {
            features: &set,
            labels: &[0, 1, 1],
        });
        let votes = neighbours.finish();
        // Weights 1 and twice exp(−0.2 / T): 0.057 at T = 0.07, 0.82 at T = 1.
        let cold = votes.scores(3, DEFAULT_NEIGHBOUR_TEMPERATURE, 2);
        assert!((cold[1] - 2.0 * (-0.2_f32 / 0.07).exp()).abs() < 1e-5);
        assert!(cold[0] > cold[1]);
        let warm = votes.scores(3, 1.0, 2);
        assert!(warm[0] < warm[1]);
        assert_eq!(votes.scores(1, 1.0, 2), [1.0, 0.0]);
    }

    #[test]
    fn centroids_point_along_the_mean_of_their_class() {
        let mut centroids = Centroids::new(2, 3);
        centroids.add(Rows {
            features: &[1.0, 0.0, 0.0, 1.0, -1.0, 0.0],
            labels: &[0, 0, 2],
        });
        let half = 0.5_f32.sqrt();
        // A class without rows is equally far from everything.
        let logits = centroids.head().logits(&[1.0, 0.0]);
        assert_eq!(logits, [half, 0.0, -1.0]);
    }
}
