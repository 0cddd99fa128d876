//! What a head predicts, and the loss that it learns by.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The kind of a head's answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TaskKind {
    /// One class a row.
    #[default]
    SingleLabel,
    /// Any number of classes a row.
    MultiLabel,
    /// One or several numbers a row.
    Regression,
}

impl fmt::Display for TaskKind {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(match self {
            Self::SingleLabel => "single-label",
            Self::MultiLabel => "multi-label",
            Self::Regression => "regression",
        })
    }
}

/// What training minimises. Every loss is PyTorch's, with `reduction="mean"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// `F.cross_entropy` over classes.
    #[default]
    CrossEntropy,
    /// `F.binary_cross_entropy_with_logits`, the mean over rows and classes.
    BinaryCrossEntropy,
    /// `F.mse_loss`, the mean over rows and targets.
    Mse,
    /// `F.huber_loss` with `delta=1`, the mean over rows and targets.
    Huber,
}

impl Loss {
    /// What heads that learn by it predict.
    pub const fn task(self) -> TaskKind {
        match self {
            Self::CrossEntropy => TaskKind::SingleLabel,
            Self::BinaryCrossEntropy => TaskKind::MultiLabel,
            Self::Mse | Self::Huber => TaskKind::Regression,
        }
    }

    /// Whether it is the default.
    pub fn is_cross_entropy(&self) -> bool {
        *self == Self::CrossEntropy
    }
}

/// What a run says of its task.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum TaskRecord {
    /// One class a row; runs of before there were others say nothing.
    #[default]
    SingleLabel,
    /// Any number of classes a row.
    MultiLabel {
        /// A class is predicted from this probability on; one a class, in [0, 1], chosen
        /// on the validation rows.
        thresholds: Vec<f64>,
    },
    /// Numbers, in the units of the table.
    Regression,
}

impl TaskRecord {
    /// Without what belongs to the one run.
    pub const fn kind(&self) -> TaskKind {
        match self {
            Self::SingleLabel => TaskKind::SingleLabel,
            Self::MultiLabel { .. } => TaskKind::MultiLabel,
            Self::Regression => TaskKind::Regression,
        }
    }

    /// Whether it is the default.
    pub fn is_single_label(&self) -> bool {
        *self == Self::SingleLabel
    }

    /// Checks the thresholds of `classes` classes.
    pub(super) fn check(&self, classes: usize) -> Result<(), String> {
        let Self::MultiLabel { thresholds } = self else {
            return Ok(());
        };
        if thresholds.len() != classes {
            return Err(format!(
                "{} thresholds for {classes} classes",
                thresholds.len()
            ));
        }
        match thresholds.iter().find(|t| !(0.0..=1.0).contains(*t)) {
            Some(threshold) => Err(format!("threshold {threshold}, expected one in [0, 1]")),
            None => Ok(()),
        }
    }
}

/// The table that a run's labels come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LabelsRecord {
    /// The columns that hold the answers.
    pub columns: Vec<String>,
    /// What separates the names of classes in one column of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<String>,
    /// SHA-256 of the table.
    pub sha256: String,
}
