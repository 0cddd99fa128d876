//! Results on standard output, for people or for scripts.

use std::{fmt::Write as _, time::Duration};

use common::{
    head::{Metrics, RunRecord, TOP_K},
    output,
};
use serde::Serialize;
use serde_json::json;

use crate::{
    failure::Failure,
    plan::{ResultFormat, TrainPlan},
};

/// Most classes of which the whole confusion matrix is printed.
const FULL_MATRIX_CLASSES: usize = 12;

/// Pairs printed where the matrix is too large.
const CONFUSED_PAIRS: usize = 10;

/// Prints `text` or `value`, as asked for.
pub(crate) fn result(
    format: ResultFormat,
    text: &str,
    value: &impl Serialize,
) -> Result<(), Failure> {
    let printed = match format {
        ResultFormat::Text => output::print(|output| output.write_all(text.as_bytes())),
        ResultFormat::Json => output::print_json(value),
        ResultFormat::Nothing => return Ok(()),
    };
    printed.map(drop).map_err(Failure::of)
}

/// The end of a training.
pub(crate) fn training(
    plan: &TrainPlan,
    record: &RunRecord,
    elapsed: Duration,
) -> Result<(), Failure> {
    let training = &record.training;
    let train = &training.train.metrics;
    let validation = &training.validation.metrics;
    let text = format!(
        "{} head in `{}`: epoch {} of {} is kept; accuracy {:.2}% on training rows, {:.2}% on validation rows (loss {:.4}); {:.1} s\n",
        record.head,
        plan.out.display(),
        training.best_epoch,
        training.epochs,
        train.top1 * 100.0,
        validation.top1 * 100.0,
        validation.loss,
        elapsed.as_secs_f64()
    );
    let value = json!({
        "run": plan.out.to_string_lossy(),
        "head": record.head,
        "best_epoch": training.best_epoch,
        "epochs": training.epochs,
        "ended_by": training.ended_by,
        "train": figures(train),
        "validation": figures(validation),
        "seconds": elapsed.as_secs_f64(),
    });
    result(plan.report.result, &text, &value)
}

fn figures(metrics: &Metrics) -> serde_json::Value {
    json!({
        "rows": metrics.rows,
        "loss": metrics.loss,
        "top1": metrics.top1,
        "top5": metrics.top5,
        "balanced_accuracy": metrics.balanced_accuracy,
        "macro_f1": metrics.macro_f1,
    })
}

/// The figures of a split, as a table.
pub(crate) fn metrics_table(split: &str, metrics: &Metrics, classes: &[String]) -> String {
    let mut text = String::new();
    let rows = [
        ("split", split.to_owned()),
        ("rows", metrics.rows.to_string()),
        ("top-1", percent(metrics.top1)),
        (&format!("top-{TOP_K}"), percent(metrics.top5)),
        ("balanced accuracy", percent(metrics.balanced_accuracy)),
        ("macro F1", format!("{:.4}", metrics.macro_f1)),
        ("loss", format!("{:.4}", metrics.loss)),
    ];
    for (name, value) in rows {
        let _ = writeln!(text, "{name:<18} {value}");
    }
    if classes.len() <= FULL_MATRIX_CLASSES {
        matrix(&mut text, metrics, classes);
    } else {
        confused_pairs(&mut text, metrics, classes);
    }
    text
}

fn percent(share: f64) -> String {
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
