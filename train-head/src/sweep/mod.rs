//! `train-head sweep`: many trials, the best of them as a run.
//!
//! ```text
//!   space ──search──► points of a round ──round──► trials ──► trials.parquet
//!     ▲                                              │
//!     └──────────── what did well so far ◄───────────┴──► best/, a run like any other
//! ```
//!
//! Rounds are the unit of progress: one that was interrupted is run again, with the same
//! points. All that is random comes from the seed, so a sweep that was stopped ends as if it
//! had not been.

mod candidate;
mod edges;
mod file;
mod name;
mod paths;
mod progress;
mod record;
mod refit;
mod replicates;
mod report;
mod round;
mod search;
mod source;
mod space;
mod table;
mod tpe;
mod trial;
mod useful;
mod winner;

use std::time::Instant;

use common::{exit::Exit, interrupt::Interrupt, output, progress::warn};

use file::DEFAULT_SPACE;
pub(crate) use search::Search;
pub(crate) use trial::Objective;

use self::{
    candidate::Candidate,
    progress::Progress,
    record::{FORMAT_VERSION, SweepRecord},
    round::{Ground, Replicate, Round},
    search::Chooser,
    source::Source,
    space::{Point, Space},
    trial::{Finished, ranked},
    winner::Winner,
};
use crate::{
    failure::{Failure, OrExit},
    folder::claim,
    plan::{Existing, Refit, SweepPlan},
};

/// Everything that a sweep's rounds have in common.
struct Sweep<'a> {
    plan: &'a SweepPlan,
    space: Space,
    sources: &'a [Source],
    replicates: &'a [Replicate],
    /// How many trials there will be.
    total: usize,
}

/// Runs the sweep, or what is left of it.
pub(crate) fn run(plan: &SweepPlan) -> Result<Exit, Failure> {
    let start = Instant::now();
    let stop = Interrupt::listen().or_exit(Exit::Failure)?;
    let mut space = match &plan.space {
        Some(path) => {
            let space = file::read(path)?;
            useful::check(&space, &plan.base, path).map(|()| space)?
        }
        None => {
            let space = file::parse(DEFAULT_SPACE);
            let space = space.map_err(|problem| Failure::new(Exit::Failure, problem))?;
            useful::fitted(space, &plan.base)
        }
    };
    space.0.extend(source::dimensions(plan));
    let total = total_trials(plan, &space)?;
    let sources = source::open(plan, &stop)?;
    let replicates = replicates::replicates(plan, &sources[0])?;
    let _claim = claim(&plan.out, "sweep")?;
    if plan.existing == Existing::Replace {
        record::forget(&plan.out)?;
    }
    sweep_record(plan, &space, &sources)?.claim(&plan.out)?;
    let sweep = Sweep {
        plan,
        space,
        sources: &sources,
        replicates: &replicates,
        total,
    };
    let size = (total, plan.base.epochs);
    let mut progress = Progress::new(size, plan.objective, plan.report.verbosity);
    progress.begin(&sweep);
    let mut trials = table::read(&plan.out, &sweep.space).or_exit(Exit::Input)?;
    let stopped = sweep.run_rounds(&mut trials, (&mut progress, &stop));
    progress.finish();
    if let Some(exit) = stopped? {
        let message = format!(
            "stopped by a signal: {} of {total} trials are over and kept in `{}` (go on with the same command)",
            trials.len(),
            plan.out.display()
        );
        warn(&message);
        return Ok(exit);
    }
    let Some(best) = ranked(&trials, plan.objective)
        .into_iter()
        .find(|trial| trial.has_result())
    else {
        let message = format!(
            "sweep `{}`: the loss became NaN or infinite in all {} trials (lower the learning rates, or normalise)",
            plan.out.display(),
            trials.len()
        );
        return Err(Failure::new(Exit::Failure, message));
    };
    if let Some(exit) = sweep.complete((best, &trials), (&mut progress, &stop))? {
        return Ok(exit);
    }
    report::print(&sweep, &trials, best, start.elapsed())?;
    Ok(Exit::Success)
}

