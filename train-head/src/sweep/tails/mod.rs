//! Trials that fine-tune: a head with a part of the backbone, on cached activations.
//!
//! The activations are shared (`ground`). A point of the space is a `candidate`; those of a round are trained one after
//! the other, each to the next rung (`round`). In between they are checkpoints in the sweep's folder, so that one trial
//! is in memory, and a round that was stopped goes on where it was; then they are removed.

mod candidate;
mod ground;
mod round;
mod winner;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use common::{exit::Exit, interrupt::Interrupt, progress::warn};
use serde_json::{Value, json};

use self::{
    candidate::Candidate,
    ground::Ground,
    round::{Made, Place},
};
use super::{
    name::Name,
    record::SourceRecord,
    space::{Dimension, Point, Space},
    subject::{Again, Company, Replicate, Round, Subject, Watch, of_seeds},
    trial::{Finished, Status},
};
use crate::{
    failure::Failure,
    finetune::{as_head_settings, checkpoint::head_digest},
    fit::Ending,
    plan::{SweepPlan, TailTrials},
    train::{cannot_write, divide},
};

/// Folder of the trials of a round under way, in the sweep's.
const TRIALS_FOLDER: &str = "trials";

/// What the fine-tunings of a sweep have in common.
pub(super) struct Tails<'a> {
    plan: &'a SweepPlan,
    own: &'a TailTrials,
    space: &'a Space,
    ground: Ground,
    replicates: Vec<Replicate>,
}

/// The dimension of the degrees of unfreezing.
pub(super) fn dimension(own: &TailTrials) -> Dimension {
    let degrees = own.degrees.iter().map(|patterns| patterns.join(","));
    Dimension::of_words(Name::Unfreeze, degrees)
}

/// Refuses a space from `path` with names that trials of `own` have no use for.
pub(super) fn check(space: &Space, own: &TailTrials, path: &Path) -> Result<(), Failure> {
    let has_hidden = space
        .0
        .iter()
        .any(|dimension| dimension.name == Name::Hidden);
    if !has_hidden || own.init.is_none() {
        return Ok(());
    }
    let message = format!(
        "space `{}`: `hidden` has no use with --init, whose head has its shape (leave out one of both)",
        path.display()
    );
    Err(Failure::new(Exit::Input, message))
}

/// Removes the trials of a round of the sweep in `directory`.
pub(super) fn forget_trials(directory: &Path) -> Result<(), Failure> {
    let folder = directory.join(TRIALS_FOLDER);
    match fs::remove_dir_all(&folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let message = format!("`{}`: cannot be removed: {error}", folder.display());
            Err(Failure::new(Exit::Failure, message))
        }
        _ => Ok(()),
    }
}

impl<'a> Tails<'a> {
    /// Reads what the trials of `own` are trained on.
    pub(super) fn open(
        plan: &'a SweepPlan,
        own: &'a TailTrials,
        space: &'a Space,
        stop: &Interrupt,
    ) -> Result<Self, Failure> {
        let ground = Ground::open(own, plan.memory, stop)?;
        let settings = as_head_settings(&own.base);
        let partition = divide(&ground.reader, ground.dataset(0), &settings)?;
        for note in &partition.notes {
            warn(note);
        }
        Ok(Self {
            replicates: of_seeds(plan, &[partition]),
            plan,
            own,
            space,
            ground,
        })
    }

    /// The trial at `point` on replicate `index`.
    fn candidate(&self, point: &Point, index: usize) -> Candidate {
        let settings = candidate::settings((self.space, point), self.own);
        self.ground.candidate(
            settings,
            self.space.choice(point, Name::Unfreeze),
            self.replicates[index].seed,
        )
    }

    /// The folder of the checkpoint of a trial, which is there then.
    fn make_folder(&self, place: Place) -> Result<PathBuf, Failure> {
        // Which of its trials go on depends on the size of a round.
        let round = format!("{}-{}", place.first, place.count);
        let trial = format!("{}.{}", place.first + place.trial as u32, place.replicate);
        let folder = self.plan.out.join(TRIALS_FOLDER).join(round).join(trial);
        fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
        Ok(folder)
    }
}

impl Subject for Tails<'_> {
    type Made = Made;

    fn epochs(&self) -> u32 {
        self.own.base.epochs
    }

    fn replicates(&self) -> &[Replicate] {
        &self.replicates
    }

    fn record(&self) -> Result<(Vec<SourceRecord>, Value), Failure> {
        let mut settings = json!({
            "base": self.own.base,
            "freeze_epochs": self.own.freeze_epochs,
        });
        if let Some(head) = &self.ground.first_head {
            settings["init"] = json!(head_digest(head));
        }
        Ok((self.ground.records(), settings))
    }

    fn notes(&self) -> Vec<String> {
        self.ground.notes(self.own)
    }

    fn remedy(&self) -> &'static str {
        "lower the learning rates, or add clip_norm = 1.0 to the space"
    }

    fn train(&self, company: &Company, watch: Watch) -> Result<Round<Made>, Failure> {
        round::run(self, company, watch)
    }

    fn again(
        &self,
        best: &Finished,
        _trials: &[Finished],
        (listener, stop): Watch,
    ) -> Result<Again<Made>, Failure> {
        let place = Place {
            first: best.trial,
            count: 1,
            trial: 0,
            replicate: 0,
        };
        let bounds = (best.epochs, stop);
        let mut each = |epoch| listener.advance(f64::from(epoch));
        let reach = round::reach(self, (&best.point, place), bounds, &mut each)?;
        let ending = match (reach.ending, best.status) {
            (Ending::Signal(exit), _) => return Ok(Again::Interrupted(exit)),
            (Ending::NonFinite { .. }, _) => return Ok(Again::Lost),
            (_, Status::Halved) => Ending::Halved,
            (ending, _) => ending,
        };
        Ok(Again::Made(Made { place, ending }))
    }

    fn is_saved(&self, point: &Point) -> Result<bool, Failure> {
        winner::is_saved(&self.ground, &self.candidate(point, 0), &self.plan.out)
    }

    fn save(&self, point: &Point, made: &Made) -> Result<(), Failure> {
        winner::save(self, (point, made))
    }

    fn tidy(&self) -> Result<(), Failure> {
        forget_trials(&self.plan.out)
    }

    fn conclude(&self, _best: &Finished, _stop: &Interrupt) -> Result<Option<Exit>, Failure> {
        Ok(None)
    }
}
