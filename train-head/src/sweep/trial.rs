//! Trials that are over, and which of them is better.

use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::{space::Point, subject::Company};
use crate::monitor::EpochLine;

/// What trials are compared by, on the validation rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Objective {
    /// Share of right rows; of equal shares the smaller loss
    Accuracy,
    /// Cross-entropy
    Loss,
}

/// How a trial ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// All epochs, or no progress any more.
    Done,
    /// Ended early, as others of its round did better.
    Halved,
    /// The loss became NaN or infinite.
    Diverged,
}

impl Status {
    pub(super) const ALL: [Self; 3] = [Self::Done, Self::Halved, Self::Diverged];

    /// Of a trial of which a head `diverged`, or that was `halved`.
    pub(super) fn of(diverged: bool, halved: bool) -> Self {
        match (diverged, halved) {
            (true, _) => Self::Diverged,
            (false, true) => Self::Halved,
            (false, false) => Self::Done,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Halved => "halved",
            Self::Diverged => "diverged",
        }
    }
}

/// The figures of one head in its best epoch; means where there are several heads.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Figures {
    pub(crate) train_loss: f64,
    pub(crate) train_accuracy: f64,
    pub(crate) val_loss: f64,
    pub(crate) val_accuracy: f64,
}

impl Figures {
    /// Nothing is known: worse than everything.
    pub(super) const NONE: Self = Self {
        train_loss: f64::NAN,
        train_accuracy: f64::NAN,
        val_loss: f64::NAN,
        val_accuracy: f64::NAN,
    };

    /// Better is less; what is not a number comes last.
    pub(super) fn compare(&self, other: &Self, objective: Objective) -> Ordering {
        let accuracy = match objective {
            Objective::Accuracy => last_if_nan(-self.val_accuracy, -other.val_accuracy),
            Objective::Loss => Ordering::Equal,
        };
        accuracy.then(last_if_nan(self.val_loss, other.val_loss))
    }
}

impl From<&EpochLine> for Figures {
    fn from(line: &EpochLine) -> Self {
        Self {
            train_loss: line.train_loss,
            train_accuracy: line.train_accuracy.unwrap_or(f64::NAN),
            val_loss: line.val_loss,
            val_accuracy: line.val_accuracy.unwrap_or(f64::NAN),
        }
    }
}

fn last_if_nan(a: f64, b: f64) -> Ordering {
    a.is_nan()
        .cmp(&b.is_nan())
        .then(a.partial_cmp(&b).unwrap_or(Ordering::Equal))
}

/// Half the width of the 95% intervals of the validation figures' means over
/// seeds and folds (Student's t; folds share training rows, so that theirs are too narrow).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Intervals {
    pub(crate) val_loss: f64,
    pub(crate) val_accuracy: f64,
}

/// A trial that is over: a row of the table.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Finished {
    /// Counted from 0, in the order of the points.
    pub(crate) trial: u32,
    pub(crate) round: u32,
    pub(crate) point: Point,
    pub(crate) status: Status,
    /// Epochs run by the head that was trained longest.
    pub(crate) epochs: u32,
    /// Mean of the heads' best epochs, rounded.
    pub(crate) best_epoch: u32,
    pub(crate) figures: Figures,
    /// With several seeds or folds.
    pub(crate) intervals: Option<Intervals>,
}

/// How a trial ended with one seed and partition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ended {
    /// In the best epoch; `None`: there is none.
    pub(super) figures: Option<Figures>,
    pub(super) epochs: u32,
    pub(super) best_epoch: u32,
}

impl Finished {
    /// Trial `number`, counted from 0, of `company`.
    pub(super) fn new(company: &Company, number: usize, status: Status, ends: &[Ended]) -> Self {
        let heads = ends.iter().map(|end| end.figures.unwrap_or(Figures::NONE));
        let (figures, intervals) = summarise(&heads.collect::<Vec<_>>());
        let best_epochs: u32 = ends.iter().map(|end| end.best_epoch).sum();
        Self {
            trial: company.first + number as u32,
            round: company.round,
            point: company.points[number].clone(),
            status,
            epochs: ends.iter().map(|end| end.epochs).max().unwrap_or(0),
            best_epoch: (f64::from(best_epochs) / ends.len() as f64).round() as u32,
            figures,
            intervals,
        }
    }

    fn compare(&self, other: &Self, objective: Objective) -> Ordering {
        let diverged = |trial: &Self| trial.status == Status::Diverged;
        diverged(self)
            .cmp(&diverged(other))
            .then(self.figures.compare(&other.figures, objective))
            .then(self.trial.cmp(&other.trial))
    }

