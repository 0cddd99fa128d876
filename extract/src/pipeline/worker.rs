//! A worker thread: plan rows in, features out.

use common::{
    embed::{self, View},
    image::ViewKey,
    source::{Sample, Source},
};

use super::{Job, RunError, chunk::Chunk};

/// The features of a chunk.
pub(super) struct Embedded {
    /// For each plan row, in order: nothing, or why it has no features.
    pub(super) rejects: Vec<Option<String>>,
    /// For each layer `[views of usable rows, dim]` f32.
    pub(super) layers: Vec<Vec<f32>>,
}

pub(super) struct Worker<'a> {
    job: &'a Job<'a>,
    embedder: embed::Worker<'a>,
    file: Vec<u8>,
    /// What was embedded of the chunk so far.
    layers: Vec<Vec<f32>>,
}

impl<'a> Worker<'a> {
    pub(super) fn new(job: &'a Job<'a>) -> Result<Self, RunError> {
        Ok(Self {
            job,
            embedder: job.embedder.worker()?,
            file: Vec::new(),
            layers: vec![Vec::new(); job.embedder.layers().len()],
        })
    }

    /// Reads, decodes and embeds the images of a chunk.
    pub(super) fn embed(&mut self, chunk: &Chunk) -> Result<Embedded, RunError> {
        let mut rejects = Vec::new();
        for row in chunk.rows.clone() {
            let reject = match self.job.cache.plan().get(row) {
                Some(sample) => self.add(row, sample)?,
                None => Some("not in the plan".to_owned()),
            };
            rejects.push(reject);
        }
        self.forward()?;
        let layers = self.layers.iter_mut().map(std::mem::take).collect();
        Ok(Embedded { rejects, layers })
    }

    /// Adds the views of an image to the batch, or says why it has none.
    fn add(&mut self, row: u64, sample: &Sample) -> Result<Option<String>, RunError> {
        if let Some(problem) = &sample.problem {
            return Ok(Some(problem.clone()));
        }
        if let Err(problem) = read(self.job.source, &sample.uri, &mut self.file) {
            return Ok(Some(problem));
        }
        if self.job.views_of(row) == 1 {
            let added = self.embedder.add(&self.file);
            return Ok(added.err().map(|error| error.to_string()));
        }
        let picture = match self.embedder.decode(&self.file) {
            Ok(picture) => picture,
            Err(error) => return Ok(Some(error.to_string())),
        };
        for view in self.views(row) {
            if self.embedder.images() >= self.job.embedder.preferred_batch() {
                self.forward()?;
            }
            self.embedder.add_view(&picture, view)?;
        }
        Ok(None)
    }

    /// The views of an image of a training split.
    fn views(&self, image: u64) -> impl Iterator<Item = View> + use<> {
        let augmented = self.job.views.into_iter().flat_map(move |views| {
            (1..=views.count).map(move |view| {
                View::Augmented(views.augmentation, ViewKey::Cached { image, view })
            })
        });
        std::iter::once(View::Plain).chain(augmented)
    }

    /// Runs the backbone on the batch.
    fn forward(&mut self) -> Result<(), RunError> {
        for (all, batch) in self.layers.iter_mut().zip(self.embedder.forward()?) {
            if all.is_empty() {
                *all = batch;
            } else {
                all.extend(batch);
            }
        }
        Ok(())
    }
}

fn read(source: &Source, uri: &str, file: &mut Vec<u8>) -> Result<(), String> {
    file.clear();
    source
        .read(uri, file)
        .map_err(|error| format!("cannot be read: {error}"))
}
