//! What every trial is trained on: seeds times folds.

use common::{exit::Exit, progress::warn};

use super::{round::Replicate, source::Source};
use crate::{
    failure::Failure,
    plan::SweepPlan,
    split::{Draw, Origin, Partition, folds, partition},
};

/// Every seed on every fold.
pub(super) fn replicates(plan: &SweepPlan, source: &Source) -> Result<Vec<Replicate>, Failure> {
    let draw = Draw::new(&source.reader, &source.dataset, &plan.base);
    let classes = &source.dataset.names;
    let partitions = if plan.folds > 1 {
        folds(&draw, classes, plan.folds)
    } else {
        partition(&draw, classes).map(|partition| vec![partition])
    };
    let place = format!("cache `{}`", source.reader.directory().display());
    let partitions = partitions.map_err(|failure| failure.within(&place))?;
    for note in &partitions[0].notes {
        warn(note);
    }
    let mut replicates = Vec::new();
    for partition in partitions {
        if plan.base.loss.is_cross_entropy() {
            validates_every_class(&partition, source, classes)
                .map_err(|failure| failure.within(&place))?;
        }
        for seed in 0..u64::from(plan.seeds) {
            replicates.push(Replicate {
                seed: plan.base.seed.wrapping_add(seed),
                partition: partition.clone(),
            });
        }
    }
    Ok(replicates)
}

/// A validation split of the source that lacks a class would choose a head that has
/// never been asked for it.
fn validates_every_class(
    partition: &Partition,
    source: &Source,
    classes: &[String],
) -> Result<(), Failure> {
    let rows = source
        .dataset
        .class_rows(&partition.validation, classes.len());
    match rows.iter().position(|rows| *rows == 0) {
        Some(class) if partition.origin == Origin::Source => {
            let message = format!(
                "class `{}` has no row in the validation split (add images of it, remove the class, or use --folds)",
                classes[class]
            );
            Err(Failure::new(Exit::Input, message))
        }
        _ => Ok(()),
    }
}
