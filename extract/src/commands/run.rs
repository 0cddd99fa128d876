//! `extract run`: list the source, load the backbone, make or resume the
//! cache, fill the missing parts.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use common::{
    cache::{self, Cache, CacheError, Layer, PartIndex, Setup, Status},
    embed::{Drift, Embedder},
    engine::device::Precision,
    exit::{Exit, UsageError},
    interrupt::Interrupt,
    output::print_json,
    progress::Progress,
    source::{Listing, Source},
};
use serde_json::json;

use super::calibrate;
use crate::{
    pipeline::{self, Done, Job},
    plan::{RejectedParts, RunPlan, Summary, Views},
};

/// A source in which every input is unusable.
#[derive(Debug, thiserror::Error)]
#[error("cache `{cache}`: none of its {rows} inputs is usable, the first is `{uri}`: {reason}")]
pub(super) struct NothingUsable {
    cache: String,
    rows: u64,
    uri: String,
    reason: String,
}

pub(super) fn run(plan: &RunPlan) -> Result<Exit> {
    let interrupt = Interrupt::listen().context("listening for signals failed")?;
    refuse_out_below_source(plan)?;
    let source = Source::open(&plan.source)?;
    let listing = source.list(&interrupt)?;
    let Prepared {
        embedder,
        cache,
        drift,
    } = prepare(plan, &source, &listing)?;
    interrupt.check()?;
    let work = Work::new(plan, &cache, &interrupt)?;
    let mut progress = Progress::start(work.rows, plan.verbosity);
    announce(plan, &embedder, &work, &progress);
    let job = Job {
        cache: &cache,
        source: &source,
        embedder: &embedder,
        views: plan.views,
        parts: &work.parts,
        threads: plan.threads,
        earlier_rejects: work.earlier_rejects,
        allowed_rejects: plan.max_rejects.allowed(work.shard_rows),
        interrupt: &interrupt,
    };
    let result = pipeline::run(&job, &mut progress);
    progress.finish();
    let done = result.with_context(|| resume_hint(&plan.out))?;
    conclude(plan, &cache, &progress, (done, drift))
}

/// What a run works with.
struct Prepared {
    embedder: Embedder,
    cache: Cache,
    /// Of int8, where this run has measured it.
    drift: Option<Vec<Drift>>,
}

fn prepare(plan: &RunPlan, source: &Source, listing: &Listing) -> Result<Prepared> {
    let try_once = || {
        let settled = calibrate::settle(plan, source, listing)?;
        let embedder = Embedder::load(settled.options)?;
        let cache = open_cache(plan, listing, &embedder)?;
        Ok(Prepared {
            embedder,
            cache,
            drift: settled.drift,
        })
    };
    match try_once() {
        // Another shard, on a processor whose sums differ in the last bit, may
        // have calibrated and made the cache meanwhile: then its scales count.
        Err(error) if plan.embedder.precision == Precision::Int8 && is_mismatch(&error) => {
            try_once()
        }
        prepared => prepared,
    }
}

fn is_mismatch(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(CacheError::Mismatch { .. }))
}

fn open_cache(plan: &RunPlan, listing: &Listing, embedder: &Embedder) -> Result<Cache> {
    let layers = embedder.layers().iter().map(|layer| Layer {
        name: layer.name.clone(),
        shape: layer.shape.dimensions(),
        dtype: plan.dtype,
    });
    let setup = Setup {
        identity: Views::identity(plan.views, embedder.identity(plan.dtype)),
        layers: layers.collect(),
        listing,
        format: plan.format,
        part_rows: plan.part_rows,
        growth: plan.growth,
    };
    Ok(Cache::create_or_resume(&plan.out, &setup)?)
}

/// What is left to do for this process.
struct Work {
    parts: Vec<PartIndex>,
    /// Plan rows of these parts.
    rows: u64,
    /// Plan rows of the shard, finished ones included.
    shard_rows: u64,
    /// Rejects in finished parts of the shard.
    earlier_rejects: u64,
}

impl Work {
    fn new(plan: &RunPlan, cache: &Cache, interrupt: &Interrupt) -> Result<Self> {
        let mut work = Self {
            parts: Vec::new(),
            rows: 0,
            shard_rows: 0,
            earlier_rejects: 0,
        };
        for part in cache.parts_of(plan.shard) {
            interrupt.check()?;
            let rows = cache.rows_of(part);
            let rows = rows.end - rows.start;
            work.shard_rows += rows;
            let rejects = cache
                .committed(part)?
                .map(|record| record.rejects.len() as u64);
            match rejects {
                // A part that is redone stays until its successor is committed.
                Some(1..) if plan.rejected == RejectedParts::Redo => work.add(part, rows),
                Some(rejects) => work.earlier_rejects += rejects,
                None => work.add(part, rows),
            }
        }
        Ok(work)
    }

