//! The best trial as a run in the sweep's folder.

use std::{io, path::Path};

use common::{
    exit::Exit,
    head::{Bundle, BundleError},
};

use super::{
    super::{
        best::{folder, make_folder},
        subject::Replicate,
    },
    candidate::Candidate,
    round::Made,
    source::Source,
};
use crate::{
    failure::{Failure, OrExit},
    fit::{Ending, Task},
    history::History,
    plan::recorded_settings,
    split::Partition,
    test_reads,
    train::{bundle, cannot_write, ended_by},
};

/// A trial, and what its exported head is trained on.
pub(super) struct Winner<'a> {
    pub(super) candidate: &'a Candidate,
    pub(super) source: &'a Source,
    pub(super) replicate: &'a Replicate,
}

impl Winner<'_> {
    /// Whether its run is in `directory`, as it was after its last epoch. (A signal leaves
    /// the best head of a round that is not over, which may be another one.)
    pub(super) fn is_saved(&self, directory: &Path) -> Result<bool, Failure> {
        let record = match Bundle::load(&folder(directory)) {
            Err(BundleError::NotFound(_)) => return Ok(false),
            other => other.or_exit(Exit::Input)?.record,
        };
        let settings = self.settings()?;
        Ok(
            record.training.ended_by != ended_by(Ending::Signal(Exit::Interrupted))
                && record.head == self.candidate.head
                && record.settings == settings
                && record.fingerprint == self.source.reader.manifest().fingerprint
                && record.layer == self.source.layer.name,
        )
    }

    /// Its settings as a run records them.
    fn settings(&self) -> Result<serde_json::Value, Failure> {
        let convex = self.candidate.convex.as_ref();
        recorded_settings(&self.candidate.settings, convex).or_exit(Exit::Failure)
    }

    /// The task of its head on `partition`, with the settings of the replicate.
    pub(super) fn task<'a>(&'a self, partition: &'a Partition) -> Task<'a> {
        Task {
            dataset: &self.source.dataset,
            partition,
            classes: self.source.dataset.names.len(),
            head: self.candidate.head,
            settings: &self.candidate.settings,
        }
    }

    /// Saves `made`, which has a best head, as the winner of the sweep in `directory`.
    pub(super) fn save(&self, directory: &Path, made: &Made) -> Result<(), Failure> {
        let mut bundle = self.bundle(&self.replicate.partition, made)?;
        let folder = make_folder(directory)?;
        let failed = |error| cannot_write(&folder, &error);
        history(&folder, made)
            .and_then(History::publish)
            .map_err(failed)?;
        publish(&mut bundle, directory)
    }

    /// The bundle of `made`, trained on `partition`.
    pub(super) fn bundle(&self, partition: &Partition, made: &Made) -> Result<Bundle, Failure> {
        let Some(best) = &made.outcome.best else {
            return Err(Failure::new(Exit::Failure, "the best trial has no head"));
        };
        let task = self.task(partition);
        let source = (&self.source.reader, &self.source.layer);
        let mut bundle = bundle(&task, source.0, source.1, (&made.outcome, best))?;
        bundle.record.settings = self.settings()?;
        bundle.record.training.path = made.path.clone();
        Ok(bundle)
    }
}

/// The figures of the training of `made`, as a plain command keeps them.
fn history(folder: &Path, made: &Made) -> io::Result<History> {
    let mut history = History::create(folder)?;
    for line in &made.outcome.lines {
        history.epoch(line)?;
    }
    if let Some(path) = &made.path {
        for point in &path.points {
            history.point(&path.parameter, point)?;
        }
    }
    Ok(history)
}

/// Makes `bundle` the winner of the sweep in `directory`.
pub(super) fn publish(bundle: &mut Bundle, directory: &Path) -> Result<(), Failure> {
    let folder = make_folder(directory)?;
    test_reads::forget(&folder).or_exit(Exit::Failure)?;
    bundle.save(&folder).or_exit(Exit::Failure)
}
