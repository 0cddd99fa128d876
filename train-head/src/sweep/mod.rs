//! `train-head sweep`: many trials, the best of them as a run.
//!
//! ```text
//!   space ──search──► points of a round ──round──► trials ──► trials.parquet
//!     ▲                                              │
//!     └──────────── what did well so far ◄───────────┴──► best/, a run like any other
//! ```
//!
//! What trials train is a `subject`: `heads` on features, or `tails`, fine-tunings. Everything else is the
//! same for both.
//!
//! Rounds are the unit of progress: one that was interrupted is run again, with the same
//! points. All that is random comes from the seed, so a sweep that was stopped ends as if it
//! had not been.

mod best;
mod edges;
mod file;
mod heads;
mod name;
mod progress;
mod record;
mod report;
mod rungs;
mod search;
mod space;
mod subject;
mod table;
mod tails;
mod tpe;
mod trained;
mod trial;

use std::time::Instant;

use common::{exit::Exit, interrupt::Interrupt, output, progress::warn};

pub(crate) use search::Search;
pub(crate) use trained::Trained;
pub(crate) use trial::Objective;

use self::{
    heads::{Heads, source, useful},
    progress::Progress,
    record::{FORMAT_VERSION, SweepRecord},
    search::Chooser,
    space::{Point, Space},
    subject::{Again, Company, Round, Subject},
    tails::Tails,
    trial::{Figures, Finished, ranked},
};
use crate::{
    failure::{Failure, OrExit},
    folder::claim,
    plan::{Existing, SubjectPlan, SweepPlan},
};

/// A sweep of trials that train `S`.
struct Sweep<'a, S> {
    plan: &'a SweepPlan,
    space: &'a Space,
    subject: S,
    /// How many trials there will be.
    total: usize,
}

/// Runs the sweep, or what is left of it.
pub(crate) fn run(plan: &SweepPlan) -> Result<Exit, Failure> {
    let stop = Interrupt::listen().or_exit(Exit::Failure)?;
    let space = &space(plan)?;
    let total = total_trials(plan, space)?;
    match &plan.subject {
        SubjectPlan::Heads(own) => Sweep {
            subject: Heads::open(plan, own, space, &stop)?,
            plan,
            space,
            total,
        }
        .run(&stop),
        SubjectPlan::Tails(own) => Sweep {
            subject: Tails::open(plan, own, space, &stop)?,
            plan,
            space,
            total,
        }
        .run(&stop),
    }
}

/// What is searched, the choices of the command line last.
fn space(plan: &SweepPlan) -> Result<Space, Failure> {
    let trained = plan.subject.trained();
    let mut space = match &plan.space {
        Some(path) => file::read(path, trained)?,
        None => file::parse(trained.default_space(), trained)
            .map_err(|problem| Failure::new(Exit::Failure, problem))?,
    };
    match &plan.subject {
        SubjectPlan::Heads(own) => {
            match &plan.space {
                Some(path) => useful::check(&space, &own.base, path)?,
                None => space = useful::fitted(space, &own.base),
            }
            space.0.extend(source::dimensions(own));
        }
        SubjectPlan::Tails(own) => {
            if let Some(path) = &plan.space {
                tails::check(&space, own, path)?;
            }
            space.0.push(tails::dimension(own));
        }
    }
    Ok(space)
}

/// Prints the default space of trials that train `trained`.
pub(crate) fn print_space(trained: Trained) -> Result<Exit, Failure> {
    let text = trained.default_space().as_bytes();
    output::print(|output| output.write_all(text)).map_err(Failure::of)?;
    Ok(Exit::Success)
}

