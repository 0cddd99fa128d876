//! `train-head predict`: the whole path on new images.
//!
//! The backbone must be the one that the head's features came from; anything
//! else is refused. A bad image is reported, skipped, and shows in the exit code.
//! Threads share the images; predictions are printed in the order of the images
//! as soon as they are known.

mod backbone;
mod classifier;
mod images;
mod printer;

use std::path::PathBuf;

use common::{
    cache::Identity,
    embed::Embedder,
    exit::Exit,
    head::{Bundle, RunRecord},
    in_order::{self, Pieces},
    interrupt::Interrupt,
    output::Reader,
    progress::Progress,
};

use classifier::{Classifier, Prediction};
use printer::Printer;

use crate::{
    failure::{Failure, OrExit},
    head_input::difference,
    plan::PredictPlan,
};

/// Classifies the plan's images.
pub(crate) fn run(plan: &PredictPlan) -> Result<Exit, Failure> {
    let interrupt = Interrupt::listen().or_exit(Exit::Failure)?;
    let bundle = Bundle::load(&plan.run).or_exit(Exit::Input)?;
    let images = images::find(&plan.images, &interrupt)?;
    let embedder = backbone::load(&bundle.record, plan)?;
    let identity = embedder.identity(bundle.record.identity.dtype);
    check_identity(plan, &bundle.record, &identity)?;
    let job = Job {
        plan,
        bundle: &bundle,
        embedder: &embedder,
        images: &images,
        interrupt: &interrupt,
    };
    let mut told = Told {
        progress: Progress::start(images.len() as u64, plan.report.verbosity),
        printer: Printer::new(plan.report.result),
        classified: 0,
        failed: 0,
    };
    let ended = classify(&job, &mut told);
    told.progress.finish();
    match ended {
        Ok(stopped) => told.conclude(images.len(), stopped),
        Err(Halt::Failed(failure)) => Err(failure),
        Err(Halt::ReaderGone) => Ok(Exit::Success),
    }
}

fn check_identity(
    plan: &PredictPlan,
    record: &RunRecord,
    backbone: &Identity,
) -> Result<(), Failure> {
    let Some(difference) = difference(backbone, record) else {
        return Ok(());
    };
    let message = format!(
        "run `{}`: the backbone is not the one that the head was trained on: {difference} (name the right weights with --weights)",
        plan.run.display()
    );
    Err(Failure::new(Exit::Mismatch, message))
}

struct Job<'a> {
    plan: &'a PredictPlan,
    bundle: &'a Bundle,
    embedder: &'a Embedder,
    images: &'a [PathBuf],
    interrupt: &'a Interrupt,
}

/// Why no further image is looked at.
enum Halt {
    Failed(Failure),
    /// Nobody reads standard output any more.
    ReaderGone,
}

impl From<Failure> for Halt {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// Classifies the images in batches and tells of each. Returns the signal that
/// came before the last one.
fn classify(job: &Job, told: &mut Told) -> Result<Option<Exit>, Halt> {
    let batch_rows = job.embedder.preferred_batch().max(1);
    let batches: Vec<&[PathBuf]> = job.images.chunks(batch_rows).collect();
    let pieces = Pieces {
        count: batches.len() as u64,
        threads: job.plan.threads,
        interrupt: job.interrupt,
    };
    let start = || {
        let worker = job.embedder.worker().map_err(Failure::of)?;
        let mut classifier = Classifier::new(job.bundle, worker, job.plan.top);
        let batches = &batches;
        Ok(move |batch| Ok(classifier.classify(batches[batch as usize])?))
    };
    in_order::work(&pieces, start, |_, predictions| told.of(&predictions))
}

/// What the user has been told.
struct Told {
    progress: Progress,
    printer: Printer,
    classified: u64,
    failed: u64,
}

impl Told {
    fn of(&mut self, predictions: &[Prediction]) -> Result<(), Halt> {
        let mut failed = 0;
        for prediction in predictions {
            if let Some(error) = &prediction.error {
                self.progress
                    .warn(&format!("`{}`: {error}", prediction.image));
                failed += 1;
            }
        }
        let classified = predictions.len() as u64 - failed;
        self.failed += failed;
        self.classified += classified;
        self.progress.advance(classified, failed);
        let printer = &mut self.printer;
        let printed = self.progress.suspend(|| printer.print(predictions));
        match printed.map_err(Failure::of)? {
            Reader::Listening => Ok(()),
            Reader::Gone => Err(Halt::ReaderGone),
        }
    }

    fn conclude(mut self, images: usize, stopped: Option<Exit>) -> Result<Exit, Failure> {
        self.printer.finish().map_err(Failure::of)?;
        if let Some(exit) = stopped {
            let done = self.classified + self.failed;
            self.progress.warn(&format!(
                "stopped by a signal after {done} of {images} images"
            ));
            return Ok(exit);
        }
        Ok(if self.failed == 0 {
            Exit::Success
        } else {
            Exit::Input
        })
    }
}

#[cfg(test)]
mod tests;
