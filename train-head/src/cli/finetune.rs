//! `train-head finetune` as clap sees it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use common::{
    embed::WeightSource,
    engine::device::{DeviceChoice, Precision},
    head::DEFAULT_HIDDEN,
    image::Augment,
};

use super::{ClassWeightsArg, MemoryArgs, ReportArgs};
use crate::{plan, schedule::Decay};

#[derive(Debug, Args)]
pub(crate) struct FinetuneArgs {
    /// Feature cache written by `extract run`, with the layer before all that trains
    pub(crate) cache: PathBuf,
    /// Folder for the fine-tuned model; an unfinished run that is in it is resumed
    #[arg(long, value_name = "RUN")]
    pub(crate) out: PathBuf,
    /// Replace what is in RUN already
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// What trains beside the head: every parameter of the backbone whose name contains one of these
    /// (layer4, layer4.1, bn), or that lies in a stage of this name (stage7); fc: the head alone; all
    #[arg(long, value_delimiter = ',', required = true, value_name = "PATTERN,…")]
    pub(crate) unfreeze: Vec<String>,
    /// Cached layer that training starts from [default: the deepest that will do]
    #[arg(long, conflicts_with = "source")]
    pub(crate) layer: Option<String>,
    /// Weights that the cache was made with: a .safetensors or .pth file, or hf:OWNER/NAME/FILE
    /// [default: the embedded ones]
    #[arg(long)]
    pub(crate) weights: Option<WeightSource>,
    /// The images that the cache was made of (the same SOURCE as for `extract run`): the frozen part
    /// runs on them in every epoch, and the cache only says what they are
    #[arg(long)]
    pub(crate) source: Option<PathBuf>,
    /// Vary the images of --source anew in every epoch: crop-flip (a cache's own views need no
    /// option: each epoch takes one of an image)
    #[arg(long, requires = "source")]
    pub(crate) augment: Option<Augment>,
    #[command(flatten)]
    pub(crate) head: HeadArgs,
    #[command(flatten)]
    pub(crate) step: FineStepArgs,
    #[command(flatten)]
    pub(crate) regularisation: RegularisationArgs,
    /// Least time between two checkpoints, in seconds; 0: after every step
    #[arg(long, default_value_t = plan::DEFAULT_CHECKPOINT_SECONDS, value_name = "SECONDS")]
    pub(crate) checkpoint_seconds: u64,
    /// auto, cpu, or cuda:N
    #[arg(long, default_value_t, help_heading = "Resources")]
    pub(crate) device: DeviceChoice,
    /// Arithmetic of convolutions: f32, or f16 and bf16 on a GPU; weights and steps are always f32
    #[arg(long, default_value_t, help_heading = "Resources")]
    pub(crate) precision: Precision,
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

/// The head that is trained along.
#[derive(Debug, Args)]
#[command(next_help_heading = "Head")]
pub(crate) struct HeadArgs {
    /// Begin with the head of a finished run of `linear`, `mlp`, `sweep` or `finetune` on features of the same
    /// backbone [default: a new one]
    #[arg(long, value_name = "RUN", conflicts_with_all = ["head", "hidden"])]
    pub(crate) init: Option<PathBuf>,
    /// Shape of a new head
    #[arg(long, value_enum, default_value_t = HeadArg::Linear)]
    pub(crate) head: HeadArg,
    /// Hidden units of a new mlp head
    #[arg(long, default_value_t = DEFAULT_HIDDEN, value_name = "N")]
    pub(crate) hidden: usize,
    /// First epochs in which the head alone trains [default: 1 with a new head, 0 with --init
    /// or --bn train]
    #[arg(long, value_name = "N")]
    pub(crate) freeze_epochs: Option<u32>,
}

/// How steps are taken.
#[derive(Debug, Args)]
#[command(next_help_heading = "Optimisation")]
pub(crate) struct FineStepArgs {
    /// Largest number of passes over the training images
    #[arg(long, default_value_t = plan::DEFAULT_FINE_EPOCHS, value_name = "N")]
    pub(crate) epochs: u32,
    /// Epochs without a smaller validation loss before it ends; 0 = never ends early
    #[arg(long, default_value_t = plan::DEFAULT_FINE_PATIENCE, value_name = "N")]
    pub(crate) patience: u32,
    /// Rows that go through the network together
    #[arg(long, default_value_t = plan::DEFAULT_FINE_BATCH_SIZE, value_name = "N")]
    pub(crate) batch_size: usize,
    /// Batches whose gradients make one step
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) accumulate: usize,
    /// Update rule
    #[arg(long, visible_alias = "solver", value_enum, default_value_t = OptimizerArg::Adamw)]
    pub(crate) optimizer: OptimizerArg,
    /// Learning rate of the last block of the backbone [default: 0.0001 for adam and adamw, 0.01 for sgd]
    #[arg(long, visible_alias = "lr", value_name = "RATE")]
    pub(crate) learning_rate: Option<f64>,
    /// Learning rate of the head [default: ten times --learning-rate]
    #[arg(long, visible_alias = "head-lr", value_name = "RATE")]
    pub(crate) head_learning_rate: Option<f64>,
    /// The learning rate of a block is this share of that of the block behind it
    #[arg(long, default_value_t = 1.0, value_name = "SHARE")]
    pub(crate) layer_decay: f64,
    /// Momentum of sgd [default: 0.9]
    #[arg(long, value_name = "SHARE")]
    pub(crate) momentum: Option<f64>,
    /// Nesterov's look-ahead with sgd
    #[arg(long)]
    pub(crate) nesterov: bool,
    /// Weight decay, not on biases and normalisations: decoupled with adamw, otherwise an L2
    /// penalty [default: 0.01 for adamw, otherwise 0]
    #[arg(long, value_name = "DECAY")]
    pub(crate) weight_decay: Option<f64>,
    /// Learning rate after the warm-up
    #[arg(long, value_enum, default_value_t = Decay::Cosine)]
    pub(crate) schedule: Decay,
    /// Epochs over which the learning rate grows linearly from zero, behind --freeze-epochs
    #[arg(long, default_value_t = plan::DEFAULT_FINE_WARMUP, value_name = "N")]
    pub(crate) warmup_epochs: u32,
    /// Shorten gradients to this norm, all of them as one vector [default: they stay]
    #[arg(long, value_name = "NORM")]
    pub(crate) clip_norm: Option<f64>,
    /// What batch normalisations with trained parameters do; all others use their running statistics
    #[arg(long, value_enum, default_value_t = NormArg::Frozen)]
    pub(crate) bn: NormArg,
    /// Seed of a new head, the order of rows, dropout, mixup, the choice of views, and a drawn split
    #[arg(long, default_value_t = plan::DEFAULT_SEED, value_name = "N")]
    pub(crate) seed: u64,
}

