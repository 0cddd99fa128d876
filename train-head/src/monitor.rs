//! What is said of a training while it runs: a line an epoch on the terminal,
//! the same figures for the run's history, and warnings.

use std::{io, path::Path};

use common::{
    head::PathPoint,
    progress::{Verbosity, say, warn},
};
use serde::{Deserialize, Serialize};

use crate::history::History;

/// Epochs in a row with a rising validation loss and a falling training loss that
/// are called over-fitting.
pub(crate) const OVERFITTING_EPOCHS: u32 = 3;

/// The figures of an epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct EpochLine {
    pub(crate) epoch: u32,
    /// Mean of the minimised loss over the epoch's batches.
    pub(crate) train_loss: f64,
    /// Share of right answers over the epoch's batches; none with regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) train_accuracy: Option<f64>,
    /// The plain loss after the epoch.
    pub(crate) val_loss: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) val_accuracy: Option<f64>,
    /// Of the epoch's last step.
    pub(crate) learning_rate: f32,
    pub(crate) elapsed_ms: f64,
    /// Whether the validation loss is the smallest so far.
    pub(crate) best: bool,
}

/// Hears of every epoch.
pub(crate) struct Monitor {
    verbosity: Verbosity,
    history: Option<History>,
    previous: Option<EpochLine>,
    rising: u32,
    warned: bool,
}

impl Monitor {
    /// Gathers the figures for the history of the run in `directory`.
    ///
    /// # Errors
    /// When a file cannot be made there.
    pub(crate) fn new(directory: &Path, verbosity: Verbosity) -> io::Result<Self> {
        Ok(Self {
            history: Some(History::create(directory)?),
            ..Self::silent(verbosity)
        })
    }

    /// Keeps no history.
    pub(crate) fn silent(verbosity: Verbosity) -> Self {
        Self {
            verbosity,
            history: None,
            previous: None,
            rising: 0,
            warned: false,
        }
    }

    /// Makes the run's history what was heard.
    ///
    /// # Errors
    /// See [`History::publish`].
    pub(crate) fn publish(&mut self) -> io::Result<()> {
        self.history.take().map_or(Ok(()), History::publish)
    }

    /// Something worth knowing that is not a problem.
    pub(crate) fn say(&self, message: &str) {
        say(self.verbosity, message);
    }

    /// A point of a path over `parameter` has been judged.
    ///
    /// # Errors
    /// When its figures cannot be written.
    pub(crate) fn point(&mut self, parameter: &str, point: &PathPoint) -> io::Result<()> {
        let history = self.history.as_mut();
        history.map_or(Ok(()), |history| history.point(parameter, point))
    }

    /// An epoch had ended before the training was interrupted, and was told of then.
    ///
    /// # Errors
    /// When its figures cannot be written.
    pub(crate) fn replay(&mut self, line: &EpochLine) -> io::Result<()> {
        if let Some(history) = &mut self.history {
            history.epoch(line)?;
        }
        self.warned |= self.overfits(line);
        Ok(())
    }

    /// An epoch has ended.
    ///
    /// # Errors
    /// When its figures cannot be written.
    pub(crate) fn epoch(&mut self, line: &EpochLine) -> io::Result<()> {
        if let Some(history) = &mut self.history {
            history.epoch(line)?;
        }
        if line.epoch == 1 {
            self.say("epoch  train loss   acc.    val loss   acc.        ms");
        }
        self.say(&format!(
            "{:>5}  {:>10.4}  {:>6}  {:>9.4}  {:>6}  {:>7.0}{}",
            line.epoch,
            line.train_loss,
            percent(line.train_accuracy),
            line.val_loss,
            percent(line.val_accuracy),
            line.elapsed_ms,
            if line.best { "  best" } else { "" }
        ));
        if self.overfits(line) {
            warn(&format!(
                "over-fitting: for {OVERFITTING_EPOCHS} epochs the validation loss rose while the training loss fell; the best epoch is kept (more data, --weight-decay, --dropout or --label-smoothing may help)"
            ));
        }
        Ok(())
    }

    /// Whether over-fitting is seen for the first time.
    fn overfits(&mut self, line: &EpochLine) -> bool {
        let worse = self.previous.as_ref().is_some_and(|previous| {
            line.val_loss > previous.val_loss && line.train_loss < previous.train_loss
        });
        self.rising = if worse { self.rising + 1 } else { 0 };
        self.previous = Some(line.clone());
        let first = self.rising >= OVERFITTING_EPOCHS && !self.warned;
        self.warned |= first;
        first
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(String::new, |share| format!("{:.1}%", share * 100.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(epoch: u32, train_loss: f64, val_loss: f64) -> EpochLine {
        EpochLine {
            epoch,
            train_loss,
            train_accuracy: Some(0.5),
            val_loss,
            val_accuracy: Some(0.5),
            learning_rate: 0.1,
            elapsed_ms: 1.0,
            best: false,
        }
    }

    fn warnings(losses: &[(f64, f64)]) -> Vec<u32> {
        let mut monitor = Monitor::silent(Verbosity::Quiet);
        let epochs = (1..).zip(losses);
        epochs
            .filter(|(epoch, (train, val))| monitor.overfits(&line(*epoch, *train, *val)))
            .map(|(epoch, _)| epoch)
            .collect()
    }

    #[test]
    fn diverging_losses_are_called_overfitting_once() {
        let losses = [(1.0, 1.0), (0.9, 1.1), (0.8, 1.2), (0.7, 1.3), (0.6, 1.4)];
        assert_eq!(warnings(&losses), [4]);
    }

    #[test]
    fn both_losses_rising_or_a_single_bad_epoch_is_not_overfitting() {
        assert!(warnings(&[(1.0, 1.0), (1.1, 1.1), (1.2, 1.2), (1.3, 1.3)]).is_empty());
        assert!(warnings(&[(1.0, 1.0), (0.9, 1.1), (0.8, 1.0), (0.7, 1.1)]).is_empty());
    }
}
