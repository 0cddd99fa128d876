//! Metrics of heads against scikit-learn's (`data/golden/make_head_golden.py`).

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use common::head::{Metrics, Tally};
use serde::Deserialize;

fn golden<T: for<'a> Deserialize<'a>>(name: &str) -> T {
    let path = format!("{}/../data/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[derive(Deserialize)]
struct MetricCase {
    classes: usize,
    logits: Vec<f32>,
    labels: Vec<u32>,
    expected: ExpectedMetrics,
}

#[derive(Deserialize)]
struct ExpectedMetrics {
    loss: f64,
    top1: f64,
    top5: f64,
    balanced_accuracy: f64,
    macro_f1: f64,
    confusion: Vec<Vec<u64>>,
}

#[test]
fn metrics_with_absent_classes_are_scikit_learns() {
    let MetricCase {
        classes,
        logits,
        labels,
        expected,
    } = golden("head_metrics.json");
    let mut tally = Tally::new(classes);
    tally.add(&logits, &labels);
    let Metrics {
        rows,
        loss,
        top1,
        top5,
        balanced_accuracy,
        macro_f1,
        confusion,
    } = tally.finish();
    assert_eq!(rows, labels.len() as u64);
    assert_eq!(confusion, expected.confusion);
    for (found, expected, tolerance) in [
        (loss, expected.loss, 1e-6),
        (top1, expected.top1, 1e-12),
        (top5, expected.top5, 1e-12),
        (balanced_accuracy, expected.balanced_accuracy, 1e-12),
        (macro_f1, expected.macro_f1, 1e-12),
    ] {
        assert!((found - expected).abs() < tolerance, "{found} {expected}");
    }
}
