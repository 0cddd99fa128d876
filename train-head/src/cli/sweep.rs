//! What is searched and how, as clap sees it.

use std::path::PathBuf;

use clap::Args;
use common::{
    embed::WeightSource,
    engine::device::{DeviceChoice, Precision},
    head::logistic::DEFAULT_TOLERANCE,
};

use super::{ClassWeightsArg, MemoryArgs, ReportArgs, TaskArgs};
use crate::{
    plan,
    schedule::Decay,
    sweep::{Objective, Search},
};

#[derive(Debug, Args)]
pub(crate) struct SweepArgs {
    /// Feature cache written by `extract run`
    #[arg(required_unless_present_any = ["caches", "print_space"])]
    pub(crate) cache: Option<PathBuf>,
    /// Another cache of the same images; which one is best is searched too
    #[arg(long = "cache", value_name = "CACHE")]
    pub(crate) caches: Vec<PathBuf>,
    /// Layer whose features are used; given several times, it is searched
    #[arg(long = "layer", value_name = "LAYER")]
    pub(crate) layers: Vec<String>,
    /// Folder for the sweep: `trials.parquet`, and the best trial's run in `best`; a sweep that
    /// was stopped there goes on
    #[arg(long, value_name = "DIR", required_unless_present = "print_space")]
    pub(crate) out: Option<PathBuf>,
    /// Begin anew instead of going on with a sweep that is in DIR already
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Print the space that is searched by default, as a file to edit, and end; with --unfreeze,
    /// that of fine-tuning
    #[arg(long)]
    pub(crate) print_space: bool,
    #[command(flatten)]
    pub(crate) tuning: TuningArgs,
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    #[command(flatten)]
    pub(crate) search: SearchArgs,
    #[command(flatten)]
    pub(crate) training: SweepTrainingArgs,
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// Of trials that train a part of the backbone too.
#[derive(Debug, Args)]
#[command(next_help_heading = "Fine-tuning")]
pub(crate) struct TuningArgs {
    /// Fine-tune instead of training heads, with what trains as in `finetune`; given several times
    /// (fc, then layer4, then layer3,layer4), the degree of unfreezing is searched too. Every trial starts from the
    /// deepest cached layer that will do
    #[arg(
        long,
        value_name = "PATTERN,…",
        conflicts_with_all = [
            "caches", "layers", "folds", "refit", "tolerance", "sampling", "task", "labels", "target", "separator", "loss"
        ]
    )]
    pub(crate) unfreeze: Vec<String>,
    /// Begin with the head of this run, as in `finetune` [default: new ones]
    #[arg(long, value_name = "RUN", requires = "unfreeze")]
    pub(crate) init: Option<PathBuf>,
    /// First epochs in which the head alone trains [default: 1 with new heads, 0 with --init
    /// or where bn is train]
    #[arg(long, value_name = "N", requires = "unfreeze")]
    pub(crate) freeze_epochs: Option<u32>,
    /// Weights that the cache was made with, as in `finetune` [default: the embedded ones]
    #[arg(long, requires = "unfreeze")]
    pub(crate) weights: Option<WeightSource>,
    /// auto, cpu, or cuda:N
    #[arg(long, default_value_t, requires = "unfreeze")]
    pub(crate) device: DeviceChoice,
    /// Arithmetic of convolutions: f32, or f16 and bf16 on a GPU
    #[arg(long, default_value_t, requires = "unfreeze")]
    pub(crate) precision: Precision,
}

/// What is tried.
#[derive(Debug, Args)]
#[command(next_help_heading = "Search")]
pub(crate) struct SearchArgs {
    /// How points of the space are chosen
    #[arg(long, value_enum, default_value_t = Search::Bayes)]
    pub(crate) search: Search,
    /// Trials in all; a sweep that is over goes on with more of them [default: 64, of
    /// fine-tuning 24]
    #[arg(long, value_name = "N")]
    pub(crate) trials: Option<usize>,
    /// What is searched, as TOML [default: what --print-space prints]
    #[arg(long, value_name = "FILE")]
    pub(crate) space: Option<PathBuf>,
    /// What trials are compared by, on the validation rows [default: accuracy; with other tasks
    /// than single-label, loss]
    #[arg(long, value_enum)]
    pub(crate) objective: Option<Objective>,
    /// Trials that are chosen together, and of which the worse end early [default: 16, of
    /// fine-tuning 8]
    #[arg(long, value_name = "N")]
    pub(crate) round: Option<usize>,
    /// Share of a round that goes on after 1/8, 1/4 and 1/2 of the epochs; 1 = all
    #[arg(long, default_value_t = plan::DEFAULT_SURVIVORS, value_name = "SHARE")]
    pub(crate) survivors: f64,
    /// Train every trial with this many seeds and compare means
    #[arg(long, default_value_t = 1, value_name = "K")]
    pub(crate) seeds: u32,
    /// Cross-validate every trial on this many folds and compare means; 0 = the validation split
    #[arg(long, default_value_t = 0, value_name = "K")]
    pub(crate) folds: usize,
    /// Train the winner once more, on training and validation rows
    #[arg(long)]
    pub(crate) refit: bool,
}

/// What all trials have in common.
#[derive(Debug, Args)]
#[command(next_help_heading = "Trials")]
pub(crate) struct SweepTrainingArgs {
    /// Largest number of passes over the training rows [default: 30, of fine-tuning 20]
    #[arg(long, value_name = "N")]
    pub(crate) epochs: Option<u32>,
    /// Epochs without a smaller validation loss before a trial ends; 0 = never ends early
    /// [default: 10, of fine-tuning 5]
    #[arg(long, value_name = "N")]
    pub(crate) patience: Option<u32>,
    /// Learning rate after the warm-up [default: constant, of fine-tuning cosine]
    #[arg(long, value_enum)]
    pub(crate) schedule: Option<Decay>,
    /// Epochs over which the learning rate grows linearly from zero [default: 0, of
    /// fine-tuning 1]
    #[arg(long, value_name = "N")]
    pub(crate) warmup_epochs: Option<u32>,
    /// Weight of each class in the loss
    #[arg(long, value_enum, default_value_t = ClassWeightsArg::None)]
    pub(crate) class_weights: ClassWeightsArg,
    /// Which rows an epoch of steps sees
    #[arg(long, value_enum, default_value_t = plan::Sampling::Shuffle)]
    pub(crate) sampling: plan::Sampling,
    /// Largest gradient of the mean loss at which lbfgs has converged
    #[arg(long, default_value_t = DEFAULT_TOLERANCE, value_name = "T")]
    pub(crate) tolerance: f64,
    /// Share of the training rows that becomes the validation split where the source has none
    #[arg(long, default_value_t = plan::DEFAULT_VAL_FRACTION, value_name = "SHARE")]
    pub(crate) val_fraction: f64,
    /// Seed of the points, initial weights, the order of rows, dropout, and a drawn split
    #[arg(long, default_value_t = plan::DEFAULT_SEED, value_name = "N")]
    pub(crate) seed: u64,
}
