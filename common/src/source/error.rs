//! What can be wrong with a source as a whole.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::IMAGE_EXTENSIONS;
use crate::{exit::Exit, interrupt::Stopped};

/// Why a source cannot be listed.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Nothing lies at the path.
    #[error("source `{}`: not found", .0.display())]
    NotFound(PathBuf),

    /// A directory or table cannot be read.
    #[error("`{}`: cannot be read (give this user read permission, or move it out of the source)", .path.display())]
    Unreadable {
        /// The directory or file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },

    /// The path is a file of an unknown kind.
    #[error("source `{}`: expected a folder of images or a `.csv` table", .0.display())]
    UnknownKind(PathBuf),

    /// The folder has no entries.
    #[error("source `{}`: the folder is empty (expected images, class folders, or train/val/test)", .0.display())]
    Empty(PathBuf),

    /// The folder has entries, but no image.
    #[error("source `{}`: no images found (looked for files ending in {}; found {found})", .path.display(), IMAGE_EXTENSIONS.join(", "))]
    NoImages {
        /// The source.
        path: PathBuf,
        /// What lies there instead, for example `3 .heic`.
        found: String,
    },

    /// A class folder has no image in any split.
    #[error("class `{class}` in `{}`: no images (found {found}; remove the folder or add images)", .path.display())]
    EmptyClass {
        /// The source.
        path: PathBuf,
        /// Name of the class.
        class: String,
        /// What lies there instead.
        found: String,
    },

    /// Images lie beside class folders.
    #[error("`{}`: image `{image}` lies beside class folder `{folder}` (move it into a class folder, or remove the folders)", .path.display())]
    Mixed {
        /// The directory that holds both.
        path: PathBuf,
        /// One of the images.
        image: String,
        /// One of the folders.
        folder: String,
    },

    /// Split folders lie beside other folders.
    #[error("`{}`: `{split}` looks like a split, but `{other}` beside it does not (keep only train/val/test there, or only classes)", .path.display())]
    MixedSplits {
        /// The source.
        path: PathBuf,
        /// A folder with a split's name that holds folders itself.
        split: String,
        /// A folder without a split's name.
        other: String,
    },

    /// A line of a table is wrong.
    #[error("table `{}`, line {line}: {problem}", .path.display())]
    Table {
        /// The table.
        path: PathBuf,
        /// Line number from 1, the header included.
        line: u64,
        /// What is wrong, and the remedy.
        problem: String,
    },

    /// A row of a Parquet table is wrong.
    #[error("table `{}`, row {row}: {problem}", .path.display())]
    TableRow {
        /// The table.
        path: PathBuf,
        /// Row number from 1.
        row: u64,
        /// What is wrong, and the remedy.
        problem: String,
    },

    /// A Parquet table as a whole is wrong.
    #[error("table `{}`: {problem}", .path.display())]
    BadTable {
        /// The table.
        path: PathBuf,
        /// What is wrong, and the remedy.
        problem: String,
    },

    /// A table of labels is a file of an unknown kind.
    #[error("table `{}`: expected a `.csv` or `.parquet` file", .0.display())]
    UnknownTable(PathBuf),

    /// A signal came while the source was listed.
    #[error("source `{}`: listing it was {stopped}", .path.display())]
    Stopped {
        /// The source.
        path: PathBuf,
        /// How the process is to exit.
        stopped: Stopped,
    },
}

impl SourceError {
    /// How a process that meets the error is to exit.
    pub fn exit(&self) -> Exit {
        match self {
            Self::Stopped { stopped, .. } => stopped.0,
            _ => Exit::Input,
        }
    }

    /// The error of an operation on `path`.
    pub(super) fn at(path: &Path, source: io::Error) -> Self {
        if source.kind() == io::ErrorKind::NotFound {
            return Self::NotFound(path.to_owned());
        }
        Self::Unreadable {
            path: path.to_owned(),
            source,
        }
    }
}
