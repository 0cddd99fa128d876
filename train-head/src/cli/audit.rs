//! The command line of `audit`.

use std::path::PathBuf;

use clap::Args;

use super::{MemoryArgs, ReportArgs};
use crate::plan;

#[derive(Debug, Args)]
pub(crate) struct AuditArgs {
    /// Feature cache written by `extract run`
    pub(crate) cache: PathBuf,
    /// Folder for the tables
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Replace an audit that is in DIR already
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Layer whose features are used [default: the only one, or `avgpool`]
    #[arg(long)]
    pub(crate) layer: Option<String>,
    /// Cosine of features from which on images are near duplicates
    #[arg(long, default_value_t = plan::DEFAULT_NEAR, value_name = "COSINE")]
    pub(crate) near: f32,
    /// Neighbours whose mean distance tells outliers
    #[arg(long, default_value_t = plan::DEFAULT_OUTLIER_NEIGHBOURS, value_name = "K")]
    pub(crate) neighbours: usize,
    /// Outliers that are listed
    #[arg(long, default_value_t = plan::DEFAULT_OUTLIERS, value_name = "N")]
    pub(crate) outliers: usize,
    /// Folds of the heads that judge labels
    #[arg(long, default_value_t = plan::DEFAULT_AUDIT_FOLDS, value_name = "K")]
    pub(crate) folds: usize,
    /// Write the out-of-fold probabilities of all classes too
    #[arg(long)]
    pub(crate) probabilities: bool,
    /// Seed of the folds
    #[arg(long, default_value_t = plan::DEFAULT_SEED, value_name = "N")]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) memory: MemoryArgs,
    #[command(flatten)]
    pub(crate) report: ReportArgs,
}
