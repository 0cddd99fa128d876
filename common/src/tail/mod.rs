//! The trainable tail of a backbone: the operations behind a cut, and a head.
//!
//! In: activations at the cut, `[rows, C, H, W]` f32, from a cache or from the frozen engine, and
//! their targets. Out: losses, and tensors with the network's own names.
//!
//! ```text
//!   images ──► frozen part ──► cut ──► operations, trained from the first unfrozen one on ──► features ──► head ──► loss
//!              (paid once)      │      └───────────────────── Tail ──────────────────────────────────┘
//!                               └ a stage of the network, whose activations a cache holds
//! ```
//!
//! `selection` says which parameters train and where the network can be cut for it; [`Tail`] is what
//! results, valid by construction; a [`Trainer`] runs it forwards and backwards. There are two:
//! `cpu` (written out, with the engine's kernels) and `reference` (candle's operations and
//! automatic gradients, on any device; the judge of the other).
//!
//! Invariants: the same tensors, batches and seed give the same bytes, on any number of threads
//! (one instruction set); what does not train stays as it was, bit for bit.

mod collective;
pub mod cpu;
mod definition;
mod depth;
mod file;
#[cfg(feature = "mpi")]
mod mpi;
mod processes;
pub mod reference;
mod selection;
mod tensors;
#[cfg(test)]
mod tests;
mod trainer;
mod trainers;

pub use collective::{Alone, Collective, CollectiveError};
pub use definition::{NORM_MOMENTUM, NormMode, Tail, TailError, TailOptions};
pub use processes::{JoinError, processes};
pub use selection::{Cut, Selection, SelectionError};
pub use tensors::{Tensor, Tensors};
pub use trainer::{Batch, GroupStep, State, Step, Trainer, TrainerError};
pub use trainers::Trainers;
