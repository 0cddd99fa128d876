//! Reading one directory of a source.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use super::{SourceError, Split, names};
use crate::interrupt::{Interrupt, Stopped};

/// A folder or an image.
pub(super) struct Entry {
    pub(super) name: OsString,
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
}

impl Entry {
    /// The split that the name means.
    pub(super) fn split(&self) -> Option<Split> {
        names::split_from_name(self.name.to_str()?)
    }
}

/// Counts of files that are not images, by extension.
pub(super) type Others = BTreeMap<String, u64>;

/// Device and inode of a directory: the same through every link.
pub(super) type Identity = (u64, u64);

/// One directory's entries, sorted by name; links are followed.
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    pub(super) folders: Vec<Entry>,
    pub(super) images: Vec<Entry>,
    pub(super) others: Others,
}

/// One pass over the source's folders.
#[derive(Clone, Copy)]
pub(super) struct Walk<'a> {
    pub(super) root: &'a Path,
    pub(super) interrupt: &'a Interrupt,
}

impl Walk<'_> {
    /// Lists the directory at `path`, unless the interrupt is set before the end.
    pub(super) fn read(self, path: &Path) -> Result<Directory, SourceError> {
        let failed = |error: io::Error| SourceError::at(path, error);
        let metadata = fs::metadata(path).map_err(failed)?;
        let mut directory = Directory {
            path: path.to_owned(),
            identity: (metadata.dev(), metadata.ino()),
            folders: Vec::new(),
            images: Vec::new(),
            others: Others::new(),
        };
        for entry in fs::read_dir(path).map_err(failed)? {
            self.interrupt
                .check()
                .map_err(|stopped| self.stopped(stopped))?;
            let entry = entry.map_err(failed)?;
            directory.add(entry.file_name(), entry.path());
        }
        directory.folders.sort_by(|a, b| a.name.cmp(&b.name));
        directory.images.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(directory)
    }

    fn stopped(self, stopped: Stopped) -> SourceError {
        SourceError::Stopped {
            path: self.root.to_owned(),
            stopped,
        }
    }
}

impl Directory {
    fn add(&mut self, name: OsString, path: PathBuf) {
        if names::is_ignored(&name) {
            return;
        }
        // A link that leads nowhere is a sample that cannot be read.
        let (is_folder, is_file, bytes) = fs::metadata(&path)
            .map_or((false, true, 0), |metadata| {
                (metadata.is_dir(), metadata.is_file(), metadata.len())
            });
        if is_folder {
            self.folders.push(Entry { name, path, bytes });
        } else if is_file && names::is_image(&name) {
            self.images.push(Entry { name, path, bytes });
        } else {
            *self.others.entry(names::kind_of(&name)).or_default() += 1;
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.folders.is_empty() && self.images.is_empty() && self.others.is_empty()
    }
}
