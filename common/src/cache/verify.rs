//! Reading everything again: checksums, rows, and ids.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{Cache, CacheError, CommitRecord, PartIndex, commit::PartState, part_rows::PartRows};
use crate::digest::sha256_file;

/// What [`verify`] found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Feature files that are as recorded.
    pub ok_files: u64,
    /// Files that are not; [`Cache::discard`] their parts and run again.
    pub damaged: Vec<Damage>,
    /// Parts that were never finished.
    pub missing_parts: Vec<u32>,
}

impl Report {
    /// Whether everything is there and as recorded.
    pub fn is_ok(&self) -> bool {
        self.damaged.is_empty() && self.missing_parts.is_empty()
    }
}

/// A damaged file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// The part it belongs to.
    pub part: u32,
    /// The file.
    pub path: PathBuf,
    /// What was expected and found.
    pub problem: String,
}

/// Reads every file of a cache and compares it with its commit record.
///
/// # Errors
/// As [`Cache::open`], and when the system refuses to read; damage of parts is
/// in the report.
pub fn verify(directory: &Path) -> Result<Report, CacheError> {
    let cache = Cache::open(directory)?;
    let mut report = Report::default();
    for part in 0..cache.part_count() {
        match cache.state(PartIndex(part))? {
            PartState::Absent => report.missing_parts.push(part),
            PartState::Damaged { path, problem } => report.damaged.push(Damage {
                part,
                path,
                problem,
            }),
            PartState::Committed(record) => verify_part(&cache, &record, &mut report)?,
        }
    }
    Ok(report)
}

fn verify_part(
    cache: &Cache,
    record: &CommitRecord,
    report: &mut Report,
) -> Result<(), CacheError> {
    for (layer, file) in record.files.iter().enumerate() {
        let path = cache.directory().join(&file.path);
        let sha256 = sha256_file(&path).map_err(CacheError::io(&path, "reading"))?;
        let problem = if sha256 == file.sha256 {
            row_problem(cache, record, layer)?
        } else {
            Some(format!(
                "expected the SHA-256 {}, found {sha256}",
                file.sha256
            ))
        };
        match problem {
            None => report.ok_files += 1,
            Some(problem) => report.damaged.push(Damage {
                part: record.part,
                path,
                problem,
            }),
        }
    }
    Ok(())
}

/// What is wrong with the rows of a file whose bytes are as recorded.
fn row_problem(
    cache: &Cache,
    record: &CommitRecord,
    layer: usize,
) -> Result<Option<String>, CacheError> {
    let read = || -> Result<(), CacheError> {
        let rows = PartRows::open(cache, record, layer)?;
        rows.into_iter().try_for_each(|batch| batch.map(drop))
    };
    match read() {
        Ok(()) => Ok(None),
        Err(CacheError::Damaged { problem, .. }) => Ok(Some(problem)),
        Err(other) => Err(other),
    }
}
