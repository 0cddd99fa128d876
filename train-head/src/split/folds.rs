//! Folds: every row validates once and trains all other times.

use common::random;
use rand::seq::SliceRandom;

use super::{Draw, Origin, Partition, check, class_notes, units_by_class};
use crate::failure::Failure;

/// `count` partitions of all rows, the source's own validation rows among them: the same share
/// of every class in each, and never through what must stay together.
pub(crate) fn folds(
    draw: &Draw,
    classes: &[String],
    count: usize,
) -> Result<Vec<Partition>, Failure> {
    let all: Vec<u32> = (0..draw.rows.len() as u32).collect();
    let mut fold_of = vec![0; all.len()];
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
            unit.iter().for_each(|&row| fold_of[row as usize] = fold);
        }
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
