//! (being written)
use super::*;
pub(super) fn list(_table: &Path, _root: &Path) -> Result<Listing, SourceError> {
    todo!()
}
