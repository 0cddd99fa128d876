//! `parts/00017.json`: the record that makes a part exist.

use std::{
    fs, io,
    ops::Range,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{CacheError, Manifest, PartIndex};

/// Folder of the commit records.
pub(super) const RECORDS_FOLDER: &str = "parts";

/// Content of a commit record. It is written after every file it names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitRecord {
    /// Number of the part.
    pub part: u32,
    /// Plan rows of the part, rejects included.
    pub rows: u64,
    /// Inputs without features, in plan order.
    pub rejects: Vec<Reject>,
    /// The part's files, one a layer, in the manifest's order.
    pub files: Vec<FileRecord>,
}

/// An input that could not be read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reject {
    /// Its plan row.
    pub id: u64,
    /// Its uri.
    pub uri: String,
    /// Why, in one line.
    pub reason: String,
}

/// A published file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileRecord {
    /// Path relative to the cache, for example `avgpool/00017.arrow`.
    pub path: String,
    /// Size.
    pub bytes: u64,
    /// SHA-256 of the content.
    pub sha256: String,
}

/// What the disk says about a part.
#[derive(Debug)]
pub(super) enum PartState {
    /// Not written yet, or written for a shorter plan.
    Absent,
    /// The record is unreadable, or a file is not as recorded.
    Damaged {
        path: PathBuf,
        problem: String,
    },
    Committed(CommitRecord),
}

/// Path of a part's commit record.
pub(super) fn record_path(directory: &Path, part: PartIndex) -> PathBuf {
    directory.join(RECORDS_FOLDER).join(format!("{part}.json"))
}

/// Path of a part's file of one layer, relative to the cache.
pub(super) fn file_path(manifest: &Manifest, layer: &str, part: PartIndex) -> String {
    format!("{layer}/{part}.{}", manifest.format)
}

impl PartState {
    /// Reads the record and compares the sizes of its files. Content is not
    /// read: that is `verify`'s work.
    pub(super) fn load(
        directory: &Path,
        manifest: &Manifest,
        part: PartIndex,
    ) -> Result<Self, CacheError> {
        let path = record_path(directory, part);
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::Absent),
            Err(error) => return Err(CacheError::io(&path, "reading")(error)),
        };
        let record: CommitRecord = match serde_json::from_slice(&bytes) {
            Ok(record) => record,
            Err(error) => {
                let problem = format!("not a commit record: {error}");
                return Ok(Self::Damaged { path, problem });
            }
        };
        let rows = manifest.rows_of(part);
        if record.rows != rows.end - rows.start {
            return Ok(Self::Absent);
        }
        if let Err(problem) = record.check(manifest, part, &rows) {
            return Ok(Self::Damaged { path, problem });
        }
        for file in &record.files {
            let path = directory.join(&file.path);
            if let Some(problem) = size_problem(&path, file.bytes)? {
                return Ok(Self::Damaged { path, problem });
            }
        }
        Ok(Self::Committed(record))
    }
}

fn size_problem(path: &Path, expected: u64) -> Result<Option<String>, CacheError> {
    match fs::metadata(path) {
        Ok(metadata) if metadata.len() == expected => Ok(None),
        Ok(metadata) => Ok(Some(format!(
            "expected {expected} bytes, found {}",
            metadata.len()
        ))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Some("missing".to_owned())),
        Err(error) => Err(CacheError::io(path, "inspecting")(error)),
    }
}

impl CommitRecord {
    /// The bytes of the record's file.
    pub(super) fn to_json(&self) -> Vec<u8> {
        // Cannot fail: there is no map.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    fn check(&self, manifest: &Manifest, part: PartIndex, rows: &Range<u64>) -> Result<(), String> {
        if self.part != part.0 {
            return Err(format!("the record of part {}", self.part));
        }
        let ascending = self.rejects.is_sorted_by(|a, b| a.id < b.id);
        if !ascending || self.rejects.iter().any(|reject| !rows.contains(&reject.id)) {
            return Err("its rejects are not rows of the part in order".to_owned());
        }
        let expected = manifest
            .layers
            .iter()
            .map(|layer| file_path(manifest, &layer.name, part));
        if !expected.eq(self.files.iter().map(|file| file.path.clone())) {
            return Err("its files are not the cache's layers".to_owned());
        }
        Ok(())
    }
}
