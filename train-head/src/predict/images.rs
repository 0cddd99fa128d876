//! Finding the images to classify.

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{exit::Exit, source::IMAGE_EXTENSIONS};

use crate::failure::Failure;

/// Files as they were named; folders searched to any depth, sorted, for image names.
pub(super) fn find(named: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut images = Vec::new();
    for path in named {
        if path.is_dir() {
            let before = images.len();
            search(path, &mut images)?;
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

fn search(folder: &Path, images: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let unreadable = |error: std::io::Error| {
        let message = format!("`{}`: cannot be listed: {error}", folder.display());
        Failure::new(Exit::Input, message)
    };
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    for path in entries {
        // A link to a folder could lead round in a circle.
        if path.is_dir() && !path.is_symlink() {
            search(&path, images)?;
        } else if is_image(&path) {
            images.push(path);
        }
    }
    Ok(())
}

fn is_image(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| {
        IMAGE_EXTENSIONS
            .iter()
            .any(|known| known.eq_ignore_ascii_case(extension))
    })
}
