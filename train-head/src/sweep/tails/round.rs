//! One round: every trial is trained to the next rung, one after the other, then the worse ones are ended.

use std::time::Duration;

use common::{exit::Exit, interrupt::Interrupt};

use super::{
    super::{
        rungs::{kept, rungs},
        space::Point,
        subject::{Company, Round, Watch},
        trial::{Ended, Figures, Finished, Objective, Status, ahead, ranking},
    },
    Tails,
};
use crate::{
    failure::Failure,
    finetune::{
        checkpoint::{Checkpoint, Origin},
        progress::Progress,
        session::Session,
        training::{Keeping, over, train},
    },
    fit::Ending,
    plan::{DEFAULT_CHECKPOINT_SECONDS, FineSettings},
};

/// Where the checkpoint of a trial is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// The number of the first trial of its round.
    pub(super) first: u32,
    /// Trials of its round.
    pub(super) count: usize,
    /// Which of them it is.
    pub(super) trial: usize,
    pub(super) replicate: usize,
}

/// A trial that is over.
pub(crate) struct Made {
    /// Of the first replicate.
    pub(super) place: Place,
    pub(super) ending: Ending,
}

/// How far a trial is on one replicate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    ended: Ended,
    /// Why it is not further.
    pub(super) ending: Ending,
    /// Whether it cannot go on.
    is_over: bool,
}

struct Running<'a> {
    tails: &'a Tails<'a>,
    company: &'a Company,
    /// `[trial][replicate]`; `None`: before the first epoch.
    reaches: Vec<Vec<Option<Reach>>>,
    halved: Vec<bool>,
}

/// Trains the trials of `company`.
pub(super) fn run(
    tails: &Tails,
    company: &Company,
    (listener, stop): Watch,
) -> Result<Round<Made>, Failure> {
    let count = company.points.len();
    let mut running = Running {
        tails,
        company,
        reaches: vec![vec![None; tails.replicates.len()]; count],
        halved: vec![false; count],
    };
    let (objective, survivors) = (tails.plan.objective, tails.plan.survivors);
    let mut before = 0;
    for (until, rung) in legs(&tails.own.base, survivors) {
        if running.left().is_empty() {
            break;
        }
        if let Some(exit) = running.train((before, until), (listener, stop))? {
            return Ok(interrupted(exit));
        }
        if let Some(rung) = rung {
            running.halve(kept(count, survivors, rung), objective);
        }
        listener.advance(f64::from(until));
        let best = ahead(&running.figures(), objective);
        listener.epoch(until, running.left().len(), best);
        before = until;
    }
    Ok(running.finish())
}

/// The epochs that trials are trained to together, and the rung that each is. They are counted behind those of
/// the head alone, which tell little.
fn legs(settings: &FineSettings, survivors: f64) -> Vec<(u32, Option<usize>)> {
    let frozen = settings.freeze_epochs;
    let rungs = rungs(settings.epochs - frozen).into_iter().enumerate();
    let rungs = rungs.filter(|(_, epochs)| *epochs > 0 && survivors < 1.0);
    rungs
        .map(|(rung, epochs)| (frozen + epochs, Some(rung)))
        .chain([(settings.epochs, None)])
        .collect()
}

/// Nothing of a round that a signal ended but what its checkpoints hold.
fn interrupted(exit: Exit) -> Round<Made> {
    Round {
        trials: Vec::new(),
        made: Vec::new(),
        interrupted: Some(exit),
    }
}

/// Trains the trial at `point` to the end of epoch `until`, or to its own, from its checkpoint on if there is
/// one, and leaves one. `each` hears of every epoch.
pub(super) fn reach(
    tails: &Tails,
    (point, place): (&Point, Place),
    (until, stop): (u32, &Interrupt),
    each: &mut dyn FnMut(u32),
) -> Result<Reach, Failure> {
    let candidate = tails.candidate(point, place.replicate);
    let partition = &tails.replicates[place.replicate].partition;
    let job = tails.ground.job(&candidate, partition);
    let origin = Origin::of(&job, &tails.ground.reader)?;
    let keeping = Keeping {
        run: &tails.make_folder(place)?,
        origin: &origin,
        interval: Duration::from_secs(DEFAULT_CHECKPOINT_SECONDS),
    };
    let mut session = match Checkpoint::load(keeping.run, &origin)? {
        None => Session::begin(&job)?,
        Some(checkpoint) => {
            let progress = checkpoint.progress();
            let standing = match progress.epochs > until {
                // It was further when the round was stopped.
                true => Some(Ending::Epochs),
                false => over(progress, job.settings, until),
            };
            if let Some(ending) = standing {
                return Ok(Reach::new(progress, ending, (until, job.settings.epochs)));
            }
            checkpoint.resume(&job)?
        }
    };
    let ending = train(&mut session, &keeping, (until, stop), |line| {
        each(line.epoch);
        Ok(())
    })?;
    if !matches!(ending, Ending::NonFinite { .. } | Ending::Signal(_)) {
        keeping.save(&session)?;
    }
    Ok(Reach::new(
        &session.progress,
        ending,
        (until, job.settings.epochs),
    ))
}

