//! Trials that train heads on features.
//!
//! Those of a round are trained together: with steps in stacks, epoch by epoch (`round`), others on paths
//! (`paths`). A point of the space is a `candidate`, its features come from a `source`.

mod candidate;
mod paths;
mod refit;
mod replicates;
mod round;
pub(crate) mod source;
pub(crate) mod useful;
mod winner;

use common::{exit::Exit, interrupt::Interrupt};
use serde_json::{Value, json};

pub(crate) use self::refit::is_refitted;
use self::{
    candidate::Candidate,
    round::{Ground, Made},
    source::Source,
    winner::Winner,
};
use super::{
    record::SourceRecord,
    space::{Point, Space},
    subject::{Again, Company, Replicate, Round, Subject, Watch},
    trial::Finished,
};
use crate::{
    failure::Failure,
    plan::{HeadTrials, Refit, SweepPlan},
};

/// What the heads of a sweep are trained on.
pub(super) struct Heads<'a> {
    plan: &'a SweepPlan,
    own: &'a HeadTrials,
    space: &'a Space,
    sources: Vec<Source>,
    replicates: Vec<Replicate>,
}

impl<'a> Heads<'a> {
    /// Reads what the trials of `own` are trained on.
    pub(super) fn open(
        plan: &'a SweepPlan,
        own: &'a HeadTrials,
        space: &'a Space,
        stop: &Interrupt,
    ) -> Result<Self, Failure> {
        let sources = source::open(own, plan.memory, stop)?;
        Ok(Self {
            replicates: replicates::replicates(plan, own, &sources[0])?,
            plan,
            own,
            space,
            sources,
        })
    }

    fn candidate(&self, point: &Point) -> Candidate {
        Candidate::new(self.space, self.own, point)
    }

    fn winner<'b>(&'b self, candidate: &'b Candidate) -> Winner<'b> {
        Winner {
            candidate,
            source: &self.sources[candidate.source],
            replicate: &self.replicates[0],
        }
    }

    fn ground(&self) -> Ground<'_> {
        Ground {
            datasets: self.sources.iter().map(|source| &source.dataset).collect(),
            classes: self.sources[0].dataset.names.len(),
            replicates: &self.replicates,
            objective: self.plan.objective,
            survivors: self.plan.survivors,
            epochs: self.own.base.epochs,
        }
    }

    /// The trials without which `best` would not become what it was in its round, itself
    /// among them, and its place there: alone but for those on its path over C.
    fn company(&self, best: &Finished, trials: &[Finished]) -> (Vec<Point>, usize) {
        let own = self.candidate(&best.point);
        let mut points: Vec<Point> = Vec::new();
        let mut place = 0;
        for trial in trials.iter().filter(|trial| trial.round == best.round) {
            if trial.trial == best.trial {
                place = points.len();
            } else if !own.shares_path(&self.candidate(&trial.point)) {
                continue;
            }
            points.push(trial.point.clone());
        }
        (points, place)
    }
}

impl Subject for Heads<'_> {
    type Made = Made;

    fn epochs(&self) -> u32 {
        self.own.base.epochs
    }

    fn replicates(&self) -> &[Replicate] {
        &self.replicates
    }

    fn record(&self) -> Result<(Vec<SourceRecord>, Value), Failure> {
        let mut settings = json!({
            "folds": self.own.folds,
            "tolerance": self.own.tolerance,
            "base": self.own.base,
        });
        if let Some(labels) = &self.sources[0].dataset.label_record {
            settings["labels"] = json!(labels);
        }
        Ok((self.sources.iter().map(Source::record).collect(), settings))
    }

    fn notes(&self) -> Vec<String> {
        Vec::new()
    }

    fn remedy(&self) -> &'static str {
        "lower the learning rates, or normalise"
    }

    fn train(&self, company: &Company, watch: Watch) -> Result<Round<Made>, Failure> {
        let points = company.points.iter();
        let candidates: Vec<Candidate> = points.map(|point| self.candidate(point)).collect();
        round::run(&self.ground(), &candidates, company, watch)
    }

    fn again(
        &self,
        best: &Finished,
        trials: &[Finished],
        watch: Watch,
    ) -> Result<Again<Made>, Failure> {
        let (points, place) = self.company(best, trials);
        let company = Company {
            round: best.round,
            first: best.trial,
            points,
        };
        let mut done = self.train(&company, watch)?;
        Ok(match (done.interrupted, done.made.swap_remove(place)) {
            (Some(exit), _) => Again::Interrupted(exit),
            (None, Some(made)) => Again::Made(made),
            (None, None) => Again::Lost,
        })
    }

    fn is_saved(&self, point: &Point) -> Result<bool, Failure> {
        let candidate = self.candidate(point);
        self.winner(&candidate).is_saved(&self.plan.out)
    }

    fn save(&self, point: &Point, made: &Made) -> Result<(), Failure> {
        let candidate = self.candidate(point);
        self.winner(&candidate).save(&self.plan.out, made)
    }

    fn tidy(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn conclude(&self, best: &Finished, stop: &Interrupt) -> Result<Option<Exit>, Failure> {
        match self.own.refit {
            Refit::No => Ok(None),
            Refit::TrainAndValidation => {
                let candidate = self.candidate(&best.point);
                let winner = self.winner(&candidate);
                refit::refit(&winner, &self.plan.out, (best.best_epoch, stop))
            }
        }
    }
}
