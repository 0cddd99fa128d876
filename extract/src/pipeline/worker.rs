//! A worker thread: plan rows in, features out.

use common::{
    embed,
    source::{Sample, Source},
};

use super::{Job, RunError, chunk::Chunk};

/// The features of a chunk.
pub(super) struct Embedded {
    /// For each plan row, in order: nothing, or why it has no features.
    pub(super) rejects: Vec<Option<String>>,
    /// For each layer `[usable rows, dim]` f32.
    pub(super) layers: Vec<Vec<f32>>,
}

pub(super) struct Worker<'a> {
    job: &'a Job<'a>,
    embedder: embed::Worker<'a>,
    file: Vec<u8>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Result<Self, RunError> {
        Ok(Self {
            job,
            embedder: job.embedder.worker()?,
            file: Vec::new(),
        })
    }

    /// Reads, decodes and embeds the images of a chunk.
    pub(super) fn embed(&mut self, chunk: &Chunk) -> Result<Embedded, RunError> {
        let rejects = chunk
            .rows
            .clone()
            .map(|row| match self.job.cache.plan().get(row) {
                Some(sample) => self.add(sample).err(),
                None => Some("not in the plan".to_owned()),
            })
            .collect();
        let layers = self.embedder.forward()?;
        Ok(Embedded { rejects, layers })
    }

    /// Adds an image to the batch, or says why it cannot be.
    fn add(&mut self, sample: &Sample) -> Result<(), String> {
        if let Some(problem) = &sample.problem {
            return Err(problem.clone());
        }
        read(self.job.source, &sample.uri, &mut self.file)?;
        self.embedder
            .add(&self.file)
            .map_err(|error| error.to_string())
    }
}

fn read(source: &Source, uri: &str, file: &mut Vec<u8>) -> Result<(), String> {
    file.clear();
    source
        .read(uri, file)
        .map_err(|error| format!("cannot be read: {error}"))
}
