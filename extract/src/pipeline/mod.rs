//! From the source to committed parts.
//!
//! Each worker thread takes the next chunk of plan rows, reads, decodes and
//! embeds it; the writer gets the chunks in order and commits a part when its
//! last row is there. Decoding, backbone and writing overlap and memory is
//! bounded, see [`common::in_order`].
//!
//! A chunk never spans two parts, and an image's features depend on the image
//! alone, so threads and chunks leave no trace in the files.

mod chunk;
mod worker;
mod writer;

use common::{
    cache::{Cache, CacheError, PartIndex},
    embed::Embedder,
    engine::EngineError,
    exit::Exit,
    image::PreprocessError,
    in_order::{self, Pieces},
    interrupt::Interrupt,
    progress::Progress,
    source::Source,
};

use self::{chunk::Chunks, worker::Worker, writer::Writer};
use crate::plan::Views;

/// What is to be done.
pub(crate) struct Job<'a> {
    /// Where features go.
    pub cache: &'a Cache,
    /// Where images come from.
    pub source: &'a Source,
    /// What makes features of images.
    pub embedder: &'a Embedder,
    /// Augmented views of training images.
    pub views: Option<Views>,
    /// The parts to write, ascending.
    pub parts: &'a [PartIndex],
    /// Worker threads.
    pub threads: usize,
    /// Rejects in parts of this shard that were written earlier.
    pub earlier_rejects: u64,
    /// Rejects, earlier ones included, beyond which the run stops.
    pub allowed_rejects: u64,
    /// Set when the user wants the run to stop.
    pub interrupt: &'a Interrupt,
}

impl Job<'_> {
    /// Feature rows of the image in a row of the plan, unless it is rejected.
    fn views_of(&self, plan_row: u64) -> u8 {
        let sample = self.cache.plan().get(plan_row);
        sample.map_or(0, |sample| self.cache.manifest().views_of(sample.split))
    }
}

/// What was done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Done {
    /// Images whose features were written.
    pub images: u64,
    /// Images that were rejected.
    pub rejects: u64,
    /// Parts committed.
    pub parts: u64,
    /// The signal that ended the run early.
    pub stopped: Option<Exit>,
}

/// Why a run ended early. Parts that were committed stay.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// The cache could not be written, or refused the features.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The device failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The recipe cannot be carried out.
    #[error(transparent)]
    Preprocess(#[from] PreprocessError),
    /// Too much of the source is unusable.
    #[error(
        "{rejects} inputs are unusable, {allowed} are allowed, the last one is `{uri}`: {reason} (repair the files, or raise --max-rejects)"
    )]
    TooManyRejects {
        /// Rejects met.
        rejects: u64,
        /// Rejects allowed.
        allowed: u64,
        /// The last one.
        uri: String,
        /// Why it was rejected.
        reason: String,
    },
}

impl RunError {
    /// How the process is to exit.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Cache(error) => error.exit(),
            Self::Engine(error) => error.exit(),
            Self::Preprocess(_) => Exit::Usage,
            Self::TooManyRejects { .. } => Exit::Rejects,
        }
    }
}

/// Does the job. Returns early, with [`Done::stopped`] set, after an interrupt.
///
/// # Errors
/// See [`RunError`]; what was committed before stays.
pub(crate) fn run(job: &Job<'_>, progress: &mut Progress) -> Result<Done, RunError> {
    let rows_an_image = usize::from(job.cache.manifest().identity.views);
    let images = job.embedder.preferred_batch() / rows_an_image;
    let chunks = Chunks::new(job.cache, job.parts, images);
    let pieces = Pieces {
        count: chunks.len() as u64,
        threads: job.threads,
        interrupt: job.interrupt,
    };
    let start = || {
        let mut worker = Worker::new(job)?;
        let chunks = &chunks;
        Ok(move |sequence| worker.embed(chunks.get(sequence)))
    };
    let mut writer = Writer::new(job, progress);
    let stopped = in_order::work(&pieces, start, |sequence, embedded| {
        writer.write(chunks.get(sequence), &embedded)
    })?;
    Ok(Done {
        stopped,
        ..writer.done()
    })
}
