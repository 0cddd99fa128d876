//! Finding the images to classify.

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{
    exit::Exit,
    interrupt::Interrupt,
    source::{IMAGE_EXTENSIONS, is_image},
};

use crate::failure::Failure;

/// Files as they were named; folders searched to any depth, sorted, for image
/// names, unless `stop` is set before the end.
pub(super) fn find(named: &[PathBuf], stop: &Interrupt) -> Result<Vec<PathBuf>, Failure> {
    let mut images = Vec::new();
    for path in named {
        if path.is_dir() {
            let before = images.len();
            search(path, stop, &mut images)?;
            if images.len() == before {
                let message = format!(
                    "`{}`: no images in this folder (looked for: {})",
                    path.display(),
                    IMAGE_EXTENSIONS.join(", ")
                );
                return Err(Failure::new(Exit::Input, message));
            }
        } else {
            // Whether it can be read shows when its turn comes.
            images.push(path.clone());
        }
    }
    Ok(images)
}

fn search(folder: &Path, stop: &Interrupt, images: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| {
        let message = format!("`{}`: cannot be listed: {error}", folder.display());
        Failure::new(Exit::Input, message)
    };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        stop.check().map_err(Failure::of)?;
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    for path in entries {
        // A link to a folder could lead round in a circle.
        if path.is_dir() && !path.is_symlink() {
            search(&path, stop, images)?;
        } else if path.file_name().is_some_and(is_image) {
            images.push(path);
        }
    }
    Ok(())
}
