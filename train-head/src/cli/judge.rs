//! What is done with trained heads, as clap sees it.

use std::path::PathBuf;

use clap::Args;
use common::{
    embed::WeightSource, engine::device::DeviceChoice, head::TOP_K, image::DEFAULT_MAX_PIXELS,
};

use super::{MemoryArgs, ReportArgs, SplitArg};

#[derive(Debug, Args)]
pub(crate) struct EvalArgs {
    /// Folder of the trained head
    pub(crate) run: PathBuf,
    /// Feature cache written by `extract run`
    pub(crate) cache: PathBuf,
    /// The table of labels that the head was trained on, or one with the same columns
    #[arg(long, value_name = "TABLE")]
    pub(crate) labels: Option<PathBuf>,
    /// Split to measure on
    #[arg(long, value_enum, default_value_t = SplitArg::Test)]
    pub(crate) split: SplitArg,
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct CompareArgs {
    /// Folder of a trained head
    pub(crate) first: PathBuf,
    /// Folder of another
    pub(crate) second: PathBuf,
    /// Feature cache written by `extract run`
    pub(crate) cache: PathBuf,
    /// The table of labels that the heads, or one of them, were trained on, or one with the same columns
    #[arg(long, value_name = "TABLE")]
    pub(crate) labels: Option<PathBuf>,
    /// Split to compare on
    #[arg(long, value_enum, default_value_t = SplitArg::Test)]
    pub(crate) split: SplitArg,
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}

#[derive(Debug, Args)]
pub(crate) struct PredictArgs {
    /// Folder of the trained head
    pub(crate) run: PathBuf,
    /// Images, or folders that are searched for images
    #[arg(required = true)]
    pub(crate) images: Vec<PathBuf>,
    /// Classes shown for each image by a head of one label
    #[arg(long, default_value_t = TOP_K, value_name = "N")]
    pub(crate) top: usize,
    /// The backbone's weights: a file, hf:OWNER/NAME/FILE, or the folder of a run that holds
    /// model.safetensors [default: the embedded ones, where the head was trained on them]
    #[arg(long, value_name = "FILE")]
    pub(crate) weights: Option<WeightSource>,
    /// Where the backbone runs: auto, cpu, cuda:0, …
    #[arg(long, default_value_t)]
    pub(crate) device: DeviceChoice,
    /// Refuse images of more pixels
    #[arg(long, default_value_t = DEFAULT_MAX_PIXELS, value_name = "N")]
    pub(crate) max_pixels: u64,
    /// Threads that decode and run the backbone, 1 to 1024 [default: all cores]
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<usize>,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
