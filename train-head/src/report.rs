//! Results on standard output, for people or for scripts.

mod evaluation;
mod tasks;

use std::{path::Path, time::Duration};

use common::{
    head::{RunRecord, TaskMetrics, TrainingRecord},
    output,
};
use serde::Serialize;
use serde_json::json;

use crate::{failure::Failure, plan::ResultFormat};

pub(crate) use evaluation::evaluation;
pub(crate) use tasks::{significant, task_evaluation};

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
    (out, format): (&Path, ResultFormat),
    record: &RunRecord,
    elapsed: Duration,
) -> Result<(), Failure> {
    let training = &record.training;
    let train = &training.train.metrics;
    let validation = &training.validation.metrics;
    let text = format!(
        "{} head in `{}`: {} is kept; {} on training rows, {} on validation rows{}; {:.1} s\n",
        record.head,
        out.display(),
        kept(training),
        tasks::summary(train),
        match validation {
            // The word is there already.
            TaskMetrics::SingleLabel(metrics) => format!("{:.2}%", metrics.top1 * 100.0),
            other => tasks::summary(other),
        },
        loss(validation),
        elapsed.as_secs_f64()
    );
    let value = json!({
        "run": out.to_string_lossy(),
        "head": record.head,
        "best_epoch": training.best_epoch,
        "epochs": training.epochs,
        "ended_by": training.ended_by,
        "temperature": record.temperature,
        "path": training.path,
        "train": figures(train),
        "validation": figures(validation),
        "seconds": elapsed.as_secs_f64(),
    });
    result(format, &text, &value)
}

/// Which head is kept.
fn kept(training: &TrainingRecord) -> String {
    let best = training.best_epoch;
    let point = training.path.as_ref().and_then(|path| {
        let point = path.points.get((best as usize).checked_sub(1)?)?;
        Some(format!(
            "the one of {} = {}, {best} of {},",
            path.parameter, point.value, training.epochs
        ))
    });
    point.unwrap_or_else(|| format!("epoch {best} of {}", training.epochs))
}

fn loss(metrics: &TaskMetrics) -> String {
    match metrics {
        TaskMetrics::SingleLabel(metrics) => format!(" (loss {:.4})", metrics.loss),
        TaskMetrics::MultiLabel(metrics) => format!(" (loss {:.4})", metrics.loss),
        TaskMetrics::Regression(_) => String::new(),
    }
}

/// The figures of a split; of one label without the confusion matrix.
fn figures(metrics: &TaskMetrics) -> serde_json::Value {
    match metrics {
        TaskMetrics::SingleLabel(metrics) => json!({
            "rows": metrics.rows,
            "loss": metrics.loss,
            "top1": metrics.top1,
            "top5": metrics.top5,
            "balanced_accuracy": metrics.balanced_accuracy,
            "macro_f1": metrics.macro_f1,
        }),
        other => json!(other),
    }
}
