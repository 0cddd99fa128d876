//! Statistics against scikit-learn, SciPy and PyTorch
//! (`data/golden/make_statistics_golden.py`).

#![allow(clippy::unwrap_used, reason = "a test that panics has failed")]

use common::head::{
    MultiLabelRows, RegressionRows,
    statistics::{
        CalibrationTally, Temperature, average_precision, class_figures, mcnemar,
        mean_average_precision, regression_figures,
    },
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    calibration: CalibrationCase,
    per_class: PerClassCase,
    ranking: RankingCase,
    regression: RegressionCase,
    mcnemar: Vec<McNemarCase>,
    regressions: RegressionsCase,
    multi_label: MultiLabelCase,
}

#[derive(Deserialize)]
struct CalibrationCase {
    classes: usize,
    logits: Vec<f32>,
    labels: Vec<u32>,
    fitted_temperature: f64,
    figures: Vec<CalibrationFigures>,
}

#[derive(Deserialize)]
struct CalibrationFigures {
    temperature: f64,
    nll: f64,
    brier: f64,
    ece: f64,
}

#[derive(Deserialize)]
struct PerClassCase {
    confusion: Vec<Vec<u64>>,
    precision: Vec<f64>,
    recall: Vec<f64>,
    f1: Vec<f64>,
    rows: Vec<u64>,
}

#[derive(Deserialize)]
struct RankingCase {
    classes: usize,
    scores: Vec<f32>,
    positive: Vec<bool>,
    average_precision: Vec<f64>,
    mean: f64,
}

#[derive(Deserialize)]
struct RegressionCase {
    targets: Vec<f32>,
    predictions: Vec<f32>,
    r2: f64,
    mae: f64,
    rmse: f64,
}

#[derive(Deserialize)]
struct RegressionsCase {
    #[serde(flatten)]
    mean: RegressionCase,
    r2_of_each: Vec<f64>,
}

#[derive(Deserialize)]
struct MultiLabelCase {
    classes: usize,
    logits: Vec<f32>,
    positive: Vec<bool>,
    thresholds: Vec<f64>,
    loss: f64,
    mean_average_precision: f64,
    micro_f1: f64,
    macro_f1: f64,
    f1: Vec<f64>,
    exact_match: f64,
    best_f1: Vec<f64>,
}

#[derive(Deserialize)]
struct McNemarCase {
    first: u64,
    second: u64,
    p: f64,
}

