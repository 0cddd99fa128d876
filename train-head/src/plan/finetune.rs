//! What `train-head finetune` is to do.

use std::{path::PathBuf, time::Duration};

use common::{
    embed::WeightSource,
    engine::device::{DeviceChoice, Precision},
    exit::Exit,
    head::{HeadKind, stack::Method},
    image::Augment,
    tail::NormMode,
};
use serde::{Deserialize, Serialize};

use super::{
    ClassWeights, DEFAULT_SEED, DEFAULT_VAL_FRACTION, Existing, MAX_HIDDEN, Reporting, check,
    existing, memory, reporting, settings, single,
};
use crate::{
    cli::{FinetuneArgs, HeadArg, NormArg, OptimizerArg, SolverArg},
    failure::Failure,
    features::Allowance,
    schedule::Decay,
};

/// Passes over the training images at most.
pub(crate) const DEFAULT_FINE_EPOCHS: u32 = 20;

/// Epochs without a smaller validation loss before fine-tuning ends.
pub(crate) const DEFAULT_FINE_PATIENCE: u32 = 5;

/// Rows that go through the network together.
pub(crate) const DEFAULT_FINE_BATCH_SIZE: usize = 32;

/// Learning rate of the backbone with Adam and AdamW.
pub(crate) const DEFAULT_FINE_ADAM_RATE: f64 = 1e-4;

/// Learning rate of the backbone with SGD.
pub(crate) const DEFAULT_FINE_SGD_RATE: f64 = 1e-2;

/// The head's learning rate, in those of the backbone.
pub(crate) const DEFAULT_HEAD_RATE_FACTOR: f64 = 10.0;

/// Epochs in which a new head trains alone: gradients through a random one would undo what the
/// backbone has learned (Kumar et al., arXiv 2202.10054).
pub(crate) const DEFAULT_FREEZE_EPOCHS: u32 = 1;

/// Epochs of the warm-up, behind those of the head alone.
pub(crate) const DEFAULT_FINE_WARMUP: u32 = 1;

/// Least seconds between two checkpoints.
pub(crate) const DEFAULT_CHECKPOINT_SECONDS: u64 = 60;

/// What is done, on what, and where it goes.
#[derive(Debug)]
pub(crate) struct FinetunePlan {
    pub(crate) cache: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) existing: Existing,
    /// Layer to start from; `None`: the deepest that will do.
    pub(crate) layer: Option<String>,
    /// Weights of the backbone; `None`: the embedded ones.
    pub(crate) weights: Option<WeightSource>,
    /// Where the images are, if the frozen part runs on them.
    pub(crate) source: Option<PathBuf>,
    /// How images are varied, anew in every epoch.
    pub(crate) augment: Option<Augment>,
    /// A run whose head is begun with.
    pub(crate) init: Option<PathBuf>,
    pub(crate) settings: FineSettings,
    /// Least time between two checkpoints.
    pub(crate) checkpoint_interval: Duration,
    pub(crate) device: DeviceChoice,
    /// Arithmetic of convolutions.
    pub(crate) precision: Precision,
    pub(crate) memory: Allowance,
    pub(crate) report: Reporting,
}

/// Hyper-parameters of a fine-tuning; `run.json` keeps them, and a run is resumed with the
/// same alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct FineSettings {
    pub(crate) unfreeze: Vec<String>,
    /// Shape of the head.
    pub(crate) head: HeadKind,
    /// Whether the head is that of another run.
    pub(crate) warm_head: bool,
    pub(crate) freeze_epochs: u32,
    pub(crate) epochs: u32,
    /// Epochs without improvement before it ends; `None`: all epochs are run.
    pub(crate) patience: Option<u32>,
    pub(crate) batch_size: usize,
    pub(crate) accumulate: usize,
    pub(crate) optimizer: Method,
    pub(crate) learning_rate: f64,
    pub(crate) head_learning_rate: f64,
    pub(crate) layer_decay: f64,
    pub(crate) weight_decay: f32,
    pub(crate) schedule: Decay,
    pub(crate) warmup_epochs: u32,
    pub(crate) clip_norm: Option<f64>,
    pub(crate) bn: NormMode,
    pub(crate) label_smoothing: f32,
    pub(crate) mixup: f64,
    pub(crate) dropout: f32,
    pub(crate) ema: Option<f32>,
    pub(crate) class_weights: ClassWeights,
    pub(crate) val_fraction: f64,
    pub(crate) seed: u64,
    /// How images are varied; `None` with the views of a cache.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) augment: Option<String>,
    /// Whether the frozen part runs on the images themselves.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) on_images: bool,
    /// Arithmetic of convolutions; `None`: f32.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) precision: Option<String>,
}

