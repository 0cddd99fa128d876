//! What every trial is trained on: seeds times folds.

use common::progress::warn;

use super::{round::Replicate, source::Source};
use crate::{
    failure::Failure,
    plan::SweepPlan,
    split::{Draw, folds, partition},
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
        for seed in 0..u64::from(plan.seeds) {
            replicates.push(Replicate {
                seed: plan.base.seed.wrapping_add(seed),
                partition: partition.clone(),
            });
        }
    }
    Ok(replicates)
}
