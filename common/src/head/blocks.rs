//! Labelled feature rows as the solvers visit them: block by block, any block at
//! any time and from any thread, so that the rows need not fit into memory.

use crate::cache::CacheError;

/// Rows a block where the choice is ours: of 1,280 features they fit a core's cache.
pub const BLOCK_ROWS: usize = 256;

/// A fixed sequence of blocks of labelled rows, all with the same number of features.
pub trait RowBlocks: Sync {
    /// Values a row, D.
    fn features(&self) -> usize;

    /// Number of classes, C; every label is below it.
    fn classes(&self) -> usize;

    /// Number of blocks.
    fn blocks(&self) -> usize;

    /// Block `index`: its features `[B, D]`, all finite, and labels `[B]`. They may
    /// be copied into `scratch`.
    ///
    /// # Errors
    /// When the block cannot be read.
    fn read<'a>(&'a self, index: usize, scratch: &'a mut Block) -> Result<Rows<'a>, CacheError>;
}

/// Labelled rows.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// `[B, D]`.
    pub features: &'a [f32],
    /// `[B]`.
    pub labels: &'a [u32],
}

/// Room for a block.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// `[B, D]`.
    pub features: Vec<f32>,
    /// `[B]`.
    pub labels: Vec<u32>,
}

/// Rows that are in memory, in blocks of [`BLOCK_ROWS`].
#[derive(Clone, Debug)]
pub struct InMemory {
    rows: Block,
    features: usize,
    classes: usize,
}

impl InMemory {
    /// `rows` of `classes` classes.
    ///
    /// # Panics
    /// When the features are not a whole number of rows, one a label, or a label is
    /// not below `classes`.
    pub fn new(rows: Block, classes: usize) -> Self {
        let features = rows.features.len() / rows.labels.len().max(1);
        assert_eq!(features * rows.labels.len(), rows.features.len(), "rows");
        assert!(
            rows.labels.iter().all(|&label| (label as usize) < classes),
            "labels"
        );
        Self {
            rows,
            features,
            classes,
        }
    }

    /// A copy of all of `source`.
    ///
    /// # Errors
    /// When a block cannot be read.
    pub fn copy(source: &impl RowBlocks) -> Result<Self, CacheError> {
        let mut rows = Block::default();
        let mut scratch = Block::default();
        for index in 0..source.blocks() {
            let block = source.read(index, &mut scratch)?;
            rows.features.extend_from_slice(block.features);
            rows.labels.extend_from_slice(block.labels);
        }
        Ok(Self::new(rows, source.classes()))
    }
}

impl RowBlocks for InMemory {
    fn features(&self) -> usize {
        self.features
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn blocks(&self) -> usize {
        self.rows.labels.len().div_ceil(BLOCK_ROWS)
    }

    fn read<'a>(&'a self, index: usize, _scratch: &'a mut Block) -> Result<Rows<'a>, CacheError> {
        let start = index * BLOCK_ROWS;
        let end = (start + BLOCK_ROWS).min(self.rows.labels.len());
        Ok(Rows {
            features: &self.rows.features[start * self.features..end * self.features],
            labels: &self.rows.labels[start..end],
        })
    }
}
