//! `parts/00017.json`: the record that makes a part exist.

use serde::{Deserialize, Serialize};

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
