//! What a sweep is to do.

use std::path::PathBuf;

use common::{
    exit::Exit,
    head::{Loss, TaskKind},
};

use super::{
    Existing, Reporting, Settings, check, convex::positive, existing, memory, reporting, task,
};
use crate::{
    cli::{SearchArgs, SweepArgs, SweepTrainingArgs},
    failure::Failure,
    features::Allowance,
    labels::LabelTable,
    sweep::{Objective, Search},
};

/// Trials of a sweep.
pub(crate) const DEFAULT_TRIALS: usize = 64;

/// Passes of a trial over the training rows at most. Fewer than a single head's: most trials
/// are there to be beaten, and the report says when the winner could have used more.
pub(crate) const DEFAULT_SWEEP_EPOCHS: u32 = 30;

/// Trials of a round: enough to fill a stack, few enough for the next round to learn from.
pub(crate) const DEFAULT_ROUND: usize = 16;

/// Share of a round's trials that goes on at each rung.
pub(crate) const DEFAULT_SURVIVORS: f64 = 0.5;

/// Most trials, seeds and folds; beyond them a typing error is likelier.
const MOST: (usize, u32, usize) = (1_000_000, 1000, 1000);

#[derive(Debug)]
pub(crate) struct SweepPlan {
    /// At least one; several are searched.
    pub(crate) caches: Vec<PathBuf>,
    /// None: the obvious one; several are searched.
    pub(crate) layers: Vec<String>,
    /// `None`: the labels of the caches.
    pub(crate) labels: Option<LabelTable>,
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
    /// 0 or 1: the validation split.
    pub(crate) folds: usize,
    pub(crate) refit: Refit,
    /// Of lbfgs.
    pub(crate) tolerance: f64,
    /// What the space does not say.
    pub(crate) base: Settings,
    pub(crate) memory: Allowance,
    pub(crate) report: Reporting,
}

/// What happens to the winner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refit {
    No,
    TrainAndValidation,
}

pub(super) fn plan(args: SweepArgs) -> Result<SweepPlan, Failure> {
    let search = args.search;
    check_search(&search)?;
    let caches: Vec<PathBuf> = args.cache.into_iter().chain(args.caches).collect();
    repeated(
        "--cache",
        caches.iter().map(|cache| cache.to_string_lossy()),
    )?;
    repeated("--layer", args.layers.iter())?;
    let (loss, labels) = task::task(args.task)?;
    Ok(SweepPlan {
        caches,
        layers: args.layers,
        labels,
        out: args.out.unwrap_or_default(),
        existing: existing(args.overwrite),
        search: search.search,
        trials: search.trials,
        space: search.space,
        objective: objective(search.objective, loss.task())?,
        round: search.round,
        survivors: search.survivors,
        seeds: search.seeds,
        folds: search.folds,
        refit: if search.refit {
            Refit::TrainAndValidation
        } else {
            Refit::No
        },
        tolerance: positive("--tolerance", args.training.tolerance)?,
        base: base(loss, &args.training)?,
        memory: memory::allowance(args.memory),
        report: reporting(args.report),
    })
}

fn check_search(search: &SearchArgs) -> Result<(), Failure> {
    let (trials, seeds, folds) = MOST;
    check(
        "--trials",
        search.trials,
        (1..=trials).contains(&search.trials),
        "1 to 1000000",
    )?;
    check(
        "--round",
        search.round,
        (1..=trials).contains(&search.round),
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

fn base(loss: Loss, args: &SweepTrainingArgs) -> Result<Settings, Failure> {
    let settings = Settings {
        epochs: args.epochs,
        patience: (args.patience > 0).then_some(args.patience),
        schedule: args.schedule,
        warmup_epochs: args.warmup_epochs,
        class_weights: args.class_weights.into(),
        sampling: args.sampling,
        val_fraction: args.val_fraction,
        seed: args.seed,
        loss,
        ..Settings::default()
    };
    settings.check().map(|()| settings)
}
