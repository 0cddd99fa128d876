//! Folders that one program at a time writes to.

use std::{
    fmt::Display,
    fs::{self, File, TryLockError},
    path::Path,
};

use common::exit::Exit;

use crate::failure::Failure;

/// Held while its folder is written to. It goes with the process, however that ends.
#[derive(Debug)]
pub(crate) struct Claim {
    _folder: Option<File>,
}

/// Makes the folder `out` of a `kind` ("run", "sweep", …) and claims it.
///
/// # Errors
/// When it cannot be made, or another program is writing to it.
pub(crate) fn claim(out: &Path, kind: &str) -> Result<Claim, Failure> {
    fs::create_dir_all(out).map_err(|error| cannot_write(kind, out, &error))?;
    let folder = File::open(out).map_err(|error| cannot_write(kind, out, &error))?;
    match folder.try_lock() {
        Ok(()) => Ok(Claim {
            _folder: Some(folder),
        }),
        Err(TryLockError::WouldBlock) => {
            let message = format!(
                "{kind} `{}`: another program is writing to it (wait for its end, or name another folder)",
                out.display()
            );
            Err(Failure::new(Exit::Usage, message))
        }
        // Some file systems have no locks.
        Err(TryLockError::Error(_)) => Ok(Claim { _folder: None }),
    }
}

/// What the machine has against writing to the folder `out` of a `kind`.
pub(crate) fn cannot_write(kind: &str, out: &Path, error: &dyn Display) -> Failure {
    let message = format!("{kind} `{}`: cannot be written: {error}", out.display());
    Failure::new(Exit::Failure, message)
}

/// Refuses the folder `out` of a `kind`, which holds one already.
pub(crate) fn exists_already(kind: &str, out: &Path) -> Failure {
    let message = format!(
        "{kind} `{}`: exists already (name another folder, or replace it with --overwrite)",
        out.display()
    );
    Failure::new(Exit::Usage, message)
}
