//! What became of each row under a head, and figures of it that can be resampled.

use common::head::{
    statistics::{Interval, Resampling, bootstrap, negative_log_likelihood},
    top_classes,
};
use serde::Serialize;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RowOutcome {
    pub(crate) label: u32,
    pub(crate) predicted: u32,
    /// Negative log-likelihood of the label, in nats.
    pub(crate) nll: f64,
}

impl RowOutcome {
    /// What becomes of a row with these logits, divided by `temperature`.
    pub(crate) fn of(logits: &[f32], label: u32, temperature: f64) -> Self {
        Self {
            label,
            predicted: top_classes(logits, 1)[0] as u32,
            nll: negative_log_likelihood(logits, label as usize, temperature),
        }
    }

    /// Whether the label is what is predicted.
    pub(crate) fn is_right(&self) -> bool {
        self.label == self.predicted
    }
}

/// Bootstrap intervals of a split's figures.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Intervals {
    pub(crate) confidence: f64,
    pub(crate) resamples: usize,
    pub(crate) seed: u64,
    pub(crate) top1: Option<Interval>,
    pub(crate) balanced_accuracy: Option<Interval>,
    pub(crate) macro_f1: Option<Interval>,
    /// With the temperature applied.
    pub(crate) nll: Option<Interval>,
}

/// Resamples `rows` of `classes` classes.
pub(crate) fn intervals(rows: &[RowOutcome], classes: usize) -> Intervals {
    let resampling = Resampling::default();
    let drawn = bootstrap(rows.len(), &resampling, |counts| {
        figures(rows, counts, classes)
    });
    let [top1, balanced_accuracy, macro_f1, nll] = drawn;
    Intervals {
        confidence: resampling.confidence,
        resamples: resampling.resamples,
        seed: resampling.seed,
        top1,
        balanced_accuracy,
        macro_f1,
        nll,
    }
}

/// Accuracy, balanced accuracy, macro-F1 and NLL, defined as `common::head::Metrics`
/// defines them, where row i counts `counts[i]` times.
fn figures(rows: &[RowOutcome], counts: &[u32], classes: usize) -> [f64; 4] {
    let (mut hits, mut truly, mut predicted) =
        (vec![0.0; classes], vec![0.0; classes], vec![0.0; classes]);
    let (mut total, mut nll) = (0.0, 0.0);
    for (row, &count) in rows.iter().zip(counts) {
        let count = f64::from(count);
        truly[row.label as usize] += count;
        predicted[row.predicted as usize] += count;
        if row.is_right() {
            hits[row.label as usize] += count;
        }
        total += count;
        nll += count * row.nll;
    }
    let mean_share = |shares: &mut dyn Iterator<Item = (f64, f64)>| {
        let (mut sum, mut present) = (0.0, 0.0);
        for (part, whole) in shares.filter(|(_, whole)| *whole > 0.0) {
            sum += part / whole;
            present += 1.0;
        }
        sum / present
    };
    let recalls = &mut hits.iter().copied().zip(truly.iter().copied());
    let balanced_accuracy = mean_share(recalls);
    let both = truly.iter().zip(&predicted).map(|(a, b)| a + b);
    let macro_f1 = mean_share(&mut hits.iter().map(|hits| 2.0 * hits).zip(both));
    let right: f64 = hits.iter().sum();
    [right / total, balanced_accuracy, macro_f1, nll / total]
}

#[cfg(test)]
mod tests {
    use common::head::Tally;

    use super::*;

    #[test]
    fn figures_of_rows_counted_once_are_the_metrics() {
        // Class 3 is never true, class 4 neither true nor predicted.
        let pairs = [(0, 0), (0, 1), (1, 1), (2, 3), (2, 2), (2, 0)];
        let mut tally = Tally::new(5);
        let mut rows = Vec::new();
        for (label, predicted) in pairs {
            let mut logits = [0.0; 5];
            logits[predicted as usize] = 1.0;
            tally.add(&logits, &[label]);
            rows.push(RowOutcome {
                label,
                predicted,
                nll: f64::from(label),
            });
        }
        let metrics = tally.finish();
        let [top1, balanced, f1, nll] = figures(&rows, &[1; 6], 5);
        assert!((top1 - metrics.top1).abs() < 1e-12);
        assert!((balanced - metrics.balanced_accuracy).abs() < 1e-12);
        assert!((f1 - metrics.macro_f1).abs() < 1e-12);
        assert!((nll - 7.0 / 6.0).abs() < 1e-12);
        let doubled = figures(&rows, &[2; 6], 5);
        assert!((doubled[0] - top1).abs() < 1e-12);
    }
}
