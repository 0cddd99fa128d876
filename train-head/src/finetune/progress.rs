//! How far a training is, and how its epochs end.

use common::{exit::Exit, head::LossSum};
use serde::{Deserialize, Serialize};

use crate::monitor::EpochLine;

/// How far a training is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Progress {
    /// Epochs that came to their end.
    pub(crate) epochs: u32,
    /// Batches of the next one that are done.
    pub(crate) batches: usize,
    /// Steps of the current phase.
    pub(crate) steps: u64,
    /// What was seen of the epoch under way.
    pub(super) loss: LossSum,
    pub(super) correct: u64,
    pub(super) elapsed_ms: f64,
    /// Epoch and validation loss of the best model.
    pub(crate) best: Option<(u32, f64)>,
    /// The figures of the epochs.
    pub(crate) lines: Vec<EpochLine>,
}

/// How an epoch ended.
pub(crate) enum EpochEnd {
    Whole(EpochLine),
    /// A loss is not a number, or infinite.
    NonFinite,
    /// A signal came; the session is between two steps.
    Stopped(Exit),
}
