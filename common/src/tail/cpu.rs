//! stub
use super::*;
use crate::{engine::cpu::Isa, head::stack::Seen};
/// stub
pub struct CpuTrainer;
impl CpuTrainer {
    /// stub
    pub fn new(_: Tail, _: &Tensors, _: Isa, _: Box<dyn Collective>) -> Result<Self, TrainerError> {
        Ok(Self)
    }
}
impl Trainer for CpuTrainer {
    fn accumulate(&mut self, _: &Batch<'_>) -> Result<Seen, TrainerError> {
        Ok(Seen::default())
    }
    fn reduce(&mut self) -> Result<(), TrainerError> {
        Ok(())
    }
    fn gradient_norm(&self) -> Result<f64, TrainerError> {
        Ok(0.0)
    }
    fn step(&mut self, _: &Step<'_>) -> Result<(), TrainerError> {
        Ok(())
    }
    fn average(&mut self, _: f32) -> Result<(), TrainerError> {
        Ok(())
    }
    fn swap_averages(&mut self) {}
    fn features(&mut self, _: &[f32], _: usize) -> Result<Vec<f32>, TrainerError> {
        Ok(vec![])
    }
    fn logits(&mut self, _: &[f32], _: usize) -> Result<Vec<f32>, TrainerError> {
        Ok(vec![])
    }
    fn tensors(&self) -> Result<Tensors, TrainerError> {
        Ok(Tensors::default())
    }
    fn state(&self) -> Result<State, TrainerError> {
        Ok(State {
            tensors: Tensors::default(),
            moments: [Tensors::default(), Tensors::default()],
            averages: None,
        })
    }
    fn restore(&mut self, _: &State) -> Result<(), TrainerError> {
        Ok(())
    }
}
