//! Trainers of tails: gradients against slopes of the loss, several processes against one.

mod differences;
mod executors;
mod learning;
mod processes;
mod threads;

use super::{
    Alone, Batch, Collective, GroupStep, NormMode, Selection, Step, Tail, TailOptions, Tensors,
    Trainer, TrainerError,
    cpu::CpuTrainer,
    reference::{Compute, ReferenceTrainer},
};
use crate::{
    backbone::{
        Activation, Conv, Network, NetworkBuilder, Norm, Op, Padding, Parameters, Pool, ValueId,
        registry, synthetic::uniform,
    },
    engine::{cpu::Isa, device::Precision},
    head::{Head, HeadKind, stack::Method},
};

const PLAIN: Method = Method::Sgd {
    momentum: 0.0,
    nesterov: false,
};

/// What runs a tail.
#[derive(Clone, Copy, Debug)]
enum Executor {
    Cpu,
    Reference,
}

const EXECUTORS: [Executor; 2] = [Executor::Cpu, Executor::Reference];

/// A tail with tensors and rows to train it on.
#[derive(Clone)]
pub(super) struct Problem {
    tail: Tail,
    tensors: Tensors,
    rows: usize,
    inputs: Vec<f32>,
    targets: Vec<f32>,
}

impl Problem {
    /// The tail of `network` behind the stage `start` (`None`: all of it) with what `patterns` select;
    /// weights, inputs and targets are made by formula.
    pub(super) fn new(
        network: Network,
        start: Option<&str>,
        patterns: &[&str],
        options: TailOptions,
    ) -> Self {
        let patterns: Vec<_> = patterns.iter().map(|p| (*p).to_owned()).collect();
        let selection = Selection::new(&network, &patterns).unwrap();
        let start = start.map_or(ValueId(0), |name| network.stage(name).unwrap().output);
        let parameters = Parameters::synthetic(&network);
        let tail = Tail::new(network, start, selection, options).unwrap();
        let head = Head::random(options.head, tail.features(), options.classes, 3);
        let rows = 6;
        let inputs = uniform("inputs").map(|u| (2.0 * u) as f32);
        Self {
            tensors: tail.tensors(&parameters, &head),
            inputs: inputs.take(rows * tail.input_shape().len()).collect(),
            targets: soft_targets(rows, options.classes),
            rows,
            tail,
        }
    }

    fn trainer(&self, executor: Executor, collective: Box<dyn Collective>) -> Box<dyn Trainer> {
        self.try_trainer(executor, collective).unwrap()
    }

    fn try_trainer(
        &self,
        executor: Executor,
        collective: Box<dyn Collective>,
    ) -> Result<Box<dyn Trainer>, TrainerError> {
        match executor {
            Executor::Cpu => {
                let (tail, isa) = (self.tail.clone(), Isa::available()[0]);
                Ok(Box::new(CpuTrainer::new(
                    tail,
                    &self.tensors,
                    isa,
                    collective,
                )?))
            }
            Executor::Reference => Ok(Box::new(self.try_reference(collective)?)),
        }
    }

    pub(super) fn try_reference(
        &self,
        collective: Box<dyn Collective>,
    ) -> Result<ReferenceTrainer, TrainerError> {
        let compute = Compute {
            device: candle_core::Device::Cpu,
            precision: Precision::F32,
        };
        ReferenceTrainer::new(self.tail.clone(), &self.tensors, compute, collective)
    }

    /// The rows from `first` to before `end`, as a part of a step on all rows.
    pub(super) fn batch(&self, first: usize, end: usize) -> Batch<'_> {
        let (width, classes) = (self.tail.input_shape().len(), self.tail.options().classes);
        Batch {
            inputs: &self.inputs[first * width..end * width],
            targets: &self.targets[first * classes..end * classes],
            scale: 1.0 / self.rows as f32,
            first_row: first,
            dropout_key: 77,
        }
    }

    /// How every tensor is moved alike.
    pub(super) fn groups(&self, learning_rate: f32, weight_decay: f32) -> Vec<GroupStep> {
        let group = GroupStep {
            learning_rate,
            weight_decay,
        };
        vec![group; self.tail.trained().len()]
    }
}