/// Prints the default space.
pub(crate) fn print_space() -> Result<Exit, Failure> {
    output::print(|output| output.write_all(DEFAULT_SPACE.as_bytes())).map_err(Failure::of)?;
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

fn sweep_record(
    plan: &SweepPlan,
    space: &Space,
    sources: &[Source],
) -> Result<SweepRecord, Failure> {
    let mut settings = serde_json::json!({
        "space": space,
        "search": plan.search,
        "round": plan.round,
        "objective": plan.objective,
        "survivors": plan.survivors,
        "seeds": plan.seeds,
        "folds": plan.folds,
        "tolerance": plan.tolerance,
        "base": plan.base,
    });
    if let Some(labels) = &sources[0].dataset.label_record {
        settings["labels"] = serde_json::json!(labels);
    }
    Ok(SweepRecord {
        format_version: FORMAT_VERSION,
        sources: sources.iter().map(Source::record).collect(),
        settings: serde_json::from_value(settings).or_exit(Exit::Failure)?,
    })
}

impl Sweep<'_> {
    /// Runs the rounds that are left; the exit code of a signal, if one came.
    fn run_rounds(
        &self,
        trials: &mut Vec<Finished>,
        (progress, stop): (&mut Progress, &Interrupt),
    ) -> Result<Option<Exit>, Failure> {
        let chooser = Chooser {
            space: &self.space,
            search: self.plan.search,
            seed: self.plan.base.seed,
        };
        while trials.len() < self.total {
            let round = trials.last().map_or(0, |trial| trial.round + 1);
            let count = self.plan.round.min(self.total - trials.len());
            let ranking = ranked(trials, self.plan.objective);
            let points: Vec<&Point> = ranking.iter().map(|trial| &trial.point).collect();
            let candidates: Vec<Candidate> = chooser
                .round(round, count, &points)
                .into_iter()
                .map(|point| Candidate::new(&self.space, self.plan, point))
                .collect();
            let best = ranking
                .first()
                .filter(|trial| trial.has_result())
                .map(|trial| trial.figures);
            progress.round(&self.space, &candidates, (trials.len(), self.total));
            let ground = self.ground();
            let first = trials.len() as u32;
            let done = round::run(&ground, &candidates, (round, first), (progress, stop))?;
            self.keep_winner(&done, &candidates, best)?;
            if let Some(exit) = done.interrupted {
                return Ok(Some(exit));
            }
            trials.extend(done.trials);
            table::write(&self.plan.out, &self.space, trials).or_exit(Exit::Failure)?;
            progress.best(&self.space, ranked(trials, self.plan.objective)[0]);
        }
        Ok(None)
    }

    fn ground(&self) -> Ground<'_> {
        Ground {
            datasets: self.sources.iter().map(|source| &source.dataset).collect(),
            classes: self.sources[0].dataset.names.len(),
            replicates: self.replicates,
            objective: self.plan.objective,
            survivors: self.plan.survivors,
            epochs: self.plan.base.epochs,
        }
    }

    /// Saves the best head of a round where it beats `best`, those of the rounds before.
    fn keep_winner(
        &self,
        done: &Round,
        candidates: &[Candidate],
        best: Option<trial::Figures>,
    ) -> Result<(), Failure> {
        let ranking = ranked(&done.trials, self.plan.objective);
        let Some(first) = ranking.into_iter().find(|trial| trial.has_result()) else {
            return Ok(());
        };
        let better =
            best.is_none_or(|best| first.figures.compare(&best, self.plan.objective).is_lt());
        if !better {
            return Ok(());
        }
        let index = (first.trial - done.trials[0].trial) as usize;
        let winner = Winner {
            candidate: &candidates[index],
            source: &self.sources[candidates[index].source],
            replicate: &self.replicates[0],
        };
        match &done.heads[index] {
            Some(made) => winner.save(&self.plan.out, made),
            None => Ok(()),
        }
    }

    /// Makes sure that the winner is there, and refits it where that is asked for.
    fn complete(
        &self,
        (best, trials): (&Finished, &[Finished]),
        (progress, stop): (&mut Progress, &Interrupt),
    ) -> Result<Option<Exit>, Failure> {
        let candidate = Candidate::new(&self.space, self.plan, best.point.clone());
        let winner = Winner {
            candidate: &candidate,
            source: &self.sources[candidate.source],
            replicate: &self.replicates[0],
        };
        if !winner.is_saved(&self.plan.out)? {
            let (company, place) = self.company(best, trials);
            let round = (best.round, best.trial);
            let done = round::run(&self.ground(), &company, round, (progress, stop))?;
            if let Some(exit) = done.interrupted {
                return Ok(Some(exit));
            }
            if let Some(made) = &done.heads[place] {
                winner.save(&self.plan.out, made)?;
            }
        }
        match self.plan.refit {
            Refit::No => Ok(None),
            Refit::TrainAndValidation => {
                refit::refit(&winner, &self.plan.out, (best.best_epoch, stop))
            }
        }
    }

    /// The trials without which `best` would not become what it was in its round, itself
    /// among them, and its place there: alone but for those on its path over C.
    fn company(&self, best: &Finished, trials: &[Finished]) -> (Vec<Candidate>, usize) {
        let new = |trial: &Finished| Candidate::new(&self.space, self.plan, trial.point.clone());
        let own = new(best);
        let mut company: Vec<Candidate> = Vec::new();
        let mut place = 0;
        for trial in trials.iter().filter(|trial| trial.round == best.round) {
            let other = new(trial);
            if trial.trial == best.trial {
                place = company.len();
            } else if !own.shares_path(&other) {
                continue;
            }
            company.push(other);
        }
        (company, place)
    }
}
