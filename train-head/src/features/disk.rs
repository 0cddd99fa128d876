//! Values read from a file at the moment they are needed.
//!
//! Reads go past the program's memory: what the system keeps of the file it gives back when memory is
//! wanted. A read that fails in the middle of a training unwinds to the command, which reports
//! it as [`ReadFailure`]: no figure is ever computed from what was not read.

use std::{cell::RefCell, fs::File, io, os::unix::fs::FileExt, panic, path::Path, sync::Arc};

use common::cache::FeatureDtype;
use half::f16;

use super::value_bytes;

/// Values of consecutive rows.
pub(super) struct Stretch {
    pub(super) file: Arc<File>,
    /// What the file is called in messages.
    pub(super) path: Arc<Path>,
    /// Bytes before the first value.
    pub(super) offset: u64,
}

/// What a failed read unwinds with.
#[derive(Debug)]
pub(crate) struct ReadFailure {
    pub(crate) path: Arc<Path>,
    pub(crate) error: io::Error,
}

thread_local! {
    static ROOM: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

impl Stretch {
    /// Reads the values from number `first` on, as many as `output` has.
    pub(super) fn read(&self, dtype: FeatureDtype, first: usize, output: &mut [f32]) {
        let bytes = output.len() * dtype.bytes();
        let offset = self.offset + first as u64 * value_bytes(dtype);
        ROOM.with_borrow_mut(|room| {
            if room.len() < bytes {
                room.resize(bytes, 0);
            }
            let room = &mut room[..bytes];
            if let Err(error) = self.file.read_exact_at(room, offset) {
                let path = Arc::clone(&self.path);
                panic::resume_unwind(Box::new(ReadFailure { path, error }));
            }
            decode(dtype, room, output);
        });
    }
}

fn decode(dtype: FeatureDtype, bytes: &[u8], output: &mut [f32]) {
    match dtype {
        FeatureDtype::F32 => {
            for (value, bytes) in output.iter_mut().zip(bytes.as_chunks().0) {
                *value = f32::from_le_bytes(*bytes);
            }
        }
        FeatureDtype::F16 => {
            for (value, bytes) in output.iter_mut().zip(bytes.as_chunks().0) {
                *value = f16::from_le_bytes(*bytes).to_f32();
            }
        }
    }
}
