//! The tail on the CPU, written out: f32, the engine's instruction sets, all threads of rayon's
//! current pool.
//!
//! ```text
//!   inputs ──► panels of channels ──► operations ──► features ──► head ──► loss
//!              (`maps`)                 │ forwards                            │
//!                                       └ backwards ◄─────────────────────────┘
//!
//!   convolution   `general`    any window: products of gathered columns (`window`, `product`, `outer`)
//!                 `winograd`   3×3, stride 1
//!                 `depthwise`  a kernel a channel
//!   around it     `norm`, `affine`; `pooling`; `head`, `loss`
//!   parameters    `packing` (their order in memory), `parameters`, `update`
//!   order         `plan` (what reads what, and what the way back needs), `passes`
//! ```
//!
//! Invariants: tasks own what they add up and do so in one order, so that every number of threads
//! gives the same bits; a row's features do not depend on the rows beside it; parameters lie in the order
//! that the products read, and are put into PyTorch's when they are asked for.

mod affine;
mod conv;
mod depthwise;
mod general;
mod head;
mod loss;
mod maps;
mod norm;
mod outer;
mod packing;
mod parameters;
mod passes;
mod plan;
mod pooling;
mod product;
mod settle;
mod square;
#[cfg(test)]
mod tests;
mod update;
mod window;
mod winograd;

use self::{
    head::{Drop, Means},
    loss::Objective,
    maps::{Maps, Pool},
    parameters::Parameters,
    passes::{Inputs, Mode, Pass},
    plan::Plan,
};
use super::{Batch, Collective, State, Step, Tail, Tensors, Trainer, TrainerError};
use crate::{
    engine::cpu::Isa,
    head::stack::{Seen, view::Dropping},
};

/// Images that evaluation takes at a time.
const EVALUATED_IMAGES: usize = 32;

/// Trains a tail on the CPU.
pub struct CpuTrainer {
    tail: Tail,
    plan: Plan,
    parameters: Parameters,
    isa: Isa,
    collective: Box<dyn Collective>,
    pool: Pool,
}

impl CpuTrainer {
    /// Of `tail` with the values in `tensors`.
    ///
    /// # Errors
    /// When a tensor is missing or has another shape.
    pub fn new(
        tail: Tail,
        tensors: &Tensors,
        isa: Isa,
        collective: Box<dyn Collective>,
    ) -> Result<Self, TrainerError> {
        let (plan, parameters) = Plan::new(&tail, tensors, isa)?;
        Ok(Self {
            tail,
            plan,
            parameters,
            isa,
            collective,
            pool: Pool::default(),
        })
    }

    fn pass<'a>(&'a mut self, inputs: Inputs<'a>) -> Pass<'a> {
        let len = inputs.images * self.plan.input.len();
        assert_eq!(inputs.values.len(), len, "values of all rows");
        Pass {
            plan: &self.plan,
            parameters: &mut self.parameters,
            inputs,
            collective: self.collective.as_ref(),
            means: Means {
                isa: self.isa,
                pool: &self.pool,
            },
        }
    }

    /// Appends what `judge` takes from the features of each row.
    fn evaluate(
        &mut self,
        inputs: &[f32],
        rows: usize,
        judge: impl Fn(&Self, Maps, &mut Vec<f32>),
    ) -> Result<Vec<f32>, TrainerError> {
        let len = self.plan.input.len();
        assert_eq!(inputs.len(), rows * len, "values of all rows");
        let mut results = Vec::new();
        for values in inputs.chunks(EVALUATED_IMAGES * len) {
            let images = values.len() / len;
            let mut trace = self
                .pass(Inputs { values, images })
                .forward(Mode::Evaluate)?;
            if let Some(features) = trace.take_features() {
                judge(self, features, &mut results);
            }
        }
        Ok(results)
    }
}

impl Trainer for CpuTrainer {
    fn accumulate(&mut self, batch: &Batch<'_>) -> Result<Seen, TrainerError> {
        let images = batch.targets.len() / self.tail.options().classes;
        let drop = Drop {
            dropping: Dropping::On {
                key: batch.dropout_key,
            },
            first_row: batch.first_row,
        };
        let wanted = self.plan.has_gradient[self.plan.nodes.len()];
        let mut pass = self.pass(Inputs {
            values: batch.inputs,
            images,
        });
        let mut trace = pass.forward(Mode::Train)?;
        let Some(features) = trace.take_features() else {
            unreachable!("a pass ends in features");
        };
        let (head, means) = (&pass.plan.head, pass.means);
        let (inputs, mut logits) = head.forward(&features, pass.parameters, drop, means);
        means.pool.recycle(features);
        let objective = Objective {
            targets: batch.targets,
            scale: batch.scale,
        };
        let seen = loss::differentiate(&mut logits, objective);
        let gradient = head.backward((inputs, logits), pass.parameters, (drop, wanted), means);
        if let Some(gradient) = gradient {
            pass.backward(trace, gradient)?;
        }
        self.parameters.held = true;
        Ok(seen)
    }

    fn reduce(&mut self) -> Result<(), TrainerError> {
        if self.collective.size() > 1 {
            if !self.parameters.held {
                self.parameters.gradients.as_mut_slice().fill(0.0);
                self.parameters.held = true;
            }
            self.collective
                .sum(self.parameters.gradients.as_mut_slice())?;
        }
        Ok(())
    }

    fn gradient_norm(&self) -> Result<f64, TrainerError> {
        Ok(self.parameters.gradient_norm(self.isa))
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), TrainerError> {
        self.parameters.step(step, self.isa);
        Ok(())
    }

    fn average(&mut self, decay: f32) -> Result<(), TrainerError> {
        self.parameters.average(decay, self.isa);
        Ok(())
    }

    fn swap_averages(&mut self) {
        self.parameters.swap_averages();
    }

    fn features(&mut self, inputs: &[f32], rows: usize) -> Result<Vec<f32>, TrainerError> {
        self.evaluate(inputs, rows, |trainer, features, results| {
            features.unload(results);
            trainer.pool.recycle(features);
        })
    }

    fn logits(&mut self, inputs: &[f32], rows: usize) -> Result<Vec<f32>, TrainerError> {
        self.evaluate(inputs, rows, |trainer, features, results| {
            let means = Means {
                isa: trainer.isa,
                pool: &trainer.pool,
            };
            let drop = Drop {
                dropping: Dropping::Off,
                first_row: 0,
            };
            let (inputs, logits) =
                trainer
                    .plan
                    .head
                    .forward(&features, &trainer.parameters, drop, means);
            logits.unload(results);
            for maps in inputs.into_iter().chain([features, logits]) {
                trainer.pool.recycle(maps);
            }
        })
    }

    fn tensors(&self) -> Result<Tensors, TrainerError> {
        Ok(self.parameters.tensors())
    }

    fn state(&self) -> Result<State, TrainerError> {
        Ok(State {
            tensors: self.parameters.tensors(),
            moments: [self.parameters.moments(0), self.parameters.moments(1)],
            averages: self.parameters.averages(),
        })
    }

    fn restore(&mut self, state: &State) -> Result<(), TrainerError> {
        let averages = state.averages.as_ref();
        self.parameters
            .restore(&state.tensors, &state.moments, averages)
    }
}
