//! What the rows of a batch are to be: classes, smoothed, mixed and weighted.

use common::random;
use rand::Rng;
use rand_distr::{Beta, Distribution};

/// How the rows of a batch are mixed: row i with the one at its place from the end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Mixing {
    /// Weight of a row; its partner has the rest.
    pub(crate) share: f32,
}

impl Mixing {
    /// Of batch `number` of a training (Zhang et al., arXiv 1710.09412); `None` where `alpha` is 0.
    pub(crate) fn draw(alpha: f64, (seed, epoch, batch): (u64, u32, usize)) -> Option<Self> {
        let beta = Beta::new(alpha, alpha).ok()?;
        let mut stream = random::stream(seed, &format!("finetune/mixup/{epoch}/{batch}"));
        let share: f64 = beta.sample(&mut stream);
        Some(Self {
            share: share as f32,
        })
    }

    /// Mixes `rows` of `width` values in place.
    pub(crate) fn apply(self, rows: &mut [f32], width: usize) {
        let count = rows.len() / width;
        for row in 0..count / 2 {
            let (front, back) = rows.split_at_mut((count - 1 - row) * width);
            let pairs = front[row * width..][..width]
                .iter_mut()
                .zip(&mut back[..width]);
            for (a, b) in pairs {
                let (one, other) = (*a, *b);
                *a = self.share * one + (1.0 - self.share) * other;
                *b = self.share * other + (1.0 - self.share) * one;
            }
        }
    }
}

/// Targets `[rows, classes]` of rows with the classes `labels`: `(1 − s) · one-hot + s / classes`, times the weight of
/// each class (PyTorch's cross-entropy on probabilities), then mixed.
pub(crate) fn targets(
    labels: &[u32],
    class_weights: &[f32],
    label_smoothing: f32,
    mixing: Option<Mixing>,
) -> Vec<f32> {
    let classes = class_weights.len();
    let rest = label_smoothing / classes as f32;
    let mut targets = Vec::with_capacity(labels.len() * classes);
    for &label in labels {
        let row = class_weights.iter().enumerate().map(|(class, weight)| {
            let own = if class == label as usize {
                1.0 - label_smoothing
            } else {
                0.0
            };
            weight * (own + rest)
        });
        targets.extend(row);
    }
    if let Some(mixing) = mixing {
        mixing.apply(&mut targets, classes);
    }
    targets
}

/// A number for what dropout drops in a batch.
pub(crate) fn dropout_key(seed: u64, step: (u32, usize)) -> u64 {
    let (epoch, batch) = step;
    random::stream(seed, &format!("finetune/dropout/{epoch}/{batch}")).random()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn smoothing_and_weights_are_pytorchs() {
        // F.cross_entropy(logits, target, weight=w) with target = 0.9 · one_hot + 0.1 / 2.
        assert_eq!(targets(&[1], &[1.0, 2.0], 0.1, None), [0.05, 1.9]);
    }

    #[test]
    fn rows_are_mixed_with_their_partners_and_an_odd_one_stays() {
        let mixing = Mixing { share: 0.75 };
        let mut rows = [0.0, 1.0, 5.0, 5.0, 4.0, 9.0];
        mixing.apply(&mut rows, 2);
        assert_eq!(rows, [1.0, 3.0, 5.0, 5.0, 3.0, 7.0]);
        assert_eq!(
            targets(&[0, 1], &[1.0, 1.0], 0.0, Some(mixing)),
            [0.75, 0.25, 0.25, 0.75]
        );
    }

    #[test]
    fn shares_repeat_with_the_seed_and_are_none_without_alpha() {
        let draw = |seed, batch| Mixing::draw(0.4, (seed, 1, batch)).unwrap();
        assert_eq!(draw(1, 2), draw(1, 2));
        assert_ne!(draw(1, 2), draw(1, 3));
        assert_eq!(Mixing::draw(0.0, (1, 1, 1)), None);
    }
}
