//! (being written)
use super::*;
pub(super) fn list(_root: &Path) -> Result<Listing, SourceError> {
    todo!()
}