/// `precision` as the settings have it.
pub(super) fn recorded_precision(precision: Precision) -> Option<String> {
    (precision != Precision::F32).then(|| precision.to_string())
}

pub(super) fn plan(args: FinetuneArgs) -> Result<FinetunePlan, Failure> {
    let settings = fine_settings(&args)?;
    settings.check()?;
    Ok(FinetunePlan {
        cache: args.cache,
        out: args.out,
        existing: existing(args.overwrite),
        layer: args.layer,
        weights: args.weights,
        source: args.source,
        augment: args.augment,
        init: args.head.init,
        settings,
        checkpoint_interval: Duration::from_secs(args.checkpoint_seconds),
        device: args.device,
        precision: args.precision,
        memory: memory::allowance(args.memory),
        report: reporting(args.report),
    })
}

impl Default for FineSettings {
    /// Those of the command unless told otherwise, but for what trains: the head alone.
    fn default() -> Self {
        let optimizer = Method::AdamW;
        let learning_rate = fine_rate(optimizer);
        Self {
            unfreeze: Vec::new(),
            head: HeadKind::Linear,
            warm_head: false,
            freeze_epochs: DEFAULT_FREEZE_EPOCHS,
            epochs: DEFAULT_FINE_EPOCHS,
            patience: Some(DEFAULT_FINE_PATIENCE),
            batch_size: DEFAULT_FINE_BATCH_SIZE,
            accumulate: 1,
            optimizer,
            learning_rate,
            head_learning_rate: DEFAULT_HEAD_RATE_FACTOR * learning_rate,
            layer_decay: 1.0,
            weight_decay: settings::optimizer_defaults(optimizer).1,
            schedule: Decay::Cosine,
            warmup_epochs: DEFAULT_FINE_WARMUP,
            clip_norm: None,
            bn: NormMode::Frozen,
            label_smoothing: 0.0,
            mixup: 0.0,
            dropout: 0.0,
            ema: None,
            class_weights: ClassWeights::None,
            val_fraction: DEFAULT_VAL_FRACTION,
            seed: DEFAULT_SEED,
            augment: None,
            on_images: false,
            precision: None,
        }
    }
}

/// Learning rate of the backbone with `optimizer` unless told otherwise.
pub(crate) fn fine_rate(optimizer: Method) -> f64 {
    match optimizer {
        Method::Sgd { .. } => DEFAULT_FINE_SGD_RATE,
        Method::Adam | Method::AdamW => DEFAULT_FINE_ADAM_RATE,
    }
}

/// First epochs of the head alone, of `epochs`, unless told otherwise.
pub(crate) fn freeze_epochs(init: Option<&PathBuf>, bn: NormMode, epochs: u32) -> u32 {
    match (init, bn) {
        // Under the batch's statistics a head would see other features than it has learned on.
        (Some(_), _) | (None, NormMode::Train) => 0,
        (None, NormMode::Frozen) => DEFAULT_FREEZE_EPOCHS.min(epochs.saturating_sub(1)),
    }
}

