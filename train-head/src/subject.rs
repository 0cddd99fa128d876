//! A trained head and the rows of a cache that it is to be judged on.

use std::path::Path;

use common::{
    cache::{CacheReader, Identity},
    exit::Exit,
    head::{Bundle, Fitted, RunRecord},
    interrupt::Interrupt,
    source::Split,
};

use crate::{
    dataset::{Dataset, Unlabelled, Wanted, choose_layer},
    failure::{Failure, OrExit},
    features::Allowance,
    finetune::tuned::{before_tail, tail_layer, tuned_rows},
    head_input::{difference, preparation},
    judge::Judge,
    labels::{Labelling, table_of},
};

/// Which head, and which rows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selection<'a> {
    pub(crate) run: &'a Path,
    pub(crate) cache: &'a Path,
    /// Table of labels; `None`: those of the cache.
    pub(crate) labels: Option<&'a Path>,
    /// `None`: every labelled row.
    pub(crate) split: Option<Split>,
    pub(crate) memory: Allowance,
}

/// A head with its rows.
pub(crate) struct Subject {
    pub(crate) bundle: Bundle,
    pub(crate) dataset: Dataset,
    /// Rows of the dataset, ascending, at least one.
    pub(crate) rows: Vec<u32>,
    /// Digest of the cache's plan.
    pub(crate) plan_sha256: String,
    fitted: Fitted,
}

impl Subject {
    /// Reads both, and refuses what does not belong together.
    pub(crate) fn load(selection: &Selection) -> Result<Self, Failure> {
        Self::of(Bundle::load(selection.run).or_exit(Exit::Input)?, selection)
    }

    /// As [`Subject::load`], of a head that was read.
    pub(crate) fn of(bundle: Bundle, selection: &Selection) -> Result<Self, Failure> {
        let reader = CacheReader::open(selection.cache).or_exit(Exit::Input)?;
        let record = &bundle.record;
        let tuned = before_tail(&bundle, &reader);
        let layer = match tuned {
            Some(tuned) => tail_layer(tuned, selection.run, &reader)?,
            None => {
                check_identity(selection, record, &reader.manifest().identity)?;
                choose_layer(&reader, Some(&record.layer))?
            }
        };
        let splits = selection
            .split
            .as_ref()
            .map_or(&Split::ALL[..], std::slice::from_ref);
        // There is nothing to save: a signal may end the program as it does any other.
        let stop = Interrupt::default();
        let wanted = Wanted {
            splits,
            unlabelled: Unlabelled::LeaveOut,
            allowance: selection.memory,
        };
        let dataset = match table_of(record.labels.as_ref(), selection.labels, selection.run)? {
            Some(table) => {
                let head = (&record.classes[..], &record.task);
                let labelling = Labelling::of_head(&reader, table, head)?;
                Dataset::load_labelled(&reader, layer, (wanted, &labelling), &stop)?
            }
            None => {
                let mut dataset = Dataset::load(&reader, layer, wanted, &stop)?;
                translate_labels(selection, record, &reader, &mut dataset)?;
                dataset
            }
        };
        let mut rows = dataset.first_views();
        if rows.is_empty() {
            return Err(empty_split(selection, &reader, &dataset));
        }
        let dataset = match tuned {
            Some(_) => {
                let dataset = tuned_rows((&bundle, selection.run), &layer.name, &dataset, &rows)?;
                rows = dataset.first_views();
                dataset
            }
            None => dataset,
        };
        Ok(Self {
            fitted: preparation(record),
            plan_sha256: reader.manifest().plan_sha256.clone(),
            bundle,
            dataset,
            rows,
        })
    }

    /// The head on its rows.
    pub(crate) fn judge(&self) -> Judge<'_> {
        Judge {
            dataset: &self.dataset,
            head: &self.bundle.head,
            fitted: &self.fitted,
            rows: &self.rows,
        }
    }
}

/// What a split is called, `None` being all rows.
pub(crate) fn split_name(split: Option<Split>) -> &'static str {
    split.map_or("all", Split::as_str)
}

/// Refuses features that are not of the kind the head was trained on.
fn check_identity(
    selection: &Selection,
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
        selection.cache.display(),
        selection.run.display()
    );
    Err(Failure::new(Exit::Mismatch, message))
}

/// Makes the cache's labels the head's: classes are matched by name.
fn translate_labels(
    selection: &Selection,
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
                selection.cache.display(),
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

fn empty_split(selection: &Selection, reader: &CacheReader, dataset: &Dataset) -> Failure {
    if let Some(table) = selection.labels {
        let message = format!(
            "table `{}`: no answer for any of the {} rows of split `{}` (choose another with --split)",
            table.display(),
            dataset.unlabelled,
            split_name(selection.split)
        );
        return Failure::new(Exit::Input, message);
    }
    let rows = |split: &Split| {
        let rows = reader.plan().rows().iter();
        rows.filter(|sample| sample.split == *split && sample.label >= 0)
            .count()
    };
    let held: Vec<_> = Split::ALL
        .iter()
        .filter(|split| rows(split) > 0)
        .map(|split| match split {
            Split::None => format!("{} of no split, read with `all`", rows(split)),
            _ => format!("{} {}", split.as_str(), rows(split)),
        })
        .collect();
    let held = if held.is_empty() {
        "no labelled row at all".to_owned()
    } else {
        held.join(", ")
    };
    let message = format!(
        "cache `{}`: split `{}` has no labelled row (it holds: {held}; choose with --split)",
        selection.cache.display(),
        split_name(selection.split)
    );
    Failure::new(Exit::Input, message)
}
