//! The winner trained once more, on the training and the validation rows: for as many
//! epochs as were best without them, or with the same C. What validation rows chose and say of the
//! head stays that of before.

use std::path::Path;

use common::{exit::Exit, head::Bundle, interrupt::Interrupt, progress::warn};

use super::{
    super::best::folder,
    paths,
    round::Made,
    winner::{Winner, publish},
};
use crate::{
    failure::{Failure, OrExit},
    fit::{Ending, Keep, Task, Training},
    split::Partition,
};

/// What a refitted run says its training rows are.
const ORIGIN: &str = "refit";

/// Whether the run is a refitted one.
pub(crate) fn is_refitted(bundle: &Bundle) -> bool {
    bundle.record.training.train.origin == ORIGIN
}

/// Refits the winner of the sweep in `directory`, unless it was; its validation figures stay
/// those of the head that had not seen the rows. The exit code of a signal, if one came.
pub(super) fn refit(
    winner: &Winner,
    directory: &Path,
    (epochs, stop): (u32, &Interrupt),
) -> Result<Option<Exit>, Failure> {
    let before = Bundle::load(&folder(directory)).or_exit(Exit::Input)?;
    if is_refitted(&before) {
        return Ok(None);
    }
    let partition = &winner.replicate.partition;
    let task = winner.task(partition);
    // All rows, the augmented views of drawn validation images among them.
    let together = Partition {
        train: (0..task.dataset.rows.len() as u32).collect(),
        notes: Vec::new(),
        ..partition.clone()
    };
    let task = winner.task(&together);
    let made = match winner.candidate.convex {
        Some(_) => paths::solve_one(winner.candidate, &task, stop)?,
        None => train(task, epochs, stop)?,
    };
    let Some(made) = made.filter(|_| stop.received().is_none()) else {
        warn(
            "stopped by a signal: the winner is kept as it was before the refit (go on with the same command)",
        );
        return Ok(stop.received());
    };
    if let Ending::NonFinite { epoch } = made.outcome.ending {
        let message = format!(
            "the refit's loss became NaN or infinite in epoch {epoch}: the winner is kept as it was before"
        );
        return Err(Failure::new(Exit::Failure, message));
    }
    let mut bundle = winner.bundle(&together, &made)?;
    bundle.record.training.train.origin = ORIGIN.to_owned();
    // Rows that the head has seen would choose too high thresholds and too low a temperature.
    bundle.record.task = before.record.task;
    bundle.record.temperature = before.record.temperature;
    bundle.record.training.validation = before.record.training.validation;
    bundle.record.training.path = before.record.training.path;
    publish(&mut bundle, directory)?;
    Ok(None)
}

/// The head after `epochs` epochs; `None` after a signal.
fn train(task: Task, epochs: u32, stop: &Interrupt) -> Result<Option<Made>, Failure> {
    let mut training = Training::new(vec![task])?.keeping(Keep::Last);
    for _ in 0..epochs {
        training.run_epoch(stop);
        if stop.received().is_some() {
            return Ok(None);
        }
    }
    training.end(0, Ending::Epochs);
    let outcome = training.into_outcomes().remove(0);
    let path = None;
    Ok(Some(Made { outcome, path }))
}
