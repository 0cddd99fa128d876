//! Which executor trains a tail.

use candle_core::Device;

use super::{
    Collective, Tail, Tensors, Trainer, TrainerError,
    cpu::CpuTrainer,
    reference::{Compute, ReferenceTrainer},
};
use crate::engine::{
    EngineError,
    cpu::Isa,
    device::{DeviceChoice, Precision},
};

/// Makes trainers for one device.
#[derive(Clone, Debug)]
pub struct Trainers {
    device: Device,
    precision: Precision,
    isa: Isa,
}

impl Trainers {
    /// On the device of `choice`, with convolutions in `precision`; on a CPU with `isa`.
    ///
    /// # Errors
    /// When the device is not there, or lacks the precision.
    pub fn on(choice: DeviceChoice, precision: Precision, isa: Isa) -> Result<Self, EngineError> {
        let device = choice.open()?;
        // Integers have no gradients.
        precision.dtype(&device)?;
        Ok(Self {
            device,
            precision,
            isa,
        })
    }

    /// Whether they compute on a GPU.
    pub fn are_on_gpu(&self) -> bool {
        !self.device.is_cpu()
    }

    /// A trainer of `tail` that begins with `tensors`, those of [`Tail::tensors`].
    ///
    /// # Errors
    /// When tensors are missing or have other shapes, or the device fails.
    pub fn trainer(
        &self,
        tail: Tail,
        tensors: &Tensors,
        collective: Box<dyn Collective>,
    ) -> Result<Box<dyn Trainer>, TrainerError> {
        if self.device.is_cpu() {
            let trainer = CpuTrainer::new(tail, tensors, self.isa, collective)?;
            return Ok(Box::new(trainer));
        }
        let compute = Compute {
            device: self.device.clone(),
            precision: self.precision,
        };
        let trainer = ReferenceTrainer::new(tail, tensors, compute, collective)?;
        Ok(Box::new(trainer))
    }
}
