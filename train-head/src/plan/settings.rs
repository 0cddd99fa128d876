//! Hyper-parameters of steps.

use common::{
    exit::Exit,
    head::{Loss, Normalisation, stack::Method},
};
use serde::{Deserialize, Serialize};

use super::{
    DEFAULT_ADAM_RATE, DEFAULT_ADAMW_DECAY, DEFAULT_BATCH_SIZE, DEFAULT_EPOCHS, DEFAULT_MOMENTUM,
    DEFAULT_PATIENCE, DEFAULT_SEED, DEFAULT_SGD_RATE, DEFAULT_VAL_FRACTION, check, single,
    task_refusal,
};
use crate::{
    cli::{ClassWeightsArg, ModelArgs, NormaliseArg, SolverArg, StepArgs},
    failure::Failure,
    schedule::Decay,
};

/// Hyper-parameters of a training; `run.json` keeps them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Settings {
    pub(crate) epochs: u32,
    /// Epochs without improvement before it ends; `None`: all epochs are run.
    pub(crate) patience: Option<u32>,
    pub(crate) batch_size: usize,
    pub(crate) optimizer: Method,
    pub(crate) learning_rate: f64,
    pub(crate) weight_decay: f32,
    pub(crate) schedule: Decay,
    pub(crate) warmup_epochs: u32,
    pub(crate) normalise: Normalisation,
    pub(crate) dropout: f32,
    pub(crate) label_smoothing: f32,
    pub(crate) class_weights: ClassWeights,
    pub(crate) sampling: Sampling,
    pub(crate) val_fraction: f64,
    pub(crate) seed: u64,
    /// What is minimised, and with it the task.
    #[serde(default, skip_serializing_if = "Loss::is_cross_entropy")]
    pub(crate) loss: Loss,
}

impl Default for Settings {
    /// The textbook's: Adam, nothing that regularises.
    fn default() -> Self {
        Self {
            epochs: DEFAULT_EPOCHS,
            patience: Some(DEFAULT_PATIENCE),
            batch_size: DEFAULT_BATCH_SIZE,
            optimizer: Method::Adam,
            learning_rate: DEFAULT_ADAM_RATE,
            weight_decay: 0.0,
            schedule: Decay::Constant,
            warmup_epochs: 0,
            normalise: Normalisation::None,
            dropout: 0.0,
            label_smoothing: 0.0,
            class_weights: ClassWeights::None,
            sampling: Sampling::Shuffle,
            val_fraction: DEFAULT_VAL_FRACTION,
            seed: DEFAULT_SEED,
            loss: Loss::CrossEntropy,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum ClassWeights {
    None,
    Balanced,
}

/// Which rows an epoch sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sampling {
    /// Every training row once
    Shuffle,
    /// As many rows, drawn with replacement so that all classes are equally likely
    Balanced,
}

pub(super) fn settings(
    loss: Loss,
    step: &StepArgs,
    model: &ModelArgs,
) -> Result<Settings, Failure> {
    let optimizer = method(step.solver, step.momentum, step.nesterov)?;
    let (default_rate, default_decay) = optimizer_defaults(optimizer);
    let settings = Settings {
        epochs: step.epochs,
        patience: (step.patience > 0).then_some(step.patience),
        batch_size: step.batch_size,
        optimizer,
        learning_rate: step.learning_rate.unwrap_or(default_rate),
        weight_decay: match step.weight_decay {
            Some(decay) => single("--weight-decay", decay)?,
            None => default_decay,
        },
        schedule: step.schedule,
        warmup_epochs: step.warmup_epochs,
        normalise: match model.normalise {
            NormaliseArg::None => Normalisation::None,
            NormaliseArg::L2 => Normalisation::L2,
            NormaliseArg::Standardise => Normalisation::Standardise,
        },
        dropout: single("--dropout", model.dropout)?,
        label_smoothing: single("--label-smoothing", model.label_smoothing)?,
        class_weights: model.class_weights.into(),
        sampling: model.sampling,
        val_fraction: model.val_fraction,
        seed: step.seed,
        loss,
    };
    settings.check().map(|()| settings)
}

/// Learning rate and weight decay of `method` unless told otherwise.
pub(crate) fn optimizer_defaults(method: Method) -> (f64, f32) {
    match method {
        Method::Sgd { .. } => (DEFAULT_SGD_RATE, 0.0),
        Method::Adam => (DEFAULT_ADAM_RATE, 0.0),
        Method::AdamW => (DEFAULT_ADAM_RATE, DEFAULT_ADAMW_DECAY),
    }
}

impl From<ClassWeightsArg> for ClassWeights {
    fn from(argument: ClassWeightsArg) -> Self {
        match argument {
            ClassWeightsArg::None => Self::None,
            ClassWeightsArg::Balanced => Self::Balanced,
        }
    }
}

impl Settings {
    pub(super) fn check(&self) -> Result<(), Failure> {
        let size = self.batch_size;
        check("--epochs", self.epochs, self.epochs > 0, "1 or more")?;
        check("--batch-size", size, size > 0, "1 or more")?;
        let rate = self.learning_rate;
        let positive = rate > 0.0 && rate.is_finite();
        check("--learning-rate", rate, positive, "a positive number")?;
        single("--learning-rate", rate)?;
        let decay = self.weight_decay;
        let natural = decay >= 0.0 && decay.is_finite();
        check("--weight-decay", decay, natural, "0 or more")?;
        let warmup = self.warmup_epochs;
        let shorter = warmup < self.epochs;
        check("--warmup-epochs", warmup, shorter, "fewer than --epochs")?;
        for (option, share) in [
            ("--dropout", self.dropout),
            ("--label-smoothing", self.label_smoothing),
        ] {
            let holds = (0.0..1.0).contains(&share);
            check(option, share, holds, "0 or more, below 1")?;
        }
        let shuffled = self.sampling == Sampling::Shuffle;
        let unweighted = self.class_weights == ClassWeights::None;
        let expected = "shuffle beside balanced class weights";
        check("--sampling", "balanced", shuffled || unweighted, expected)?;
        if let Some(message) = task_refusal(self) {
            return Err(Failure::new(Exit::Usage, message));
        }
        check_val_fraction(self.val_fraction)
    }
}

pub(super) fn check_val_fraction(fraction: f64) -> Result<(), Failure> {
    let inside = fraction > 0.0 && fraction < 1.0;
    check("--val-fraction", fraction, inside, "between 0 and 1")
}

/// The rule that `solver` and its options name.
pub(super) fn method(
    solver: SolverArg,
    momentum: Option<f64>,
    nesterov: bool,
) -> Result<Method, Failure> {
    if solver == SolverArg::Sgd {
        let momentum = match momentum {
            Some(momentum) => single("--momentum", momentum)?,
            None => DEFAULT_MOMENTUM,
        };
        check(
            "--momentum",
            momentum,
            (0.0..1.0).contains(&momentum),
            "0 or more, below 1",
        )?;
        check(
            "--nesterov",
            nesterov,
            !nesterov || momentum > 0.0,
            "used with a momentum",
        )?;
        return Ok(Method::Sgd { momentum, nesterov });
    }
    for (option, given) in [("--momentum", momentum.is_some()), ("--nesterov", nesterov)] {
        if given {
            let message = format!("{option}: only sgd has it (add `--optimizer sgd`)");
            return Err(Failure::new(Exit::Usage, message));
        }
    }
    Ok(match solver {
        SolverArg::Adamw => Method::AdamW,
        _ => Method::Adam,
    })
}
