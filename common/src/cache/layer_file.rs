//! Writing one layer of one part.
/// Features of one record batch, in bytes, at most (but at least one row).
pub const BATCH_BYTES: usize = 4 << 20;
/// Features of one Parquet row group, in bytes, at most (but at least one batch).
pub const ROW_GROUP_BYTES: usize = 32 << 20;
