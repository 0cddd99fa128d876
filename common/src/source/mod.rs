//! Where images come from: class folders or a CSV table.
//!
//! In: a path. Out: a [`Listing`] (class names and one [`Sample`] an image) and
//! the bytes of each image on demand. The listing is a pure function of what
//! lies on the disk: sorted by uri bytes, the same on every machine and in every
//! process, so that independent shards agree on it without talking.
//!
//! Listing never decodes an image. A file that turns out to be unreadable
//! becomes a reject of the run, not an error of the source.

mod columns;
mod directory;
mod error;
mod folder;
mod names;
mod table;

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use columns::{Fields, Place, URI_COLUMNS, read_columns};
pub use error::SourceError;
pub use names::{IGNORED_FOLDERS, IMAGE_EXTENSIONS, SPLIT_NAMES, is_image};
pub use table::class_names;

use crate::interrupt::Interrupt;

/// Label of a sample without one.
pub const UNLABELLED: i32 = -1;

/// Which part of a data set a sample belongs to.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Heads are fitted on it.
    Train,
    /// Heads are chosen on it.
    Val,
    /// Touched once, for the reported number.
    Test,
    /// The source names no split.
    #[default]
    #[serde(rename = "")]
    None,
}

impl Split {
    /// Every split, in the order of its [`Split::index`].
    pub const ALL: [Self; 4] = [Self::Train, Self::Val, Self::Test, Self::None];

    /// `train`, `val`, `test`, or nothing.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
            Self::None => "",
        }
    }

    /// Position in [`Split::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The split that a folder or a table means by `name`, aliases included
    /// (see [`SPLIT_NAMES`]); case does not matter.
    pub fn from_name(name: &str) -> Option<Self> {
        names::split_from_name(name)
    }
}

impl fmt::Display for Split {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// One image of a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Path relative to the source's root with `/` between the names; absolute
    /// where a table says so. Bytes that are not UTF-8 stand as `%FF`.
    pub uri: String,
    /// Index into [`Listing::classes`], or [`UNLABELLED`].
    pub label: i32,
    /// The split that the source assigns.
    pub split: Split,
    /// Samples of one group (a patient, a burst) belong on one side of a split.
    pub group: Option<String>,
    /// Size of the file when it was listed; 0 where there is none.
    pub bytes: u64,
    /// Why this sample can only become a reject, with the remedy.
    pub problem: Option<String>,
}

/// All samples of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Listing {
    /// Class names; a label is an index into them. Empty: nothing is labelled.
    pub classes: Vec<String>,
    /// Samples sorted by the bytes of their uri.
    pub samples: Vec<Sample>,
}

/// A place that images are read from.
#[derive(Clone, Debug)]
pub struct Source {
    kind: Kind,
    root: PathBuf,
}

#[derive(Clone, Debug)]
enum Kind {
    Folder,
    Table(PathBuf),
}

impl Source {
    /// Opens a folder of images or a CSV table.
    ///
    /// # Errors
    /// When there is nothing at `path`, or neither a folder nor a `.csv` file.
    pub fn open(path: &Path) -> Result<Self, SourceError> {
        let metadata = fs::metadata(path).map_err(|error| SourceError::at(path, error))?;
        if metadata.is_dir() {
            return Ok(Self {
                kind: Kind::Folder,
                root: path.to_owned(),
            });
        }
        let is_table = path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        if !is_table {
            return Err(SourceError::UnknownKind(path.to_owned()));
        }
        Ok(Self {
            kind: Kind::Table(path.to_owned()),
            root: path.parent().unwrap_or(Path::new("")).to_owned(),
        })
    }

    /// Folder that relative uris start from.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Lists every sample, sorted and stable.
    ///
    /// # Errors
    /// When a directory or the table cannot be read, its layout is ambiguous, a
    /// class is empty, there is no image at all, or `interrupt` is set.
    pub fn list(&self, interrupt: &Interrupt) -> Result<Listing, SourceError> {
        let mut listing = match &self.kind {
            Kind::Folder => folder::list(&self.root, interrupt)?,
            Kind::Table(table) => table::list(table, &self.root, interrupt)?,
        };
        listing.samples.sort_by(|a, b| a.uri.cmp(&b.uri));
        Ok(listing)
    }

    /// Reads the whole file of `uri` into `bytes`, replacing its content.
    ///
    /// # Errors
    /// When the file is missing or cannot be read.
    pub fn read(&self, uri: &str, bytes: &mut Vec<u8>) -> io::Result<()> {
        read_regular_file(&self.root.join(uri), bytes)
    }
}

/// Reads a whole file into `bytes`, replacing its content. Anything but a
/// regular file is refused: a pipe would wait for ever, a device never end.
///
/// # Errors
/// When the file is missing, of another kind, or cannot be read.
pub fn read_regular_file(path: &Path, bytes: &mut Vec<u8>) -> io::Result<()> {
    bytes.clear();
    if !fs::metadata(path)?.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "not a regular file",
        ));
    }
    File::open(path)?.read_to_end(bytes)?;
    Ok(())
}

#[cfg(test)]
mod tests;
