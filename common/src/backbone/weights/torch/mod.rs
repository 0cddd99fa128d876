//! Torch's two containers, read without running anything.
//!
//! In: the bytes of a file that `torch.save` wrote. Out: every tensor of the
//! state dict as a view of a storage that lies within the file.
//!
//! Both containers describe the tensors by a pickle, that is by a program for
//! a small stack machine that can name and call any Python function. The
//! unpickler here ([`unpickle`]) is our own, not `candle_core::pickle`. That
//! one cannot read the legacy magic number (a 10-byte integer) and copies
//! values on every memo access, so that a file of a few hundred bytes can ask
//! for any amount of memory; a deeply nested value overflows the thread's
//! stack when it is dropped, which nothing can catch; and lengths from the
//! file are allocated before they are checked. Here values live in one flat
//! arena that grows by at most one entry per opcode, and a name that is not on
//! a short list is refused where it appears.

mod error;
mod globals;
mod legacy;
mod opcodes;
mod state_dict;
mod unpickle;
mod zipped;

pub use error::TorchError;
pub(super) use legacy::{is_legacy, legacy_tensors};
pub(super) use zipped::{is_zip, zip_tensors};

#[cfg(test)]
mod tests;
