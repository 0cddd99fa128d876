//! Which rows are trained on and which ones choose the head.
//!
//! Where the source has no validation split one is drawn out of its training
//! rows: the same share of every class, and never through a unit, which is all that shows
//! the same thing: the views of an image, rows with bit-identical features, and
//! the members of a group. A unit of several classes counts for the rarest of them.

mod folds;
mod strata;
mod targets;

use std::collections::{HashMap, HashSet};

use common::{cache::CacheReader, exit::Exit, head::TaskKind, random, source::Split};
use rand::seq::SliceRandom;

use crate::{
    dataset::{Dataset, RowInfo},
    failure::Failure,
    joined::Joined,
    plan::Settings,
};

pub(crate) use folds::folds;
pub(crate) use strata::units_of_classes;
use strata::{classes_of, units_by_class};
pub(crate) use targets::Targets;

/// Row numbers.
type Rows<'a> = &'a [u32];

/// Row numbers of a dataset, ascending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Partition {
    pub(crate) train: Vec<u32>,
    pub(crate) validation: Vec<u32>,
    pub(crate) origin: Origin,
    /// What the user should know, in sentences.
    pub(crate) notes: Vec<String>,
}

/// Where the validation rows come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The source has them.
    Source,
    /// Drawn out of the training rows.
    Drawn,
}

/// What a validation split is drawn with.
pub(crate) struct Draw<'a> {
    /// With `targets` all the same: rows are not told apart by class.
    pub(crate) labels: &'a [u32],
    /// What rows are predicted as, unless it is one class.
    pub(crate) targets: Option<Targets<'a>>,
    pub(crate) rows: &'a [RowInfo],
    /// Group of an image, by its position in the plan.
    pub(crate) group: Box<dyn Fn(u64) -> Option<&'a str> + 'a>,
    pub(crate) fraction: f64,
    pub(crate) seed: u64,
}

impl<'a> Draw<'a> {
    /// Out of a cache's rows, loaded with [`FITTING_SPLITS`], with the groups of its plan.
    pub(crate) fn new(reader: &'a CacheReader, dataset: &'a Dataset, settings: &Settings) -> Self {
        Self {
            labels: &dataset.labels,
            targets: (settings.loss.task() != TaskKind::SingleLabel).then(|| Targets {
                values: &dataset.targets,
                task: settings.loss.task(),
            }),
            rows: &dataset.rows,
            group: groups(reader),
            fraction: settings.val_fraction,
            seed: settings.seed,
        }
    }
}

/// The groups of a cache's plan, for [`Draw::group`].
pub(crate) fn groups<'a>(reader: &'a CacheReader) -> Box<dyn Fn(u64) -> Option<&'a str> + 'a> {
    let plan = reader.plan();
    Box::new(|id| plan.get(id).and_then(|sample| sample.group.as_deref()))
}

/// Splits that a training reads. The test split is none of its business.
pub(crate) const FITTING_SPLITS: [Split; 3] = [Split::Train, Split::None, Split::Val];

/// Divides the rows of a dataset loaded with [`FITTING_SPLITS`].
pub(crate) fn partition(draw: &Draw, classes: &[String]) -> Result<Partition, Failure> {
    let in_source = |row: &u32| draw.rows[*row as usize].split == Split::Val;
    let all = 0..draw.rows.len() as u32;
    let (mut validation, mut train): (Vec<_>, Vec<_>) = all.partition(in_source);
    let mut notes = Vec::new();
    let origin = if validation.is_empty() {
        (train, validation) = draw_validation(draw, &train);
        Origin::Drawn
    } else {
        notes.extend(leak_note(draw.rows, &train, &validation));
        Origin::Source
    };
    // Augmented views are for fitting; a head is judged on the first view.
    validation.retain(|&row| draw.rows[row as usize].view == 0);
    check(draw, classes, (&train, &validation))?;
    if origin == Origin::Source && draw.targets.is_none() {
        let remedy = "add images of it, remove the class, or leave the split out of the source: one is drawn then";
        require_every_class(draw.labels, classes, (&validation, "validation", remedy))?;
    }
    notes.extend(class_notes(draw, classes, (&train, &validation)));
    Ok(Partition {
        train,
        validation,
        origin,
        notes,
    })
}

/// Train and validation rows out of `rows`. Of every class that has any, rows stay for training.
fn draw_validation(draw: &Draw, rows: &[u32]) -> (Vec<u32>, Vec<u32>) {
    let mut chosen = Vec::new();
    for (class, mut units) in units_by_class(draw, rows) {
        let mut stream = random::stream(draw.seed, &format!("split/validation/class/{class}"));
        units.shuffle(&mut stream);
        chosen.extend(choose(&units, draw.fraction));
    }
    let divide = |chosen: &[Vec<u32>]| -> (Vec<u32>, Vec<u32>) {
        let chosen: HashSet<u32> = chosen.iter().flatten().copied().collect();
        rows.iter().partition(|&row| !chosen.contains(row))
    };
    // Units of several classes may have gone, each with another of its classes.
    let mut trained = classes_of(draw, &divide(&chosen).0);
    chosen.retain(|unit| {
        let classes = classes_of(draw, unit);
        let spare = classes.is_subset(&trained);
        trained.extend(classes);
        spare
    });
    divide(&chosen)
}

