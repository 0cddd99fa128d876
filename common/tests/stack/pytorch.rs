//! Steps, losses and whole epochs against PyTorch's.

use std::mem;

use common::head::{
    Head, HeadKind, LossSum,
    stack::{Member, Method},
};
use serde::Deserialize;

use crate::{Rows, assert_close, golden, member, parameters, stack};

#[derive(Deserialize)]
struct Steps {
    features: Vec<f32>,
    labels: Vec<u32>,
    class_weights: Vec<f32>,
    smoothing: f32,
    batch: usize,
    epochs: usize,
    weight_decay: f32,
    cases: Vec<StepCase>,
}

#[derive(Deserialize)]
struct StepCase {
    head: String,
    optimizer: String,
    initial: Vec<Vec<f32>>,
    losses: Vec<f64>,
    #[serde(rename = "final")]
    last: Vec<Vec<f32>>,
}

fn method(name: &str) -> (Method, f32) {
    let sgd = |momentum, nesterov| Method::Sgd { momentum, nesterov };
    match name {
        "sgd" => (sgd(0.9, false), 0.1),
        "nesterov" => (sgd(0.8, true), 0.1),
        "adam" => (Method::Adam, 0.01),
        "adamw" => (Method::AdamW, 0.01),
        other => panic!("optimizer {other}"),
    }
}

fn head_of(case: &mut StepCase) -> Head {
    let kind = match case.head.as_str() {
        "linear" => HeadKind::Linear,
        _ => HeadKind::Mlp { hidden: 5 },
    };
    let mut head = Head::zeros(kind, 6, 4);
    for (layer, values) in head.layers_mut().iter_mut().zip(case.initial.chunks_mut(2)) {
        layer.weight = mem::take(&mut values[0]);
        layer.bias = mem::take(&mut values[1]);
    }
    head
}

#[test]
fn steps_of_every_optimizer_in_one_stack_are_pytorchs() {
    let mut golden: Steps = golden("head_steps.json");
    let rows = Rows {
        values: mem::take(&mut golden.features),
        labels: mem::take(&mut golden.labels),
    };
    let rates: Vec<f32> = golden
        .cases
        .iter()
        .map(|case| method(&case.optimizer).1)
        .collect();
    let members = golden.cases.iter_mut().map(|case| Member {
        weight_decay: golden.weight_decay,
        label_smoothing: golden.smoothing,
        ..member(head_of(case), method(&case.optimizer).0)
    });
    let mut stack = stack(members.collect(), golden.class_weights.clone());
    let count = rows.labels.len();
    let mut step = 0;
    for _ in 0..golden.epochs {
        for first in (0..count).step_by(golden.batch) {
            let seen = rows.step(&mut stack, (first, count.min(first + golden.batch)), &rates);
            for (case, seen) in golden.cases.iter().zip(seen) {
                let (loss, expected) = (seen.loss.mean(), case.losses[step]);
                let what = format!("{} {}: {loss} {expected}", case.head, case.optimizer);
                assert!((loss - expected).abs() < 1e-5, "{what}");
            }
            step += 1;
        }
    }
    for (number, case) in golden.cases.iter().enumerate() {
        let what = format!("{} {}", case.head, case.optimizer);
        let head = stack.head(number).unwrap();
        for (found, expected) in parameters(&head).into_iter().zip(&case.last) {
            assert_close(found, expected, 1e-5, &what);
        }
    }
}

#[derive(Deserialize)]
struct Losses {
    logits: Vec<f32>,
    labels: Vec<u32>,
    cases: Vec<LossCase>,
}

#[derive(Deserialize)]
struct LossCase {
    smoothing: f32,
    class_weights: Vec<f32>,
    loss: f64,
    gradient: Vec<f32>,
}

