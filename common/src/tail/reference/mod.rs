//! The reference trainer: candle's operations and automatic gradients, on any device. It favours
//! plainness over speed, and is the judge of the CPU's own trainer.
//!
//! In: a [`Tail`], its tensors, and batches. Out: what [`Trainer`] promises. `network` runs the operations
//! behind the cut, `convolution` the dense ones, `normalise` the batch normalisations, `head` the head and its loss, `optimizer`
//! the steps; `store` keeps the tensors under their names, `all_sum` adds up over processes, between GPUs through `nccl`.
//!
//! With 16-bit floats only convolutions and the activations between them are in 16 bits: weights,
//! normalisation, head, gradients and steps stay in f32.

mod all_sum;
mod convolution;
mod head;
#[cfg(feature = "nccl")]
mod nccl;
mod network;
mod normalise;
mod optimizer;
mod store;

use candle_core::{DType, Device, Tensor, Var};

use self::{all_sum::AllSum, network::Pass, optimizer::Moments, store::Store};
use super::{Batch, Collective, State, Step, Tail, Tensors, Trainer, TrainerError};
use crate::{engine::device::Precision, head::stack::Seen};

/// What losses are multiplied with before f16 gradients are taken, and gradients divided by after:
/// smaller ones than 2⁻²⁴ would vanish.
const F16_LOSS_SCALE: f32 = 1024.0;

/// Where and how a [`ReferenceTrainer`] computes.
#[derive(Clone, Debug)]
pub struct Compute {
    /// The device.
    pub device: Device,
    /// Arithmetic of convolutions.
    pub precision: Precision,
}

/// A tail in training on a candle device.
pub struct ReferenceTrainer {
    tail: Tail,
    store: Store,
    /// Sums of the calls since the last step, one for each trained tensor.
    gradients: Vec<Tensor>,
    moments: Moments,
    averages: Option<Vec<Var>>,
    sums: AllSum,
    device: Device,
    dtype: DType,
}

impl ReferenceTrainer {
    /// Moves `tensors`, those of [`Tail::tensors`], to the device.
    ///
    /// # Errors
    /// When tensors are missing or have other shapes, or the device lacks the precision.
    pub fn new(
        tail: Tail,
        tensors: &Tensors,
        compute: Compute,
        collective: Box<dyn Collective>,
    ) -> Result<Self, TrainerError> {
        let Compute { device, precision } = compute;
        let store = Store::new(&tail, tensors, &device)?;
        Ok(Self {
            gradients: store.zeros()?,
            moments: Moments::zeros(&store)?,
            averages: None,
            sums: AllSum::new(collective, &device)?,
            dtype: precision.dtype(&device)?,
            device,
            store,
            tail,
        })
    }

    /// The same with convolutions in `dtype`, which [`Precision`] refuses on a CPU for its slowness.
    #[cfg(test)]
    pub(super) fn with_dtype(self, dtype: DType) -> Self {
        Self { dtype, ..self }
    }

    fn pass(&self) -> Pass<'_> {
        Pass {
            tail: &self.tail,
            store: &self.store,
            dtype: self.dtype,
        }
    }

    /// `[rows, C, H, W]` on the device.
    fn to_device(&self, inputs: &[f32], rows: usize) -> candle_core::Result<Tensor> {
        let shape = self.tail.input_shape();
        let shape = (rows, shape.channels, shape.height, shape.width);
        Tensor::from_slice(inputs, shape, &self.device)
    }

    /// The features of `inputs` in evaluation mode, `[rows, D]`.
    fn evaluate(&self, inputs: &[f32], rows: usize) -> candle_core::Result<Tensor> {
        Ok(self
            .pass()
            .evaluate(&self.to_device(inputs, rows)?)?
            .detach())
    }

    fn loss_scale(&self) -> f32 {
        if self.dtype == DType::F16 {
            F16_LOSS_SCALE
        } else {
            1.0
        }
    }

    /// Adds the gradients of `loss` to those that are held.
    fn add_gradients(&mut self, loss: &Tensor) -> candle_core::Result<()> {
        let unscale = f64::from(1.0 / self.loss_scale());
        let gradients = loss.backward()?;
        for (held, (_, value)) in self.gradients.iter_mut().zip(self.store.trained()) {
            if let Some(gradient) = gradients.get(value) {
                // candle's gradients by parameters may know what they were made of: held on to, every step would stay.
                *held = (&*held + (gradient * unscale)?)?.detach();
            }
        }
        Ok(())
    }
}

impl Trainer for ReferenceTrainer {
    fn accumulate(&mut self, batch: &Batch<'_>) -> Result<Seen, TrainerError> {
        let classes = self.tail.options().classes;
        let rows = batch.targets.len() / classes;
        let inputs = self.to_device(batch.inputs, rows)?;
        let trained = self.pass().train(&inputs, &self.sums)?;
        let logits = head::logits_with_dropout(&self.tail, &self.store, &trained.features, batch)?;
        let targets = Tensor::from_slice(batch.targets, (rows, classes), &self.device)?;
        let losses = head::losses(&logits, &targets)?;
        let scale = f64::from(batch.scale * self.loss_scale());
        self.add_gradients(&(losses.sum_all()? * scale)?)?;
        for update in trained.statistics {
            update.apply(&self.store)?;
        }
        Ok(head::seen(&losses, &logits, batch.targets)?)
    }

