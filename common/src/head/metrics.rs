//! How good predictions are, with scikit-learn's definitions.
//!
//! A class is predicted when its logit is the largest; of equal logits, the
//! class that comes first.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{CrossEntropy, LossSum, multi_label::MultiLabelMetrics, regression::RegressionMetrics};

/// K of the top-K accuracy that is reported beside the plain one.
pub const TOP_K: usize = 5;

/// Counts over rows seen so far.
#[derive(Clone, Debug)]
pub struct Tally {
    classes: usize,
    /// `[C, C]`: row = true class, column = predicted class.
    confusion: Vec<u64>,
    in_top_k: u64,
    loss: LossSum,
}

/// The figures of one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// Rows counted.
    pub rows: u64,
    /// Mean cross-entropy in nats, unweighted and without smoothing.
    pub loss: f64,
    /// Share of rows whose class is predicted.
    pub top1: f64,
    /// Share of rows whose class is among the [`TOP_K`] largest logits.
    pub top5: f64,
    /// Mean recall over the classes that occur among the true ones
    /// (`balanced_accuracy_score`).
    pub balanced_accuracy: f64,
    /// Mean F1 over the classes that occur among the true or the predicted ones
    /// (`f1_score(average="macro", zero_division=0)`).
    pub macro_f1: f64,
    /// `[C][C]`: row = true class, column = predicted class.
    pub confusion: Vec<Vec<u64>>,
}

/// The figures of one split, of any task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum TaskMetrics {
    /// Of heads that predict one class.
    SingleLabel(Metrics),
    /// Of heads that predict any number of classes.
    MultiLabel(MultiLabelMetrics),
    /// Of heads that predict numbers.
    Regression(RegressionMetrics),
}

impl TaskMetrics {
    /// Rows counted.
    pub fn rows(&self) -> u64 {
        match self {
            Self::SingleLabel(metrics) => metrics.rows,
            Self::MultiLabel(metrics) => metrics.rows,
            Self::Regression(metrics) => metrics.rows,
        }
    }

    /// Share of the rows whose one class is predicted; `None` of other tasks.
    pub fn top1(&self) -> Option<f64> {
        match self {
            Self::SingleLabel(metrics) => Some(metrics.top1),
            Self::MultiLabel(_) | Self::Regression(_) => None,
        }
    }
}

impl Tally {
    /// Nothing counted yet.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            confusion: vec![0; classes * classes],
            in_top_k: 0,
            loss: LossSum::default(),
        }
    }

    /// Counts `logits` `[B, C]` against `labels` `[B]`.
    ///
    /// # Panics
    /// When a label is not below C.
    pub fn add(&mut self, logits: &[f32], labels: &[u32]) {
        self.loss
            .add(CrossEntropy::plain(self.classes).evaluate(logits, labels));
        for (row, &label) in logits.chunks_exact(self.classes).zip(labels) {
            let label = label as usize;
            self.confusion[label * self.classes + predicted_class(row)] += 1;
            self.in_top_k += u64::from(rank(row, label) < TOP_K);
        }
    }

    /// Rows counted.
    pub fn rows(&self) -> u64 {
        self.confusion.iter().sum()
    }

    /// Mean cross-entropy of the rows counted.
    pub fn loss(&self) -> f64 {
        self.loss.mean()
    }

    /// Share of rows whose class is predicted.
    pub fn top1(&self) -> f64 {
        let correct: u64 = (0..self.classes).map(|class| self.hits(class)).sum();
        ratio(correct, self.rows())
    }

    /// All figures.
    pub fn finish(&self) -> Metrics {
        Metrics {
            rows: self.rows(),
            loss: self.loss(),
            top1: self.top1(),
            top5: ratio(self.in_top_k, self.rows()),
            balanced_accuracy: self.balanced_accuracy(),
            macro_f1: self.macro_f1(),
            confusion: self
                .confusion
                .chunks_exact(self.classes)
                .map(<[u64]>::to_vec)
                .collect(),
        }
    }

    fn hits(&self, class: usize) -> u64 {
        self.confusion[class * self.classes + class]
    }

    fn true_rows(&self, class: usize) -> u64 {
        let start = class * self.classes;
        self.confusion[start..start + self.classes].iter().sum()
    }

    fn predicted_rows(&self, class: usize) -> u64 {
        let column = self.confusion.iter().skip(class);
        column.step_by(self.classes).sum()
    }

    fn balanced_accuracy(&self) -> f64 {
        mean((0..self.classes).filter_map(|class| {
            let rows = self.true_rows(class);
            (rows > 0).then(|| ratio(self.hits(class), rows))
        }))
    }

    fn macro_f1(&self) -> f64 {
        mean((0..self.classes).filter_map(|class| {
            let both = self.true_rows(class) + self.predicted_rows(class);
            (both > 0).then(|| ratio(2 * self.hits(class), both))
        }))
    }
}

/// The `count` classes with the largest scores, best first.
pub fn top_classes(scores: &[f32], count: usize) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| {
        let by_score = scores[b].partial_cmp(&scores[a]);
        by_score.unwrap_or(Ordering::Equal).then(a.cmp(&b))
    });
    order.truncate(count);
    order
}

fn predicted_class(row: &[f32]) -> usize {
    let mut best = 0;
    for (class, score) in row.iter().enumerate() {
        if *score > row[best] {
            best = class;
        }
    }
    best
}

/// How many classes come before `label` by score.
fn rank(row: &[f32], label: usize) -> usize {
    let own = row[label];
    let ahead = |&(class, score): &(usize, &f32)| *score > own || (*score == own && class < label);
    row.iter().enumerate().filter(ahead).count()
}

fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

fn mean(values: impl Iterator<Item = f64>) -> f64 {
    let (mut sum, mut count) = (0.0, 0.0);
    for value in values {
        sum += value;
        count += 1.0;
    }
    sum / count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_logits_predict_the_first_class() {
        assert_eq!(predicted_class(&[1.0, 1.0, 0.0]), 0);
        assert_eq!(top_classes(&[1.0, 2.0, 1.0], 2), [1, 0]);
        assert_eq!(rank(&[1.0, 2.0, 1.0], 2), 2);
    }

    #[test]
    fn batches_add_up() {
        let logits = [1.0, 0.0, 0.0, 3.0, 0.5, 0.0];
        let mut whole = Tally::new(2);
        whole.add(&logits, &[0, 1, 1]);
        let mut parts = Tally::new(2);
        parts.add(&logits[..2], &[0]);
        parts.add(&logits[2..], &[1, 1]);
        assert_eq!(whole.finish(), parts.finish());
        assert_eq!(whole.finish().confusion, [[1, 0], [1, 1]]);
    }
}
