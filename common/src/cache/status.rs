//! How far a cache is.

use std::path::Path;

use serde::Serialize;

use super::{Cache, CacheError, PartIndex, Reject};

/// Progress, rejects, and size of a cache.
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
    /// Rejects of the committed parts, by id.
    pub rejects: Vec<Reject>,
    /// Bytes of the committed feature files.
    pub bytes: u64,
}

impl Status {
    /// Whether every part is committed.
    pub fn is_complete(&self) -> bool {
        self.done_parts == self.parts
    }
}

/// Looks at every commit record; features are not read.
///
/// # Errors
/// As [`Cache::open`], and when the system refuses to read a record.
pub fn status(directory: &Path) -> Result<Status, CacheError> {
    let cache = Cache::open(directory)?;
    let mut status = Status {
        rows: cache.manifest().rows,
        done_rows: 0,
        parts: cache.part_count(),
        done_parts: 0,
        rejects: Vec::new(),
        bytes: 0,
    };
    for part in (0..cache.part_count()).map(PartIndex) {
        if let Some(record) = cache.committed(part)? {
            status.done_parts += 1;
            status.done_rows += record.rows;
            status.bytes += record.files.iter().map(|file| file.bytes).sum::<u64>();
            status.rejects.extend(record.rejects);
        }
    }
    Ok(status)
}
