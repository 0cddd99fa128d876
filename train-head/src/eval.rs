//! `train-head eval`: the figures of a trained head on a split of a cache.

use common::{
    cache::{CacheReader, Identity},
    exit::Exit,
    head::{Bundle, RunRecord},
    interrupt::Interrupt,
    source::Split,
};
use serde_json::json;

use crate::{
    dataset::{Dataset, choose_layer},
    failure::{Failure, OrExit},
    fit::evaluate,
    head_input::{difference, preparation},
    plan::EvaluatePlan,
    report,
};

/// Measures the head and prints the figures.
pub(crate) fn run(plan: &EvaluatePlan) -> Result<Exit, Failure> {
    let bundle = Bundle::load(&plan.run).or_exit(Exit::Input)?;
    let reader = CacheReader::open(&plan.cache).or_exit(Exit::Input)?;
    let record = &bundle.record;
    check_identity(plan, record, &reader.manifest().identity)?;
    let layer = choose_layer(&reader, Some(&record.layer))?;
    let splits = plan
        .split
        .as_ref()
        .map_or(&Split::ALL[..], std::slice::from_ref);
    // There is nothing to save: a signal may end the program as it does any other.
    let mut dataset = Dataset::load(&reader, layer, splits, &Interrupt::default())?;
    translate_labels(plan, record, &reader, &mut dataset)?;
    // Augmented views are for fitting; a head is judged on the first one.
    let rows: Vec<u32> = (0..dataset.rows.len() as u32)
        .filter(|&row| dataset.rows[row as usize].view == 0)
        .collect();
    if rows.is_empty() {
        return Err(empty_split(plan, &reader));
    }
    let metrics = evaluate(&dataset, &bundle.head, &preparation(record), &rows).finish();
    let split = split_name(plan.split);
    let value = json!({
        "run": plan.run.to_string_lossy(),
        "cache": plan.cache.to_string_lossy(),
        "split": split,
        "unlabelled_rows": dataset.unlabelled,
        "classes": record.classes,
        "metrics": metrics,
    });
    let table = report::metrics_table(split, &metrics, &record.classes);
    report::result(plan.report.result, &table, &value)?;
    Ok(Exit::Success)
}

/// Refuses features that are not of the kind the head was trained on.
fn check_identity(
    plan: &EvaluatePlan,
    record: &RunRecord,
    cache: &Identity,
) -> Result<(), Failure> {
    if !cache.layers.contains(&record.layer) {
        // A missing layer has an error of its own.
        return Ok(());
    }
    let Some(difference) = difference(cache, record) else {
        return Ok(());
    };
    let message = format!(
        "cache `{}`: not the features that the head in `{}` was trained on: {difference} (extract with the head's settings, or train on this cache)",
        plan.cache.display(),
        plan.run.display()
    );
    Err(Failure::new(Exit::Mismatch, message))
}

/// Makes the cache's labels the head's: classes are matched by name.
fn translate_labels(
    plan: &EvaluatePlan,
    record: &RunRecord,
    reader: &CacheReader,
    dataset: &mut Dataset,
) -> Result<(), Failure> {
    let position = |name: &String| record.classes.iter().position(|class| class == name);
    let classes = &reader.manifest().classes;
    let known: Vec<Option<usize>> = classes.iter().map(position).collect();
    for label in &mut dataset.labels {
        let Some(class) = known[*label as usize] else {
            let message = format!(
                "cache `{}`: class `{}` is not one of the head's ({})",
                plan.cache.display(),
                classes[*label as usize],
                abridged(&record.classes)
            );
            return Err(Failure::new(Exit::Mismatch, message));
        };
        *label = class as u32;
    }
    Ok(())
}

fn abridged(names: &[String]) -> String {
    const SHOWN: usize = 10;
    let shown = names[..names.len().min(SHOWN)].join(", ");
    match names.len().saturating_sub(SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

fn split_name(split: Option<Split>) -> &'static str {
    split.map_or("all", Split::as_str)
}

fn empty_split(plan: &EvaluatePlan, reader: &CacheReader) -> Failure {
    let rows = |split: &Split| {
        let rows = reader.plan().rows().iter();
        rows.filter(|sample| sample.split == *split && sample.label >= 0)
            .count()
    };
    let name = |split: Split| {
        if split == Split::None {
            "none"
        } else {
            split.as_str()
        }
    };
    let held: Vec<_> = Split::ALL
        .iter()
        .filter(|split| rows(split) > 0)
        .map(|split| format!("{} {}", name(*split), rows(split)))
        .collect();
    let held = if held.is_empty() {
        "no labelled row at all".to_owned()
    } else {
        held.join(", ")
    };
    let message = format!(
        "cache `{}`: split `{}` has no labelled row (it holds: {held}; choose with --split)",
        plan.cache.display(),
        split_name(plan.split)
    );
    Failure::new(Exit::Input, message)
}
