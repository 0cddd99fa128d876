//! What the rows of a batch are to be predicted as, gathered for a stack.

use common::head::{
    Fitted, TaskKind,
    stack::{Batch, Targets},
};

use super::Task;

/// Room for what a batch's rows are to be predicted as.
#[derive(Default)]
pub(super) struct Answers {
    labels: Vec<u32>,
    values: Vec<f32>,
}

impl Answers {
    /// `rows` as the trials of `task` see them.
    pub(super) fn batch<'a>(
        &'a mut self,
        task: &Task<'a>,
        scale: &Fitted,
        rows: &'a [u32],
    ) -> Batch<'a> {
        let targets = if task.settings.loss.task() == TaskKind::SingleLabel {
            task.dataset.gather_labels(rows, &mut self.labels);
            Targets::Classes(&self.labels)
        } else {
            task.dataset.gather_targets(rows, &mut self.values);
            scale.apply(&mut self.values, task.classes);
            Targets::Values(&self.values)
        };
        Batch {
            features: &task.dataset.features,
            rows,
            targets,
        }
    }
}
