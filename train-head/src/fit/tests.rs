//! Steps against PyTorch's (`data/golden/make_head_golden.py`).

use std::mem;

use serde::Deserialize;

use super::*;
use crate::{
    optimizer::Method,
    plan::{DEFAULT_BATCH_SIZE, DEFAULT_EPOCHS, DEFAULT_SEED, DEFAULT_VAL_FRACTION},
    schedule::Decay,
};

#[derive(Deserialize)]
struct Golden {
    features: Vec<f32>,
    labels: Vec<u32>,
    class_weights: Vec<f32>,
    smoothing: f32,
    batch: usize,
    epochs: usize,
    weight_decay: f32,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    head: String,
    optimizer: String,
    initial: Vec<Vec<f32>>,
    losses: Vec<f64>,
    #[serde(rename = "final")]
    last: Vec<Vec<f32>>,
}

fn golden() -> Golden {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../data/golden/head_steps.json"
    );
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

pub(super) fn settings() -> Settings {
    Settings {
        epochs: DEFAULT_EPOCHS,
        patience: None,
        batch_size: DEFAULT_BATCH_SIZE,
        optimizer: Method::Adam,
        learning_rate: 0.01,
        weight_decay: 0.0,
        schedule: Decay::Constant,
        warmup_epochs: 0,
        normalise: Normalisation::None,
        dropout: 0.0,
        label_smoothing: 0.0,
        class_weights: ClassWeights::None,
        val_fraction: DEFAULT_VAL_FRACTION,
        seed: DEFAULT_SEED,
    }
}

fn method(case: &Case) -> (Method, f32) {
    let sgd = |momentum, nesterov| Method::Sgd { momentum, nesterov };
    match case.optimizer.as_str() {
        "sgd" => (sgd(0.9, false), 0.1),
        "nesterov" => (sgd(0.8, true), 0.1),
        "adam" => (Method::Adam, 0.01),
        "adamw" => (Method::AdamW, 0.01),
        other => panic!("optimizer {other}"),
    }
}

#[test]
fn steps_of_every_optimizer_are_pytorchs() {
    let golden = golden();
    for mut case in golden.cases {
        let what = format!("{} {}", case.head, case.optimizer);
        let kind = match case.head.as_str() {
            "linear" => HeadKind::Linear,
            _ => HeadKind::Mlp { hidden: 5 },
        };
        let mut head = Head::zeros(kind, 6, 4);
        for (layer, values) in head.layers_mut().iter_mut().zip(case.initial.chunks_mut(2)) {
            layer.weight = mem::take(&mut values[0]);
            layer.bias = mem::take(&mut values[1]);
        }
        let (optimizer, learning_rate) = method(&case);
        let settings = Settings {
            optimizer,
            weight_decay: golden.weight_decay,
            label_smoothing: golden.smoothing,
            ..settings()
        };
        let mut trainer = Trainer::new(head, &settings, golden.class_weights.clone());
        let mut losses = case.losses.iter();
        for _ in 0..golden.epochs {
            let batches = golden.features.chunks(golden.batch * 6);
            for (features, labels) in batches.zip(golden.labels.chunks(golden.batch)) {
                let loss = trainer.step(features, labels, learning_rate).loss.mean();
                let expected = losses.next().unwrap();
                assert!((loss - expected).abs() < 1e-5, "{what}: {loss} {expected}");
            }
        }
        let found = trainer.head().layers().iter();
        let found = found.flat_map(|layer| [&layer.weight, &layer.bias]);
        for (found, expected) in found.zip(&case.last) {
            for (a, b) in found.iter().zip(expected) {
                assert!((a - b).abs() < 1e-5, "{what}: {a}, expected {b}");
            }
        }
    }
}

#[test]
fn loss_that_is_not_finite_changes_nothing() {
    let mut head = Head::zeros(HeadKind::Linear, 2, 2);
    head.layers_mut()[0].weight.fill(2.0);
    let mut trainer = Trainer::new(head.clone(), &settings(), vec![1.0; 2]);
    let taken = trainer.step(&[f32::MAX, f32::MAX], &[0], 0.1);
    assert!(!taken.loss.total.is_finite());
    assert_eq!(trainer.head(), &head);
}
