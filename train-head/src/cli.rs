//! The command line as clap sees it. Nothing here is checked beyond its syntax;
//! [`crate::plan`] does that.

mod audit;
mod finetune;
mod judge;
mod sweep;
mod task;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use common::{
    exit::EXIT_CODES,
    head::{DEFAULT_HIDDEN, DEFAULT_NEIGHBOUR_TEMPERATURE, DEFAULT_NEIGHBOURS},
};

pub(crate) use audit::AuditArgs;
pub(crate) use finetune::{FinetuneArgs, HeadArg, NormArg, OptimizerArg};
pub(crate) use judge::{CompareArgs, EvalArgs, PredictArgs};
pub(crate) use sweep::{SearchArgs, SweepArgs, SweepTrainingArgs, TuningArgs};
pub(crate) use task::{LossArg, TaskArg, TaskArgs};

use crate::{plan, schedule::Decay};

/// Trains, evaluates and applies heads on a feature cache: classes or numbers of images.
#[derive(Debug, Parser)]
#[command(name = "train-head", version, propagate_version = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Train a linear head: features → classes or numbers
    Linear(TrainArgs),
    /// Train a head with one hidden layer: features → hidden, ReLU → classes or numbers
    Mlp(MlpArgs),
    /// Train a head together with the last part of the backbone
    Finetune(Box<FinetuneArgs>),
    /// Search hyper-parameters; the best head becomes a run
    Sweep(Box<SweepArgs>),
    /// Say what the features are worth: neighbours, centroids and a linear head in one table
    Probe(ProbeArgs),
    /// Look for duplicates, leaks between splits, wrong labels and outliers
    Audit(AuditArgs),
    /// Measure a trained head on a split of a cache
    Eval(EvalArgs),
    /// Test whether two trained heads differ on a split of a cache by more than chance
    Compare(CompareArgs),
    /// Predict classes or numbers of new images with a trained head
    Predict(PredictArgs),
}

#[derive(Debug, Args)]
pub(crate) struct MlpArgs {
    /// Hidden units
    #[arg(long, default_value_t = DEFAULT_HIDDEN, value_name = "N")]
    pub(crate) hidden: usize,
    #[command(flatten)]
    pub(crate) train: TrainArgs,
}

