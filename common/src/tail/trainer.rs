//! What a training loop asks of the executor of a tail.

use super::{CollectiveError, Tensors};
use crate::{
    engine::EngineError,
    head::stack::{Method, Seen},
};

/// Runs a [`Tail`](super::Tail) forwards and backwards, and moves its parameters.
///
/// A step is one or more calls of [`Trainer::accumulate`], then [`Trainer::reduce`] where there are
/// several processes, then [`Trainer::step`].
pub trait Trainer {
    /// Forwards in training mode and backwards. Gradients are added to those that are held.
    /// Returns the sum of the rows' losses, before `batch.scale`, and how many rows have their
    /// largest logit where their target is largest.
    ///
    /// # Errors
    /// When the device fails, or a process is gone.
    fn accumulate(&mut self, batch: &Batch<'_>) -> Result<Seen, TrainerError>;

    /// Makes the gradients that are held the sums over all processes.
    ///
    /// # Errors
    /// When a process is gone.
    fn reduce(&mut self) -> Result<(), TrainerError>;

    /// Euclidean norm of all gradients that are held, as one vector.
    ///
    /// # Errors
    /// When the device fails.
    fn gradient_norm(&self) -> Result<f64, TrainerError>;

    /// Moves every trained parameter and forgets the gradients.
    ///
    /// # Errors
    /// When the device fails.
    fn step(&mut self, step: &Step<'_>) -> Result<(), TrainerError>;

    /// Moves the averages of all trained parameters and running statistics towards them: `average
    /// = decay · average + (1 − decay) · value`. The first call makes the averages of the values as
    /// they are.
    ///
    /// # Errors
    /// When the device fails.
    fn average(&mut self, decay: f32) -> Result<(), TrainerError>;

    /// Exchanges averages and values, to judge the averages; a second call exchanges them
    /// back. Without averages nothing happens.
    fn swap_averages(&mut self);

    /// What the head reads, `[rows, D]`, in evaluation mode: running statistics, no dropout.
    /// `inputs`: `[rows, C, H, W]`. A row's features do not depend on the others.
    ///
    /// # Errors
    /// When the device fails.
    fn features(&mut self, inputs: &[f32], rows: usize) -> Result<Vec<f32>, TrainerError>;

    /// Logits `[rows, classes]` in evaluation mode, as [`Trainer::features`].
    ///
    /// # Errors
    /// When the device fails.
    fn logits(&mut self, inputs: &[f32], rows: usize) -> Result<Vec<f32>, TrainerError>;

    /// All tensors of the tail, in the order of [`Tail::tensors`](super::Tail::tensors).
    ///
    /// # Errors
    /// When the device fails.
    fn tensors(&self) -> Result<Tensors, TrainerError>;

    /// Everything that later steps depend on.
    ///
    /// # Errors
    /// When the device fails.
    fn state(&self) -> Result<State, TrainerError>;

    /// Makes the trainer what it was when `state` was taken of it, bit for bit.
    ///
    /// # Errors
    /// When tensors are missing or have other shapes.
    fn restore(&mut self, state: &State) -> Result<(), TrainerError>;
}

/// Rows of a step.
#[derive(Clone, Copy, Debug)]
pub struct Batch<'a> {
    /// Activations at the cut, `[rows, C, H, W]`.
    pub inputs: &'a [f32],
    /// Weight of each class, `[rows, classes]`: a row's loss is `−Σ target · ln softmax(logits)`. Smoothing,
    /// mixing and class weights are in it.
    pub targets: &'a [f32],
    /// What losses are multiplied with before gradients are taken: 1 / rows of the whole step, over
    /// all calls and processes.
    pub scale: f32,
    /// Position of the first row in the step's batch over all calls and processes: dropout does not depend
    /// on how a batch is cut.
    pub first_row: usize,
    /// Decides what dropout drops in this step.
    pub dropout_key: u64,
}

/// How parameters are moved.
#[derive(Clone, Copy, Debug)]
pub struct Step<'a> {
    /// Counted from 1.
    pub number: i32,
    /// The rule.
    pub method: Method,
    /// What gradients are multiplied with first (clipping); else 1.
    pub scale: f32,
    /// One for each trained tensor, in the order of [`Tail::trained`](super::Tail::trained).
    pub groups: &'a [GroupStep],
}

/// What is particular to one tensor in a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GroupStep {
    /// With 0 the tensor stays as it is; its moments move.
    pub learning_rate: f32,
    /// An L2 penalty; decoupled with AdamW.
    pub weight_decay: f32,
}

/// What a trainer is made of beside its definition.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    /// As [`Trainer::tensors`].
    pub tensors: Tensors,
    /// First moments (or velocities) and second moments of the trained tensors, with their names and
    /// shapes.
    pub moments: [Tensors; 2],
    /// Averages of the trained tensors and running statistics; `None` before the first.
    pub averages: Option<Tensors>,
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainerError {
    /// The device reported an error.
    #[error("the tail failed to run")]
    Compute(#[from] candle_core::Error),
    /// The device or the precision is not available.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Another process is gone.
    #[error(transparent)]
    Collective(#[from] CollectiveError),
    /// The GPUs of the processes cannot be joined.
    #[error(
        "NCCL does not join the processes' GPUs: {0} (each process needs a GPU of its own, or use --device cpu)"
    )]
    Join(String),
    /// A tensor that the tail needs is not there, or not as it should be.
    #[error("tensor `{name}`: {problem}")]
    Tensor {
        /// Its name.
        name: String,
        /// What was expected and found.
        problem: String,
    },
}
