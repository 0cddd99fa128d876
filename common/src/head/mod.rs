//! Classification and regression heads on cached features: what they are, how they run,
//! how they are trained, how good they are, and the bundle they are kept in.
//!
//! Comes in: features `[B, D]` f32 and labels. Goes out: logits `[B, C]`, losses,
//! metrics, and `head.safetensors` + `run.json`. [`stack`] trains heads, many at once.

mod blocks;
mod bundle;
mod cosines;
mod forward;
mod gram;
mod linear;
pub mod logistic;
mod loss;
mod matrix;
mod metrics;
mod multi_label;
mod neighbours;
mod network;
mod normalise;
mod regression;
pub mod ridge;
pub mod stack;
pub mod statistics;
mod task;
mod tridiagonal;

pub use blocks::{BLOCK_ROWS, Block, InMemory, RowBlocks, Rows};
pub use bundle::{
    Bundle, BundleError, FORMAT_VERSION, HEAD_FILE, PathPoint, PathRecord, RUN_FILE, RunRecord,
    SplitRecord, TrainingRecord, TunedRecord,
};
pub use cosines::Cosines;
pub use forward::Pass;
pub use gram::{Gram, Sampling};
pub use linear::Linear;
pub use loss::{CrossEntropy, LossSum};
pub use metrics::{Metrics, TOP_K, Tally, TaskMetrics, top_classes};
pub use multi_label::{LabelFigures, MultiLabelMetrics, MultiLabelRows};
pub use neighbours::{
    Centroids, DEFAULT_NEIGHBOUR_TEMPERATURE, DEFAULT_NEIGHBOURS, Neighbours, Votes,
};
pub use network::{DEFAULT_HIDDEN, Head, HeadKind};
pub use normalise::{Fitted, Moments, NORM_FLOOR, Normalisation};
pub use regression::{RegressionMetrics, RegressionRows};
pub use task::{LabelsRecord, Loss, TaskKind, TaskRecord};
