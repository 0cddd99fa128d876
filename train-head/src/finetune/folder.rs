//! The folder of a run, which may hold an unfinished one.

use std::{fs, io, path::Path};

use common::publish::{TEMPORARY_SUFFIX, temporary_prefix};

use super::checkpoint::{self, CHECKPOINT_FILE};
use crate::{
    failure::Failure,
    folder::{Claim, claim, exists_already},
    plan::Existing,
    train::{cannot_write, clear_leftovers},
};

/// Makes the folder, or checks that it may be written to: it is empty, holds a checkpoint, or is to be
/// replaced, which a checkpoint does not survive.
pub(crate) fn prepare(out: &Path, existing: Existing) -> Result<Claim, Failure> {
    let claim = claim(out, "run")?;
    let failed = |error: io::Error| cannot_write(out, &error);
    let prefix = temporary_prefix(CHECKPOINT_FILE);
    let is_torn = |name: &str| name.starts_with(&prefix) && name.ends_with(TEMPORARY_SUFFIX);
    for entry in fs::read_dir(out).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if is_torn(&entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path()).map_err(failed)?;
        }
    }
    let is_used = clear_leftovers(out).map_err(failed)?;
    match existing {
        Existing::Replace => checkpoint::remove(out).map_err(failed)?,
        Existing::Refuse if checkpoint::is_in(out) => {}
        Existing::Refuse if is_used => return Err(exists_already("run", out)),
        Existing::Refuse => {}
    }
    Ok(claim)
}
