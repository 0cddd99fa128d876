//! What a sweep is to do.

mod heads;
mod tails;

use std::path::PathBuf;

use common::{exit::Exit, head::TaskKind};

pub(crate) use heads::{HeadTrials, Refit};
pub(crate) use tails::TailTrials;

use super::{Existing, Reporting, check, existing, memory, reporting};
use crate::{
    cli::{SearchArgs, SweepArgs},
    failure::Failure,
    features::Allowance,
    sweep::{Objective, Search, Trained},
};

/// Share of a round's trials that goes on at each rung.
pub(crate) const DEFAULT_SURVIVORS: f64 = 0.5;

/// Most trials, seeds and folds; beyond them a typing error is likelier.
const MOST: (usize, u32, usize) = (1_000_000, 1000, 1000);

#[derive(Debug)]
pub(crate) struct SweepPlan {
    pub(crate) out: PathBuf,
    /// `Refuse`: a sweep that is there goes on.
    pub(crate) existing: Existing,
    pub(crate) search: Search,
    pub(crate) trials: usize,
    /// `None`: the default space.
    pub(crate) space: Option<PathBuf>,
    pub(crate) objective: Objective,
    /// Trials a round.
    pub(crate) round: usize,
    pub(crate) survivors: f64,
    pub(crate) seeds: u32,
    /// The first of the seeds.
    pub(crate) seed: u64,
    pub(crate) subject: SubjectPlan,
    pub(crate) memory: Allowance,
    pub(crate) report: Reporting,
}

/// What trials train, and what the space does not say of it.
#[derive(Debug)]
pub(crate) enum SubjectPlan {
    Heads(Box<HeadTrials>),
    Tails(Box<TailTrials>),
}

impl SubjectPlan {
    /// Which of both.
    pub(crate) fn trained(&self) -> Trained {
        match self {
            Self::Heads(_) => Trained::Heads,
            Self::Tails(_) => Trained::Tails,
        }
    }
}

/// What `args` ask to be trained.
pub(super) fn trained(args: &SweepArgs) -> Trained {
    if args.tuning.unfreeze.is_empty() {
        Trained::Heads
    } else {
        Trained::Tails
    }
}

pub(super) fn plan(args: SweepArgs) -> Result<SweepPlan, Failure> {
    let trained = trained(&args);
    let (trials, round) = match trained {
        Trained::Heads => (heads::DEFAULT_TRIALS, heads::DEFAULT_ROUND),
        Trained::Tails => (tails::DEFAULT_TRIALS, tails::DEFAULT_ROUND),
    };
    let search = &args.search;
    let (trials, round) = (
        search.trials.unwrap_or(trials),
        search.round.unwrap_or(round),
    );
    check_search(search, trials, round)?;
    let (subject, task) = match trained {
        Trained::Heads => {
            let subject = heads::plan(&args)?;
            let task = subject.base.loss.task();
            (SubjectPlan::Heads(Box::new(subject)), task)
        }
        Trained::Tails => {
            let subject = tails::plan(&args)?;
            (SubjectPlan::Tails(Box::new(subject)), TaskKind::SingleLabel)
        }
    };
    Ok(SweepPlan {
        subject,
        out: args.out.unwrap_or_default(),
        existing: existing(args.overwrite),
        search: search.search,
        trials,
        objective: objective(search.objective, task)?,
        round,
        survivors: search.survivors,
        seeds: search.seeds,
        seed: args.training.seed,
        space: args.search.space,
        memory: memory::allowance(args.memory),
        report: reporting(args.report),
    })
}

fn check_search(search: &SearchArgs, trials: usize, round: usize) -> Result<(), Failure> {
    let (most, seeds, folds) = MOST;
    check(
        "--trials",
        trials,
        (1..=most).contains(&trials),
        "1 to 1000000",
    )?;
    check(
        "--round",
        round,
        (1..=most).contains(&round),
        "1 to 1000000",
    )?;
    check(
        "--seeds",
        search.seeds,
        (1..=seeds).contains(&search.seeds),
        "1 to 1000",
    )?;
    check(
        "--folds",
        search.folds,
        search.folds != 1 && search.folds <= folds,
        "0, or 2 to 1000",
    )?;
    let survivors = search.survivors;
    check(
        "--survivors",
        survivors,
        survivors > 0.0 && survivors <= 1.0,
        "above 0, at most 1",
    )
}

fn repeated<T: PartialEq + std::fmt::Display>(
    option: &str,
    values: impl Iterator<Item = T>,
) -> Result<(), Failure> {
    let values: Vec<T> = values.collect();
    match (1..values.len()).find(|&index| values[..index].contains(&values[index])) {
        Some(index) => {
            let message = format!("{option}: `{}` given twice", values[index]);
            Err(Failure::new(Exit::Usage, message))
        }
        None => Ok(()),
    }
}

/// What trials are compared by.
fn objective(asked: Option<Objective>, task: TaskKind) -> Result<Objective, Failure> {
    match (asked, task) {
        (Some(Objective::Accuracy), TaskKind::Regression) => Err(Failure::new(
            Exit::Usage,
            "--objective: regression has no accuracy (use loss)",
        )),
        (Some(objective), _) => Ok(objective),
        (None, TaskKind::SingleLabel) => Ok(Objective::Accuracy),
        (None, TaskKind::MultiLabel | TaskKind::Regression) => Ok(Objective::Loss),
    }
}