/// The step `number` without clipping.
pub(super) fn step(method: Method, number: i32, groups: &[GroupStep]) -> Step<'_> {
    Step {
        number,
        method,
        scale: 1.0,
        groups,
    }
}

/// The gradients that `trainer` holds, as the velocities of a step that moves nothing.
fn gradients(trainer: &mut dyn Trainer, problem: &Problem) -> Tensors {
    trainer
        .step(&step(PLAIN, 1, &problem.groups(0.0, 0.0)))
        .unwrap();
    let [velocities, _] = trainer.state().unwrap().moments;
    velocities
}

/// Rows of weights that add up to 1, no two of them alike.
fn soft_targets(rows: usize, classes: usize) -> Vec<f32> {
    let numbers: Vec<f32> = uniform("targets")
        .take(rows * classes)
        .map(|u| (u + 1.001) as f32)
        .collect();
    let normalised = numbers.chunks(classes).flat_map(|row| {
        let sum: f32 = row.iter().sum();
        row.iter().map(move |value| value / sum)
    });
    normalised.collect()
}

pub(super) fn options(input: [usize; 2], norm: NormMode, head: HeadKind) -> TailOptions {
    TailOptions {
        input,
        norm,
        head,
        classes: 3,
        dropout: 0.0,
    }
}

/// Every operation on shapes that divide evenly by nothing: `stem` (pixels to 4 channels), `pool`
/// (its maxima), `block` (an inverted residual beside a shortcut with a stride), `avgpool`.
pub(super) fn every_operation(padding: fn(usize) -> Padding) -> Network {
    let conv = |name: &str, channels: [usize; 2], kernel, stride, groups, activation| {
        Op::Conv(Conv {
            name: format!("{name}.conv"),
            in_channels: channels[0],
            out_channels: channels[1],
            kernel,
            stride,
            padding: padding(kernel),
            groups,
            norm: Norm {
                name: format!("{name}.norm"),
                eps: 1e-3,
            },
            activation,
        })
    };
    let mut builder = NetworkBuilder::new("every-operation", "fc");
    let stem = conv("stem", [3, 4], 3, 2, 1, Activation::Relu6);
    let input = builder.last();
    let stem = builder.push(stem, input);
    builder.end_stage("stem");
    let pooled = builder.push(
        Op::MaxPool(Pool {
            kernel: 3,
            stride: 2,
            padding: padding(3),
        }),
        stem,
    );
    builder.end_stage("pool");
    let value = builder.push(conv("a", [4, 6], 1, 1, 1, Activation::Relu6), pooled);
    let value = builder.push(conv("b", [6, 6], 5, 2, 6, Activation::Relu6), value);
    let branch = builder.push(conv("c", [6, 5], 1, 1, 1, Activation::Identity), value);
    let shortcut = builder.push(conv("d", [4, 5], 3, 2, 1, Activation::Identity), pooled);
    builder.add(branch, shortcut, Activation::Relu);
    builder.end_stage("block");
    builder.finish()
}

fn symmetric(kernel: usize) -> Padding {
    Padding::Symmetric(kernel / 2)
}

pub(super) fn same(_kernel: usize) -> Padding {
    Padding::Same
}

/// The largest difference between two tensors, relative to the largest value of `expected`.
fn difference(found: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0, |m: f32, v| m.max(v.abs()));
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    f64::from(differences.fold(0.0, f32::max)) / f64::from(largest).max(1e-12)
}

/// The Euclidean norm.
fn length(values: &[f32]) -> f64 {
    let squares = values.iter().map(|value| f64::from(*value).powi(2));
    squares.sum::<f64>().sqrt()
}
