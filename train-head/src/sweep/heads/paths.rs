//! The trials of a round that convex solvers find: those with the same solver, features, normalisation and
//! rows on one path, over C each starting from the solution before it, over λ from one decomposition.

use common::{
    exit::Exit,
    head::{
        Fitted, PathRecord,
        logistic::Continue,
        statistics::{Scaling, negative_log_likelihood},
    },
    interrupt::Interrupt,
};

use super::{
    super::trial::Figures,
    candidate::Candidate,
    round::{Ground, Made},
};
use crate::{
    convex::{self, solve as solve_path},
    failure::{Failure, OrExit},
    fit::{Best, Ending, Outcome, Task, normalisation},
    judge::Judge,
    plan::{ConvexSolver, Settings},
};

/// A trial's head on one replicate.
pub(super) struct Solved {
    pub(super) candidate: usize,
    pub(super) replicate: usize,
    /// `None` where the loss is not finite.
    pub(super) figures: Option<Figures>,
    pub(super) made: Made,
}

/// Solves all of `candidates` without steps, path by path; those that a signal prevents are
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
        let Some(solver) = candidate.convex.as_ref().filter(|_| !earlier) else {
            continue;
        };
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
                .filter_map(|&member| Some((member, value(&candidates[member])?)))
                .collect();
            solved.extend(path(&task, solver, (&wanted, replicate), stop)?);
        }
    }
    Ok(solved)
}

/// The one point of a candidate's path.
fn value(candidate: &Candidate) -> Option<f64> {
    candidate.convex.as_ref()?.values().first().copied()
}

/// Solves `wanted`, pairs of a candidate and its point, on one replicate by `solver`.
fn path(
    task: &Task,
    solver: &ConvexSolver,
    (wanted, replicate): (&[(usize, f64)], usize),
    stop: &Interrupt,
) -> Result<Vec<Solved>, Failure> {
    let fitted = normalisation(task);
    let mut values: Vec<f64> = wanted.iter().map(|(_, value)| *value).collect();
    values.sort_by(f64::total_cmp);
    values.dedup();
    let (mut solved, mut failure) = (Vec::new(), None);
    let along = solver.along(values);
    let result = solve_path((task, &fitted), &along, |found| {
        let point = found.value;
        let own = wanted.iter().filter(|(_, value)| *value == point);
        match judge(task, solver, &fitted, found) {
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
                            lines: Vec::new(),
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
        (Err(error), None) if !error.is_divergence() => return Err(error.failure()),
        (_, None) => {}
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
                lines: Vec::new(),
            },
            path: None,
        },
    }
}

/// How good a solution is: the figures that trials are compared by, and what a run
/// says of the point of a path.
fn judge(
    task: &Task,
    solver: &ConvexSolver,
    fitted: &Fitted,
    candidate: convex::Candidate,
) -> Result<(Figures, Best, PathRecord), Failure> {
    let head = &candidate.head;
    let trained = task.plain_training_rows();
    let training = task.judge(head, fitted, &trained);
    let validation = task.judge(head, fitted, &task.partition.validation);
    let (tally, scaling) = validation.tally_and_temperature().or_exit(Exit::Failure)?;
    let on_training = training.tally();
    let (train_loss, val_loss) = match solver {
        ConvexSolver::Lbfgs { .. } => (on_training.loss(), tally.loss()),
        // Scores of ±1 are no log-likelihoods before they have a temperature.
        ConvexSolver::Ridge { .. } => (loss_at(&training, &scaling), scaling.nll),
    };
    let figures = Figures {
        train_loss,
        train_accuracy: on_training.top1(),
        val_loss,
        val_accuracy: tally.top1(),
    };
    let path = PathRecord {
        parameter: solver.parameter().to_owned(),
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

/// Mean negative log-likelihood of the rows at the temperature of `scaling`.
fn loss_at(judge: &Judge, scaling: &Scaling) -> f64 {
    let classes = judge.head.classes();
    let mut sum = 0.0;
    judge.visit(|logits, labels| {
        let rows = logits.chunks_exact(classes).zip(labels);
        sum += rows
            .map(|(row, &label)| negative_log_likelihood(row, label as usize, scaling.temperature))
            .sum::<f64>();
    });
    sum / judge.rows.len() as f64
}

/// The head of `candidate`, which has no steps, on the rows of `task` alone.
pub(super) fn solve_one(
    candidate: &Candidate,
    task: &Task,
    stop: &Interrupt,
) -> Result<Option<Made>, Failure> {
    let (Some(solver), Some(value)) = (&candidate.convex, value(candidate)) else {
        return Ok(None);
    };
    let solved = path(task, solver, (&[(0, value)], 0), stop)?.pop();
    Ok(solved.map(|solved| solved.made))
}
