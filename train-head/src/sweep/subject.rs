//! What a sweep must know of whatever its trials train.

use common::{exit::Exit, interrupt::Interrupt};
use serde_json::Value;

use super::{
    record::SourceRecord,
    space::Point,
    trial::{Figures, Finished},
};
use crate::{failure::Failure, plan::SweepPlan, split::Partition};

/// What the trials of a sweep train, on what, and what becomes of the best of them.
pub(super) trait Subject {
    /// What is left of a trial that is over, to make a run of.
    type Made;

    /// Largest number of epochs of a trial.
    fn epochs(&self) -> u32;

    /// The seeds and partitions that every trial is trained on.
    fn replicates(&self) -> &[Replicate];

    /// What trials read, and what else their results depend on but for the points.
    fn record(&self) -> Result<(Vec<SourceRecord>, Value), Failure>;

    /// What is worth saying before the first trial.
    fn notes(&self) -> Vec<String>;

    /// What to do about losses that are not finite.
    fn remedy(&self) -> &'static str;

    /// Trains the trials of a round.
    fn train(&self, company: &Company, watch: Watch) -> Result<Round<Self::Made>, Failure>;

    /// Trains `best` once more, which had `trials` for company. What it makes, unless a signal comes.
    fn again(
        &self,
        best: &Finished,
        trials: &[Finished],
        watch: Watch,
    ) -> Result<Again<Self::Made>, Failure>;

    /// Whether the trial at `point` is the run in the sweep's folder.
    fn is_saved(&self, point: &Point) -> Result<bool, Failure>;

    /// Makes the trial at `point` the run in the sweep's folder.
    fn save(&self, point: &Point, made: &Self::Made) -> Result<(), Failure>;

    /// Removes what was kept of a round that is in the table.
    fn tidy(&self) -> Result<(), Failure>;

    /// What is left to do with the run of the best trial. The exit code of a signal, if one came.
    fn conclude(&self, best: &Finished, stop: &Interrupt) -> Result<Option<Exit>, Failure>;
}

/// A seed and a partition that every trial is trained on.
pub(super) struct Replicate {
    pub(super) seed: u64,
    pub(super) partition: Partition,
}

/// Every seed of `plan` on every one of `partitions`.
pub(super) fn of_seeds(plan: &SweepPlan, partitions: &[Partition]) -> Vec<Replicate> {
    let of_partition = |partition: &Partition| {
        let partition = partition.clone();
        (0..u64::from(plan.seeds)).map(move |seed| Replicate {
            seed: plan.seed.wrapping_add(seed),
            partition: partition.clone(),
        })
    };
    partitions.iter().flat_map(of_partition).collect()
}

/// The trials of a round.
pub(super) struct Company {
    pub(super) round: u32,
    /// The number of the first of them.
    pub(super) first: u32,
    pub(super) points: Vec<Point>,
}

/// Who hears how a round goes, and who ends it.
pub(super) type Watch<'a> = (&'a mut dyn Listener, &'a Interrupt);

/// Hears how a round goes.
pub(super) trait Listener {
    /// `running` trials are left after `epoch`; the best figures of the round so far and
    /// whose they are.
    fn epoch(&mut self, epoch: u32, running: usize, best: Option<(usize, Figures)>);

    /// As much is done as if all trials had run so many epochs.
    fn advance(&mut self, epochs: f64);

    /// Trial `trial` of the round, which is trained on its own, has come to the end of `epoch`.
    fn reached(&mut self, trial: usize, epoch: u32, figures: &Figures);
}

/// A round that is over, or was interrupted.
pub(super) struct Round<M> {
    /// One a point.
    pub(super) trials: Vec<Finished>,
    /// Of every trial; `None` where a signal came first.
    pub(super) made: Vec<Option<M>>,
    pub(super) interrupted: Option<Exit>,
}

/// What came of training a trial once more.
pub(super) enum Again<M> {
    Made(M),
    Interrupted(Exit),
    /// This time the loss is not finite.
    Lost,
}