fn golden() -> Golden {
    let path = format!(
        "{}/../data/golden/head_statistics.json",
        env!("CARGO_MANIFEST_DIR")
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn assert_close(found: f64, expected: f64, what: &str) {
    let far = (found - expected).abs() / expected.abs().max(1e-3);
    assert!(far < 1e-6, "{what}: {found}, expected {expected}");
}

#[test]
fn calibration_at_any_temperature_is_the_judges() {
    let case = golden().calibration;
    for expected in &case.figures {
        let mut tally = CalibrationTally::new(case.classes, expected.temperature);
        // In two batches.
        let middle = case.labels.len() / 2;
        let (logits, more) = case.logits.split_at(middle * case.classes);
        tally.add(logits, &case.labels[..middle]);
        tally.add(more, &case.labels[middle..]);
        let found = tally.finish();
        assert_close(found.nll, expected.nll, "NLL");
        assert_close(found.brier, expected.brier, "Brier");
        assert_close(found.ece, expected.ece, "ECE");
    }
}

#[test]
fn temperature_is_the_minimum_that_scipy_finds() {
    let case = golden().calibration;
    let mut temperature = Temperature::new(case.classes);
    temperature.add(&case.logits, &case.labels);
    let found = temperature.fit().unwrap().temperature;
    assert_close(found, case.fitted_temperature, "temperature");
}

#[test]
fn figures_of_each_class_are_scikit_learns_absent_classes_among_them() {
    let case = golden().per_class;
    for (class, found) in class_figures(&case.confusion).iter().enumerate() {
        assert_eq!(found.rows, case.rows[class]);
        assert_close(found.precision, case.precision[class], "precision");
        assert_close(found.recall, case.recall[class], "recall");
        assert_close(found.f1, case.f1[class], "F1");
    }
}

#[test]
fn average_precision_with_tied_scores_is_scikit_learns() {
    let case = golden().ranking;
    for (class, expected) in case.average_precision.iter().enumerate() {
        let scores: Vec<f32> = case
            .scores
            .iter()
            .skip(class)
            .step_by(case.classes)
            .copied()
            .collect();
        let positive: Vec<bool> = case
            .positive
            .iter()
            .skip(class)
            .step_by(case.classes)
            .copied()
            .collect();
        let found = average_precision(&scores, &positive).unwrap();
        assert_close(found, *expected, "average precision");
    }
    let mean = mean_average_precision(&case.scores, &case.positive, case.classes);
    assert_close(mean.unwrap(), case.mean, "mAP");
}

#[test]
fn regression_figures_are_scikit_learns() {
    let case = golden().regression;
    let found = regression_figures(&case.predictions, &case.targets).unwrap();
    assert_close(found.r2, case.r2, "R²");
    assert_close(found.mae, case.mae, "MAE");
    assert_close(found.rmse, case.rmse, "RMSE");
}

#[test]
fn figures_of_several_targets_are_scikit_learns_means() {
    let RegressionsCase { mean, r2_of_each } = golden().regressions;
    let mut rows = RegressionRows::new(r2_of_each.len());
    // In two batches.
    let (predictions, more_predictions) = mean.predictions.split_at(r2_of_each.len() * 20);
    let (targets, more_targets) = mean.targets.split_at(r2_of_each.len() * 20);
    rows.add(predictions, targets);
    rows.add(more_predictions, more_targets);
    let found = rows.metrics();
    assert_eq!(found.rows, 50);
    assert_close(found.r2, mean.r2, "R²");
    assert_close(found.mae, mean.mae, "MAE");
    assert_close(found.rmse, mean.rmse, "RMSE");
    for (found, expected) in found.targets.iter().zip(r2_of_each) {
        assert_close(found.r2, expected, "R² of a target");
    }
}

fn multi_label_rows(case: &MultiLabelCase) -> MultiLabelRows {
    let flags: Vec<f32> = case.positive.iter().map(|&flag| flag.into()).collect();
    let mut rows = MultiLabelRows::new(case.classes);
    rows.add(&case.logits, &flags);
    rows
}

#[test]
fn figures_of_any_number_of_classes_are_scikit_learns() {
    let case = golden().multi_label;
    let rows = multi_label_rows(&case);
    let found = rows.metrics(&case.thresholds);
    let precision = found.mean_average_precision.unwrap();
    assert_close(precision, case.mean_average_precision, "mAP");
    assert_close(found.loss, case.loss, "loss");
    assert_close(found.micro_f1, case.micro_f1, "micro F1");
    assert_close(found.macro_f1, case.macro_f1, "macro F1");
    assert_close(found.exact_match, case.exact_match, "exact match");
    let classes = rows.figures(&case.thresholds).1;
    for (class, expected) in classes.iter().zip(&case.f1) {
        assert_close(class.decisions.f1, *expected, "F1 of a class");
    }
}

#[test]
fn thresholds_reach_the_best_f1_on_scikit_learns_curve() {
    let case = golden().multi_label;
    let rows = multi_label_rows(&case);
    let classes = rows.figures(&rows.thresholds()).1;
    for (class, expected) in classes.iter().zip(&case.best_f1) {
        assert_close(class.decisions.f1, *expected, "best F1");
    }
}

#[test]
fn mcnemars_probability_is_scipys_on_both_sides_of_the_exact_bound() {
    for case in golden().mcnemar {
        let found = mcnemar(case.first, case.second);
        let what = format!("{} against {}", case.first, case.second);
        assert_close(found.p, case.p, &what);
    }
}
