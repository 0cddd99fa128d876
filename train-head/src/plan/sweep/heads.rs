//! Trials that train heads.

use std::path::PathBuf;

use common::head::Loss;

use super::{
    super::{DEFAULT_PATIENCE, Settings, convex::positive, task},
    repeated,
};
use crate::{
    cli::{SweepArgs, SweepTrainingArgs},
    failure::Failure,
    labels::LabelTable,
};

/// Trials of a sweep.
pub(super) const DEFAULT_TRIALS: usize = 64;

/// Passes of a trial over the training rows at most. Fewer than a single head's: most trials
/// are there to be beaten, and the report says when the winner could have used more.
const DEFAULT_SWEEP_EPOCHS: u32 = 30;

/// Trials of a round: enough to fill a stack, few enough for the next round to learn from.
pub(super) const DEFAULT_ROUND: usize = 16;

/// Trials that train heads on features.
#[derive(Debug)]
pub(crate) struct HeadTrials {
    /// At least one; several are searched.
    pub(crate) caches: Vec<PathBuf>,
    /// None: the obvious one; several are searched.
    pub(crate) layers: Vec<String>,
    /// `None`: the labels of the caches.
    pub(crate) labels: Option<LabelTable>,
    /// 0 or 1: the validation split.
    pub(crate) folds: usize,
    pub(crate) refit: Refit,
    /// Of lbfgs.
    pub(crate) tolerance: f64,
    /// What the space does not say.
    pub(crate) base: Settings,
}

/// What happens to the winner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refit {
    No,
    TrainAndValidation,
}

pub(super) fn plan(args: &SweepArgs) -> Result<HeadTrials, Failure> {
    let caches = args.cache.iter().chain(&args.caches).cloned();
    let caches: Vec<PathBuf> = caches.collect();
    repeated(
        "--cache",
        caches.iter().map(|cache| cache.to_string_lossy()),
    )?;
    repeated("--layer", args.layers.iter())?;
    let (loss, labels) = task::task(args.task.clone())?;
    Ok(HeadTrials {
        caches,
        layers: args.layers.clone(),
        labels,
        folds: args.search.folds,
        refit: if args.search.refit {
            Refit::TrainAndValidation
        } else {
            Refit::No
        },
        tolerance: positive("--tolerance", args.training.tolerance)?,
        base: base(loss, &args.training)?,
    })
}

fn base(loss: Loss, args: &SweepTrainingArgs) -> Result<Settings, Failure> {
    let settings = Settings {
        epochs: args.epochs.unwrap_or(DEFAULT_SWEEP_EPOCHS),
        patience: Some(args.patience.unwrap_or(DEFAULT_PATIENCE)).filter(|epochs| *epochs > 0),
        schedule: args.schedule.unwrap_or_default(),
        warmup_epochs: args.warmup_epochs.unwrap_or(0),
        class_weights: args.class_weights.into(),
        sampling: args.sampling,
        val_fraction: args.val_fraction,
        seed: args.seed,
        loss,
        ..Settings::default()
    };
    settings.check().map(|()| settings)
}
