//! A cache as its writers see it: which parts exist, and which are left to do.

use std::{
    fmt, fs, io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    CacheError, CommitRecord, Manifest, PartWriter, Plan, Setup,
    commit::{self, PartState},
    create,
    manifest::MANIFEST_FILE,
    plan_file,
};

/// Plan rows of a part unless `--part-rows` says otherwise: what a killed task
/// loses at most, and 2 MB of ResNet-18's pooled features in f32.
pub const DEFAULT_PART_ROWS: u32 = 1024;

/// Number of a part; shown with five digits or more, as in its files' names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartIndex(pub u32);

impl fmt::Display for PartIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:05}", self.0)
    }
}

/// One of several tasks that share a run: shard k of n does the parts with
/// `part % n == k`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    index: u32,
    count: u32,
}

impl Shard {
    /// The only shard: every part.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Shard `index` (from 0) of `count`; `None` unless `index < count`.
    pub const fn new(index: u32, count: u32) -> Option<Self> {
        if index < count {
            Some(Self { index, count })
        } else {
            None
        }
    }

    /// Its position, from 0.
    pub const fn index(self) -> u32 {
        self.index
    }

    /// Number of shards.
    pub const fn count(self) -> u32 {
        self.count
    }
}

/// An existing cache that can be written to. Cheap to clone; `Send` and `Sync`.
#[derive(Clone, Debug)]
pub struct Cache {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    manifest: Manifest,
    plan: Plan,
}

impl Cache {
    /// Makes a cache in `directory`, or opens the one that is there after checking
    /// that it holds what `setup` would write. Any number of processes may do
    /// this at once.
    ///
    /// # Errors
    /// When the folder holds something else, the cache's identity or settings
    /// differ, the source has changed, or the system refuses.
    pub fn create_or_resume(directory: &Path, setup: &Setup<'_>) -> Result<Self, CacheError> {
        create::create_or_resume(directory, setup)
    }

    /// Opens an existing cache.
    ///
    /// # Errors
    /// When there is none, it is of a newer format, or `cache.json` or
    /// `plan.parquet` are damaged.
    pub fn open(directory: &Path) -> Result<Self, CacheError> {
        let manifest = Manifest::load(directory)?;
        let mut plan = plan_file::read(directory)?;
        // A kill in the middle of appending leaves rows that do not count yet.
        plan.truncate(usize::try_from(manifest.rows).unwrap_or(usize::MAX));
        if plan.len() as u64 != manifest.rows || plan.digest() != manifest.plan_sha256 {
            return Err(CacheError::header(
                &directory.join(plan_file::PLAN_FILE),
                format!("not the plan that `{MANIFEST_FILE}` records"),
            ));
        }
        let directory = directory.to_owned();
        let inner = Arc::new(Inner {
            directory,
            manifest,
            plan,
        });
        Ok(Self { inner })
    }

    /// The cache's folder.
    pub fn directory(&self) -> &Path {
        &self.inner.directory
    }

    /// What the cache holds.
    pub fn manifest(&self) -> &Manifest {
        &self.inner.manifest
    }

    /// The inputs.
    pub fn plan(&self) -> &Plan {
        &self.inner.plan
    }

    /// Number of parts.
    pub fn part_count(&self) -> u32 {
        self.manifest().part_count()
    }

    /// Plan rows of a part.
    pub fn rows_of(&self, part: PartIndex) -> Range<u64> {
        self.manifest().rows_of(part)
    }

    /// The parts that `shard` does, ascending.
    pub fn parts_of(&self, shard: Shard) -> impl Iterator<Item = PartIndex> + use<> {
        let step = usize::try_from(shard.count).unwrap_or(usize::MAX);
        (shard.index..self.part_count())
            .step_by(step)
            .map(PartIndex)
    }

    /// The valid commit record of a part; `None` where the part is absent or
    /// visibly damaged. Sizes are compared, checksums are not (see
    /// [`verify`](super::verify)).
    ///
    /// # Errors
    /// When the system refuses to read it.
    pub fn committed(&self, part: PartIndex) -> Result<Option<CommitRecord>, CacheError> {
        match self.state(part)? {
            PartState::Committed(record) => Ok(Some(record)),
            PartState::Absent | PartState::Damaged { .. } => Ok(None),
        }
    }

    pub(super) fn state(&self, part: PartIndex) -> Result<PartState, CacheError> {
        PartState::load(self.directory(), self.manifest(), part)
    }

    /// Starts writing a part, after removing what a killed run left of it.
    ///
    /// # Errors
    /// When there is no such part, or its files cannot be created.
    pub fn write_part(&self, part: PartIndex) -> Result<PartWriter, CacheError> {
        PartWriter::start(self.clone(), part)
    }

    /// Removes a part's commit record, so that the next run redoes the part.
    ///
    /// # Errors
    /// When the record cannot be removed.
    pub fn discard(&self, part: PartIndex) -> Result<(), CacheError> {
        let path = commit::record_path(self.directory(), part);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CacheError::io(&path, "removing")(error))
            }
            _ => Ok(()),
        }
    }
}
