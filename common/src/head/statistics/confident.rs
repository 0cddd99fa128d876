//! Confident learning: which labels are probably wrong, given probabilities from heads that
//! have not seen them (Northcutt, Jiang and Chuang, *Confident Learning*, 2021; cleanlab 2.9 judges).
//!
//! ```text
//! t_k        mean of p_k over the rows with label k: the class's own confidence
//! guess(x)   the k with p_k ≥ t_k; of several, the class whose p is the largest of all; of none, none
//! joint      rows by (label, guess): those off the diagonal are probably mislabelled
//! ```
//!
//! Two passes over the probabilities, a row at a time: what is held are numbers of classes,
//! and the pairs of classes that occur. A row off the diagonal whose label is nevertheless its most
//! probable class is not an issue, as in cleanlab's `filter_by="confident_learning"`.

use std::collections::BTreeMap;

/// Differences of probabilities that count as none, as cleanlab's.
const SAME: f64 = 1e-6;

/// Least threshold, as cleanlab's.
const LEAST_THRESHOLD: f64 = 2.0 * SAME;

/// The first pass: every class's own confidence.
#[derive(Clone, Debug)]
pub struct SelfConfidence {
    sums: Vec<f64>,
    rows: Vec<u64>,
}

impl SelfConfidence {
    /// Of `classes` classes, no row seen yet.
    pub fn new(classes: usize) -> Self {
        Self {
            sums: vec![0.0; classes],
            rows: vec![0; classes],
        }
    }

    /// Adds a row whose label has the probability `own`.
    ///
    /// # Panics
    /// When `label` is not a class.
    pub fn add(&mut self, own: f64, label: u32) {
        self.sums[label as usize] += own;
        self.rows[label as usize] += 1;
    }

    /// Ready for the second pass. A class without rows is nobody's guess.
    pub fn finish(self) -> ConfidentJoint {
        let classes = self.sums.iter().zip(&self.rows);
        let threshold = |(sum, rows): (&f64, &u64)| match rows {
            0 => f64::INFINITY,
            rows => (sum / *rows as f64).max(LEAST_THRESHOLD),
        };
        ConfidentJoint {
            thresholds: classes.map(threshold).collect(),
            rows: self.rows,
            counts: BTreeMap::new(),
        }
    }
}

/// The second pass: rows by label and guess.
#[derive(Clone, Debug)]
pub struct ConfidentJoint {
    thresholds: Vec<f64>,
    rows: Vec<u64>,
    counts: BTreeMap<(u32, u32), u64>,
}

/// What is thought of a row's label.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LabelJudgement {
    /// Whether the label is probably wrong.
    pub is_issue: bool,
    /// The most probable class.
    pub predicted: u32,
    /// Probability of the label.
    pub self_confidence: f64,
    /// (p of the label − largest p of the others + 1) / 2: below ½ the label is not the most
    /// probable class.
    pub normalised_margin: f64,
}

impl ConfidentJoint {
    /// The classes' thresholds t, `[C]`.
    pub fn thresholds(&self) -> &[f64] {
        &self.thresholds
    }

    /// Counts a row with `probabilities` `[C]`, and judges its label.
    ///
    /// # Panics
    /// When `label` is not a class.
    pub fn add(&mut self, probabilities: &[f64], label: u32) -> LabelJudgement {
        let own = probabilities[label as usize];
        let predicted = largest(probabilities.iter().copied());
        let other = |(class, p): (usize, &f64)| if class == label as usize { -1.0 } else { *p };
        let others = probabilities.iter().enumerate().map(other);
        let others = others.fold(0.0, f64::max);
        let guess = self.guess(probabilities, predicted);
        if let Some(guess) = guess {
            *self.counts.entry((label, guess)).or_default() += 1;
        }
        LabelJudgement {
            is_issue: guess.is_some_and(|guess| guess != label) && others > own + SAME,
            predicted,
            self_confidence: own,
            normalised_margin: (own - others + 1.0) / 2.0,
        }
    }

    fn guess(&self, probabilities: &[f64], predicted: u32) -> Option<u32> {
        let pairs = probabilities.iter().zip(&self.thresholds);
        let mut confident = (0..).zip(pairs).filter(|(_, (p, t))| **p >= **t - SAME);
        let (first, _) = confident.next()?;
        Some(if confident.next().is_some() {
            predicted
        } else {
            first
        })
    }