    fn add(&mut self, part: PartIndex, rows: u64) {
        self.parts.push(part);
        self.rows += rows;
    }
}

/// The next run would take the cache for images.
fn refuse_out_below_source(plan: &RunPlan) -> Result<(), UsageError> {
    let (Ok(source), Ok(out)) = (plan.source.canonicalize(), absolute(&plan.out)) else {
        return Ok(());
    };
    if source.is_dir() && out.starts_with(&source) {
        return Err(UsageError(format!(
            "--out `{}` lies in the source `{}` (name a folder outside of it)",
            plan.out.display(),
            plan.source.display()
        )));
    }
    Ok(())
}

/// The path without links, also where its end does not exist yet.
fn absolute(path: &Path) -> io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let existing = path.ancestors().find(|ancestor| ancestor.exists());
    let existing = existing.unwrap_or(&path);
    let rest = path.strip_prefix(existing).unwrap_or(Path::new(""));
    Ok(existing.canonicalize()?.join(rest))
}

fn announce(plan: &RunPlan, embedder: &Embedder, work: &Work, progress: &Progress) {
    let prefix = embedder.weights_prefix();
    if !prefix.is_empty() {
        progress.say(&format!(
            "weights: names begin with `{prefix}`, which is left out"
        ));
    }
    if plan.shard.count() > 1 {
        progress.say(&format!(
            "shard {}/{} (from {}): {} parts to do",
            plan.shard.index(),
            plan.shard.count(),
            plan.shard_origin,
            work.parts.len()
        ));
    }
    let earlier = work.shard_rows - work.rows;
    if earlier > 0 {
        progress.say(&format!(
            "resuming: {earlier} of {} inputs are done",
            work.shard_rows
        ));
    }
    progress.say(&format!(
        "{} on {} ({}), {}",
        plan.embedder.entry.name,
        embedder.device_name(),
        plan.embedder.precision,
        plan.embedder.preprocess
    ));
    if let Some(views) = plan.views {
        progress.say(&format!(
            "{} augmented views of each training image ({}, seed {})",
            views.count,
            views.augmentation.augment.recipe(),
            views.augmentation.seed
        ));
    }
}

fn conclude(
    plan: &RunPlan,
    cache: &Cache,
    progress: &Progress,
    (done, drift): (Done, Option<Vec<Drift>>),
) -> Result<Exit> {
    let status = cache::status(cache)?;
    match plan.summary {
        Summary::Json => {
            print_json(&json!({
                "cache": plan.out.display().to_string(),
                "images": done.images,
                "rejects": done.rejects,
                "parts": done.parts,
                "seconds": progress.elapsed().as_secs_f64(),
                "images_per_second": progress.rate(),
                "drift": drift,
                "status": status,
            }))?;
        }
        Summary::Text => say_summary(plan, progress, done, &status),
    }
    if let Some(exit) = done.stopped {
        progress.say(&resume_hint(&plan.out));
        return Ok(exit);
    }
    refuse_if_nothing_is_usable(&plan.out, &status)?;
    Ok(Exit::Success)
}

fn say_summary(plan: &RunPlan, progress: &Progress, done: Done, status: &Status) {
    let elapsed = Duration::from_millis(progress.elapsed().as_millis() as u64);
    if done.images + done.rejects > 0 {
        progress.say(&format!(
            "{} images in {elapsed:?}, {:.1} images/s, {} rejected",
            done.images,
            progress.rate(),
            done.rejects
        ));
    }
    let state = if status.is_complete() {
        "complete".to_owned()
    } else {
        format!("{} of {} parts", status.done_parts, status.parts)
    };
    progress.say(&format!("cache `{}`: {state}", plan.out.display()));
}

fn refuse_if_nothing_is_usable(cache: &Path, status: &Status) -> Result<(), NothingUsable> {
    match status.rejects.first() {
        Some(first) if status.is_complete() && status.images() == 0 => Err(NothingUsable {
            cache: cache.display().to_string(),
            rows: status.rows,
            uri: first.uri.clone(),
            reason: first.reason.clone(),
        }),
        _ => Ok(()),
    }
}

fn resume_hint(cache: &Path) -> String {
    format!(
        "stopped early: finished parts of `{}` are kept, the same command resumes",
        cache.display()
    )
}
