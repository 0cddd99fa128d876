//! A cache as its writers see it: which parts exist, and which are left to do.

use super::*;
use std::{ops::Range, path::Path};

/// Plan rows of a part unless `--part-rows` says otherwise: what a killed task
/// loses at most, and 2 MB of ResNet-18's pooled features in f32.
pub const DEFAULT_PART_ROWS: u32 = 1024;

/// Number of a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PartIndex(pub u32);

/// Shard `index` of `count`: the parts with `part % count == index`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// From 0, below `count`.
    pub index: u32,
    /// At least 1.
    pub count: u32,
}

/// An existing cache that can be written to. Cheap to clone; `Send` and `Sync`.
#[derive(Clone, Debug)]
pub struct Cache {}

impl Cache {
    /// Makes a cache in `directory`, or opens the one that is there after checking
    /// that it holds what `setup` would write. Any number of processes may do this at once.
    pub fn create_or_resume(_directory: &Path, _setup: &Setup<'_>) -> Result<Self, CacheError> {
        todo!()
    }
    /// Opens an existing cache.
    pub fn open(_directory: &Path) -> Result<Self, CacheError> {
        todo!()
    }
    /// The cache's folder.
    pub fn directory(&self) -> &Path {
        todo!()
    }
    /// The manifest.
    pub fn manifest(&self) -> &Manifest {
        todo!()
    }
    /// The inputs.
    pub fn plan(&self) -> &Plan {
        todo!()
    }
    /// Number of parts.
    pub fn part_count(&self) -> u32 {
        todo!()
    }
    /// Plan rows of a part.
    pub fn rows_of(&self, _part: PartIndex) -> Range<u64> {
        todo!()
    }
    /// Parts of `shard` without a valid commit record, ascending.
    pub fn pending_parts(&self, _shard: Shard) -> Result<Vec<PartIndex>, CacheError> {
        todo!()
    }
    /// The valid commit record of a part, or `None`.
    pub fn committed(&self, _part: PartIndex) -> Result<Option<CommitRecord>, CacheError> {
        todo!()
    }
    /// Starts writing a part.
    pub fn write_part(&self, _part: PartIndex) -> Result<PartWriter, CacheError> {
        todo!()
    }
    /// Removes a part's commit record, so that the next run redoes it.
    pub fn discard(&self, _part: PartIndex) -> Result<(), CacheError> {
        todo!()
    }
}