fn fine_settings(args: &FinetuneArgs) -> Result<FineSettings, Failure> {
    let (step, regularisation) = (&args.step, &args.regularisation);
    let solver = match step.optimizer {
        OptimizerArg::Adam => SolverArg::Adam,
        OptimizerArg::Adamw => SolverArg::Adamw,
        OptimizerArg::Sgd => SolverArg::Sgd,
    };
    let optimizer = settings::method(solver, step.momentum, step.nesterov)?;
    let learning_rate = step.learning_rate.unwrap_or_else(|| fine_rate(optimizer));
    let bn = match step.bn {
        NormArg::Frozen => NormMode::Frozen,
        NormArg::Train => NormMode::Train,
    };
    let frozen = freeze_epochs(args.head.init.as_ref(), bn, step.epochs);
    Ok(FineSettings {
        unfreeze: args.unfreeze.clone(),
        head: match args.head.head {
            HeadArg::Linear => HeadKind::Linear,
            HeadArg::Mlp => HeadKind::Mlp {
                hidden: args.head.hidden,
            },
        },
        warm_head: args.head.init.is_some(),
        freeze_epochs: args.head.freeze_epochs.unwrap_or(frozen),
        epochs: step.epochs,
        patience: (step.patience > 0).then_some(step.patience),
        batch_size: step.batch_size,
        accumulate: step.accumulate,
        optimizer,
        learning_rate,
        head_learning_rate: step
            .head_learning_rate
            .unwrap_or(DEFAULT_HEAD_RATE_FACTOR * learning_rate),
        layer_decay: step.layer_decay,
        weight_decay: match step.weight_decay {
            Some(decay) => single("--weight-decay", decay)?,
            None => settings::optimizer_defaults(optimizer).1,
        },
        schedule: step.schedule,
        warmup_epochs: step.warmup_epochs,
        clip_norm: step.clip_norm,
        bn,
        label_smoothing: single("--label-smoothing", regularisation.label_smoothing)?,
        mixup: regularisation.mixup,
        dropout: single("--dropout", regularisation.dropout)?,
        ema: regularisation
            .ema
            .map(|decay| single("--ema", decay))
            .transpose()?,
        class_weights: regularisation.class_weights.into(),
        val_fraction: regularisation.val_fraction,
        seed: step.seed,
        augment: args.augment.map(|augment| augment.recipe().to_owned()),
        on_images: args.source.is_some(),
        precision: recorded_precision(args.precision),
    })
}

impl FineSettings {
    pub(super) fn check(&self) -> Result<(), Failure> {
        if let HeadKind::Mlp { hidden } = self.head {
            let expected = "1 to 65536";
            check(
                "--hidden",
                hidden,
                (1..=MAX_HIDDEN).contains(&hidden),
                expected,
            )?;
        }
        for (option, count) in [
            ("--epochs", self.epochs as usize),
            ("--batch-size", self.batch_size),
            ("--accumulate", self.accumulate),
        ] {
            check(option, count, count > 0, "1 or more")?;
        }
        let frozen = self.freeze_epochs;
        let some_left = frozen < self.epochs;
        check("--freeze-epochs", frozen, some_left, "fewer than --epochs")?;
        let warmup = self.warmup_epochs;
        let expected = "fewer than are left behind --freeze-epochs, or 0";
        let left = self.epochs - frozen;
        let one_epoch = left == 1 && warmup == 1;
        check(
            "--warmup-epochs",
            warmup,
            warmup < left || one_epoch,
            expected,
        )?;
        for (option, rate) in [
            ("--learning-rate", self.learning_rate),
            ("--head-learning-rate", self.head_learning_rate),
        ] {
            let positive = rate > 0.0 && rate.is_finite();
            check(option, rate, positive, "a positive number")?;
            single(option, rate)?;
        }
        let decay = self.layer_decay;
        check(
            "--layer-decay",
            decay,
            decay > 0.0 && decay <= 1.0,
            "above 0, at most 1",
        )?;
        if let Some(norm) = self.clip_norm {
            let positive = norm > 0.0 && norm.is_finite();
            check("--clip-norm", norm, positive, "a positive number")?;
        }
        for (option, share) in [
            ("--dropout", self.dropout),
            ("--label-smoothing", self.label_smoothing),
            ("--ema", self.ema.unwrap_or(0.0)),
        ] {
            let holds = (0.0..1.0).contains(&share);
            check(option, share, holds, "0 or more, below 1")?;
        }
        for (option, number) in [
            ("--weight-decay", f64::from(self.weight_decay)),
            ("--mixup", self.mixup),
        ] {
            let natural = number >= 0.0 && number.is_finite();
            check(option, number, natural, "0 or more")?;
        }
        settings::check_val_fraction(self.val_fraction)
    }
}

/// What `run.json` keeps of the settings.
pub(crate) fn recorded_fine_settings(
    settings: &FineSettings,
) -> Result<serde_json::Value, Failure> {
    serde_json::to_value(settings).map_err(|error| Failure::new(Exit::Failure, error.to_string()))
}
