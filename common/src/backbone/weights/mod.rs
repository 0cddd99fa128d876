//! Reading weight files.
//!
//! In: a path, embedded bytes, or a file on the Hugging Face Hub ([`hub`]).
//! Out: named tensors as `Vec<f32>`, checked against what a network needs
//! ([`bind`]), and a digest that does not depend on the container
//! ([`tensor_digest`]).
//!
//! The container is told by content, not by name: safetensors, the zip files
//! that `torch.save` writes since version 1.6, and the older "legacy" stream
//! of pickles. Files are hostile until proven otherwise. Invariant: once a
//! [`WeightFile`] is open, every tensor in it lies within the file, and
//! reading one allocates no more than its storage holds. Nothing in a file is
//! ever run.

mod bind;
mod bytes;
mod digest;
mod error;
mod file;
mod foreign;
pub mod hub;
mod safetensors_file;
mod tensor;
mod torch;

pub use bind::{Binding, Expected, Mismatch, Parameter, RECOGNISED_PREFIXES, Wrong, bind};
pub use digest::tensor_digest;
pub use error::WeightError;
pub use file::WeightFile;
pub use tensor::{Dtype, TensorInfo};
pub use torch::TorchError;

#[cfg(test)]
mod tests;
