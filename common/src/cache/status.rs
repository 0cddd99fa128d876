//! How far a cache is.

use serde::Serialize;

use super::{Cache, CacheError, Damage, PartIndex, Reject, commit::PartState};

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
    /// Parts whose record or files are visibly damaged, by number. Only
    /// [`verify`](super::verify) finds damage that leaves a file's size alone.
    pub damaged: Vec<Damage>,
}

impl Status {
    /// Committed inputs that have features.
    pub fn images(&self) -> u64 {
        self.done_rows.saturating_sub(self.rejects.len() as u64)
    }

    /// Whether every part is committed.
    pub fn is_complete(&self) -> bool {
        self.done_parts == self.parts
    }
}

/// Looks at every commit record; features are not read.
///
/// # Errors
/// When the system refuses to read a record.
pub fn status(cache: &Cache) -> Result<Status, CacheError> {
    let mut status = Status {
        rows: cache.manifest().rows,
        done_rows: 0,
        parts: cache.part_count(),
        done_parts: 0,
        rejects: Vec::new(),
        bytes: 0,
        damaged: Vec::new(),
    };
    for part in 0..cache.part_count() {
        match cache.state(PartIndex(part))? {
            PartState::Absent => {}
            PartState::Damaged { path, problem } => status.damaged.push(Damage {
                part,
                path,
                problem,
            }),
            PartState::Committed(record) => {
                status.done_parts += 1;
                status.done_rows += record.rows;
                status.bytes += record.files.iter().map(|file| file.bytes).sum::<u64>();
                status.rejects.extend(record.rejects);
            }
        }
    }
    Ok(status)
}
