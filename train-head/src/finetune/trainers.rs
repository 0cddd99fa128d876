//! Which executor trains a tail.

use std::rc::Rc;

use common::{
    engine::{cpu::Isa, device::DeviceChoice},
    exit::Exit,
    tail::{Collective, Tail, Tensors, Trainer, cpu::CpuTrainer},
};

use super::session::of_trainer;
use crate::failure::{Failure, OrExit};

/// Makes trainers for one device.
pub(crate) struct Trainers {
    isa: Isa,
}

impl Trainers {
    pub(crate) fn on(device: DeviceChoice) -> Result<Self, Failure> {
        let _device = device.open().map_err(Failure::of)?;
        Ok(Self {
            isa: Isa::from_environment().or_exit(Exit::Device)?,
        })
    }

    /// A trainer of `tail` that begins with `tensors`.
    pub(crate) fn trainer(
        &self,
        tail: Tail,
        tensors: &Tensors,
        collective: Rc<dyn Collective>,
    ) -> Result<Box<dyn Trainer>, Failure> {
        let trainer =
            CpuTrainer::new(tail, tensors, self.isa, Box::new(collective)).map_err(of_trainer)?;
        Ok(Box::new(trainer))
    }
}