    /// Rows with label i that are counted as class j, by (i, j), in order; pairs without rows are left
    /// out. Every class has at least one row of its own.
    pub fn counts(&self) -> BTreeMap<(u32, u32), u64> {
        let mut counts = self.counts.clone();
        for class in 0..self.rows.len() as u32 {
            counts.entry((class, class)).or_insert(1);
        }
        counts
    }

    /// The estimated number of rows with label i that are truly of class j: the counts, scaled so that
    /// every label has as many rows as it has.
    pub fn estimate(&self) -> BTreeMap<(u32, u32), f64> {
        let counts = self.counts();
        let mut sums = vec![0.0; self.rows.len()];
        for ((label, _), count) in &counts {
            sums[*label as usize] += *count as f64;
        }
        let scaled = |((label, class), count): ((u32, u32), u64)| {
            let rows = self.rows[label as usize] as f64;
            ((label, class), count as f64 / sums[label as usize] * rows)
        };
        counts.into_iter().map(scaled).collect()
    }
}

/// Of equal values the first.
fn largest(values: impl Iterator<Item = f64>) -> u32 {
    let mut best = (0, f64::NEG_INFINITY);
    for (class, value) in (0..).zip(values) {
        if value > best.1 {
            best = (class, value);
        }
    }
    best.0
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    /// See `data/golden/make_audit_golden.py`.
    #[derive(Deserialize)]
    struct Golden {
        classes: usize,
        labels: Vec<u32>,
        probabilities: Vec<f64>,
        thresholds: Vec<f64>,
        joint: Vec<Vec<u64>>,
        calibrated: Vec<Vec<f64>>,
        issues: Vec<usize>,
        self_confidence: Vec<f64>,
        normalized_margin: Vec<f64>,
    }

    fn golden() -> Golden {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../data/golden/audit_labels.json"
        );
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn passes(golden: &Golden) -> (ConfidentJoint, Vec<LabelJudgement>) {
        let rows = || {
            golden
                .probabilities
                .chunks_exact(golden.classes)
                .zip(&golden.labels)
        };
        let mut first = SelfConfidence::new(golden.classes);
        rows().for_each(|(row, &label)| first.add(row[label as usize], label));
        let mut joint = first.finish();
        let found = rows().map(|(row, &label)| joint.add(row, label)).collect();
        (joint, found)
    }

    #[test]
    fn issues_are_cleanlabs() {
        let golden = golden();
        let (joint, found) = passes(&golden);
        for (ours, theirs) in joint.thresholds().iter().zip(&golden.thresholds) {
            assert!((ours - theirs).abs() < 1e-9, "{ours} {theirs}");
        }
        let issues: Vec<usize> = (0..found.len())
            .filter(|&row| found[row].is_issue)
            .collect();
        assert_eq!(issues, golden.issues);
        assert!(issues.len() > 10);
        for (row, judgement) in found.iter().enumerate() {
            assert!((judgement.self_confidence - golden.self_confidence[row]).abs() < 1e-9);
            assert!((judgement.normalised_margin - golden.normalized_margin[row]).abs() < 1e-9);
        }
    }

    #[test]
    fn joint_is_cleanlabs_and_its_estimate_up_to_their_rounding() {
        let golden = golden();
        let (joint, _) = passes(&golden);
        let (counts, estimate) = (joint.counts(), joint.estimate());
        for label in 0..golden.classes {
            for class in 0..golden.classes {
                let key = (label as u32, class as u32);
                let count = counts.get(&key).copied().unwrap_or(0);
                assert_eq!(count, golden.joint[label][class]);
                let rows = estimate.get(&key).copied().unwrap_or(0.0);
                assert!(
                    (rows - golden.calibrated[label][class]).abs() < 1.0,
                    "{key:?}"
                );
            }
        }
    }

    #[test]
    fn class_without_rows_is_nobodys_guess() {
        let mut first = SelfConfidence::new(3);
        first.add(0.2, 0);
        first.add(0.9, 1);
        let mut joint = first.finish();
        let judgement = joint.add(&[0.1, 0.0, 0.9], 0);
        assert!(!judgement.is_issue && judgement.predicted == 2);
        assert!(joint.add(&[0.05, 0.95, 0.0], 0).is_issue);
    }
}