/// Rows of the identity as features make each row of the weights the logits of one row;
/// a plain step of rate 1 then subtracts their gradient.
#[test]
fn smoothed_and_weighted_loss_and_its_gradient_are_pytorchs() {
    let golden: Losses = golden("head_loss.json");
    let (count, classes) = (
        golden.labels.len(),
        golden.logits.len() / golden.labels.len(),
    );
    let mut rows = Rows {
        values: vec![0.0; count * count],
        labels: golden.labels,
    };
    (0..count).for_each(|row| rows.values[row * count + row] = 1.0);
    let mut head = Head::zeros(HeadKind::Linear, count, classes);
    for (index, logit) in golden.logits.iter().enumerate() {
        head.layers_mut()[0].weight[index % classes * count + index / classes] = *logit;
    }
    for case in golden.cases {
        let plain = Method::Sgd {
            momentum: 0.0,
            nesterov: false,
        };
        let smoothed = Member {
            label_smoothing: case.smoothing,
            ..member(head.clone(), plain)
        };
        let mut stack = stack(vec![smoothed], case.class_weights);
        let LossSum { total, weight } = rows.step(&mut stack, (0, count), &[1.0])[0].loss;
        assert!((total / weight - case.loss).abs() < 1e-6);
        let after = stack.head(0).unwrap();
        for (index, expected) in case.gradient.iter().enumerate() {
            let place = index % classes * count + index / classes;
            let found = head.layers()[0].weight[place] - after.layers()[0].weight[place];
            assert!((found - expected).abs() < 1e-6, "{found} {expected}");
        }
    }
}

#[derive(Deserialize)]
struct Epoch {
    rows: usize,
    width: usize,
    hidden: usize,
    classes: usize,
    cases: Vec<EpochCase>,
}

#[derive(Deserialize)]
struct EpochCase {
    head: String,
    losses: Vec<f64>,
    #[serde(rename = "final")]
    last: Vec<Vec<f32>>,
}

/// The numbers of `counted` in the script.
pub(crate) fn counted() -> impl Iterator<Item = f32> {
    let mut state = 12_345_u32;
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(((state >> 8) as f32 - 8_388_608.0) / 8_388_608.0)
    })
}

/// The kind of head that the script calls `name`.
pub(crate) fn kind(name: &str, hidden: usize) -> HeadKind {
    match name {
        "linear" => HeadKind::Linear,
        _ => HeadKind::Mlp { hidden },
    }
}

/// `head` with parameters of the size of `nn.Linear`'s.
pub(crate) fn filled(mut head: Head, numbers: &mut impl Iterator<Item = f32>) -> Head {
    for layer in head.layers_mut() {
        let scale = 1.0 / (layer.inputs as f32).sqrt();
        for value in layer.weight.iter_mut().chain(&mut layer.bias) {
            *value = numbers.next().unwrap() * scale;
        }
    }
    head
}

#[test]
fn a_textbook_epoch_ends_where_pytorchs_ends() {
    let golden: Epoch = golden("head_epoch.json");
    for case in golden.cases {
        let kind = kind(&case.head, golden.hidden);
        let mut numbers = counted();
        let values: Vec<f32> = numbers.by_ref().take(golden.rows * golden.width).collect();
        let label = |row: &[f32]| {
            let row = &row[..golden.classes];
            let best = row.iter().copied().fold(f32::MIN, f32::max);
            row.iter().position(|value| *value == best).unwrap() as u32
        };
        let rows = Rows {
            labels: values.chunks(golden.width).map(label).collect(),
            values,
        };
        let head = Head::zeros(kind, golden.width, golden.classes);
        let head = filled(head, &mut numbers);
        let members = vec![member(head, Method::Adam)];
        let mut stack = stack(members, vec![1.0; golden.classes]);
        for (first, expected) in (0..golden.rows).step_by(256).zip(case.losses) {
            let seen = rows.step(&mut stack, (first, first + 256), &[1e-3])[0];
            assert!((seen.loss.mean() - expected).abs() < 1e-5);
        }
        let head = stack.head(0).unwrap();
        for (found, expected) in parameters(&head).into_iter().zip(&case.last) {
            assert_close(found, expected, 1e-4, &case.head);
        }
    }
}
