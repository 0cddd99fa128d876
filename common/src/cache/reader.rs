//! Reading a cache.
use super::*;
use std::path::Path;

/// Whether a cache with missing parts may be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Completeness {
    /// Missing parts are an error.
    #[default]
    Complete,
    /// What is there is read.
    Partial,
}

/// A cache as its readers see it.
pub struct CacheReader {}
impl CacheReader {
    /// Opens a complete cache.
    pub fn open(_directory: &Path) -> Result<Self, CacheError> {
        todo!()
    }
    /// Opens a cache.
    pub fn open_with(_directory: &Path, _completeness: Completeness) -> Result<Self, CacheError> {
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
    /// Whether every part is there.
    pub fn is_complete(&self) -> bool {
        todo!()
    }
    /// Rejects of all committed parts, by id.
    pub fn rejects(&self) -> impl Iterator<Item = &Reject> {
        [].iter()
    }
    /// Feature rows of a layer in all committed parts (views counted).
    pub fn feature_rows(&self) -> u64 {
        todo!()
    }
    /// Batches of a layer, in plan order.
    pub fn batches(&self, _layer: &str) -> Result<Batches, CacheError> {
        todo!()
    }
}

/// Iterator over a layer's batches.
pub struct Batches {}
impl Iterator for Batches {
    type Item = Result<FeatureBatch, CacheError>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}
