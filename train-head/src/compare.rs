//! `train-head compare`: do two heads differ on the same rows by more than chance?

use std::path::Path;

use common::{
    exit::Exit,
    head::statistics::{Interval, McNemar, McNemarTest, Resampling, bootstrap, mcnemar},
};
use serde::Serialize;

use crate::{
    failure::Failure,
    features::Allowance,
    outcomes::RowOutcome,
    plan::ComparePlan,
    report,
    subject::{Selection, Subject, split_name},
    test_reads::{self, TestRead},
};

/// Two heads on the same rows.
#[derive(Debug, Serialize)]
struct Comparison {
    runs: [String; 2],
    cache: String,
    split: &'static str,
    rows: usize,
    top1: [f64; 2],
    /// With each run's temperature.
    nll: [f64; 2],
    mcnemar: McNemar,
    /// Of the second run's figure minus the first's.
    top1_difference: Option<Interval>,
    nll_difference: Option<Interval>,
    confidence: f64,
    resamples: usize,
}

/// Compares the runs and prints the outcome.
pub(crate) fn run(plan: &ComparePlan) -> Result<Exit, Failure> {
    let load = |run| {
        let subject = Subject::load(&Selection {
            run,
            cache: &plan.cache,
            labels: plan.labels.as_deref(),
            split: plan.split,
            memory: Allowance::default(),
        })?;
        check_task(run, &subject).map(|()| subject)
    };
    let first = judged(&load(&plan.runs[0])?);
    let second = judged(&load(&plan.runs[1])?);
    check_rows(plan, [&first, &second])?;
    let comparison = compare(plan, [&first, &second]);
    if test_reads::is_test(plan.split) {
        for (index, (run, judged)) in plan.runs.iter().zip([&first, &second]).enumerate() {
            let read = TestRead {
                top1: Some(comparison.top1[index]),
                ..TestRead::new("compare", &judged.plan_sha256, comparison.rows as u64)
            };
            test_reads::note(run, &read);
        }
    }
    report::result(plan.report.result, &table(&comparison), &comparison)?;
    Ok(Exit::Success)
}

/// McNemar's test is of right and wrong rows.
fn check_task(run: &Path, subject: &Subject) -> Result<(), Failure> {
    let task = &subject.bundle.record.task;
    if task.is_single_label() {
        return Ok(());
    }
    let message = format!(
        "run `{}`: a {} head, `compare` tests heads of one label (measure both with `eval`)",
        run.display(),
        task.kind()
    );
    Err(Failure::new(Exit::Mismatch, message))
}

/// What is kept of a subject, so that the features of one run are held at a time.
struct Judged {
    ids: Vec<u64>,
    labels: Vec<String>,
    outcomes: Vec<RowOutcome>,
    plan_sha256: String,
}

fn judged(subject: &Subject) -> Judged {
    let record = &subject.bundle.record;
    let classes = &record.classes;
    let mut outcomes = Vec::with_capacity(subject.rows.len());
    subject.judge().visit(|logits, labels| {
        let rows = logits.chunks_exact(classes.len()).zip(labels);
        outcomes.extend(rows.map(|(row, &label)| RowOutcome::of(row, label, record.temperature)));
    });
    let id = |&row: &u32| subject.dataset.rows[row as usize].id;
    Judged {
        ids: subject.rows.iter().map(id).collect(),
        labels: outcomes
            .iter()
            .map(|row| classes[row.label as usize].clone())
            .collect(),
        outcomes,
        plan_sha256: subject.plan_sha256.clone(),
    }
}

/// One cache has one plan, but a row can lack features in one of its layers.
fn check_rows(plan: &ComparePlan, judged: [&Judged; 2]) -> Result<(), Failure> {
    let [first, second] = judged;
    if first.ids == second.ids && first.labels == second.labels {
        return Ok(());
    }
    let message = format!(
        "cache `{}`: the layers of the two runs hold {} and {} rows of split `{}`, not the same ones (find damage with `extract verify`)",
        plan.cache.display(),
        first.ids.len(),
        second.ids.len(),
        split_name(plan.split)
    );
    Err(Failure::new(Exit::Input, message))
}

fn compare(plan: &ComparePlan, judged: [&Judged; 2]) -> Comparison {
    let [first, second] = judged.map(|judged| &judged.outcomes[..]);
    let rows = first.len();
    let only = |a: &[RowOutcome], b: &[RowOutcome]| {
        let pairs = a.iter().zip(b);
        pairs.filter(|(a, b)| a.is_right() && !b.is_right()).count() as u64
    };
    let share = |rows: &[RowOutcome]| {
        rows.iter().filter(|row| row.is_right()).count() as f64 / rows.len() as f64
    };
    let nll = |rows: &[RowOutcome]| rows.iter().map(|row| row.nll).sum::<f64>() / rows.len() as f64;
    let gaps: Vec<(f64, f64)> = first
        .iter()
        .zip(second)
        .map(|(a, b)| {
            let right = f64::from(u8::from(b.is_right())) - f64::from(u8::from(a.is_right()));
            (right, b.nll - a.nll)
        })
        .collect();
    let resampling = Resampling::default();
    // The same sample for both runs: rows are paired.
    let [top1_difference, nll_difference] = bootstrap(rows, &resampling, |counts| {
        let (mut right, mut nll) = (0.0, 0.0);
        for ((gap, nll_gap), &count) in gaps.iter().zip(counts) {
            right += f64::from(count) * gap;
            nll += f64::from(count) * nll_gap;
        }
        [right / rows as f64, nll / rows as f64]
    });
    Comparison {
        runs: [0, 1].map(|run| plan.runs[run].to_string_lossy().into_owned()),
        cache: plan.cache.to_string_lossy().into_owned(),
        split: split_name(plan.split),
        rows,
        top1: [share(first), share(second)],
        nll: [nll(first), nll(second)],
        mcnemar: mcnemar(only(first, second), only(second, first)),
        top1_difference,
        nll_difference,
        confidence: resampling.confidence,
        resamples: resampling.resamples,
    }
}

fn table(comparison: &Comparison) -> String {
    let mut text = format!("split {}, {} rows\n", comparison.split, comparison.rows);
    for run in [0, 1] {
        text.push_str(&format!(
            "top-1 {:>6.2}%  NLL {:.4}  {}\n",
            comparison.top1[run] * 100.0,
            comparison.nll[run],
            comparison.runs[run]
        ));
    }
    let McNemar {
        only_first,
        only_second,
        test,
        p,
    } = comparison.mcnemar;
    let test = match test {
        McNemarTest::Exact => "exact",
        McNemarTest::Corrected => "χ² with continuity correction",
    };
    text.push_str(&format!(
        "right in the first run only {only_first}, in the second only {only_second}: McNemar p = {p:.2e} ({test})\n"
    ));
    let confidence = comparison.confidence * 100.0;
    if let Some(Interval { low, high }) = comparison.top1_difference {
        text.push_str(&format!(
            "second minus first, top-1 {:+.2} points ({confidence:.0}% interval {:+.2} to {:+.2})\n",
            (comparison.top1[1] - comparison.top1[0]) * 100.0,
            low * 100.0,
            high * 100.0
        ));
    }
    if let Some(Interval { low, high }) = comparison.nll_difference {
        text.push_str(&format!(
            "second minus first, NLL {:+.4} ({confidence:.0}% interval {low:+.4} to {high:+.4})\n",
            comparison.nll[1] - comparison.nll[0]
        ));
    }
    text
}
