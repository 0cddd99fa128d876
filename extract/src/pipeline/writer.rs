//! Writes chunks, which come in order, and commits parts.

use common::{
    cache::{FeatureRow, PartIndex, PartWriter},
    progress::Progress,
};

use super::{
    Done, Job, RunError,
    chunk::{Chunk, Place},
    worker::Embedded,
};

/// Rejects that are named one by one; later ones are only counted.
const NAMED_REJECTS: u64 = 20;

pub(super) struct Writer<'a> {
    job: &'a Job<'a>,
    progress: &'a mut Progress,
    part: Option<(PartIndex, PartWriter)>,
    done: Done,
}

impl<'a> Writer<'a> {
    pub(super) fn new(job: &'a Job<'a>, progress: &'a mut Progress) -> Self {
        Self {
            job,
            progress,
            part: None,
            done: Done::default(),
        }
    }

    /// What was done so far.
    pub(super) fn done(&self) -> Done {
        self.done
    }

    /// Writes a chunk behind the one before. A part that is unfinished when the
    /// writer is dropped leaves nothing behind.
    pub(super) fn write(&mut self, chunk: &Chunk, embedded: &Embedded) -> Result<(), RunError> {
        let mut writer = match self.part.take() {
            Some((part, writer)) if part == chunk.part => writer,
            _ => self.job.cache.write_part(chunk.part)?,
        };
        let (mut usable, mut rows) = (0, 0);
        for (plan_row, reject) in chunk.rows.clone().zip(&embedded.rejects) {
            match reject {
                Some(reason) => {
                    writer.reject(plan_row, reason.as_str())?;
                    self.count_reject(plan_row, reason)?;
                }
                None => {
                    for view in 0..self.job.views_of(plan_row) {
                        let layers = self.row(embedded, rows);
                        writer.push(FeatureRow {
                            plan_row,
                            view,
                            layers: &layers,
                        })?;
                        rows += 1;
                    }
                    usable += 1;
                }
            }
        }
        self.done.images += usable as u64;
        let rejects = embedded.rejects.len() - usable;
        self.progress.advance(usable as u64, rejects as u64);
        match chunk.place {
            Place::Inner => self.part = Some((chunk.part, writer)),
            Place::Last => {
                writer.commit()?;
                self.done.parts += 1;
            }
        }
        Ok(())
    }

    /// The features of the `index`-th row, one slice a layer.
    fn row<'e>(&self, embedded: &'e Embedded, index: usize) -> Vec<&'e [f32]> {
        let layers = self.job.embedder.layers().iter().zip(&embedded.layers);
        layers
            .map(|(layer, values)| {
                let dim = layer.shape.len();
                &values[index * dim..(index + 1) * dim]
            })
            .collect()
    }

    fn count_reject(&mut self, plan_row: u64, reason: &str) -> Result<(), RunError> {
        let uri = match self.job.cache.plan().get(plan_row) {
            Some(sample) => sample.uri.as_str(),
            None => "",
        };
        self.done.rejects += 1;
        if self.done.rejects <= NAMED_REJECTS {
            self.progress.say(&format!("rejected `{uri}`: {reason}"));
        }
        let rejects = self.job.earlier_rejects + self.done.rejects;
        if rejects > self.job.allowed_rejects {
            return Err(RunError::TooManyRejects {
                rejects,
                allowed: self.job.allowed_rejects,
                uri: uri.to_owned(),
                reason: reason.to_owned(),
            });
        }
        Ok(())
    }
}
