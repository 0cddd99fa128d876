//! The executor against f64 and finite differences, and its invariants.

mod gradients;
mod invariants;
mod naive;
mod networks;

use super::CpuTrainer;
use crate::{
    backbone::{Network, Parameters, ValueId, synthetic::uniform},
    engine::cpu::Isa,
    head::{Head, HeadKind},
    tail::{Alone, Batch, Collective, NormMode, Selection, Tail, TailOptions, Tensors, Trainer},
};

/// A small tail with a batch for it.
pub(super) struct Case {
    tail: Tail,
    tensors: Tensors,
    inputs: Vec<f32>,
    targets: Vec<f32>,
    rows: usize,
}

/// How a [`Case`] differs from others.
#[derive(Clone, Copy)]
pub(super) struct Setting {
    pub(super) input: [usize; 2],
    pub(super) rows: usize,
    pub(super) norm: NormMode,
    pub(super) head: HeadKind,
    pub(super) dropout: f32,
}

pub(super) const CLASSES: usize = 5;

pub(super) const PLAIN: Setting = Setting {
    input: [7, 5],
    rows: 3,
    norm: NormMode::Frozen,
    head: HeadKind::Linear,
    dropout: 0.0,
};

impl Case {
    pub(super) fn new(
        network: &Network,
        (start, unfreeze): (usize, &str),
        setting: Setting,
    ) -> Self {
        let patterns: Vec<String> = unfreeze.split(',').map(str::to_owned).collect();
        let selection = Selection::new(network, &patterns).unwrap();
        let options = TailOptions {
            input: setting.input,
            norm: setting.norm,
            head: setting.head,
            classes: CLASSES,
            dropout: setting.dropout,
        };
        let tail = Tail::new(network.clone(), ValueId(start), selection, options).unwrap();
        let head = Head::random(setting.head, tail.features(), CLASSES, 3);
        let tensors = tail.tensors(&Parameters::synthetic(network), &head);
        let len = setting.rows * tail.input_shape().len();
        let inputs = uniform("inputs").take(len).map(|value| 3.0 * value as f32);
        let targets = uniform("targets").take(setting.rows * CLASSES);
        Self {
            inputs: inputs.collect(),
            targets: targets.map(|value| (0.5 + 0.5 * value) as f32).collect(),
            rows: setting.rows,
            tail,
            tensors,
        }
    }

    pub(super) fn trainer(&self, isa: Isa) -> CpuTrainer {
        self.trainer_with(isa, Box::new(Alone))
    }

    pub(super) fn trainer_with(&self, isa: Isa, collective: Box<dyn Collective>) -> CpuTrainer {
        CpuTrainer::new(self.tail.clone(), &self.tensors, isa, collective).unwrap()
    }

    /// The rows from `first` on, up to `end`.
    pub(super) fn batch(&self, first: usize, end: usize) -> Batch<'_> {
        let len = self.tail.input_shape().len();
        Batch {
            inputs: &self.inputs[first * len..end * len],
            targets: &self.targets[first * CLASSES..end * CLASSES],
            scale: 1.0 / self.rows as f32,
            first_row: first,
            dropout_key: 7,
        }
    }

    /// A trainer that holds the gradients of the whole batch.
    pub(super) fn accumulated(&self, isa: Isa) -> CpuTrainer {
        let mut trainer = self.trainer(isa);
        trainer.accumulate(&self.batch(0, self.rows)).unwrap();
        trainer
    }
}

/// The gradient of every tensor that trains, in PyTorch's order.
pub(super) fn gradients(trainer: &mut CpuTrainer) -> Vec<(String, Vec<f32>)> {
    let (list, gradients) = trainer.parameters.with_gradients();
    let trained = list.iter().filter_map(|parameter| {
        let range = parameter.trained.as_ref()?.gradient.clone();
        Some((parameter.name.clone(), parameter.unpack(&gradients[range])))
    });
    trained.collect()
}

pub(super) fn assert_close(found: &[f32], expected: &[f64], tolerance: f64, name: &str) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let largest = expected
        .iter()
        .fold(0.0_f64, |largest, value| largest.max(value.abs()));
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        assert!(
            error <= tolerance * largest + 1e-6,
            "{name}[{place}]: {found}, not {expected} (largest {largest})"
        );
    }
}