/// How many trials there will be.
fn total_trials(plan: &SweepPlan, space: &Space) -> Result<usize, Failure> {
    if plan.search != Search::Grid {
        return Ok(plan.trials);
    }
    let points = space.grid_size();
    if points > plan.trials {
        let message = format!(
            "--search grid: the space has {points} combinations, more than --trials {} (allow them, or take values and `points` out of the space)",
            plan.trials
        );
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(points)
}

impl<S: Subject> Sweep<'_, S> {
    fn run(&self, stop: &Interrupt) -> Result<Exit, Failure> {
        let start = Instant::now();
        let (plan, total) = (self.plan, self.total);
        let _claim = claim(&plan.out, "sweep")?;
        if plan.existing == Existing::Replace {
            record::forget(&plan.out)?;
        }
        self.record()?.claim(&plan.out)?;
        let size = (total, self.subject.epochs());
        let mut progress = Progress::new(size, plan.objective, plan.report.verbosity);
        progress.begin(self);
        let mut trials = table::read(&plan.out, self.space).or_exit(Exit::Input)?;
        let stopped = self.run_rounds(&mut trials, (&mut progress, stop));
        progress.finish();
        if let Some(exit) = stopped? {
            let message = format!(
                "stopped by a signal: {} of {total} trials are over and kept in `{}` (go on with the same command{})",
                trials.len(),
                plan.out.display(),
                plan.existing.proviso()
            );
            warn(&message);
            return Ok(exit);
        }
        let Some(best) = ranked(&trials, plan.objective)
            .into_iter()
            .find(|trial| trial.has_result())
        else {
            let message = format!(
                "sweep `{}`: the loss became NaN or infinite in all {} trials ({})",
                plan.out.display(),
                trials.len(),
                self.subject.remedy()
            );
            return Err(Failure::new(Exit::Failure, message));
        };
        if let Some(exit) = self.complete((best, &trials), (&mut progress, stop))? {
            return Ok(exit);
        }
        report::print(self, &trials, best, start.elapsed())?;
        Ok(Exit::Success)
    }

    fn record(&self) -> Result<SweepRecord, Failure> {
        let plan = self.plan;
        let (sources, own) = self.subject.record()?;
        let mut settings = serde_json::json!({
            "space": self.space,
            "search": plan.search,
            "round": plan.round,
            "objective": plan.objective,
            "survivors": plan.survivors,
            "seeds": plan.seeds,
        });
        if let (Some(settings), Some(own)) = (settings.as_object_mut(), own.as_object()) {
            settings.extend(own.clone());
        }
        Ok(SweepRecord {
            format_version: FORMAT_VERSION,
            sources,
            settings: serde_json::from_value(settings).or_exit(Exit::Failure)?,
        })
    }

    /// Runs the rounds that are left; the exit code of a signal, if one came.
    fn run_rounds(
        &self,
        trials: &mut Vec<Finished>,
        (progress, stop): (&mut Progress, &Interrupt),
    ) -> Result<Option<Exit>, Failure> {
        let objective = self.plan.objective;
        let chooser = Chooser {
            space: self.space,
            search: self.plan.search,
            seed: self.plan.seed,
        };
        while trials.len() < self.total {
            let round = trials.last().map_or(0, |trial| trial.round + 1);
            let count = self.plan.round.min(self.total - trials.len());
            let ranking = ranked(trials, objective);
            let points: Vec<&Point> = ranking.iter().map(|trial| &trial.point).collect();
            let company = Company {
                round,
                first: trials.len() as u32,
                points: chooser.round(round, count, &points),
            };
            let best = ranking.first().filter(|trial| trial.has_result());
            let best = best.map(|trial| trial.figures);
            progress.round(self.space, &company.points, (trials.len(), self.total));
            let done = self.subject.train(&company, (progress, stop))?;
            self.keep_winner(&done, best)?;
            if let Some(exit) = done.interrupted {
                return Ok(Some(exit));
            }
            trials.extend(done.trials);
            table::write(&self.plan.out, self.space, trials).or_exit(Exit::Failure)?;
            self.subject.tidy()?;
            progress.best(self.space, ranked(trials, objective)[0]);
        }
        Ok(None)
    }

    /// Saves the best trial of a round where it beats `best`, those of the rounds before.
    fn keep_winner(&self, done: &Round<S::Made>, best: Option<Figures>) -> Result<(), Failure> {
        let objective = self.plan.objective;
        let ranking = ranked(&done.trials, objective);
        let Some(first) = ranking.into_iter().find(|trial| trial.has_result()) else {
            return Ok(());
        };
        if best.is_some_and(|best| first.figures.compare(&best, objective).is_ge()) {
            return Ok(());
        }
        let index = (first.trial - done.trials[0].trial) as usize;
        match &done.made[index] {
            Some(made) => self.subject.save(&first.point, made),
            None => Ok(()),
        }
    }

    /// Makes sure that the winner is there, and does what is asked for beside.
    fn complete(
        &self,
        (best, trials): (&Finished, &[Finished]),
        (progress, stop): (&mut Progress, &Interrupt),
    ) -> Result<Option<Exit>, Failure> {
        if !self.subject.is_saved(&best.point)? {
            match self.subject.again(best, trials, (progress, stop))? {
                Again::Interrupted(exit) => return Ok(Some(exit)),
                Again::Made(made) => self.subject.save(&best.point, &made)?,
                Again::Lost => {}
            }
        }
        self.subject.tidy()?;
        self.subject.conclude(best, stop)
    }
}