/// Units for validation: as many as fit into the share, at least one; one always
/// stays for training.
fn choose(units: &[Vec<u32>], fraction: f64) -> Vec<Vec<u32>> {
    if units.len() < 2 {
        return Vec::new();
    }
    let rows: usize = units.iter().map(Vec::len).sum();
    let wanted = ((rows as f64 * fraction).round() as usize).max(1);
    let mut chosen = Vec::new();
    let mut count = 0;
    for unit in units {
        if count + unit.len() <= wanted && chosen.len() + 1 < units.len() {
            count += unit.len();
            chosen.push(unit.clone());
        }
    }
    if chosen.is_empty() {
        chosen.extend(units.iter().min_by_key(|unit| unit.len()).cloned());
    }
    chosen
}

/// Rows that must stay together, each unit and the list of units in row order.
fn units(draw: &Draw, rows: &[u32]) -> Vec<Vec<u32>> {
    let mut joined = Joined::apart(rows.len());
    let mut first_of_id = HashMap::new();
    let mut first_of_digest = HashMap::new();
    let mut first_of_group = HashMap::new();
    for (place, &row) in rows.iter().enumerate() {
        let info = &draw.rows[row as usize];
        joined.join(place, *first_of_id.entry(info.id).or_insert(place));
        joined.join(place, *first_of_digest.entry(info.digest).or_insert(place));
        if let Some(group) = (draw.group)(info.id) {
            joined.join(place, *first_of_group.entry(group).or_insert(place));
        }
    }
    let mut units: Vec<Vec<u32>> = Vec::new();
    let mut unit_of_root = HashMap::new();
    for (place, &row) in rows.iter().enumerate() {
        let unit = *unit_of_root
            .entry(joined.root(place))
            .or_insert(units.len());
        if unit == units.len() {
            units.push(Vec::new());
        }
        units[unit].push(row);
    }
    units
}

fn leak_note(rows: &[RowInfo], train: &[u32], validation: &[u32]) -> Option<String> {
    let digests: HashSet<u64> = train.iter().map(|&row| rows[row as usize].digest).collect();
    let leaks = validation
        .iter()
        .filter(|&&row| digests.contains(&rows[row as usize].digest))
        .count();
    (leaks > 0).then(|| {
        format!("{leaks} validation rows have the same features as training rows: the validation figures are too good (remove the duplicates)")
    })
}

fn check(
    draw: &Draw,
    classes: &[String],
    (train, validation): (Rows, Rows),
) -> Result<(), Failure> {
    let refuse = |message: String| Err(Failure::new(Exit::Input, message));
    if classes.len() < 2 && draw.targets.is_none() {
        let found = if classes.is_empty() {
            "no classes"
        } else {
            "1 class"
        };
        return refuse(format!(
            "{found} in the cache, a classifier needs two or more (one folder a class, or the table's `label` column)"
        ));
    }
    if train.is_empty() {
        return refuse("the training split has no labelled row (put images below `train/`, or name the split in the table)".to_owned());
    }
    match draw.targets {
        Some(targets) => targets.check(classes, train)?,
        None => {
            let remedy = "add images of it, or remove the class";
            require_every_class(draw.labels, classes, (train, "training", remedy))?;
        }
    }
    if validation.is_empty() {
        return refuse(
            "no row is left for validation (every class has a single image or group; add images)"
                .to_owned(),
        );
    }
    Ok(())
}

/// Refuses rows without a class. In the source's own validation split that would choose a head
/// that has never been asked for it.
fn require_every_class(
    labels: &[u32],
    classes: &[String],
    (rows, split, remedy): (&[u32], &str, &str),
) -> Result<(), Failure> {
    let counts = count(labels, rows, classes.len());
    match counts.iter().position(|&rows| rows == 0) {
        None => Ok(()),
        Some(class) => {
            let name = &classes[class];
            let message = format!("class `{name}` has no row in the {split} split ({remedy})");
            Err(Failure::new(Exit::Input, message))
        }
    }
}

/// Classes that are named one by one when nothing validates them.
const NAMED_CLASSES: usize = 5;

fn class_notes(draw: &Draw, classes: &[String], (train, validation): (Rows, Rows)) -> Vec<String> {
    if let Some(targets) = draw.targets {
        return targets.notes(classes, validation);
    }
    let trained = count(draw.labels, train, classes.len());
    let validated = count(draw.labels, validation, classes.len());
    let missing: Vec<usize> = (0..classes.len())
        .filter(|&class| validated[class] == 0)
        .collect();
    let note = |&class: &usize| match (&classes[class], trained[class]) {
        (name, 1) => {
            format!("class `{name}` has one image: it is trained on, nothing validates it")
        }
        (name, rows) => format!("class `{name}` has {rows} training rows and none for validation"),
    };
    let mut notes: Vec<String> = missing.iter().take(NAMED_CLASSES).map(note).collect();
    if missing.len() > NAMED_CLASSES {
        let more = missing.len() - NAMED_CLASSES;
        notes.push(format!("{more} more classes have no row for validation"));
    }
    notes
}

fn count(labels: &[u32], rows: &[u32], classes: usize) -> Vec<u64> {
    let mut counts = vec![0; classes];
    for &row in rows {
        counts[labels[row as usize] as usize] += 1;
    }
    counts
}

#[cfg(test)]
mod tests;
