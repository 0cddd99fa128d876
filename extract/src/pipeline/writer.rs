//! Puts chunks back in order and writes parts.

use std::{collections::BTreeMap, sync::mpsc::Receiver};

use common::cache::{FeatureRow, PartIndex, PartWriter};

use super::{
    Done, Job, RunError,
    chunk::{Chunk, Chunks, Place},
    window::Window,
    worker::{Embedded, Outcome},
};
use crate::progress::Progress;

/// Rejects that are named one by one; later ones are only counted.
const NAMED_REJECTS: u64 = 20;

pub(super) struct Writer<'a> {
    job: &'a Job<'a>,
    chunks: &'a Chunks,
    progress: &'a mut Progress,
    part: Option<(PartIndex, PartWriter)>,
    done: Done,
}

impl<'a> Writer<'a> {
    pub(super) fn new(job: &'a Job<'a>, chunks: &'a Chunks, progress: &'a mut Progress) -> Self {
        Self {
            job,
            chunks,
            progress,
            part: None,
            done: Done::default(),
        }
    }

    /// Writes what the workers send, until they are all gone. An unfinished
    /// part is dropped.
    pub(super) fn drain(
        &mut self,
        outcomes: &Receiver<Outcome>,
        window: &Window,
    ) -> Result<Done, RunError> {
        let mut early: BTreeMap<u64, Embedded> = BTreeMap::new();
        let mut next = 0;
        while let Ok((sequence, outcome)) = outcomes.recv() {
            early.insert(sequence, outcome?);
            while let Some(embedded) = early.remove(&next) {
                if let Some(chunk) = self.chunks.get(next) {
                    self.write(chunk, &embedded)?;
                }
                window.written();
                next += 1;
            }
        }
        if next < self.chunks.len() as u64 {
            self.done.stopped = self.job.interrupt.received();
        }
        Ok(self.done)
    }

    fn write(&mut self, chunk: &Chunk, embedded: &Embedded) -> Result<(), RunError> {
        let mut writer = match self.part.take() {
            Some((part, writer)) if part == chunk.part => writer,
            _ => self.job.cache.write_part(chunk.part)?,
        };
        let mut usable = 0;
        for (plan_row, reject) in chunk.rows.clone().zip(&embedded.rejects) {
            match reject {
                Some(reason) => {
                    writer.reject(plan_row, reason.as_str())?;
                    self.count_reject(plan_row, reason)?;
                }
                None => {
                    let layers = self.row(embedded, usable);
                    writer.push(FeatureRow {
                        plan_row,
                        view: 0,
                        layers: &layers,
                    })?;
                    usable += 1;
                }
            }
        }
        self.done.images += usable as u64;
        self.progress.advance(embedded.rejects.len() as u64);
        match chunk.place {
            Place::Inner => self.part = Some((chunk.part, writer)),
            Place::Last => {
                writer.commit()?;
                self.done.parts += 1;
            }
        }
        Ok(())
    }

    /// The features of the `index`-th usable row, one slice a layer.
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
