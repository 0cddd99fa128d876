//! The content of `run.json`.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::super::{HeadKind, LabelsRecord, Normalisation, TaskMetrics, TaskRecord};
use crate::cache::Identity;

/// Newest version of the bundle that this program reads and writes. Version 2 has tasks
/// and tables of labels, version 3 fine-tuned backbones; a run is written as the oldest that it needs.
pub const FORMAT_VERSION: u32 = 3;

/// Everything that is needed to repeat, apply, and judge a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunRecord {
    /// See [`RunRecord::needed_version`].
    pub format_version: u32,
    /// Version of the program.
    pub program_version: String,
    /// The shape of the head.
    pub head: HeadKind,
    /// What the head predicts.
    #[serde(default, skip_serializing_if = "TaskRecord::is_single_label")]
    pub task: TaskRecord,
    /// The table of its labels, where they are not the cache's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelsRecord>,
    /// Names of the classes, or of a regression's targets; a logit's position is an index
    /// into them.
    pub classes: Vec<String>,
    /// Width of the features.
    pub features: usize,
    /// The layer of the backbone that the features come from.
    pub layer: String,
    /// What is left to be done to features before this head: `none` or `l2`.
    /// A standardisation is folded into the parameters.
    pub normalise_features: Normalisation,
    /// Fingerprint of the cache that the head was trained on.
    pub fingerprint: String,
    /// What that fingerprint is made of.
    pub identity: Identity,
    /// Digest of the cache's plan: which images, labels, and splits.
    pub plan_sha256: String,
    /// The hyper-parameters, the seed among them.
    pub settings: Value,
    /// How the backbone was fine-tuned; `identity` is then of features of the fine-tuned one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuned: Option<TunedRecord>,
    /// What logits are divided by before softmax, fitted on the validation rows;
    /// 1 in runs of before it was.
    #[serde(default = "unscaled")]
    pub temperature: f64,
    /// How the training went.
    pub training: TrainingRecord,
    /// SHA-256 of `head.safetensors`.
    pub head_sha256: String,
}

fn unscaled() -> f64 {
    1.0
}

/// A backbone that was trained with its head. The model is in `model.safetensors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TunedRecord {
    /// What the activations were that training started from; its weights are those from before.
    pub base: Identity,
    /// The layer they are of; `None`: the pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<String>,
    /// The names of what was trained, without the head, in execution order.
    pub trained: Vec<String>,
    /// SHA-256 of `model.safetensors`.
    pub model_sha256: String,
}

/// How a training went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingRecord {
    /// Epochs that were run to their end; with a path, its points.
    pub epochs: u32,
    /// The epoch, or point of the path, whose parameters are kept, counted from 1.
    pub best_epoch: u32,
    /// Why it ended: `epochs`, `patience`, `non-finite`, `halved`, or `signal`.
    pub ended_by: String,
    /// Where the training rows come from, and how good the kept head is on them.
    pub train: SplitRecord,
    /// Where the validation rows come from, and how good the kept head is on them.
    pub validation: SplitRecord,
    /// Rows without a label, which took no part.
    pub unlabelled_rows: u64,
    /// The strengths of regularisation that a convex solver went through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<PathRecord>,
}

/// A path over strengths of regularisation, strongest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathRecord {
    /// `c` or `lambda`.
    pub parameter: String,
    /// In the order they were fitted in.
    pub points: Vec<PathPoint>,
}

/// One strength of regularisation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PathPoint {
    /// C or λ.
    pub value: f64,
    /// Mean negative log-likelihood of the validation rows at `temperature`: the
    /// point where it is smallest is kept.
    pub validation_nll: f64,
    /// Share of the validation rows whose class is predicted.
    pub validation_top1: f64,
    /// Fitted on the validation rows.
    pub temperature: f64,
    /// Steps of an iterative solver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<usize>,
    /// Why it ended: `converged`, `precision`, `steps`, or `exact`.
    pub ended_by: String,
}

/// A split of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRecord {
    /// `source`: as the source says; `drawn`: taken out of the training rows;
    /// `refit`: training and validation rows together.
    pub origin: String,
    /// Rows of each class; empty with regression.
    pub class_rows: Vec<u64>,
    /// The kept head's figures.
    pub metrics: TaskMetrics,
}

impl RunRecord {
    /// The oldest version of the bundle that can say all of it.
    pub fn needed_version(&self) -> u32 {
        if self.tuned.is_some() {
            3
        } else if !self.task.is_single_label() || self.labels.is_some() {
            2
        } else {
            1
        }
    }

    /// Checks what the file alone can tell.
    pub(super) fn check(&self) -> Result<(), String> {
        self.identity.check_fingerprint(&self.fingerprint)?;
        if !(self.temperature > 0.0 && self.temperature.is_finite()) {
            return Err(format!(
                "temperature is {}, a positive number was expected",
                self.temperature
            ));
        }
        if self.classes.is_empty() || self.features == 0 {
            return Err(format!(
                "a head from {} features to {} classes",
                self.features,
                self.classes.len()
            ));
        }
        self.task.check(self.classes.len())
    }
}
