//! Writing one part.
use super::*;

/// Features of one view of one image.
#[derive(Clone, Copy, Debug)]
pub struct FeatureRow<'a> {
    /// Plan row of the image.
    pub plan_row: u64,
    /// View number, from 0, below the identity's `views`.
    pub view: u8,
    /// One flattened slice a layer, in the manifest's order.
    pub layers: &'a [&'a [f32]],
}

/// Writes one part over all layers. Dropped without [`PartWriter::commit`], nothing of it remains. `Send`.
pub struct PartWriter {}
impl PartWriter {
    /// Adds the features of the next view: plan rows ascend, views of a row 0, 1, ….
    pub fn push(&mut self, _row: FeatureRow<'_>) -> Result<(), CacheError> {
        todo!()
    }
    /// Records that the next plan row has no features.
    pub fn reject(&mut self, _plan_row: u64, _reason: impl Into<String>) -> Result<(), CacheError> {
        todo!()
    }
    /// Publishes the part.
    pub fn commit(self) -> Result<CommitRecord, CacheError> {
        todo!()
    }
}
