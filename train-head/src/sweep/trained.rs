//! What the trials of a sweep train, and what can be searched for it.

use super::name::Name;

/// What trials train.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trained {
    /// Heads on features.
    Heads,
    /// The last part of a backbone with a head, on activations.
    Tails,
}

impl Trained {
    /// The space that is searched unless told otherwise, and what `--print-space` prints.
    pub(crate) fn default_space(self) -> &'static str {
        match self {
            Self::Heads => include_str!("heads/space.toml"),
            Self::Tails => include_str!("tails/space.toml"),
        }
    }

    /// The names that a space file may have, in the order of the table's columns.
    pub(crate) fn names(self) -> &'static [Name] {
        match self {
            Self::Heads => &[
                Name::Solver,
                Name::LearningRate,
                Name::BatchSize,
                Name::WeightDecay,
                Name::C,
                Name::Lambda,
                Name::LabelSmoothing,
                Name::Dropout,
                Name::Hidden,
                Name::Normalise,
            ],
            Self::Tails => &[
                Name::Optimizer,
                Name::LearningRate,
                Name::HeadLearningRate,
                Name::LayerDecay,
                Name::BatchSize,
                Name::WeightDecay,
                Name::LabelSmoothing,
                Name::Mixup,
                Name::Dropout,
                Name::Hidden,
                Name::Bn,
                Name::Ema,
                Name::ClipNorm,
            ],
        }
    }
}
