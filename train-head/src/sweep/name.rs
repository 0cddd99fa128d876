//! The names of a space, and which values they take.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::{LBFGS, RIDGE};

/// What finds a head; the first unless the space says otherwise.
pub(super) const SOLVERS: [&str; 5] = ["adam", "adamw", "sgd", LBFGS, RIDGE];

/// What can be searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Name {
    /// First, as it decides which others are used.
    Solver,
    /// How fine-tuning takes steps.
    Optimizer,
    LearningRate,
    /// Of the head, where it is fine-tuned along.
    HeadLearningRate,
    /// Share of a block's learning rate in that of the block behind it.
    LayerDecay,
    BatchSize,
    WeightDecay,
    /// Of logistic regression.
    C,
    /// Penalty of ridge classification.
    Lambda,
    LabelSmoothing,
    /// 0 is none.
    Mixup,
    Dropout,
    /// Hidden units; 0 is a linear head.
    Hidden,
    Normalise,
    /// What batch normalisations do.
    Bn,
    /// Decay of an average of the weights; 0 is none.
    Ema,
    /// Largest norm of gradients; 0 is none.
    ClipNorm,
    /// One of the caches of the command line.
    Cache,
    /// One of the layers of the command line.
    Layer,
    /// One of the degrees of unfreezing of the command line.
    Unfreeze,
}

/// The values that a name takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Real {
        from: Lower,
        to: Upper,
    },
    /// From `least` to `most`.
    Whole {
        least: u32,
        most: u32,
    },
    /// One of these words; any where there are none.
    Word(&'static [&'static str]),
}

/// The lower end of the numbers that a name takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Lower {
    /// 0 is allowed.
    Zero,
    /// 0 is not.
    AboveZero,
}

/// The upper end of the numbers that a name takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Upper {
    None,
    /// 1 is not allowed.
    BelowOne,
    /// 1 is.
    One,
}

impl Name {
    /// Those that are chosen on the command line, with options of the same names.
    pub(crate) const OF_OPTIONS: [Self; 3] = [Self::Cache, Self::Layer, Self::Unfreeze];

    /// As in a space file and as a column.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Solver => "solver",
            Self::Optimizer => "optimizer",
            Self::LearningRate => "learning_rate",
            Self::HeadLearningRate => "head_learning_rate",
            Self::LayerDecay => "layer_decay",
            Self::BatchSize => "batch_size",
            Self::WeightDecay => "weight_decay",
            Self::C => "c",
            Self::Lambda => "lambda",
            Self::LabelSmoothing => "label_smoothing",
            Self::Mixup => "mixup",
            Self::Dropout => "dropout",
            Self::Hidden => "hidden",
            Self::Normalise => "normalise",
            Self::Bn => "bn",
            Self::Ema => "ema",
            Self::ClipNorm => "clip_norm",
            Self::Cache => "cache",
            Self::Layer => "layer",
            Self::Unfreeze => "unfreeze",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        let real = |from, to| Kind::Real { from, to };
        match self {
            Self::LearningRate | Self::HeadLearningRate | Self::C | Self::Lambda => {
                real(Lower::AboveZero, Upper::None)
            }
            Self::LayerDecay => real(Lower::AboveZero, Upper::One),
            Self::WeightDecay | Self::Mixup | Self::ClipNorm => real(Lower::Zero, Upper::None),
            Self::LabelSmoothing | Self::Dropout | Self::Ema => real(Lower::Zero, Upper::BelowOne),
            Self::BatchSize => Kind::Whole {
                least: 1,
                most: u32::MAX,
            },
            Self::Hidden => Kind::Whole {
                least: 0,
                most: crate::plan::MAX_HIDDEN as u32,
            },
            Self::Normalise => Kind::Word(&["none", "l2", "standardise"]),
            Self::Solver => Kind::Word(&SOLVERS),
            Self::Optimizer => Kind::Word(&["adamw", "adam", "sgd"]),
            Self::Bn => Kind::Word(&["frozen", "train"]),
            Self::Cache | Self::Layer | Self::Unfreeze => Kind::Word(&[]),
        }
    }

    /// Whether `solver` has a use for it; those of fine-tuning are for all that it has.
    pub(crate) fn is_used_by(self, solver: &str) -> bool {
        match self {
            Self::C => solver == LBFGS,
            Self::Lambda => solver == RIDGE,
            Self::LearningRate
            | Self::BatchSize
            | Self::WeightDecay
            | Self::LabelSmoothing
            | Self::Dropout
            | Self::Hidden => solver != LBFGS && solver != RIDGE,
            Self::Solver | Self::Normalise | Self::Cache | Self::Layer => true,
            Self::Optimizer
            | Self::HeadLearningRate
            | Self::LayerDecay
            | Self::Mixup
            | Self::Bn
            | Self::Ema
            | Self::ClipNorm
            | Self::Unfreeze => true,
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
