//! Units by class. One of several classes goes with the rarest, so that rare classes are
//! divided as evenly as they can be.

use std::collections::{BTreeMap, BTreeSet};

use common::head::TaskKind;

use super::{Draw, units};

/// Stratum of units that have no class.
const NO_CLASS: u32 = u32::MAX;

/// The classes that `rows` have; with regression 0 is all rows' class.
pub(super) fn classes_of(draw: &Draw, rows: &[u32]) -> BTreeSet<u32> {
    match draw.targets {
        Some(targets) if targets.task == TaskKind::MultiLabel => {
            let width = targets.values.len() / draw.rows.len().max(1);
            let flags = |row: &u32| (0..).zip(&targets.values[*row as usize * width..][..width]);
            let has = |(class, flag): (u32, &f32)| (*flag > 0.5).then_some(class);
            rows.iter()
                .flat_map(|row| flags(row).filter_map(has))
                .collect()
        }
        _ => rows.iter().map(|&row| draw.labels[row as usize]).collect(),
    }
}

/// The units of `rows` by stratum: the class of theirs that fewest units have.
pub(super) fn units_by_class(draw: &Draw, rows: &[u32]) -> BTreeMap<u32, Vec<Vec<u32>>> {
    let (units, classes) = units_and_classes(draw, rows);
    let counts = counted(&classes);
    let mut by_class: BTreeMap<u32, Vec<Vec<u32>>> = BTreeMap::new();
    for (unit, classes) in units.into_iter().zip(classes) {
        let rarest = classes.into_iter().min_by_key(|class| counts[class]);
        by_class
            .entry(rarest.unwrap_or(NO_CLASS))
            .or_default()
            .push(unit);
    }
    by_class
}

/// How many units of all rows have each class; those that none has are left out.
pub(crate) fn units_of_classes(draw: &Draw) -> BTreeMap<u32, usize> {
    let all: Vec<u32> = (0..draw.rows.len() as u32).collect();
    counted(&units_and_classes(draw, &all).1)
}

/// The units of `rows`, and the classes of each.
fn units_and_classes(draw: &Draw, rows: &[u32]) -> (Vec<Vec<u32>>, Vec<BTreeSet<u32>>) {
    let units = units(draw, rows);
    let classes = units.iter().map(|unit| classes_of(draw, unit)).collect();
    (units, classes)
}

fn counted(units: &[BTreeSet<u32>]) -> BTreeMap<u32, usize> {
    let mut counts = BTreeMap::new();
    for class in units.iter().flatten() {
        *counts.entry(*class).or_default() += 1;
    }
    counts
}