impl Reach {
    /// Of a training that got as far as `progress`, at the end of epoch `until` of `epochs`.
    fn new(progress: &Progress, ending: Ending, (until, epochs): (u32, u32)) -> Self {
        let mut lines = progress.lines.iter().filter(|line| line.epoch <= until);
        let best = lines.rfind(|line| line.best);
        Self {
            ended: Ended {
                figures: best.map(Figures::from),
                epochs: progress.epochs.min(until),
                best_epoch: best.map_or(0, |line| line.epoch),
            },
            ending,
            is_over: ending != Ending::Epochs || until >= epochs,
        }
    }

    fn has_diverged(&self) -> bool {
        matches!(self.ending, Ending::NonFinite { .. })
    }
}

impl Running<'_> {
    /// Takes all trials that go on from one epoch to another. The exit code of a signal, if one came.
    fn train(
        &mut self,
        (before, until): (u32, u32),
        (listener, stop): Watch,
    ) -> Result<Option<Exit>, Failure> {
        let (left, replicates) = (self.left(), self.tails.replicates.len());
        let leg = f64::from(until - before);
        for (done, &trial) in left.iter().enumerate() {
            for replicate in 0..replicates {
                if self.reaches[trial][replicate].is_some_and(|reach| reach.is_over) {
                    continue;
                }
                let parts_done = (done * replicates + replicate) as f64;
                let parts = (left.len() * replicates) as f64;
                let mut each = |epoch: u32| {
                    let part = f64::from(epoch.saturating_sub(before)) / leg;
                    listener.advance(f64::from(before) + leg * (parts_done + part) / parts);
                };
                let one = (&self.company.points[trial], self.place(trial, replicate));
                let reach = reach(self.tails, one, (until, stop), &mut each)?;
                if let Ending::Signal(exit) = reach.ending {
                    return Ok(Some(exit));
                }
                self.reaches[trial][replicate] = Some(reach);
            }
            let figures = &self.figures()[trial..=trial];
            if let Some((_, figures)) = ahead(figures, self.tails.plan.objective) {
                listener.reached(trial, until, &figures);
            }
        }
        Ok(None)
    }

    fn place(&self, trial: usize, replicate: usize) -> Place {
        Place {
            first: self.company.first,
            count: self.company.points.len(),
            trial,
            replicate,
        }
    }

    /// `[trial][replicate]`.
    fn figures(&self) -> Vec<Vec<Option<Figures>>> {
        let figures = |reach: &Option<Reach>| reach.and_then(|reach| reach.ended.figures);
        let of_trial = |reaches: &Vec<_>| reaches.iter().map(figures).collect();
        self.reaches.iter().map(of_trial).collect()
    }

    /// The trials that go on.
    fn left(&self) -> Vec<usize> {
        let goes_on = |&trial: &usize| {
            let reaches = &self.reaches[trial];
            let is_over = |reach: &Option<Reach>| reach.is_some_and(|reach| reach.is_over);
            !self.halved[trial] && !self.has_diverged(trial) && !reaches.iter().all(is_over)
        };
        (0..self.reaches.len()).filter(goes_on).collect()
    }

    fn has_diverged(&self, trial: usize) -> bool {
        let mut reaches = self.reaches[trial].iter().flatten();
        reaches.any(Reach::has_diverged)
    }

    /// Ends all trials but the best `kept`.
    fn halve(&mut self, kept: usize, objective: Objective) {
        let left = self.left();
        for (trial, _) in ranking(&self.figures(), objective).into_iter().skip(kept) {
            self.halved[trial] |= left.contains(&trial);
        }
    }

    fn finish(self) -> Round<Made> {
        let (mut trials, mut made) = (Vec::new(), Vec::new());
        for trial in 0..self.reaches.len() {
            let reaches: Vec<Reach> = self.reaches[trial].iter().flatten().copied().collect();
            let ends: Vec<Ended> = reaches.iter().map(|reach| reach.ended).collect();
            let status = Status::of(self.has_diverged(trial), self.halved[trial]);
            trials.push(Finished::new(self.company, trial, status, &ends));
            let place = self.place(trial, 0);
            let ending = match status {
                Status::Halved => Ending::Halved,
                _ => reaches[0].ending,
            };
            made.push(Some(Made { place, ending }));
        }
        Round {
            trials,
            made,
            interrupted: None,
        }
    }
}
