//! The ordered inputs of a cache.

use crate::source::Sample;
use std::fmt;

/// Rows of `plan.parquet`; a row's position is its id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    rows: Vec<Sample>,
}

impl Plan {
    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
    /// Every row, in order.
    pub fn rows(&self) -> &[Sample] {
        &self.rows
    }
    /// Row `id`.
    pub fn get(&self, id: u64) -> Option<&Sample> {
        self.rows.get(usize::try_from(id).ok()?)
    }
    /// SHA-256 of the rows.
    pub fn digest(&self) -> String {
        todo!()
    }
}

/// How a source differs from the plan made of it earlier.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanDifference {
    /// Uris the plan does not have.
    pub added: Vec<String>,
    /// Uris only the plan has.
    pub removed: Vec<String>,
    /// Uris whose file size, label, split, or group differs, and how.
    pub changed: Vec<String>,
}
impl fmt::Display for PlanDifference {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        todo!()
    }
}
