//! The training rows of a task as the convex solvers visit them.

use common::{
    cache::CacheError,
    head::{BLOCK_ROWS, Block, Fitted, RowBlocks, Rows},
};

use crate::fit::Task;

/// The training rows of a task, normalised as they are read.
pub(crate) struct TrainingRows<'a> {
    pub(crate) task: &'a Task<'a>,
    pub(crate) fitted: &'a Fitted,
}

impl RowBlocks for TrainingRows<'_> {
    fn features(&self) -> usize {
        self.task.dataset.features.width()
    }

    fn classes(&self) -> usize {
        self.task.classes
    }

    fn blocks(&self) -> usize {
        self.task.partition.train.len().div_ceil(BLOCK_ROWS)
    }

    fn read<'a>(&'a self, index: usize, scratch: &'a mut Block) -> Result<Rows<'a>, CacheError> {
        let rows = &self.task.partition.train[index * BLOCK_ROWS..];
        let rows = &rows[..rows.len().min(BLOCK_ROWS)];
        let dataset = self.task.dataset;
        dataset.features.gather(rows, &mut scratch.features);
        dataset.gather_labels(rows, &mut scratch.labels);
        self.fitted.apply(&mut scratch.features, self.features());
        Ok(Rows {
            features: &scratch.features,
            labels: &scratch.labels,
        })
    }
}
