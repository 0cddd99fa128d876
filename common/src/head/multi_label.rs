//! How good the predictions of any number of classes a row are, with scikit-learn's
//! definitions.
//!
//! Comes in: logits and, for every class, whether the row has it. Goes out: thresholds, and
//! figures at given ones. A class is predicted when its probability reaches its threshold.

use serde::{Deserialize, Serialize};

use super::statistics::{
    ClassFigures, DEFAULT_THRESHOLD, average_precision, best_threshold, sigmoid,
};

/// Rows with their logits, kept whole: average precision ranks them.
#[derive(Clone, Debug)]
pub struct MultiLabelRows {
    classes: usize,
    /// `[N, C]`.
    logits: Vec<f32>,
    /// `[N, C]`.
    positive: Vec<bool>,
}

/// The figures of one split.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MultiLabelMetrics {
    /// Rows counted.
    pub rows: u64,
    /// Mean binary cross-entropy over rows and classes in nats, unweighted and without
    /// smoothing.
    pub loss: f64,
    /// Mean of the average precision over the classes that some row has
    /// (`average_precision_score(average="macro")`); absent where no row has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mean_average_precision: Option<f64>,
    /// F1 of all decisions together (`f1_score(average="micro")`).
    pub micro_f1: f64,
    /// Mean F1 over all classes (`f1_score(average="macro", zero_division=0)`).
    pub macro_f1: f64,
    /// Share of rows of which every class is decided rightly (`accuracy_score`).
    pub exact_match: f64,
}

/// How well one class is found.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LabelFigures {
    /// At its threshold; `rows` are those that have the class.
    #[serde(flatten)]
    pub decisions: ClassFigures,
    /// Over all thresholds; `None` where no row has the class.
    pub average_precision: Option<f64>,
    /// The class is predicted from this probability on.
    pub threshold: f64,
}

impl MultiLabelRows {
    /// No rows yet.
    pub fn new(classes: usize) -> Self {
        Self {
            classes,
            logits: Vec::new(),
            positive: Vec::new(),
        }
    }

    /// Adds `logits` `[B, C]` of rows with `targets` `[B, C]`, 1 where a row has a class
    /// and 0 elsewhere.
    pub fn add(&mut self, logits: &[f32], targets: &[f32]) {
        self.logits.extend_from_slice(logits);
        self.positive
            .extend(targets.iter().map(|target| *target > 0.5));
    }

    /// For each class the threshold with the largest F1; [`DEFAULT_THRESHOLD`] where no row
    /// has it.
    pub fn thresholds(&self) -> Vec<f64> {
        let threshold = |class| {
            let (logits, positive) = self.column(class);
            let probabilities: Vec<f64> = logits.into_iter().map(sigmoid).collect();
            best_threshold(&probabilities, &positive).unwrap_or(DEFAULT_THRESHOLD)
        };
        (0..self.classes).map(threshold).collect()
    }

    /// All figures with `thresholds` `[C]`.
    pub fn metrics(&self, thresholds: &[f64]) -> MultiLabelMetrics {
        self.figures(thresholds).0
    }

    /// All figures with `thresholds` `[C]`, and those of each class.
    pub fn figures(&self, thresholds: &[f64]) -> (MultiLabelMetrics, Vec<LabelFigures>) {
        let (figures, counts) = self.per_class(thresholds);
        let precisions: Vec<f64> = figures
            .iter()
            .filter_map(|class| class.average_precision)
            .collect();
        let rows = self.logits.len() / self.classes;
        let f1 = figures.iter().map(|class| class.decisions.f1);
        let metrics = MultiLabelMetrics {
            rows: rows as u64,
            loss: self.loss(),
            mean_average_precision: (!precisions.is_empty())
                .then(|| precisions.iter().sum::<f64>() / precisions.len() as f64),
            micro_f1: counts.figures().f1,
            macro_f1: f1.sum::<f64>() / self.classes as f64,
            exact_match: self.exact_match(thresholds),
        };
        (metrics, figures)
    }

    /// The figures of each class, and the decisions on all of them together.
    fn per_class(&self, thresholds: &[f64]) -> (Vec<LabelFigures>, Counts) {
        let mut together = Counts::default();
        let figures = thresholds.iter().enumerate().map(|(class, &threshold)| {
            let (logits, positive) = self.column(class);
            let counts = Counts::of(&logits, &positive, threshold);
            together = together.plus(counts);
            LabelFigures {
                decisions: counts.figures(),
                average_precision: average_precision(&logits, &positive),
                threshold,
            }
        });
        (figures.collect(), together)
    }

    fn column(&self, class: usize) -> (Vec<f32>, Vec<bool>) {
        let logits = self.logits.iter().skip(class).step_by(self.classes);
        let positive = self.positive.iter().skip(class).step_by(self.classes);
        (logits.copied().collect(), positive.copied().collect())
    }

    fn exact_match(&self, thresholds: &[f64]) -> f64 {
        let logits = self.logits.chunks_exact(self.classes);
        let rows = logits.zip(self.positive.chunks_exact(self.classes));
        let total = rows.len();
        let exact = rows.filter(|(logits, positive)| {
            let mut decided = logits.iter().zip(thresholds).zip(*positive);
            decided
                .all(|((&logit, &threshold), &positive)| (sigmoid(logit) >= threshold) == positive)
        });
        exact.count() as f64 / total as f64
    }

    fn loss(&self) -> f64 {
        let terms = self.logits.iter().zip(&self.positive);
        let losses = terms.map(|(&logit, &positive)| {
            let against = f64::from(if positive { -logit } else { logit });
            against.max(0.0) + (-against.abs()).exp().ln_1p()
        });
        losses.sum::<f64>() / self.logits.len() as f64
    }
}

/// Decisions on one class.
#[derive(Clone, Copy, Default)]
struct Counts {
    truly: u64,
    predicted: u64,
    hits: u64,
}

impl Counts {
    /// Of the rows of one class.
    fn of(logits: &[f32], positive: &[bool], threshold: f64) -> Self {
        let mut counts = Self::default();
        for (&logit, &positive) in logits.iter().zip(positive) {
            let predicted = sigmoid(logit) >= threshold;
            counts.truly += u64::from(positive);
            counts.predicted += u64::from(predicted);
            counts.hits += u64::from(positive && predicted);
        }
        counts
    }

    fn plus(self, other: Self) -> Self {
        Self {
            truly: self.truly + other.truly,
            predicted: self.predicted + other.predicted,
            hits: self.hits + other.hits,
        }
    }

    fn figures(self) -> ClassFigures {
        ClassFigures::of(self.hits, self.truly, self.predicted)
    }
}
