//! The figures of a head on a split, as tables.

use std::fmt::Write as _;

use common::head::{
    Metrics, TOP_K,
    statistics::{ClassFigures, Interval},
};

use crate::eval::Evaluation;

/// Most classes of which the whole confusion matrix and every class is printed.
pub(super) const FULL_MATRIX_CLASSES: usize = 12;

/// Pairs, and classes, printed where there are more.
pub(super) const CONFUSED_PAIRS: usize = 10;

/// All tables.
pub(crate) fn evaluation(evaluation: &Evaluation) -> String {
    let mut text = String::new();
    let Evaluation {
        metrics,
        classes,
        intervals,
        calibration,
        ..
    } = evaluation;
    let rows = [
        ("split", evaluation.split.to_owned()),
        ("rows", metrics.rows.to_string()),
        (
            "top-1",
            percent(metrics.top1) + &range(intervals.top1, percent),
        ),
        (&format!("top-{TOP_K}"), percent(metrics.top5)),
        (
            "balanced accuracy",
            percent(metrics.balanced_accuracy) + &range(intervals.balanced_accuracy, percent),
        ),
        (
            "macro F1",
            number(metrics.macro_f1) + &range(intervals.macro_f1, number),
        ),
        (
            "NLL",
            number(calibration.after.nll) + &range(intervals.nll, number),
        ),
        ("Brier score", number(calibration.after.brier)),
        ("ECE", number(calibration.after.ece)),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<18} {value}");
    }
    let before = calibration.before;
    let _ = writeln!(
        text,
        "(in brackets: {:.0}% bootstrap intervals; with the temperature {:.3} of the validation rows, without it NLL {:.4}, Brier {:.4}, ECE {:.4})",
        intervals.confidence * 100.0,
        evaluation.temperature,
        before.nll,
        before.brier,
        before.ece
    );
    reads_note(&mut text, evaluation.earlier_test_reads);
    class_table(&mut text, &evaluation.per_class, classes);
    if classes.len() <= FULL_MATRIX_CLASSES {
        matrix(&mut text, metrics, classes);
    } else {
        confused_pairs(&mut text, metrics, classes);
    }
    text
}

/// A head that is chosen on the test split looks better than it is.
pub(super) fn reads_note(text: &mut String, earlier: Option<u64>) {
    if let Some(reads @ 1..) = earlier {
        let _ = writeln!(
            text,
            "this run has read this test split before (readings: {reads}): a head chosen on it looks better than it is"
        );
    }
}

fn range(interval: Option<Interval>, show: impl Fn(f64) -> String) -> String {
    interval.map_or_else(String::new, |interval| {
        format!(" [{}, {}]", show(interval.low), show(interval.high))
    })
}

pub(super) fn number(value: f64) -> String {
    format!("{value:.4}")
}

/// Every class, or those with the lowest F1 among many.
fn class_table(text: &mut String, figures: &[ClassFigures], classes: &[String]) {
    let mut order: Vec<usize> = (0..classes.len()).collect();
    if classes.len() > FULL_MATRIX_CLASSES {
        order.retain(|&class| figures[class].rows > 0);
        order.sort_by(|&a, &b| figures[a].f1.total_cmp(&figures[b].f1));
        order.truncate(CONFUSED_PAIRS);
        text.push_str("\nclasses with the lowest F1 (all: --json)\n");
    } else {
        text.push('\n');
    }
    let width = order
        .iter()
        .map(|&class| classes[class].chars().count())
        .max();
    let width = width.unwrap_or(0).max("class".len());
    let _ = writeln!(
        text,
        "{:<width$}   rows  precision  recall      F1",
        "class"
    );
    for class in order {
        let found = &figures[class];
        let _ = writeln!(
            text,
            "{:<width$} {:>6}  {:>9}  {:>6}  {:.4}",
            classes[class],
            found.rows,
            percent(found.precision),
            percent(found.recall),
            found.f1
        );
    }
}

pub(super) fn percent(share: f64) -> String {
    format!("{:.2}%", share * 100.0)
}

fn matrix(text: &mut String, metrics: &Metrics, classes: &[String]) {
    let counts = metrics.confusion.iter().flatten();
    let width = counts.max().map_or(1, |most| most.to_string().len()).max(3);
    let names = classes.iter().map(|name| name.chars().count()).max();
    let names = names.unwrap_or(0);
    text.push_str("\nconfusion (row: true class, column: predicted class)\n");
    for (name, counts) in classes.iter().zip(&metrics.confusion) {
        let _ = write!(text, "{name:<names$}");
        for count in counts {
            let _ = write!(text, " {count:>width$}");
        }
        text.push('\n');
    }
}

fn confused_pairs(text: &mut String, metrics: &Metrics, classes: &[String]) {
    let mut pairs = Vec::new();
    for (truth, counts) in metrics.confusion.iter().enumerate() {
        for (predicted, &count) in counts.iter().enumerate() {
            if truth != predicted && count > 0 {
                pairs.push((count, truth, predicted));
            }
        }
    }
    pairs.sort_by_key(|&(count, truth, predicted)| (std::cmp::Reverse(count), truth, predicted));
    text.push_str("\nmost confused (the whole matrix: --json)\n");
    for (count, truth, predicted) in pairs.into_iter().take(CONFUSED_PAIRS) {
        let _ = writeln!(
            text,
            "{count:>6}  {} taken for {}",
            classes[truth], classes[predicted]
        );
    }
}