#[derive(Debug, Args)]
pub(crate) struct TrainArgs {
    /// Feature cache written by `extract run`
    pub(crate) cache: PathBuf,
    /// Folder for the trained head
    #[arg(long, value_name = "RUN")]
    pub(crate) out: PathBuf,
    /// Replace a run that is in RUN already
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Layer whose features are used [default: the only one, or `avgpool`]
    #[arg(long)]
    pub(crate) layer: Option<String>,
    #[command(flatten)]
    pub(crate) task: TaskArgs,
    #[command(flatten)]
    pub(crate) step: StepArgs,
    #[command(flatten)]
    pub(crate) model: ModelArgs,
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// How steps are taken.
#[derive(Debug, Args)]
#[command(next_help_heading = "Optimisation")]
pub(crate) struct StepArgs {
    /// Largest number of passes over the training rows
    #[arg(long, default_value_t = plan::DEFAULT_EPOCHS, value_name = "N")]
    pub(crate) epochs: u32,
    /// Epochs without a smaller validation loss before it ends; 0 = never ends early
    #[arg(long, default_value_t = plan::DEFAULT_PATIENCE, value_name = "N")]
    pub(crate) patience: u32,
    /// Rows a step
    #[arg(long, default_value_t = plan::DEFAULT_BATCH_SIZE, value_name = "N")]
    pub(crate) batch_size: usize,
    /// How the head is found: by steps (adam, adamw, sgd), or, for linear heads, the exact
    /// minimum of logistic regression (lbfgs) or of ridge classification (ridge). Of augmented
    /// images steps see one view an epoch, drawn anew; lbfgs and ridge take all views as rows
    #[arg(long, visible_alias = "optimizer", value_enum, default_value_t = SolverArg::Adam)]
    pub(crate) solver: SolverArg,
    /// Learning rate [default: 0.001 for adam and adamw, 0.1 for sgd]
    #[arg(long, visible_alias = "lr", value_name = "RATE")]
    pub(crate) learning_rate: Option<f64>,
    /// Momentum of sgd [default: 0.9]
    #[arg(long, value_name = "SHARE")]
    pub(crate) momentum: Option<f64>,
    /// Nesterov's look-ahead with sgd
    #[arg(long)]
    pub(crate) nesterov: bool,
    /// Weight decay, not on biases: an L2 penalty with adam and sgd, decoupled with
    /// adamw [default: 0.01 for adamw, otherwise 0]
    #[arg(long, value_name = "DECAY")]
    pub(crate) weight_decay: Option<f64>,
    /// C of lbfgs, scikit-learn's: 1 / the penalty. Of several, the best on validation is kept
    /// [default: 13 values from 1e-5 to 10]
    #[arg(long, value_name = "C,…", value_delimiter = ',')]
    pub(crate) c: Option<Vec<f64>>,
    /// Penalty of ridge. Of several, the best on validation is kept
    /// [default: 13 values from 1e-6 to 1e6]
    #[arg(long, value_name = "L,…", value_delimiter = ',')]
    pub(crate) lambda: Option<Vec<f64>>,
    /// Largest gradient of the mean loss at which lbfgs has converged [default: 0.0001]
    #[arg(long, value_name = "T")]
    pub(crate) tolerance: Option<f64>,
    /// Learning rate after the warm-up
    #[arg(long, value_enum, default_value_t = Decay::Constant)]
    pub(crate) schedule: Decay,
    /// Epochs over which the learning rate grows linearly from zero
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub(crate) warmup_epochs: u32,
    /// Seed of the initial weights, the order of rows, dropout, and a drawn split
    #[arg(long, default_value_t = plan::DEFAULT_SEED, value_name = "N")]
    pub(crate) seed: u64,
}

/// What is fitted.
#[derive(Debug, Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// What is done to features first; `standardise` is folded into the exported weights
    #[arg(long, value_enum, default_value_t = NormaliseArg::None)]
    pub(crate) normalise: NormaliseArg,
    /// Probability with which an input of a layer is dropped in training
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    pub(crate) dropout: f64,
    /// Share of the target spread over all classes; with multi-label, over yes and no
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) label_smoothing: f64,
    /// Weight of each class in the loss
    #[arg(long, value_enum, default_value_t = ClassWeightsArg::None)]
    pub(crate) class_weights: ClassWeightsArg,
    /// Which rows an epoch of steps sees
    #[arg(long, value_enum, default_value_t = plan::Sampling::Shuffle)]
    pub(crate) sampling: plan::Sampling,
    /// Share of the training rows that becomes the validation split where the source has none
    #[arg(long, default_value_t = plan::DEFAULT_VAL_FRACTION, value_name = "SHARE")]
    pub(crate) val_fraction: f64,
}

#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Resources")]
pub(crate) struct MemoryArgs {
    /// Memory that features may take, for example 512M or 4G; those beyond are read from disk as they
    /// are needed, with the same result [default: all]
    #[arg(long, value_name = "SIZE", value_parser = plan::parse_size)]
    pub(crate) memory: Option<u64>,
}

#[derive(Clone, Copy, Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct ReportArgs {
    /// Print the result as one JSON document on standard output
    #[arg(long)]
    pub(crate) json: bool,
    /// Say nothing but warnings, errors and what `--json` asks for
    #[arg(long)]
    pub(crate) quiet: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ProbeArgs {
    /// Feature cache written by `extract run`
    pub(crate) cache: PathBuf,
    /// Layer whose features are used [default: the only one, or `avgpool`]
    #[arg(long)]
    pub(crate) layer: Option<String>,
    /// Numbers of neighbours
    #[arg(long, value_name = "K,…", value_delimiter = ',', default_values_t = DEFAULT_NEIGHBOURS)]
    pub(crate) neighbours: Vec<usize>,
    /// A neighbour whose cosine is s weighs exp(s / T)
    #[arg(long, default_value_t = DEFAULT_NEIGHBOUR_TEMPERATURE, value_name = "T")]
    pub(crate) temperature: f64,
    /// Share of the training rows that becomes the validation split where the source has none
    #[arg(long, default_value_t = plan::DEFAULT_VAL_FRACTION, value_name = "SHARE")]
    pub(crate) val_fraction: f64,
    /// Seed of a drawn split
    #[arg(long, default_value_t = plan::DEFAULT_SEED, value_name = "N")]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SolverArg {
    Adam,
    Adamw,
    Sgd,
    Lbfgs,
    Ridge,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NormaliseArg {
    None,
    L2,
    #[value(alias = "standardize")]
    Standardise,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClassWeightsArg {
    /// All classes alike
    None,
    /// Inversely proportional to a class's training rows: rows / (classes · rows of the class);
    /// with multi-label, rows with the class weigh rows without it / rows with it
    Balanced,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum SplitArg {
    Train,
    Val,
    Test,
    /// Every labelled row
    All,
}
