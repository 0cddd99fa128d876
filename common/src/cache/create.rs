//! Making a cache, or finding that it exists already.

use super::{FileFormat, Identity, Layer};
use crate::source::Listing;

/// What a run wants to write.
#[derive(Clone, Debug)]
pub struct Setup<'a> {
    /// What the features are made of.
    pub identity: Identity,
    /// The layers, in the order of `identity.layers`.
    pub layers: Vec<Layer>,
    /// The inputs.
    pub listing: &'a Listing,
    /// Kind of the part files. `None`: the cache's own, or [`FileFormat::Arrow`].
    pub format: Option<FileFormat>,
    /// Plan rows a part. `None`: the cache's own, or
    /// [`DEFAULT_PART_ROWS`](super::DEFAULT_PART_ROWS).
    pub part_rows: Option<u32>,
    /// What new inputs do.
    pub growth: Growth,
}

/// What inputs do that an existing cache does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Growth {
    /// They are refused.
    #[default]
    Forbid,
    /// They are appended to the plan; finished parts stay.
    Append,
}
