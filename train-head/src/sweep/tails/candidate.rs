//! A point of the space as a fine-tuning takes it.

use common::{
    head::{Head, HeadKind, stack::Method},
    tail::NormMode,
};

use super::super::{
    name::Name,
    space::{Point, Space},
};
use crate::plan::{
    DEFAULT_HEAD_RATE_FACTOR, DEFAULT_MOMENTUM, FineSettings, TailTrials, fine_rate, freeze_epochs,
    optimizer_defaults,
};

/// A fine-tuning before its first step.
pub(super) struct Candidate {
    pub(super) settings: FineSettings,
    pub(super) head: Head,
    /// Which of the sweep's degrees of unfreezing it has.
    pub(super) degree: usize,
}

/// The settings that `point` stands for.
pub(super) fn settings((space, point): (&Space, &Point), own: &TailTrials) -> FineSettings {
    let number = |name| space.number(point, name);
    let single = |name| number(name).map(|number| number as f32);
    let word = |name| space.word(point, name);
    let base = &own.base;
    let optimizer = match word(Name::Optimizer) {
        Some("adam") => Method::Adam,
        Some("sgd") => Method::Sgd {
            momentum: DEFAULT_MOMENTUM,
            nesterov: false,
        },
        _ => Method::AdamW,
    };
    let learning_rate = number(Name::LearningRate).unwrap_or_else(|| fine_rate(optimizer));
    let head_rate = number(Name::HeadLearningRate);
    let bn = match word(Name::Bn) {
        Some("train") => NormMode::Train,
        _ => NormMode::Frozen,
    };
    let frozen = freeze_epochs(own.init.as_ref(), bn, base.epochs);
    FineSettings {
        unfreeze: own.degrees[space.choice(point, Name::Unfreeze)].clone(),
        head: match number(Name::Hidden) {
            Some(hidden) if hidden > 0.0 => HeadKind::Mlp {
                hidden: hidden as usize,
            },
            _ => HeadKind::Linear,
        },
        freeze_epochs: own.freeze_epochs.unwrap_or(frozen),
        batch_size: number(Name::BatchSize).map_or(base.batch_size, |rows| rows as usize),
        optimizer,
        learning_rate,
        head_learning_rate: head_rate.unwrap_or(DEFAULT_HEAD_RATE_FACTOR * learning_rate),
        layer_decay: number(Name::LayerDecay).unwrap_or(base.layer_decay),
        weight_decay: single(Name::WeightDecay).unwrap_or(optimizer_defaults(optimizer).1),
        label_smoothing: single(Name::LabelSmoothing).unwrap_or(base.label_smoothing),
        mixup: number(Name::Mixup).unwrap_or(base.mixup),
        dropout: single(Name::Dropout).unwrap_or(base.dropout),
        bn,
        ema: single(Name::Ema).filter(|decay| *decay > 0.0),
        clip_norm: number(Name::ClipNorm).filter(|norm| *norm > 0.0),
        ..base.clone()
    }
}
