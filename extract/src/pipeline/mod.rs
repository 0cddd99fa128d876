//! From the source to committed parts.
//!
//! Each worker thread takes the next chunk of plan rows, reads, decodes and
//! embeds it, and hands the rows to the writer, which puts chunks back in
//! order and commits a part when its last row is there. Decoding, backbone
//! and writing overlap because workers are at different points; memory is
//! bounded because no worker may run further ahead of the writer than the
//! [`window`] allows.
//!
//! A chunk never spans two parts, and an image's features depend on the image
//! alone, so threads and chunks leave no trace in the files.

mod chunk;
mod window;
mod worker;
mod writer;

use std::{sync::mpsc, thread};

use common::{
    cache::{Cache, CacheError, PartIndex},
    embed::Embedder,
    engine::EngineError,
    exit::Exit,
    image::PreprocessError,
    interrupt::Interrupt,
    source::Source,
};

use self::{chunk::Chunks, window::Window, worker::Worker, writer::Writer};
use crate::progress::Progress;

/// Chunks that workers may be ahead of the writer, for each thread.
const CHUNKS_AHEAD: u64 = 4;

/// What is to be done.
pub(crate) struct Job<'a> {
    /// Where features go.
    pub cache: &'a Cache,
    /// Where images come from.
    pub source: &'a Source,
    /// What makes features of images.
    pub embedder: &'a Embedder,
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
    let chunks = Chunks::new(job.cache, job.parts, job.embedder.preferred_batch());
    let threads = job.threads.min(chunks.len().max(1));
    let window = Window::new(chunks.len() as u64, CHUNKS_AHEAD * threads as u64);
    let (sender, receiver) = mpsc::sync_channel(threads);
    thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let (window, chunks) = (&window, &chunks);
            scope.spawn(move || {
                match Worker::new(job) {
                    Ok(mut worker) => worker.work(window, chunks, &sender),
                    // The writer has gone only if it met an error of its own.
                    Err(error) => drop(sender.send((0, Err(error)))),
                }
            });
        }
        drop(sender);
        let mut writer = Writer::new(job, &chunks, progress);
        let result = writer.drain(&receiver, &window);
        // Workers that wait for room, or to send, are let go.
        window.stop();
        drop(receiver);
        result
    })
}
