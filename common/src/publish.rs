//! Publishing a file so that it is either absent or whole: write to a
//! temporary name in the same directory, fsync, rename, fsync the directory.

use std::{
    fs::{File, Permissions},
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use tempfile::NamedTempFile;

/// Ending of files that are being written. Readers ignore them.
pub const TEMPORARY_SUFFIX: &str = ".tmp";

/// A file under its temporary name. Dropped without [`Pending::publish`], it
/// is removed.
pub struct Pending {
    target: PathBuf,
    file: BufWriter<NamedTempFile>,
}

impl Pending {
    /// Creates a temporary file beside `target`, named `.TARGET.RANDOM.tmp`,
    /// with the permissions that the umask allows.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(target: &Path) -> io::Result<Self> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        Self::create_as(target, &name)
    }

    /// As [`Pending::create`], with `name` in the place of TARGET, for programs that look
    /// for files by parts of their names.
    ///
    /// # Errors
    /// As [`Pending::create`].
    pub fn create_as(target: &Path, name: &str) -> io::Result<Self> {
        let file = tempfile::Builder::new()
            .prefix(&temporary_prefix(name))
            .suffix(TEMPORARY_SUFFIX)
            .permissions(Permissions::from_mode(0o666))
            .tempfile_in(parent_of(target))?;
        Ok(Self {
            target: target.to_owned(),
            file: BufWriter::new(file),
        })
    }

    /// Makes the file visible under its final name and durable.
    ///
    /// # Errors
    /// When flushing, syncing or renaming fails; the target is then untouched.
    pub fn publish(self) -> io::Result<()> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        file.persist(&self.target).map_err(|error| error.error)?;
        File::open(parent_of(&self.target))?.sync_all()
    }

    /// As [`Pending::publish`], unless a file of that name exists: then that one
    /// stays, whoever was first.
    ///
    /// # Errors
    /// When flushing, syncing or renaming fails; the target is then untouched.
    pub fn publish_if_absent(self) -> io::Result<Publication> {
        let file = self
            .file
            .into_inner()
            .map_err(io::IntoInnerError::into_error)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(&self.target) {
            Ok(_) => {
                File::open(parent_of(&self.target))?.sync_all()?;
                Ok(Publication::Ours)
            }
            Err(failed) if failed.error.kind() == io::ErrorKind::AlreadyExists => {
                Ok(Publication::Theirs)
            }
            Err(failed) => Err(failed.error),
        }
    }
}

/// Whose file is there after [`Pending::publish_if_absent`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Publication {
    /// The one just written.
    Ours,
    /// One that existed before.
    Theirs,
}

impl Write for Pending {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes `bytes` to `target` in one publication.
///
/// # Errors
/// As [`Pending::create`] and [`Pending::publish`].
pub fn write_atomically(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut pending = Pending::create(target)?;
    pending.write_all(bytes)?;
    pending.publish()
}

/// How the temporary names of the file `name` begin.
pub fn temporary_prefix(name: &str) -> String {
    format!(".{name}.")
}

fn parent_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn dropped_file_leaves_nothing_behind() {
        let directory = tempfile::tempdir().unwrap();
        let mut pending = Pending::create(&directory.path().join("part.arrow")).unwrap();
        pending.write_all(b"half a file").unwrap();
        drop(pending);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[test]
    fn published_file_is_whole_alone_and_readable_by_others() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("run.json");
        write_atomically(&target, b"{}").unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"{}");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert_ne!(
            fs::metadata(&target).unwrap().permissions().mode() & 0o044,
            0
        );
    }
}
