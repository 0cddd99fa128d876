//! The epochs of a training, saved as it goes.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use common::interrupt::Interrupt;

use super::{
    checkpoint::{self, Origin},
    progress::{EpochEnd, Progress},
    session::Session,
};
use crate::{failure::Failure, fit::Ending, monitor::EpochLine, plan::FineSettings};

/// Where checkpoints of a training go, and how often.
pub(crate) struct Keeping<'a> {
    pub(crate) run: &'a Path,
    pub(crate) origin: &'a Origin,
    /// Least time between two of them.
    pub(crate) interval: Duration,
}

/// Takes `session` to the end of epoch `until`, or of the training; `each` hears of every epoch.
/// A signal leaves a checkpoint.
pub(crate) fn train(
    session: &mut Session,
    keeping: &Keeping,
    (until, stop): (u32, &Interrupt),
    mut each: impl FnMut(&EpochLine) -> Result<(), Failure>,
) -> Result<Ending, Failure> {
    let mut saved = Instant::now();
    loop {
        if let Some(ending) = over(&session.progress, session.job.settings, until) {
            return Ok(ending);
        }
        let end = session.run_epoch(stop, |session| {
            save_after(keeping.interval, &mut saved, || keeping.save(session))
        })?;
        match end {
            EpochEnd::Whole(line) => each(&line)?,
            EpochEnd::NonFinite => {
                let epoch = session.progress.epochs + 1;
                return Ok(Ending::NonFinite { epoch });
            }
            EpochEnd::Stopped(exit) => {
                keeping.save(session)?;
                return Ok(Ending::Signal(exit));
            }
        }
        save_after(keeping.interval, &mut saved, || keeping.save(session))?;
    }
}

impl Keeping<'_> {
    /// Writes a checkpoint, if this is the first of the processes that train together.
    pub(crate) fn save(&self, session: &Session) -> Result<(), Failure> {
        match session.job.collective.rank() {
            0 => checkpoint::save(session, self.origin, self.run),
            _ => Ok(()),
        }
    }
}

/// Calls `save` if the last time is long enough ago.
fn save_after(
    interval: Duration,
    saved: &mut Instant,
    save: impl FnOnce() -> Result<(), Failure>,
) -> Result<(), Failure> {
    if saved.elapsed() >= interval {
        save()?;
        *saved = Instant::now();
    }
    Ok(())
}

/// Why a training that is to go to epoch `until` runs no further epoch, if it does not.
pub(crate) fn over(progress: &Progress, settings: &FineSettings, until: u32) -> Option<Ending> {
    if progress.epochs >= settings.epochs {
        return Some(Ending::Epochs);
    }
    let best_epoch = progress.best.map_or(0, |(epoch, _)| epoch);
    let waited = progress.epochs - best_epoch.max(settings.freeze_epochs).min(progress.epochs);
    if settings.patience.is_some_and(|patience| waited >= patience) {
        return Some(Ending::Patience);
    }
    (progress.epochs >= until).then_some(Ending::Epochs)
}
