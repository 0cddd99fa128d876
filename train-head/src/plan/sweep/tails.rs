//! Trials that fine-tune.

use std::path::PathBuf;

use common::{
    embed::WeightSource,
    engine::device::{DeviceChoice, Precision},
    tail::NormMode,
};

use super::{
    super::finetune::{
        DEFAULT_FINE_EPOCHS, DEFAULT_FINE_PATIENCE, DEFAULT_FINE_WARMUP, FineSettings,
        freeze_epochs, recorded_precision,
    },
    repeated,
};
use crate::{
    cli::{SweepArgs, SweepTrainingArgs, TuningArgs},
    failure::Failure,
    schedule::Decay,
};

/// Trials of a sweep. Fewer than of heads: each takes the time of hundreds of those.
pub(super) const DEFAULT_TRIALS: usize = 24;

/// Trials of a round: enough for the worse ones to be told, few enough for three rounds.
pub(super) const DEFAULT_ROUND: usize = 8;

/// Trials that train a part of the backbone with a head, on cached activations.
#[derive(Debug)]
pub(crate) struct TailTrials {
    pub(crate) cache: PathBuf,
    /// Patterns of what trains: at least one list; several are searched.
    pub(crate) degrees: Vec<Vec<String>>,
    /// Weights of the backbone; `None`: the embedded ones.
    pub(crate) weights: Option<WeightSource>,
    /// A run whose head is begun with.
    pub(crate) init: Option<PathBuf>,
    pub(crate) device: DeviceChoice,
    /// Arithmetic of convolutions.
    pub(crate) precision: Precision,
    /// First epochs of the head alone; `None`: as `finetune` has them.
    pub(crate) freeze_epochs: Option<u32>,
    /// What the space and the degrees do not say, with the most epochs of the head alone that a trial has.
    pub(crate) base: FineSettings,
}

pub(super) fn plan(args: &SweepArgs) -> Result<TailTrials, Failure> {
    let tuning = &args.tuning;
    repeated("--unfreeze", tuning.unfreeze.iter())?;
    let patterns = |degree: &String| degree.split(',').map(str::to_owned).collect();
    Ok(TailTrials {
        cache: args.cache.clone().unwrap_or_default(),
        degrees: tuning.unfreeze.iter().map(patterns).collect(),
        weights: tuning.weights.clone(),
        init: tuning.init.clone(),
        device: tuning.device,
        precision: tuning.precision,
        freeze_epochs: tuning.freeze_epochs,
        base: base(tuning, &args.training)?,
    })
}

fn base(tuning: &TuningArgs, args: &SweepTrainingArgs) -> Result<FineSettings, Failure> {
    let epochs = args.epochs.unwrap_or(DEFAULT_FINE_EPOCHS);
    let patience = args.patience.unwrap_or(DEFAULT_FINE_PATIENCE);
    let frozen = freeze_epochs(tuning.init.as_ref(), NormMode::Frozen, epochs);
    let settings = FineSettings {
        warm_head: tuning.init.is_some(),
        freeze_epochs: tuning.freeze_epochs.unwrap_or(frozen),
        epochs,
        patience: (patience > 0).then_some(patience),
        schedule: args.schedule.unwrap_or(Decay::Cosine),
        warmup_epochs: args.warmup_epochs.unwrap_or(DEFAULT_FINE_WARMUP),
        class_weights: args.class_weights.into(),
        val_fraction: args.val_fraction,
        seed: args.seed,
        precision: recorded_precision(tuning.precision),
        ..FineSettings::default()
    };
    settings.check().map(|()| settings)
}
