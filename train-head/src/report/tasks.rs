//! The figures of heads that predict any number of classes, or numbers, as tables.

use std::fmt::Write as _;

use common::head::{LabelFigures, MultiLabelMetrics, RegressionMetrics, TaskMetrics};

use super::evaluation::{CONFUSED_PAIRS, FULL_MATRIX_CLASSES, number, percent, reads_note};
use crate::eval::TaskEvaluation;

/// All tables.
pub(crate) fn task_evaluation(evaluation: &TaskEvaluation) -> String {
    let mut text = format!("{:<18} {}\n", "split", evaluation.split);
    let names = &evaluation.names;
    match &evaluation.metrics {
        TaskMetrics::MultiLabel(metrics) => {
            multi_label(&mut text, metrics);
            reads_note(&mut text, evaluation.earlier_test_reads);
            class_table(&mut text, &evaluation.per_class, names);
        }
        TaskMetrics::Regression(metrics) => {
            regression(&mut text, metrics);
            reads_note(&mut text, evaluation.earlier_test_reads);
            target_table(&mut text, metrics, names);
        }
        // Has tables of its own.
        TaskMetrics::SingleLabel(_) => {}
    }
    text
}

/// What a training says of one split, in a few words.
pub(super) fn summary(metrics: &TaskMetrics) -> String {
    match metrics {
        TaskMetrics::SingleLabel(metrics) => format!("accuracy {}", percent(metrics.top1)),
        TaskMetrics::MultiLabel(metrics) => format!(
            "mAP {}, micro F1 {}",
            optional(metrics.mean_average_precision),
            number(metrics.micro_f1)
        ),
        TaskMetrics::Regression(metrics) => format!(
            "R² {}, MAE {}",
            number(metrics.r2),
            significant(metrics.mae)
        ),
    }
}

fn multi_label(text: &mut String, metrics: &MultiLabelMetrics) {
    for (name, value) in [
        ("rows", metrics.rows.to_string()),
        ("mAP", optional(metrics.mean_average_precision)),
        ("micro F1", number(metrics.micro_f1)),
        ("macro F1", number(metrics.macro_f1)),
        ("exact match", percent(metrics.exact_match)),
        ("loss", number(metrics.loss)),
    ] {
        let _ = writeln!(text, "{name:<18} {value}");
    }
    text.push_str(
        "(F1 and exact match at each class's threshold, chosen on the validation rows)\n",
    );
}

fn regression(text: &mut String, metrics: &RegressionMetrics) {
    for (name, value) in [
        ("rows", metrics.rows.to_string()),
        ("R²", number(metrics.r2)),
        ("MAE", significant(metrics.mae)),
        ("RMSE", significant(metrics.rmse)),
    ] {
        let _ = writeln!(text, "{name:<18} {value}");
    }
}

/// Every class, or those with the lowest average precision among many.
fn class_table(text: &mut String, figures: &[LabelFigures], names: &[String]) {
    let mut order: Vec<usize> = (0..names.len()).collect();
    if names.len() > FULL_MATRIX_CLASSES {
        order.retain(|&class| figures[class].average_precision.is_some());
        order.sort_by(|&a, &b| {
            let precision = |class: usize| figures[class].average_precision.unwrap_or(0.0);
            precision(a).total_cmp(&precision(b))
        });
        order.truncate(CONFUSED_PAIRS);
        text.push_str("\nclasses with the lowest AP (all: --json)\n");
    } else {
        text.push('\n');
    }
    let width = width(order.iter().map(|&class| &names[class]), "class");
    let _ = writeln!(
        text,
        "{:<width$}   rows      AP  threshold  precision  recall      F1",
        "class"
    );
    for class in order {
        let found = &figures[class];
        let _ = writeln!(
            text,
            "{:<width$} {:>6}  {:>6}  {:>9.4}  {:>9}  {:>6}  {:.4}",
            names[class],
            found.decisions.rows,
            optional(found.average_precision),
            found.threshold,
            percent(found.decisions.precision),
            percent(found.decisions.recall),
            found.decisions.f1
        );
    }
}

fn target_table(text: &mut String, metrics: &RegressionMetrics, names: &[String]) {
    let width = width(names.iter(), "target");
    let _ = writeln!(
        text,
        "\n{:<width$}       R²         MAE        RMSE",
        "target"
    );
    for (name, figures) in names.iter().zip(&metrics.targets) {
        let _ = writeln!(
            text,
            "{name:<width$}  {:>7.4}  {:>10}  {:>10}",
            figures.r2,
            significant(figures.mae),
            significant(figures.rmse)
        );
    }
}

fn width<'a>(names: impl Iterator<Item = &'a String>, title: &str) -> usize {
    let widths = names.map(|name| name.chars().count());
    widths.max().unwrap_or(0).max(title.len())
}

fn optional(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), number)
}

/// Four significant digits, whatever the unit.
pub(crate) fn significant(value: f64) -> String {
    if value == 0.0 || (1e-3..1e5).contains(&value.abs()) {
        let digits = if value == 0.0 {
            3
        } else {
            3 - value.abs().log10().floor() as i32
        };
        format!("{value:.*}", digits.max(0) as usize)
    } else {
        format!("{value:.3e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_unit_are_short() {
        for (value, text) in [
            (0.0, "0.000"),
            (1.23456, "1.235"),
            (-0.0012345, "-0.001234"),
            (1234.56, "1235"),
            (99999.0, "99999"),
            (1.5e9, "1.500e9"),
            (2e-9, "2.000e-9"),
        ] {
            assert_eq!(significant(value), text);
        }
    }
}