    /// Whether it can be the winner.
    pub(super) fn has_result(&self) -> bool {
        self.status != Status::Diverged && self.figures.val_loss.is_finite()
    }
}

/// The trials, best first.
pub(crate) fn ranked(trials: &[Finished], objective: Objective) -> Vec<&Finished> {
    let mut ranked: Vec<&Finished> = trials.iter().collect();
    ranked.sort_by(|a, b| a.compare(b, objective));
    ranked
}

/// The trials of a round by their numbers in it, with the means of their figures `[trial][replicate]` so far,
/// best first.
pub(super) fn ranking(
    figures: &[Vec<Option<Figures>>],
    objective: Objective,
) -> Vec<(usize, Figures)> {
    let mean = |heads: &Vec<Option<Figures>>| {
        let heads: Option<Vec<Figures>> = heads.iter().copied().collect();
        heads.map_or(Figures::NONE, |heads| summarise(&heads).0)
    };
    let mut ranking: Vec<_> = figures.iter().map(mean).enumerate().collect();
    ranking.sort_by(|(a, first), (b, second)| first.compare(second, objective).then(a.cmp(b)));
    ranking
}

/// The first of [`ranking`], if its figures are known.
pub(super) fn ahead(
    figures: &[Vec<Option<Figures>>],
    objective: Objective,
) -> Option<(usize, Figures)> {
    let first = ranking(figures, objective).into_iter().next();
    first.filter(|(_, figures)| figures.val_loss.is_finite())
}

/// The mean of several heads' figures, and its interval.
fn summarise(heads: &[Figures]) -> (Figures, Option<Intervals>) {
    let of = |value: fn(&Figures) -> f64| mean(heads.iter().map(value));
    let figures = Figures {
        train_loss: of(|figures| figures.train_loss),
        train_accuracy: of(|figures| figures.train_accuracy),
        val_loss: of(|figures| figures.val_loss),
        val_accuracy: of(|figures| figures.val_accuracy),
    };
    let intervals = (heads.len() > 1).then(|| Intervals {
        val_loss: half_width(heads.iter().map(|head| head.val_loss)),
        val_accuracy: half_width(heads.iter().map(|head| head.val_accuracy)),
    });
    (figures, intervals)
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let count = values.len() as f64;
    values.sum::<f64>() / count
}

/// t · s/√n for two or more values.
fn half_width(values: impl ExactSizeIterator<Item = f64> + Clone) -> f64 {
    let count = values.len();
    let mean = mean(values.clone());
    let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (count - 1) as f64).sqrt();
    student(count - 1) * deviation / (count as f64).sqrt()
}

/// The 97.5% point of Student's t distribution.
fn student(freedom: usize) -> f64 {
    const POINTS: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
        2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
        2.052, 2.048, 2.045, 2.042,
    ];
    // Beyond the table: 1.96 and the first term of its expansion in 1/n.
    let large = || 1.959_964 + 2.372 / freedom as f64;
    POINTS
        .get(freedom.wrapping_sub(1))
        .copied()
        .unwrap_or_else(large)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(val_loss: f64, val_accuracy: f64) -> Figures {
        Figures {
            val_loss,
            val_accuracy,
            ..Figures::NONE
        }
    }

    #[test]
    fn interval_of_a_mean_is_students() {
        // scipy.stats.t.interval(0.95, 3, loc=2.5, scale=sem([1, 2, 3, 4])): ±2.05404.
        let heads = [1.0, 2.0, 3.0, 4.0].map(|loss| figures(loss, 0.5));
        let (mean, intervals) = summarise(&heads);
        assert_eq!(mean.val_loss, 2.5);
        let intervals = intervals.unwrap();
        assert!((intervals.val_loss - 2.054_04).abs() < 1e-3);
        assert_eq!(intervals.val_accuracy, 0.0);
        assert!(summarise(&heads[..1]).1.is_none());
        assert!((student(60) - 2.000).abs() < 1e-3);
    }

    #[test]
    fn accuracy_decides_then_loss_and_unknown_figures_come_last() {
        let accurate = figures(0.5, 0.9);
        let sure = figures(0.2, 0.8);
        assert_eq!(accurate.compare(&sure, Objective::Accuracy), Ordering::Less);
        assert_eq!(accurate.compare(&sure, Objective::Loss), Ordering::Greater);
        assert_eq!(
            accurate.compare(&figures(0.4, 0.9), Objective::Accuracy),
            Ordering::Greater
        );
        for objective in [Objective::Accuracy, Objective::Loss] {
            assert_eq!(Figures::NONE.compare(&sure, objective), Ordering::Greater);
        }
    }
}
