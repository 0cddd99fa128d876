//! `train-head eval`: the figures of a trained head on a split of a cache.

mod tasks;

use common::{
    exit::Exit,
    head::{
        Metrics, Tally, TaskRecord,
        statistics::{Calibration, CalibrationTally, ClassFigures, class_figures},
    },
};
use serde::Serialize;

use crate::{
    failure::Failure,
    outcomes::{Intervals, RowOutcome, intervals},
    plan::EvaluatePlan,
    report,
    subject::{Selection, Subject, split_name},
    test_reads::{self, TestRead},
};

pub(crate) use tasks::TaskEvaluation;

/// All that is known of a head of one label on a split.
#[derive(Debug, Serialize)]
pub(crate) struct Evaluation {
    run: String,
    cache: String,
    pub(crate) split: &'static str,
    unlabelled_rows: u64,
    pub(crate) classes: Vec<String>,
    pub(crate) metrics: Metrics,
    /// Fitted on the validation rows of the training.
    pub(crate) temperature: f64,
    pub(crate) calibration: BeforeAndAfter,
    pub(crate) intervals: Intervals,
    pub(crate) per_class: Vec<ClassFigures>,
    /// How often this run had read the same test split before; absent for other splits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) earlier_test_reads: Option<u64>,
}

/// Calibration without and with the temperature.
#[derive(Debug, Serialize)]
pub(crate) struct BeforeAndAfter {
    pub(crate) before: Calibration,
    pub(crate) after: Calibration,
}

/// Measures the head and prints the figures.
pub(crate) fn run(plan: &EvaluatePlan) -> Result<Exit, Failure> {
    let subject = Subject::load(&Selection {
        run: &plan.run,
        cache: &plan.cache,
        labels: plan.labels.as_deref(),
        split: plan.split,
        memory: plan.memory,
    })?;
    match &subject.bundle.record.task {
        TaskRecord::SingleLabel => single_label(plan, &subject),
        TaskRecord::MultiLabel { thresholds } => tasks::multi_label(plan, &subject, thresholds),
        TaskRecord::Regression => tasks::regression(plan, &subject),
    }
}

fn single_label(plan: &EvaluatePlan, subject: &Subject) -> Result<Exit, Failure> {
    let mut evaluation = measure(plan, subject);
    if test_reads::is_test(plan.split) {
        let read = TestRead {
            top1: Some(evaluation.metrics.top1),
            ..TestRead::new("eval", &subject.plan_sha256, evaluation.metrics.rows)
        };
        evaluation.earlier_test_reads = Some(test_reads::note(&plan.run, &read));
    }
    let table = report::evaluation(&evaluation);
    report::result(plan.report.result, &table, &evaluation)?;
    Ok(Exit::Success)
}

fn measure(plan: &EvaluatePlan, subject: &Subject) -> Evaluation {
    let record = &subject.bundle.record;
    let classes = record.classes.len();
    let mut tally = Tally::new(classes);
    let mut before = CalibrationTally::new(classes, 1.0);
    let mut after = CalibrationTally::new(classes, record.temperature);
    let mut outcomes = Vec::with_capacity(subject.rows.len());
    subject.judge().visit(|logits, labels| {
        let rows = logits.chunks_exact(classes).zip(labels);
        outcomes.extend(rows.map(|(row, &label)| RowOutcome::of(row, label, record.temperature)));
        tally.add(logits, labels);
        before.add(logits, labels);
        after.add(logits, labels);
    });
    let metrics = tally.finish();
    Evaluation {
        run: plan.run.to_string_lossy().into_owned(),
        cache: plan.cache.to_string_lossy().into_owned(),
        split: split_name(plan.split),
        unlabelled_rows: subject.dataset.unlabelled,
        classes: record.classes.clone(),
        temperature: record.temperature,
        calibration: BeforeAndAfter {
            before: before.finish(),
            after: after.finish(),
        },
        intervals: intervals(&outcomes, classes),
        per_class: class_figures(&metrics.confusion),
        metrics,
        earlier_test_reads: None,
    }
}
