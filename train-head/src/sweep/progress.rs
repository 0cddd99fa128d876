//! What is said of a sweep while it runs.

use super::{
    Sweep,
    space::{Point, Space},
    subject::{Listener, Subject},
    trial::{Figures, Finished, Objective},
};
use common::progress::{Bar, Verbosity};

/// Epochs of trials that are over, and the best trial so far.
const TEMPLATE: &str = "{wide_bar} {percent}%  {msg}  {eta} left";

/// Says a line at the beginning of a round, when its best trial changes or trials are ended,
/// and at its end; on a terminal there is a bar with the best trial so far below.
pub(super) struct Progress {
    bar: Bar,
    /// Epochs of a trial.
    epochs: u32,
    /// The trials of the round, in words.
    points: Vec<String>,
    /// How many trials the rounds before had.
    first: usize,
    total: usize,
    /// The best trial of the rounds before.
    best: Option<(u32, Figures)>,
    objective: Objective,
    /// What was said last.
    said: Option<(usize, Option<usize>)>,
}

impl Progress {
    /// Of a sweep of `total` trials, of `epochs` epochs each at most.
    pub(super) fn new(
        (total, epochs): (usize, u32),
        objective: Objective,
        verbosity: Verbosity,
    ) -> Self {
        Self {
            bar: Bar::start(total as u64 * u64::from(epochs), TEMPLATE, verbosity),
            epochs,
            points: Vec::new(),
            first: 0,
            total,
            best: None,
            objective,
            said: None,
        }
    }

    fn say(&self, message: &str) {
        self.bar.say(message);
    }

    /// Shows the best trial, where `ahead` is that of the round so far.
    fn show(&self, ahead: Option<(u32, Figures)>) {
        let best = match (self.best, ahead) {
            (Some(before), Some(ahead)) if ahead.1.compare(&before.1, self.objective).is_lt() => {
                Some(ahead)
            }
            (before, ahead) => before.or(ahead),
        };
        let best = best.map_or(String::new(), |(trial, best)| {
            format!(", best: trial {trial}, {}", figures(&best))
        });
        self.bar
            .set_message(format!("{} of {} trials{best}", self.first, self.total));
    }

    /// Removes the bar.
    pub(super) fn finish(&self) {
        self.bar.finish();
    }

    pub(super) fn begin(&self, sweep: &Sweep<impl Subject>) {
        let replicates = sweep.subject.replicates();
        let partition = &replicates[0].partition;
        let several = match replicates.len() {
            1 => String::new(),
            count => format!(
                "; every trial {count} times ({} seeds, {} folds)",
                sweep.plan.seeds,
                count / sweep.plan.seeds as usize
            ),
        };
        for note in sweep.subject.notes() {
            self.say(&note);
        }
        self.say(&format!(
            "{} trials on {} training and {} validation rows{several}",
            sweep.total,
            partition.train.len(),
            partition.validation.len()
        ));
    }

    /// A round begins; `done` of `total` trials are over.
    pub(super) fn round(&mut self, space: &Space, points: &[Point], (done, total): (usize, usize)) {
        self.points = points.iter().map(|point| space.describe(point)).collect();
        self.first = done;
        self.said = None;
        self.advance(0.0);
        self.show(None);
        self.say(&format!(
            "trials {done} to {} of {total}",
            done + points.len() - 1
        ));
    }

    /// A round is over; `best` is the best trial so far.
    pub(super) fn best(&mut self, space: &Space, best: &Finished) {
        self.best = Some((best.trial, best.figures)).filter(|_| best.has_result());
        self.advance(f64::from(self.epochs));
        self.show(None);
        self.say(&format!(
            "best so far: trial {} ({}), {}",
            best.trial,
            space.describe(&best.point),
            figures(&best.figures)
        ));
    }
}

impl Listener for Progress {
    fn epoch(&mut self, epoch: u32, running: usize, best: Option<(usize, Figures)>) {
        let ahead = best.map(|(trial, figures)| ((self.first + trial) as u32, figures));
        self.show(ahead);
        let now = (running, best.map(|(trial, _)| trial));
        let (Some((trial, best)), true) = (best, self.said != Some(now)) else {
            return;
        };
        self.said = Some(now);
        let point = self.points.get(trial).map_or("", String::as_str);
        self.say(&format!(
            "  epoch {epoch}: {running} running; ahead: trial {} ({point}), {}",
            self.first + trial,
            figures(&best)
        ));
    }

    fn advance(&mut self, epochs: f64) {
        let done = self.first as u64 * u64::from(self.epochs);
        let of_round = self.points.len() as f64 * epochs;
        self.bar.set(done + of_round as u64);
    }

    fn reached(&mut self, trial: usize, epoch: u32, of_trial: &Figures) {
        let point = self.points.get(trial).map_or("", String::as_str);
        self.say(&format!(
            "  trial {} at epoch {epoch}: {} ({point})",
            self.first + trial,
            figures(of_trial)
        ));
    }
}

/// The figures that trials are compared by.
pub(super) fn figures(figures: &Figures) -> String {
    if figures.val_accuracy.is_nan() {
        return format!("loss {:.4}", figures.val_loss);
    }
    format!(
        "accuracy {:.2}%, loss {:.4}",
        figures.val_accuracy * 100.0,
        figures.val_loss
    )
}
