//! What a run keeps of its training: `metrics.jsonl` and, with the same figures, an event file for
//! TensorBoard.
//!
//! In: the figures of every epoch, or of every point of a path. Out: both files, published
//! together once the training has a result; until then those of an earlier run stay.

use std::{
    ffi::OsStr,
    io::{self, Write},
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use common::{
    head::PathPoint,
    publish::{Pending, TEMPORARY_SUFFIX, temporary_prefix},
};
use serde::Serialize;

use crate::{events::EventWriter, monitor::EpochLine};

/// Name of the file with one JSON object an epoch, or a point of a path.
pub(crate) const METRICS_FILE: &str = "metrics.jsonl";

/// Name of the event file. TensorBoard looks for names with `tfevents` in them; this one
/// is always the same, so that a run that is replaced does not leave another curve behind.
pub(crate) const EVENTS_FILE: &str = "events.out.tfevents.train-head";

/// What the temporary name of the event file is made of: TensorBoard must not take it for another curve.
const EVENTS_IN_THE_MAKING: &str = "events.train-head";

/// Both files in the making.
pub(crate) struct History {
    metrics: Pending,
    events: EventWriter<Pending>,
    /// Points so far.
    points: u64,
}

impl History {
    /// Of a run in `directory`.
    ///
    /// # Errors
    /// When a file cannot be made there.
    pub(crate) fn create(directory: &Path) -> io::Result<Self> {
        let events = Pending::create_as(&directory.join(EVENTS_FILE), EVENTS_IN_THE_MAKING)?;
        Ok(Self {
            metrics: Pending::create(&directory.join(METRICS_FILE))?,
            events: EventWriter::begin(events, now())?,
            points: 0,
        })
    }

    /// Whether a history that was killed left the file `name` behind.
    pub(crate) fn is_leftover(name: &OsStr) -> bool {
        let name = name.to_string_lossy();
        let begun = [METRICS_FILE, EVENTS_IN_THE_MAKING]
            .iter()
            .any(|file| name.starts_with(&temporary_prefix(file)));
        begun && name.ends_with(TEMPORARY_SUFFIX)
    }

    /// Adds an epoch.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn epoch(&mut self, line: &EpochLine) -> io::Result<()> {
        self.line(line)?;
        let values = [
            ("loss/train", Some(line.train_loss)),
            ("loss/validation", Some(line.val_loss)),
            ("accuracy/train", line.train_accuracy),
            ("accuracy/validation", line.val_accuracy),
            ("learning_rate", Some(f64::from(line.learning_rate))),
        ];
        let known = values
            .into_iter()
            .filter_map(|(tag, value)| value.map(|value| (tag, value)));
        let values: Vec<_> = known.collect();
        self.events.scalars((now(), u64::from(line.epoch)), &values)
    }

    /// Adds a point of a path over `parameter`; their numbers, from 1, take the place of epochs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn point(&mut self, parameter: &str, point: &PathPoint) -> io::Result<()> {
        self.line(point)?;
        self.points += 1;
        let values = [
            ("loss/validation", point.validation_nll),
            ("accuracy/validation", point.validation_top1),
            (parameter, point.value),
        ];
        self.events.scalars((now(), self.points), &values)
    }

    /// Makes both files what was added.
    ///
    /// # Errors
    /// When a file cannot be written; the one before it is then untouched.
    pub(crate) fn publish(self) -> io::Result<()> {
        self.events.into_inner().publish()?;
        self.metrics.publish()
    }

    fn line(&mut self, line: &impl Serialize) -> io::Result<()> {
        let mut json = serde_json::to_vec(line)?;
        json.push(b'\n');
        self.metrics.write_all(&json)
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    // A clock before 1970 says 0.
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.unwrap_or_default().as_secs_f64()
}
