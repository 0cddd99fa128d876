//! The step of all parameters, the norm of all gradients, and the moving averages.

use rayon::prelude::*;

use super::parameters::{Parameter, Parameters};
use crate::{
    engine::cpu::{
        isa::{Isa, Task},
        vector::Simd,
    },
    head::stack::update::{ColumnStep, Lanes, Rule},
    panel::LANES,
    tail::Step,
};

/// Floats of a task.
const CHUNK: usize = 1 << 14;

impl Parameters {
    /// Moves all that trains, and forgets the gradients.
    pub(super) fn step(&mut self, step: &Step<'_>, isa: Isa) {
        if !self.held {
            self.gradients.as_mut_slice().fill(0.0);
        }
        self.held = false;
        let rule = Rule::new(step.method.family(), step.number);
        let (list, mut gradients) = self.with_gradients();
        let mut tasks = Vec::new();
        for parameter in list {
            let Some(trained) = &mut parameter.trained else {
                continue;
            };
            let group = step.groups[trained.group];
            let mut lanes = Lanes::default();
            for lane in 0..LANES {
                lanes.set(
                    lane,
                    ColumnStep {
                        method: step.method,
                        learning_rate: group.learning_rate,
                        weight_decay: group.weight_decay,
                    },
                );
            }
            let (gradient, rest) = gradients.split_at_mut(trained.gradient.len());
            gradients = rest;
            let [first, second] = &mut trained.moments;
            let moments = first.chunks_mut(CHUNK).zip(second.chunks_mut(CHUNK));
            let values = parameter.values.chunks_mut(CHUNK);
            let chunks = values.zip(gradient.chunks_mut(CHUNK)).zip(moments);
            tasks.extend(chunks.map(|((values, gradient), (first, second))| Move {
                rule,
                lanes: lanes.clone(),
                scale: step.scale,
                values,
                gradient,
                moments: [first, second],
            }));
        }
        tasks.into_par_iter().for_each(|task| isa.run(task));
    }

    /// Euclidean norm of all gradients.
    pub(super) fn gradient_norm(&self, isa: Isa) -> f64 {
        if !self.held {
            return 0.0;
        }
        let chunks = self.gradients.as_slice().par_chunks(CHUNK);
        let sums: Vec<f64> = chunks
            .map(|values| {
                let mut sum = 0.0;
                isa.run(Squares {
                    values,
                    sum: &mut sum,
                });
                sum
            })
            .collect();
        sums.iter().sum::<f64>().sqrt()
    }

    /// `average = decay · average + (1 − decay) · value` of all that moves.
    pub(super) fn average(&mut self, decay: f32, isa: Isa) {
        let moving = self
            .list_mut()
            .par_iter_mut()
            .filter(|parameter| parameter.moves);
        moving.for_each(
            |Parameter {
                 values, average, ..
             }| match average {
                None => *average = Some(values.clone()),
                Some(average) => {
                    let chunks = average.par_chunks_mut(CHUNK).zip(values.par_chunks(CHUNK));
                    chunks.for_each(|(average, values)| {
                        isa.run(Follow {
                            decay,
                            average,
                            values,
                        });
                    });
                }
            },
        );
    }

    /// Exchanges values and averages.
    pub(super) fn swap_averages(&mut self) {
        for Parameter {
            values, average, ..
        } in self.list_mut()
        {
            if let Some(average) = average {
                std::mem::swap(values, average);
            }
        }
    }
}

struct Move<'a> {
    rule: Rule,
    lanes: Lanes,
    scale: f32,
    values: &'a mut [f32],
    gradient: &'a mut [f32],
    moments: [&'a mut [f32]; 2],
}

impl Task for Move<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        if self.scale != 1.0 {
            for value in self.gradient.iter_mut() {
                *value *= self.scale;
            }
        }
        self.rule
            .apply(&self.lanes, self.values, self.gradient, self.moments);
    }
}

struct Squares<'a> {
    values: &'a [f32],
    sum: &'a mut f64,
}

impl Task for Squares<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let mut sums = [0.0_f64; LANES];
        for values in self.values.chunks_exact(LANES) {
            for lane in 0..LANES {
                sums[lane] += f64::from(values[lane]) * f64::from(values[lane]);
            }
        }
        *self.sum = sums.iter().sum();
    }
}

struct Follow<'a> {
    decay: f32,
    average: &'a mut [f32],
    values: &'a [f32],
}

impl Task for Follow<'_> {
    #[inline(always)]
    fn run<S: Simd>(self, _simd: S) {
        let rest = 1.0 - self.decay;
        for (average, value) in self.average.iter_mut().zip(self.values) {
            *average = self.decay * *average + rest * value;
        }
    }
}
