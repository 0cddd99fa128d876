//! The update rules of [`Method`], on the device, as `torch.optim` has them.
//!
//! ```text
//!   SGD      g ← g + λw;  v ← μv + g;  w ← w − η(v, with Nesterov g + μv)
//!   Adam     g ← g + λw;  m ← m + (1 − β₁)(g − m);  s ← β₂s + (1 − β₂)g²;
//!            w ← w − η·m/(1 − β₁ᵗ) / (√s/√(1 − β₂ᵗ) + ε)
//!   AdamW    the same with w ← (1 − ηλ)w instead of the penalty in g
//! ```

use candle_core::{Result, Tensor, Var};

use super::{
    super::{GroupStep, State, Step, Tensors, TrainerError},
    store::{Store, to_device, to_host},
};
use crate::head::stack::{BETAS, EPSILON, Method, corrections};

/// First moments (or velocities) and second moments of the trained tensors.
pub(super) struct Moments([Vec<Tensor>; 2]);

impl Moments {
    /// Before the first step.
    pub(super) fn zeros(store: &Store) -> Result<Self> {
        Ok(Self([store.zeros()?, store.zeros()?]))
    }

    #[cfg(test)]
    pub(super) fn all(&self) -> impl Iterator<Item = &Tensor> {
        self.0.iter().flatten()
    }

    /// Moves the trained tensors of `store` against `gradients`.
    pub(super) fn step(
        &mut self,
        step: &Step<'_>,
        store: &Store,
        gradients: &[Tensor],
    ) -> Result<()> {
        let [first, second] = &mut self.0;
        let moments = first.iter_mut().zip(second);
        let values = store.trained().map(|(_, value)| value).zip(gradients);
        for ((values, moments), group) in values.zip(moments).zip(step.groups) {
            let (value, gradient) = values;
            let gradient = (gradient * f64::from(step.scale))?;
            let (first, second) = moments;
            let moved = moved(step, group, (value, gradient), [first, second])?;
            if group.learning_rate != 0.0 {
                value.set(&moved)?;
            }
        }
        Ok(())
    }

    /// On the host, with the names of the trained tensors.
    pub(super) fn to_tensors(&self, store: &Store) -> Result<[Tensors; 2]> {
        let to_host = |moments: &[Tensor]| -> Result<Tensors> {
            let pairs = store.trained().zip(moments);
            pairs
                .map(|((name, _), moment)| to_host(name, moment))
                .collect()
        };
        let [first, second] = &self.0;
        Ok([to_host(first)?, to_host(second)?])
    }

    /// Those of `state`.
    ///
    /// # Errors
    /// When one is missing or has another shape.
    pub(super) fn of(state: &State, store: &Store) -> std::result::Result<Self, TrainerError> {
        let read = |tensors: &Tensors| -> std::result::Result<Vec<_>, TrainerError> {
            let trained = store.trained();
            trained
                .map(|(name, value)| to_device(tensors, name, value))
                .collect()
        };
        let [first, second] = &state.moments;
        Ok(Self([read(first)?, read(second)?]))
    }
}

/// The new value; moments are moved in place.
fn moved(
    step: &Step<'_>,
    group: &GroupStep,
    (value, gradient): (&Var, Tensor),
    [first, second]: [&mut Tensor; 2],
) -> Result<Tensor> {
    let value = value.as_detached_tensor();
    let (rate, decay) = (group.learning_rate, group.weight_decay);
    let penalised = || &gradient + (&value * f64::from(decay))?;
    match step.method {
        Method::Sgd { momentum, nesterov } => {
            let gradient = penalised()?;
            *first = ((&*first * f64::from(momentum))? + &gradient)?;
            let direction = if nesterov {
                (gradient + (&*first * f64::from(momentum))?)?
            } else {
                first.clone()
            };
            value - (direction * f64::from(rate))?
        }
        Method::Adam => {
            let direction = adam(step.number, &penalised()?, [first, second])?;
            value - (direction * f64::from(rate))?
        }
        Method::AdamW => {
            let direction = adam(step.number, &gradient, [first, second])?;
            let kept = (value * f64::from(1.0 - rate * decay))?;
            kept - (direction * f64::from(rate))?
        }
    }
}

/// Adam's direction.
fn adam(number: i32, gradient: &Tensor, [first, second]: [&mut Tensor; 2]) -> Result<Tensor> {
    let new = f64::from(1.0 - BETAS.0);
    *first = (&*first + ((gradient - &*first)? * new)?)?;
    let squares = (gradient.sqr()? * f64::from(1.0 - BETAS.1))?;
    *second = ((&*second * f64::from(BETAS.1))? + squares)?;
    let [of_first, of_second] = corrections(number).map(f64::from);
    let scale = ((second.sqrt()? * of_second)? + f64::from(EPSILON))?;
    (&*first * of_first)? / scale
}
