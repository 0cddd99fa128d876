//! What every trial is trained on: seeds times folds.

use common::progress::warn;

use super::{
    super::subject::{Replicate, of_seeds},
    source::Source,
};
use crate::{
    failure::Failure,
    plan::{HeadTrials, SweepPlan},
    split::{Draw, folds, partition},
};

/// Every seed on every fold.
pub(super) fn replicates(
    plan: &SweepPlan,
    own: &HeadTrials,
    source: &Source,
) -> Result<Vec<Replicate>, Failure> {
    let draw = Draw::new(&source.reader, &source.dataset, &own.base);
    let classes = &source.dataset.names;
    let partitions = if own.folds > 1 {
        folds(&draw, classes, own.folds)
    } else {
        partition(&draw, classes).map(|partition| vec![partition])
    };
    let place = format!("cache `{}`", source.reader.directory().display());
    let partitions = partitions.map_err(|failure| failure.within(&place))?;
    for note in &partitions[0].notes {
        warn(note);
    }
    Ok(of_seeds(plan, &partitions))
}
