//! Stacked training: against PyTorch (`data/golden/make_head_golden.py`) and candle's
//! autograd, and a head alone against the same head in company.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test that panics has failed"
)]

mod company;
mod gradients;
mod pytorch;
mod tasks;

use common::{
    engine::cpu::Isa,
    head::{
        Fitted, Head, Loss, Normalisation,
        stack::{Batch, Common, InMemory, Member, Method, Seen, Stack, Targets},
    },
};

/// A member without anything special.
fn member(head: Head, method: Method) -> Member {
    Member {
        head,
        normalise: Normalisation::None,
        method,
        weight_decay: 0.0,
        label_smoothing: 0.0,
        dropout: 0.0,
    }
}

/// A stack of `members` with the fastest instruction set.
fn stack(members: Vec<Member>, class_weights: Vec<f32>) -> Stack {
    let common = Common {
        standardise: Fitted::None,
        loss: Loss::CrossEntropy,
        class_weights,
        seed: 1,
        isa: Isa::available()[0],
    };
    Stack::new(common, members)
}

/// Labelled rows in memory.
#[derive(Clone)]
struct Rows {
    values: Vec<f32>,
    labels: Vec<u32>,
}

impl Rows {
    fn width(&self) -> usize {
        self.values.len() / self.labels.len()
    }

    /// Calls `each` with a batch of the rows `first..end`.
    fn with_batch<R>(&self, (first, end): (usize, usize), each: impl FnOnce(Batch) -> R) -> R {
        let rows: Vec<u32> = (first as u32..end as u32).collect();
        each(Batch {
            features: &InMemory {
                values: &self.values,
                width: self.width(),
            },
            rows: &rows,
            targets: Targets::Classes(&self.labels[first..end]),
        })
    }

    /// One step on the rows `first..end`.
    fn step(&self, stack: &mut Stack, range: (usize, usize), rates: &[f32]) -> Vec<Seen> {
        self.with_batch(range, |batch| stack.step(batch, rates).to_vec())
    }
}

fn golden<T: for<'a> serde::Deserialize<'a>>(name: &str) -> T {
    let path = format!("{}/../data/golden/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (index, (a, b)) in found.iter().zip(expected).enumerate() {
        assert!(
            (a - b).abs() <= tolerance,
            "{what}[{index}]: {a}, expected {b}"
        );
    }
}

/// All parameters, layer by layer, weights before biases.
fn parameters(head: &Head) -> Vec<&[f32]> {
    let layers = head.layers().iter();
    layers
        .flat_map(|layer| [&layer.weight[..], &layer.bias[..]])
        .collect()
}