/// What keeps the model from learning its training rows by heart.
#[derive(Debug, Args)]
#[command(next_help_heading = "Regularisation")]
pub(crate) struct RegularisationArgs {
    /// Share of the target spread over all classes
    #[arg(long, default_value_t = 0.0, value_name = "SHARE")]
    pub(crate) label_smoothing: f64,
    /// Mix the activations and targets of two images, with a share from Beta(A, A); 0 = do not
    #[arg(long, default_value_t = 0.0, value_name = "A")]
    pub(crate) mixup: f64,
    /// Probability with which an input of a layer of the head is dropped in training
    #[arg(long, default_value_t = 0.0, value_name = "P")]
    pub(crate) dropout: f64,
    /// Judge and keep an exponential moving average of the weights with this decay a step, such
    /// as 0.99 [default: the weights themselves]
    #[arg(long, value_name = "DECAY")]
    pub(crate) ema: Option<f64>,
    /// Weight of each class in the loss
    #[arg(long, value_enum, default_value_t = ClassWeightsArg::None)]
    pub(crate) class_weights: ClassWeightsArg,
    /// Share of the training rows that becomes the validation split where the source has none
    #[arg(long, default_value_t = plan::DEFAULT_VAL_FRACTION, value_name = "SHARE")]
    pub(crate) val_fraction: f64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HeadArg {
    /// features → classes
    Linear,
    /// features → hidden, ReLU → classes
    Mlp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OptimizerArg {
    Adam,
    Adamw,
    Sgd,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum NormArg {
    /// Their running statistics, which stay as they are
    Frozen,
    /// The batch's statistics; the running ones follow and are exported
    Train,
}
