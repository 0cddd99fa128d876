//! How far a cache is.
use super::*;
use serde::Serialize;
use std::path::Path;

/// Progress and rejects of a cache.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Plan rows.
    pub rows: u64,
    /// Plan rows of committed parts, rejects included.
    pub done_rows: u64,
    /// Parts.
    pub parts: u32,
    /// Committed parts.
    pub done_parts: u32,
    /// Rejects so far.
    pub rejects: Vec<Reject>,
    /// Bytes of the committed feature files.
    pub bytes: u64,
}
/// Looks at every commit record.
pub fn status(_directory: &Path) -> Result<Status, CacheError> {
    todo!()
}
