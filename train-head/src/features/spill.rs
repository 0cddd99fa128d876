//! Where values that are not held in memory are found again: in the cache's own files, or in a
//! temporary one.

use std::{
    env,
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
    sync::Arc,
};

use common::{
    cache::{Embedding, FeatureBatch},
    exit::Exit,
};

use super::{Numbering, disk::Stretch, value_bytes};
use crate::failure::Failure;

/// Most files of a cache that are kept open; of one with more parts the values are copied.
const MOST_FILES: usize = 256;

/// Bytes that are gathered before they are written.
const WRITE_BYTES: usize = 1 << 20;

/// The files.
#[derive(Default)]
pub(super) struct Store {
    /// How many files of the cache are open, and the last of them.
    opened: usize,
    last: Option<(Arc<Path>, Arc<File>)>,
    copy: Option<TemporaryCopy>,
}

/// The temporary file. It has no name: it is gone when the program ends, however it does.
struct TemporaryCopy {
    file: Arc<File>,
    place: Arc<Path>,
    bytes: u64,
}

impl Store {
    /// Sees to it that the rows `rows` of `batch` can be read from a file.
    pub(super) fn keep(
        &mut self,
        batch: &FeatureBatch,
        rows: &[usize],
    ) -> Result<(Stretch, Numbering), Failure> {
        let Some(place) = batch.place() else {
            return self.copy(batch, rows);
        };
        let known = self.last.as_ref().filter(|(path, _)| *path == place.path);
        let file = match known {
            Some((_, file)) => Arc::clone(file),
            None if self.opened >= MOST_FILES => return self.copy(batch, rows),
            None => {
                let file = File::open(&place.path).map_err(|error| {
                    let message = format!("`{}`: opening failed: {error}", place.path.display());
                    Failure::new(Exit::Input, message)
                })?;
                let file = Arc::new(file);
                self.opened += 1;
                self.last = Some((Arc::clone(&place.path), Arc::clone(&file)));
                file
            }
        };
        let stretch = Stretch {
            file,
            path: Arc::clone(&place.path),
            offset: place.offset,
        };
        Ok((stretch, Numbering::Batch))
    }

    fn copy(
        &mut self,
        batch: &FeatureBatch,
        rows: &[usize],
    ) -> Result<(Stretch, Numbering), Failure> {
        let copied = match &mut self.copy {
            Some(copy) => copy.append(batch, rows),
            none => TemporaryCopy::create().and_then(|copy| none.insert(copy).append(batch, rows)),
        };
        let numbered = copied.map(|stretch| (stretch, Numbering::Kept));
        numbered.map_err(|error| {
            let message = format!(
                "temporary file in `{}` for features beyond --memory: {error} (allow more memory, or name a folder with room in the variable TMPDIR)",
                env::temp_dir().display()
            );
            Failure::new(Exit::Failure, message)
        })
    }
}

impl TemporaryCopy {
    fn create() -> io::Result<Self> {
        Ok(Self {
            file: Arc::new(tempfile::tempfile()?),
            place: env::temp_dir().into(),
            bytes: 0,
        })
    }

    fn append(&mut self, batch: &FeatureBatch, rows: &[usize]) -> io::Result<Stretch> {
        let offset = self.bytes;
        let width = batch.dim();
        let mut writer = BufWriter::with_capacity(WRITE_BYTES, &*self.file);
        match batch.values() {
            Embedding::F16(values) => {
                let values = rows.iter().flat_map(|row| &values[row * width..][..width]);
                write_all(&mut writer, values.map(|value| value.to_le_bytes()))?;
            }
            Embedding::F32(values) => {
                let values = rows.iter().flat_map(|row| &values[row * width..][..width]);
                write_all(&mut writer, values.map(|value| value.to_le_bytes()))?;
            }
        }
        writer.flush()?;
        self.bytes += (rows.len() * width) as u64 * value_bytes(batch.values().dtype());
        Ok(Stretch {
            file: Arc::clone(&self.file),
            path: Arc::clone(&self.place),
            offset,
        })
    }
}

fn write_all<const N: usize>(
    writer: &mut impl Write,
    mut values: impl Iterator<Item = [u8; N]>,
) -> io::Result<()> {
    values.try_for_each(|bytes| writer.write_all(&bytes))
}
