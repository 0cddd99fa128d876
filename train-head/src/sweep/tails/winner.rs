//! The best trial as a run in the sweep's folder.

use std::{io, path::Path};

use common::{
    exit::Exit,
    head::{Bundle, BundleError},
};

use super::{
    super::{
        best::{folder, make_folder},
        space::Point,
    },
    Tails,
    candidate::Candidate,
    ground::Ground,
    round::Made,
};
use crate::{
    failure::{Failure, OrExit},
    finetune::{
        checkpoint::{Checkpoint, Origin},
        result,
        session::Session,
    },
    history::History,
    plan::recorded_fine_settings,
    test_reads,
    train::cannot_write,
};

/// Whether the run of `candidate` is in `directory`.
pub(super) fn is_saved(
    ground: &Ground,
    candidate: &Candidate,
    directory: &Path,
) -> Result<bool, Failure> {
    let record = match Bundle::load(&folder(directory)) {
        Err(BundleError::NotFound(_)) => return Ok(false),
        other => other.or_exit(Exit::Input)?.record,
    };
    let settings = recorded_fine_settings(&candidate.settings)?;
    let manifest = ground.reader.manifest();
    let reads_the_same = record.tuned.is_some_and(|tuned| {
        tuned.base == manifest.identity && tuned.layer.as_deref() == ground.layer(candidate.degree)
    });
    Ok(reads_the_same && record.settings == settings && record.plan_sha256 == manifest.plan_sha256)
}

/// Makes the best model of the trial at `point` the winner of the sweep.
pub(super) fn save(tails: &Tails, (point, made): (&Point, &Made)) -> Result<(), Failure> {
    let (ground, place) = (&tails.ground, made.place);
    let candidate = tails.candidate(point, place.replicate);
    let job = ground.job(&candidate, &tails.replicates[place.replicate].partition);
    let origin = Origin::of(&job, &ground.reader)?;
    let trial = tails.make_folder(place)?;
    let lost = |what: &str| {
        let message = format!(
            "`{}`: the {what} of the best trial is gone (run the same command again)",
            trial.display()
        );
        Failure::new(Exit::Failure, message)
    };
    let checkpoint = Checkpoint::load(&trial, &origin)?.ok_or_else(|| lost("checkpoint"))?;
    let session = checkpoint.resume(&job)?;
    let tuned = result::tuned(&session, &ground.reader, made.ending)?;
    let mut tuned = tuned.ok_or_else(|| lost("model"))?;
    let folder = make_folder(&tails.plan.out)?;
    let failed = |error| cannot_write(&folder, &error);
    history(&folder, &session).map_err(failed)?;
    test_reads::forget(&folder).or_exit(Exit::Failure)?;
    tuned
        .bundle
        .save_with_model(&folder, &tuned.model)
        .or_exit(Exit::Failure)
}

/// The figures of the training, as the plain command keeps them.
fn history(folder: &Path, session: &Session) -> io::Result<()> {
    let mut history = History::create(folder)?;
    for line in &session.progress.lines {
        history.epoch(line)?;
    }
    history.publish()
}
