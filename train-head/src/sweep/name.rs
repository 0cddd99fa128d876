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
    LearningRate,
    BatchSize,
    WeightDecay,
    /// Of logistic regression.
    C,
    /// Penalty of ridge classification.
    Lambda,
    LabelSmoothing,
    Dropout,
    /// Hidden units; 0 is a linear head.
    Hidden,
    Normalise,
    /// One of the caches of the command line.
    Cache,
    /// One of the layers of the command line.
    Layer,
}

/// The values that a name takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    /// From `least`; below `below`, where that is finite.
    Real { least: Bound, below: f64 },
    /// From `least` to `most`.
    Whole { least: u32, most: u32 },
    /// One of these words; any where there are none.
    Word(&'static [&'static str]),
}

/// The lower end of a range of numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Bound {
    /// 0 is allowed.
    Zero,
    /// 0 is not.
    AboveZero,
}

impl Name {
    /// All, in the order of the table's columns.
    pub(crate) const ALL: [Self; 12] = [
        Self::Solver,
        Self::LearningRate,
        Self::BatchSize,
        Self::WeightDecay,
        Self::C,
        Self::Lambda,
        Self::LabelSmoothing,
        Self::Dropout,
        Self::Hidden,
        Self::Normalise,
        Self::Cache,
        Self::Layer,
    ];

    /// Those that a space file may have.
    pub(crate) const IN_FILES: &'static [Self] = Self::ALL.split_at(10).0;

    /// As in a space file and as a column.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Solver => "solver",
            Self::LearningRate => "learning_rate",
            Self::BatchSize => "batch_size",
            Self::WeightDecay => "weight_decay",
            Self::C => "c",
            Self::Lambda => "lambda",
            Self::LabelSmoothing => "label_smoothing",
            Self::Dropout => "dropout",
            Self::Hidden => "hidden",
            Self::Normalise => "normalise",
            Self::Cache => "cache",
            Self::Layer => "layer",
        }
    }

    pub(crate) fn kind(self) -> Kind {
        let share = Kind::Real {
            least: Bound::Zero,
            below: 1.0,
        };
        match self {
            Self::LearningRate | Self::C | Self::Lambda => Kind::Real {
                least: Bound::AboveZero,
                below: f64::INFINITY,
            },
            Self::WeightDecay => Kind::Real {
                least: Bound::Zero,
                below: f64::INFINITY,
            },
            Self::LabelSmoothing | Self::Dropout => share,
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
            Self::Cache | Self::Layer => Kind::Word(&[]),
        }
    }

    /// Whether `solver` has a use for it.
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
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
