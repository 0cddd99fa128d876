//! The figures of heads that predict any number of classes, or numbers.

use common::{
    exit::Exit,
    head::{LabelFigures, TaskKind, TaskMetrics},
};
use serde::Serialize;

use crate::{
    failure::Failure,
    plan::EvaluatePlan,
    report,
    subject::{Subject, split_name},
    test_reads::{self, TestRead},
};

/// All that is known of such a head on a split.
#[derive(Debug, Serialize)]
pub(crate) struct TaskEvaluation {
    run: String,
    cache: String,
    pub(crate) split: &'static str,
    task: TaskKind,
    unlabelled_rows: u64,
    /// Of the classes, or of the numbers that are predicted.
    pub(crate) names: Vec<String>,
    pub(crate) metrics: TaskMetrics,
    /// At the thresholds of the validation rows; none with regression.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) per_class: Vec<LabelFigures>,
    /// How often this run had read the same test split before; absent for other splits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) earlier_test_reads: Option<u64>,
}

/// Measures a head on any number of classes with its `thresholds`.
pub(super) fn multi_label(
    plan: &EvaluatePlan,
    subject: &Subject,
    thresholds: &[f64],
) -> Result<Exit, Failure> {
    let judged = subject.judge().multi_label();
    let (metrics, per_class) = judged.figures(thresholds);
    let read = TestRead {
        mean_average_precision: metrics.mean_average_precision,
        ..read(subject)
    };
    let metrics = TaskMetrics::MultiLabel(metrics);
    conclude((plan, subject, read), metrics, per_class)
}

/// Measures a head on numbers.
pub(super) fn regression(plan: &EvaluatePlan, subject: &Subject) -> Result<Exit, Failure> {
    let metrics = subject.judge().regression().metrics();
    let read = TestRead {
        r2: Some(metrics.r2),
        ..read(subject)
    };
    let metrics = TaskMetrics::Regression(metrics);
    conclude((plan, subject, read), metrics, Vec::new())
}

fn read(subject: &Subject) -> TestRead {
    TestRead::new("eval", &subject.plan_sha256, subject.rows.len() as u64)
}

fn conclude(
    (plan, subject, read): (&EvaluatePlan, &Subject, TestRead),
    metrics: TaskMetrics,
    per_class: Vec<LabelFigures>,
) -> Result<Exit, Failure> {
    let record = &subject.bundle.record;
    let evaluation = TaskEvaluation {
        run: plan.run.to_string_lossy().into_owned(),
        cache: plan.cache.to_string_lossy().into_owned(),
        split: split_name(plan.split),
        task: record.task.kind(),
        unlabelled_rows: subject.dataset.unlabelled,
        names: record.classes.clone(),
        metrics,
        per_class,
        earlier_test_reads: test_reads::is_test(plan.split)
            .then(|| test_reads::note(&plan.run, &read)),
    };
    let table = report::task_evaluation(&evaluation);
    report::result(plan.report.result, &table, &evaluation)?;
    Ok(Exit::Success)
}
