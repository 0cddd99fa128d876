//! Losses of other tasks than that of one label, and whole epochs of them, against
//! PyTorch's.

use common::{
    engine::cpu::Isa,
    head::{
        Fitted, Head, HeadKind, Loss,
        stack::{Batch, Common, InMemory, Member, Method, Seen, Stack, Targets},
    },
};
use serde::Deserialize;

use crate::{
    assert_close, golden, member, parameters,
    pytorch::{counted, filled, kind},
};

#[derive(Deserialize)]
struct Golden {
    elements: Elements,
    epoch: Epoch,
}

#[derive(Deserialize)]
struct Elements {
    outputs: Vec<f32>,
    cases: Vec<ElementCase>,
}

#[derive(Deserialize)]
struct ElementCase {
    loss: Loss,
    smoothing: f32,
    class_weights: Vec<f32>,
    targets: Vec<f32>,
    value: f64,
    gradient: Vec<f32>,
}

#[derive(Deserialize)]
struct Epoch {
    rows: usize,
    width: usize,
    hidden: usize,
    outputs: usize,
    cases: Vec<EpochCase>,
}

#[derive(Deserialize)]
struct EpochCase {
    head: String,
    loss: Loss,
    losses: Vec<f64>,
    #[serde(rename = "final")]
    last: Vec<Vec<f32>>,
}

fn stack((loss, class_weights): (Loss, Vec<f32>), members: Vec<Member>, isa: Isa) -> Stack {
    let common = Common {
        standardise: Fitted::None,
        loss,
        class_weights,
        seed: 1,
        isa,
    };
    Stack::new(common, members)
}

/// One step on all rows of `features` `[rows, width]`.
fn step(
    stack: &mut Stack,
    (features, width): (&[f32], usize),
    targets: &[f32],
    rates: &[f32],
) -> Vec<Seen> {
    let rows: Vec<u32> = (0..(features.len() / width) as u32).collect();
    let batch = Batch {
        features: &InMemory {
            values: features,
            width,
        },
        rows: &rows,
        targets: Targets::Values(targets),
    };
    stack.step(batch, rates).to_vec()
}

/// Rows of the identity as features, as with cross-entropy. The second member's columns do not
/// begin with a panel.
#[test]
fn losses_of_elements_and_their_gradients_are_pytorchs() {
    let golden = golden::<Golden>("head_tasks.json").elements;
    let outputs = golden.cases[0].class_weights.len();
    let count = golden.outputs.len() / outputs;
    let mut features = vec![0.0; count * count];
    (0..count).for_each(|row| features[row * count + row] = 1.0);
    let mut head = Head::zeros(HeadKind::Linear, count, outputs);
    for (index, output) in golden.outputs.iter().enumerate() {
        head.layers_mut()[0].weight[index % outputs * count + index / outputs] = *output;
    }
    let plain = Method::Sgd {
        momentum: 0.0,
        nesterov: false,
    };
    for case in golden.cases {
        let smoothed = Member {
            label_smoothing: case.smoothing,
            ..member(head.clone(), plain)
        };
        for isa in Isa::available() {
            let members = vec![smoothed.clone(), smoothed.clone()];
            let mut stack = stack((case.loss, case.class_weights.clone()), members, isa);
            let seen = step(&mut stack, (&features, count), &case.targets, &[1.0; 2]);
            assert_eq!(seen[0], seen[1]);
            let mean = seen[0].loss.mean();
            assert!((mean - case.value).abs() < 1e-6, "{:?}: {mean}", case.loss);
            for member in 0..2 {
                let after = stack.head(member).unwrap();
                for (index, expected) in case.gradient.iter().enumerate() {
                    let place = index % outputs * count + index / outputs;
                    let found = head.layers()[0].weight[place] - after.layers()[0].weight[place];
                    assert!((found - expected).abs() < 1e-6, "{found} {expected}");
                }
            }
        }
    }
}

#[test]
fn a_textbook_epoch_of_every_loss_ends_where_pytorchs_ends() {
    let golden = golden::<Golden>("head_tasks.json").epoch;
    for case in golden.cases {
        let kind = kind(&case.head, golden.hidden);
        let mut numbers = counted();
        let values: Vec<f32> = numbers.by_ref().take(golden.rows * golden.width).collect();
        let mut targets = Vec::new();
        for row in values.chunks(golden.width) {
            targets.extend(row[..golden.outputs].iter().map(|value| match case.loss {
                Loss::BinaryCrossEntropy => f32::from(u8::from(*value > 0.0)),
                _ => value * 4.0,
            }));
        }
        let head = Head::zeros(kind, golden.width, golden.outputs);
        let head = filled(head, &mut numbers);
        let members = vec![member(head, Method::Adam)];
        let weights = vec![1.0; golden.outputs];
        let mut stack = stack((case.loss, weights), members, Isa::available()[0]);
        let batches = values.chunks(256 * golden.width);
        let batches = batches.zip(targets.chunks(256 * golden.outputs));
        for ((features, targets), expected) in batches.zip(case.losses) {
            let seen = step(&mut stack, (features, golden.width), targets, &[1e-3])[0];
            assert!((seen.loss.mean() - expected).abs() < 1e-5);
        }
        let head = stack.head(0).unwrap();
        for (found, expected) in parameters(&head).into_iter().zip(&case.last) {
            assert_close(found, expected, 1e-4, &case.head);
        }
    }
}
