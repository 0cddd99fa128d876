//! `train-head compare`: do two heads differ on the same rows by more than chance?

use std::path::{Path, PathBuf};

use common::{
    exit::Exit,
    head::{
        Bundle, LabelsRecord, RunRecord,
        statistics::{Interval, McNemar, McNemarTest, Resampling, bootstrap, mcnemar},
    },
};
use serde::Serialize;

use crate::{
    failure::{Failure, OrExit},
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
    let load = |run: &PathBuf| -> Result<Bundle, Failure> {
        let bundle = Bundle::load(run).or_exit(Exit::Input)?;
        check_task(run, &bundle.record).map(|()| bundle)
    };
    let (first, second) = (load(&plan.runs[0])?, load(&plan.runs[1])?);
    let labels = [first.record.labels.clone(), second.record.labels.clone()];
    let tables = labels.each_ref().map(Option::as_ref);
    check_tables(plan, tables)?;
    let judge = |run: usize, bundle: Bundle| {
        let on_table = tables[run].is_some() || tables == [None, None];
        let selection = Selection {
            run: &plan.runs[run],
            cache: &plan.cache,
            labels: plan.labels.as_deref().filter(|_| on_table),
            split: plan.split,
            memory: plan.memory,
        };
        Ok(judged(&Subject::of(bundle, &selection)?))
    };
    let (first, second) = (judge(0, first)?, judge(1, second)?);
    check_rows((plan, tables), [&first, &second])?;
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
fn check_task(run: &Path, record: &RunRecord) -> Result<(), Failure> {
    let task = &record.task;
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

/// Heads on different labels are not comparable. (Those of a table and those of the cache may be the same.)
fn check_tables(plan: &ComparePlan, tables: [Option<&LabelsRecord>; 2]) -> Result<(), Failure> {
    let [Some(first), Some(second)] = tables else {
        return Ok(());
    };
    if first.columns == second.columns && first.separator == second.separator {
        return Ok(());
    }
    let message = format!(
        "run `{}`: trained on column `{}` of a table, run `{}` on `{}` (compare heads on the same labels)",
        plan.runs[0].display(),
        first.columns.join(","),
        plan.runs[1].display(),
        second.columns.join(",")
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

/// One cache has one plan, but a row can lack features in one of its layers, and a table can say
/// something else than the cache.
fn check_rows(
    (plan, tables): (&ComparePlan, [Option<&LabelsRecord>; 2]),
    judged: [&Judged; 2],
) -> Result<(), Failure> {
    let [first, second] = judged;
    if first.ids == second.ids && first.labels == second.labels {
        return Ok(());
    }
    if tables.iter().flatten().count() == 1 {
        let message = format!(
            "cache `{}`: its labels, which one run was trained on, are not those of the table of the other in split `{}` (compare heads on the same labels)",
            plan.cache.display(),
            split_name(plan.split)
        );
        return Err(Failure::new(Exit::Mismatch, message));
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
