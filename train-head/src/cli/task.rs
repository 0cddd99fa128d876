//! What a head is to predict, as clap sees it.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// What is predicted.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Task")]
pub(crate) struct TaskArgs {
    /// What the head predicts
    #[arg(long, value_enum, default_value_t = TaskArg::SingleLabel)]
    pub(crate) task: TaskArg,
    /// Table (.csv or .parquet) whose columns hold the labels; its column `uri` or `path` names
    /// the images as the cache's plan.parquet does [default: the labels of the cache]
    #[arg(long, value_name = "TABLE", requires = "target")]
    pub(crate) labels: Option<PathBuf>,
    /// Columns of TABLE: one of text or whole numbers (single-label), one of names or several of
    /// 0 and 1 (multi-label), one or several of numbers (regression). Rows with an empty
    /// field are left out
    #[arg(
        long,
        value_name = "COLUMN,…",
        value_delimiter = ',',
        requires = "labels"
    )]
    pub(crate) target: Vec<String>,
    /// What is between the names in the one column of multi-label; a field of it alone
    /// means none of the classes [default: |]
    #[arg(long, value_name = "TEXT")]
    pub(crate) separator: Option<String>,
    /// What regression minimises, on targets of mean 0 and deviation 1 [default: mse]
    #[arg(long, value_enum)]
    pub(crate) loss: Option<LossArg>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum TaskArg {
    /// One class an image
    SingleLabel,
    /// Any number of classes an image
    MultiLabel,
    /// Numbers
    Regression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LossArg {
    /// Mean of the squared errors
    Mse,
    /// Squared where an error is below 1, linear beyond
    Huber,
}
