//! Where the best trial's run is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{failure::Failure, train::cannot_write};

/// Name of the winner's run in the sweep's folder.
const BEST_FOLDER: &str = "best";

/// Where the winner of the sweep in `directory` is.
pub(super) fn folder(directory: &Path) -> PathBuf {
    directory.join(BEST_FOLDER)
}

/// As [`folder`], which is there then.
pub(super) fn make_folder(directory: &Path) -> Result<PathBuf, Failure> {
    let folder = folder(directory);
    fs::create_dir_all(&folder).map_err(|error| cannot_write(&folder, &error))?;
    Ok(folder)
}