    fn reduce(&mut self) -> Result<(), TrainerError> {
        if self.sums.is_alone() {
            return Ok(());
        }
        let flat = self.gradients.iter().map(Tensor::flatten_all);
        let flat = flat.collect::<candle_core::Result<Vec<_>>>()?;
        let all = self.sums.of(&Tensor::cat(&flat, 0)?)?;
        let mut start = 0;
        for gradient in &mut self.gradients {
            let count = gradient.elem_count();
            *gradient = all.narrow(0, start, count)?.reshape(gradient.shape())?;
            start += count;
        }
        Ok(())
    }

    fn gradient_norm(&self) -> Result<f64, TrainerError> {
        let mut squares = 0.0;
        for gradient in &self.gradients {
            let sum = gradient.to_dtype(DType::F64)?.sqr()?.sum_all()?;
            squares += sum.to_scalar::<f64>()?;
        }
        Ok(squares.sqrt())
    }

    fn step(&mut self, step: &Step<'_>) -> Result<(), TrainerError> {
        self.moments.step(step, &self.store, &self.gradients)?;
        self.gradients = self.store.zeros()?;
        Ok(())
    }

    fn average(&mut self, decay: f32) -> Result<(), TrainerError> {
        let values = self.store.moving().map(|(_, value)| value);
        let averages: candle_core::Result<_> = match &self.averages {
            None => values
                .map(|value| Var::from_tensor(&value.as_detached_tensor()))
                .collect(),
            Some(averages) => averages
                .iter()
                .zip(values)
                .map(|(average, value)| {
                    let kept = (average.as_detached_tensor() * f64::from(decay))?;
                    let new = (value.as_detached_tensor() * f64::from(1.0 - decay))?;
                    Var::from_tensor(&(kept + new)?)
                })
                .collect(),
        };
        self.averages = Some(averages?);
        Ok(())
    }

    fn swap_averages(&mut self) {
        if let Some(averages) = &mut self.averages {
            self.store.swap_moving(averages);
        }
    }

    fn features(&mut self, inputs: &[f32], rows: usize) -> Result<Vec<f32>, TrainerError> {
        Ok(self.evaluate(inputs, rows)?.flatten_all()?.to_vec1()?)
    }

    fn logits(&mut self, inputs: &[f32], rows: usize) -> Result<Vec<f32>, TrainerError> {
        let features = self.evaluate(inputs, rows)?;
        let logits = head::logits(&self.tail, &self.store, &features)?;
        Ok(logits.flatten_all()?.to_vec1()?)
    }

    fn tensors(&self) -> Result<Tensors, TrainerError> {
        Ok(self.store.to_tensors()?)
    }

    fn state(&self) -> Result<State, TrainerError> {
        let moving = self.store.moving().map(|(name, _)| name);
        let to_host = |averages: &Vec<Var>| {
            let pairs = moving.zip(averages);
            pairs
                .map(|(name, average)| store::to_host(name, average))
                .collect()
        };
        Ok(State {
            tensors: self.store.to_tensors()?,
            moments: self.moments.to_tensors(&self.store)?,
            averages: self.averages.as_ref().map(to_host).transpose()?,
        })
    }

    fn restore(&mut self, state: &State) -> Result<(), TrainerError> {
        let to_device = |averages: &Tensors| {
            let moving = self.store.moving();
            let averages = moving.map(|(name, value)| {
                let average = store::to_device(averages, name, value)?;
                Ok(Var::from_tensor(&average)?)
            });
            averages.collect::<Result<Vec<_>, TrainerError>>()
        };
        let averages = state.averages.as_ref().map(to_device).transpose()?;
        let moments = Moments::of(state, &self.store)?;
        self.store.replace(&state.tensors)?;
        (self.averages, self.moments) = (averages, moments);
        self.gradients = self.store.zeros()?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        head::{HeadKind, stack::Method},
        tail::{
            Alone, NormMode,
            tests::{Problem, every_operation, options, same, step},
        },
    };

    #[test]
    fn nothing_that_is_kept_holds_on_to_a_step() {
        let options = options([23, 29], NormMode::Frozen, HeadKind::Linear);
        let problem = Problem::new(every_operation(same), None, &["all"], options);
        let mut trainer = problem.try_reference(Box::new(Alone)).unwrap();
        let batch = problem.batch(0, 3);
        trainer.accumulate(&batch).unwrap();
        let groups = problem.groups(0.1, 0.0);
        trainer.step(&step(Method::AdamW, 1, &groups)).unwrap();
        trainer.accumulate(&batch).unwrap();
        let mut kept = trainer.gradients.iter().chain(trainer.moments.all());
        assert!(kept.all(|tensor| !tensor.track_op()));
    }
}
