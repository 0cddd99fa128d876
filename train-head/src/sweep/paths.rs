//! The trials of a round that logistic regression finds: those with the same features,
//! normalisation and rows on one path over C, each starting from the solution before it.

use common::{
    exit::Exit,
    head::{
        Fitted, PathRecord,
        logistic::{Continue, DEFAULT_TOLERANCE, Fit, LogisticError},
    },
    interrupt::Interrupt,
};

use super::{
    candidate::Candidate,
    round::{Ground, Made},
    trial::Figures,
};
use crate::{
    convex::{self, fit_logistic},
    failure::{Failure, OrExit},
    fit::{Best, Ending, Outcome, Task, normalisation},
    plan::Settings,
};

/// A trial's head on one replicate.
pub(super) struct Solved {
    pub(super) candidate: usize,
    pub(super) replicate: usize,
    /// `None` where the loss is not finite.
    pub(super) figures: Option<Figures>,
    pub(super) made: Made,
}

/// Solves all of `candidates` that have a C, path by path; those that a signal prevents are
/// left out. `settings` are `[candidate][replicate]`.
pub(super) fn solve(
    ground: &Ground,
    candidates: &[Candidate],
    settings: &[Vec<Settings>],
    stop: &Interrupt,
) -> Result<Vec<Solved>, Failure> {
    let mut solved = Vec::new();
    for (first, candidate) in candidates.iter().enumerate() {
        let earlier = candidates[..first]
            .iter()
            .any(|other| other.shares_path(candidate));
        if candidate.c.is_none() || earlier {
            continue;
        }
        let members: Vec<usize> = (first..candidates.len())
            .filter(|&other| candidates[other].shares_path(candidate))
            .collect();
        for (replicate, rows) in ground.replicates.iter().enumerate() {
            if stop.received().is_some() {
                return Ok(solved);
            }
            let task = Task {
                dataset: ground.datasets[candidate.source],
                partition: &rows.partition,
                classes: ground.classes,
                head: candidate.head,
                settings: &settings[first][replicate],
            };
            let wanted: Vec<(usize, f64)> = members
                .iter()
                .filter_map(|&member| Some((member, candidates[member].c?)))
                .collect();
            solved.extend(path(&task, (&wanted, replicate), stop)?);
        }
    }
    Ok(solved)
}

/// Solves `wanted`, pairs of a candidate and its C, on one replicate.
fn path(
    task: &Task,
    (wanted, replicate): (&[(usize, f64)], usize),
    stop: &Interrupt,
) -> Result<Vec<Solved>, Failure> {
    let fitted = normalisation(task);
    let mut strengths: Vec<f64> = wanted.iter().map(|(_, c)| *c).collect();
    strengths.sort_by(f64::total_cmp);
    strengths.dedup();
    let (mut solved, mut failure) = (Vec::new(), None);
    let result = fit_logistic((task, &fitted), &strengths, DEFAULT_TOLERANCE, |fit| {
        let strength = fit.strength;
        let own = wanted.iter().filter(|(_, c)| *c == strength);
        match judge(task, &fitted, fit) {
            Err(error) => failure = Some(error),
            Ok((figures, best, path)) => {
                solved.extend(own.map(|(candidate, _)| Solved {
                    candidate: *candidate,
                    replicate,
                    figures: Some(figures),
                    made: Made {
                        outcome: Outcome {
                            best: Some(best.clone()),
                            epochs: 1,
                            ending: Ending::Epochs,
                        },
                        path: Some(path.clone()),
                    },
                }));
            }
        }
        if failure.is_some() || stop.received().is_some() {
            Continue::No
        } else {
            Continue::Yes
        }
    });
    match (result, failure) {
        (_, Some(failure)) => return Err(failure),
        (Err(LogisticError::NonFinite(_)), None) => {}
        (result, None) => result.or_exit(Exit::Failure)?,
    }
    if stop.received().is_none() {
        let lost: Vec<usize> = wanted
            .iter()
            .map(|(candidate, _)| *candidate)
            .filter(|candidate| solved.iter().all(|other| other.candidate != *candidate))
            .collect();
        solved.extend(
            lost.into_iter()
                .map(|candidate| diverged(candidate, replicate)),
        );
    }
    Ok(solved)
}

/// A solution whose loss is not finite.
fn diverged(candidate: usize, replicate: usize) -> Solved {
    Solved {
        candidate,
        replicate,
        figures: None,
        made: Made {
            outcome: Outcome {
                best: None,
                epochs: 0,
                ending: Ending::NonFinite { epoch: 1 },
            },
            path: None,
        },
    }
}

/// How good a solution is: the figures that trials are compared by, and what a run
/// says of the point of a path.
fn judge(task: &Task, fitted: &Fitted, fit: Fit) -> Result<(Figures, Best, PathRecord), Failure> {
    let candidate = convex::Candidate::logistic(fit);
    let head = &candidate.head;
    let training = task.judge(head, fitted, &task.partition.train).tally();
    let validation = task.judge(head, fitted, &task.partition.validation);
    let (tally, scaling) = validation.tally_and_temperature().or_exit(Exit::Failure)?;
    let figures = Figures {
        train_loss: training.loss(),
        train_accuracy: training.top1(),
        val_loss: tally.loss(),
        val_accuracy: tally.top1(),
    };
    let path = PathRecord {
        parameter: "c".to_owned(),
        points: vec![candidate.point(&tally, &scaling)],
    };
    let best = Best {
        epoch: 1,
        head: candidate.head,
        fitted: fitted.clone(),
        validation_loss: figures.val_loss,
    };
    Ok((figures, best, path))
}

/// The head of `candidate`, which has a C, on the rows of `task` alone.
pub(super) fn solve_one(
    candidate: &Candidate,
    task: &Task,
    stop: &Interrupt,
) -> Result<Option<Made>, Failure> {
    let wanted: Vec<(usize, f64)> = candidate.c.iter().map(|&c| (0, c)).collect();
    let solved = path(task, (&wanted, 0), stop)?.pop();
    Ok(solved.map(|solved| solved.made))
}
