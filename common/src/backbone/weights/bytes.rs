//! The bytes of a weight file: memory-mapped, or part of the program.

use std::{borrow::Cow, fs::File, io, path::Path};

use memmap2::Mmap;

/// Bytes that live as long as the weight file is open.
pub(super) enum Bytes {
    Mapped(Mmap),
    Embedded(Cow<'static, [u8]>),
}

impl Bytes {
    /// Maps a regular file.
    pub(super) fn map(path: &Path) -> io::Result<Self> {
        // Asked before opening: opening a named pipe waits for a writer.
        if !path.metadata()?.is_file() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "not a regular file",
            ));
        }
        let file = File::open(path)?;
        // SAFETY: the mapping is read-only and private to this value. As with
        // every mapped file, the caller relies on nobody truncating it while
        // it is open; weights are read once, at the start of a run.
        let map = unsafe { Mmap::map(&file)? };
        Ok(Self::Mapped(map))
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        match self {
            Self::Mapped(map) => map,
            Self::Embedded(bytes) => bytes,
        }
    }
}
