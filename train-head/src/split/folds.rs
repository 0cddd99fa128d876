//! Folds: every row validates once and trains all other times.

use std::collections::{BTreeMap, BTreeSet};

use common::random;
use rand::seq::SliceRandom;

use super::{Draw, Origin, Partition, check, class_notes, classes_of, units_by_class};
use crate::failure::Failure;

/// `count` partitions of all rows, the source's own validation rows among them: the same share
/// of every class in each, and never through what must stay together.
pub(crate) fn folds(
    draw: &Draw,
    classes: &[String],
    count: usize,
) -> Result<Vec<Partition>, Failure> {
    let all: Vec<u32> = (0..draw.rows.len() as u32).collect();
    let mut placed = Vec::new();
    for (class, mut units) in units_by_class(draw, &all) {
        units.shuffle(&mut random::stream(
            draw.seed,
            &format!("split/folds/class/{class}"),
        ));
        // Large units first, each to the fold that has the fewest rows of the class.
        units.sort_by_key(|unit| std::cmp::Reverse(unit.len()));
        let mut rows = vec![0; count];
        for unit in units {
            // Classes begin at different folds, so that small ones do not all go to the first.
            let fold = (0..count)
                .map(|fold| (fold + class as usize) % count)
                .min_by_key(|&fold| rows[fold]);
            let fold = fold.unwrap_or(0);
            rows[fold] += unit.len();
            placed.push(Placed {
                classes: classes_of(draw, &unit),
                rows: unit,
                fold,
            });
        }
    }
    spread(&mut placed, count);
    let mut fold_of = vec![0; all.len()];
    for unit in &placed {
        unit.rows
            .iter()
            .for_each(|&row| fold_of[row as usize] = unit.fold);
    }
    (0..count)
        .map(|fold| {
            let (mut validation, train): (Vec<u32>, Vec<u32>) =
                all.iter().partition(|&&row| fold_of[row as usize] == fold);
            validation.retain(|&row| draw.rows[row as usize].view == 0);
            check(draw, classes, (&train, &validation))
                .map_err(|failure| failure.within(&format!("fold {} of {count}", fold + 1)))?;
            Ok(Partition {
                notes: class_notes(draw, classes, (&train, &validation)),
                train,
                validation,
                origin: Origin::Drawn,
            })
        })
        .collect()
}

/// A unit in its fold.
struct Placed {
    rows: Vec<u32>,
    classes: BTreeSet<u32>,
    fold: usize,
}

/// Moves a unit of every class that has several, all in one fold, to another, where that is possible: each fold's
/// training rows are to have every class. (Units of several classes can be together by chance.)
fn spread(placed: &mut [Placed], count: usize) {
    let mut of_class: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (number, unit) in placed.iter().enumerate() {
        for class in &unit.classes {
            of_class.entry(*class).or_default().push(number);
        }
    }
    for members in of_class.values() {
        let home = placed[members[0]].fold;
        if members.len() < 2 || members.iter().any(|&unit| placed[unit].fold != home) {
            continue;
        }
        // Whether another unit of each of its classes would be outside of the fold.
        let fits = |&(unit, fold): &(usize, usize)| {
            placed[unit].classes.iter().all(|class| {
                let members = &of_class[class];
                let outside = |&other: &usize| other != unit && placed[other].fold != fold;
                members.len() < 2 || members.iter().any(outside)
            })
        };
        let others = (1..count).map(|step| (home + step) % count);
        let mut moves = others.flat_map(|fold| members.iter().map(move |&unit| (unit, fold)));
        if let Some((unit, fold)) = moves.find(fits) {
            placed[unit].fold = fold;
        }
    }
}
