//! The feature cache: what the frozen backbone said about every image, paid for
//! once and read any number of times.
//!
//! ```text
//! cache/
//!   cache.json            what the features are: identity, layers, classes, counts
//!   plan.parquet          the ordered inputs
//!   parts/00017.json      commit record of part 17, written last
//!   avgpool/00017.arrow   its features, one file a layer (or .parquet)
//! ```
//!
//! In: a source's [`Listing`](crate::source::Listing) and rows of features.
//! Out: [`FeatureBatch`]es in the order of the plan.
//!
//! Invariants:
//! - A part is absent or whole: files are published by renaming, the commit
//!   record last. What has no valid record does not exist.
//! - Part *i* holds plan rows [i·P, (i+1)·P). The bytes of a part depend on the
//!   identity, the plan and P alone: not on shards, threads, or restarts.
//! - A reject never shifts a row: every feature row carries its plan row as `id`.

mod arrow_file;
mod batch;
mod commit;
mod create;
mod error;
mod identity;
mod layer;
mod layer_file;
mod manifest;
mod parquet_file;
mod part_rows;
mod plan;
mod plan_file;
mod reader;
mod schema;
mod status;
mod store;
mod verify;
mod writer;

pub use batch::{Embedding, FeatureBatch, Place};
pub use commit::{CommitRecord, FileRecord, Reject};
pub use create::{Growth, Setup};
pub use error::CacheError;
pub use identity::{Difference, Identity};
pub use layer::{FeatureDtype, FileFormat, Layer};
pub use layer_file::{ARROW_ALIGNMENT, BATCH_BYTES, BATCH_ROWS, ROW_GROUP_BYTES};
pub use manifest::{FormatVersion, Manifest};
pub use plan::{Plan, PlanDifference};
pub use reader::{Batches, CacheReader};
pub use status::{Status, status};
pub use store::{Cache, DEFAULT_PART_ROWS, PartIndex, Shard};
pub use verify::{Damage, Report, verify};
pub use writer::{FeatureRow, PartWriter};

#[cfg(test)]
mod tests;
