//! What is said of a sweep while it runs.

use super::{
    Sweep,
    candidate::Candidate,
    round::Listener,
    space::Space,
    trial::{Figures, Finished},
};
use common::progress::{Verbosity, say};

/// Says a line at the beginning of a round, when its best trial changes or trials are ended,
/// and at its end.
pub(super) struct Progress {
    verbosity: Verbosity,
    /// The trials of the round, in words.
    points: Vec<String>,
    first: usize,
    /// What was said last.
    said: Option<(usize, Option<usize>)>,
}

impl Progress {
    pub(super) fn new(verbosity: Verbosity) -> Self {
        Self {
            verbosity,
            points: Vec::new(),
            first: 0,
            said: None,
        }
    }

    fn say(&self, message: &str) {
        say(self.verbosity, message);
    }

    pub(super) fn begin(&self, sweep: &Sweep) {
        let partition = &sweep.replicates[0].partition;
        let several = match sweep.replicates.len() {
            1 => String::new(),
            count => format!(
                "; every trial {count} times ({} seeds, {} folds)",
                sweep.plan.seeds,
                sweep.plan.folds.max(1)
            ),
        };
        self.say(&format!(
            "{} trials on {} training and {} validation rows{several}",
            sweep.total,
            partition.train.len(),
            partition.validation.len()
        ));
    }

    /// A round begins; `done` of `total` trials are over.
    pub(super) fn round(
        &mut self,
        space: &Space,
        candidates: &[Candidate],
        (done, total): (usize, usize),
    ) {
        self.points = candidates
            .iter()
            .map(|candidate| space.describe(&candidate.point))
            .collect();
        self.first = done;
        self.said = None;
        self.say(&format!(
            "trials {done} to {} of {total}",
            done + candidates.len() - 1
        ));
    }

    /// A round is over; `best` is the best trial so far.
    pub(super) fn best(&self, space: &Space, best: &Finished) {
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
