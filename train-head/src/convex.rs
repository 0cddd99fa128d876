//! Linear heads by convex solvers: a path over strengths of regularisation, strongest
//! first, of which the head is kept whose NLL on the validation rows is smallest once
//! their temperature is fitted. (The temperature makes C, λ and scores of ±1 comparable.)

mod rows;

use common::{
    cache::CacheError,
    exit::Exit,
    head::{
        Fitted, Gram, Head, InMemory, PathPoint, PathRecord, RowBlocks, Sampling, Tally,
        TrainingRecord,
        logistic::{self, Continue, LogisticError, fit_path},
        ridge::{Ridge, RidgeError},
        statistics::Scaling,
    },
    interrupt::Interrupt,
};

pub(crate) use rows::TrainingRows;

use crate::{
    failure::{Failure, OrExit},
    fit::{Best, Ending, Outcome, Task, class_weights, normalisation},
    monitor::Monitor,
    plan::ConvexSolver,
};

/// Bytes of training rows that are copied into memory once, if the allowance covers them and the copy;
/// larger ones are gathered and normalised anew in every pass.
const MEMORY_BYTES: usize = 2 << 30;

/// Values of C for a quick look at standardised features.
pub(crate) const FEW_STRENGTHS: [f64; 5] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0];

/// Fits the path. `monitor` hears of every point, `stop` is obeyed between them.
pub(crate) fn fit(
    task: &Task,
    solver: &ConvexSolver,
    monitor: &mut Monitor,
    stop: &Interrupt,
) -> Result<(Outcome, PathRecord), Failure> {
    let fitted = normalisation(task);
    let mut path = Path::new((task, solver.parameter()), &fitted, (monitor, stop));
    solve((task, &fitted), solver, |candidate| path.add(candidate)).map_err(PathError::failure)?;
    path.finish()
}

/// Fits logistic regression to the training rows of `task`, normalised by `fitted`, at every
/// C of `strengths` in ascending order. `each` says after each whether to go on.
pub(crate) fn fit_logistic(
    (task, fitted): (&Task, &Fitted),
    strengths: &[f64],
    tolerance: f64,
    each: impl FnMut(logistic::Fit) -> Continue,
) -> Result<(), LogisticError> {
    let weights = class_weights(task);
    let settings = logistic::Settings {
        strengths: strengths.to_vec(),
        class_weights: weights.into_iter().map(f64::from).collect(),
        tolerance,
        max_steps: logistic::DEFAULT_MAX_STEPS,
    };
    let source = TrainingRows { task, fitted };
    let bytes = task.partition.train.len() * source.features() * size_of::<f32>();
    let twice = task.dataset.allowance.covers(2 * bytes as u64);
    if bytes <= MEMORY_BYTES && twice {
        fit_path(&InMemory::copy(&source)?, &settings, each)
    } else {
        fit_path(&source, &settings, each)
    }
}

/// Where the best point is the first or the last, a better one may lie beyond.
pub(crate) fn edge_note(training: &TrainingRecord) -> Option<String> {
    let path = training.path.as_ref()?;
    let (best, last) = (training.best_epoch as usize, path.points.len());
    let point = path.points.get(best.checked_sub(1)?)?;
    (last > 1 && (best == 1 || best == last)).then(|| {
        format!(
            "the best {parameter}, {}, is at the end of the path: values beyond it may do better (--{parameter})",
            point.value,
            parameter = path.parameter
        )
    })
}

/// Why a path ends before its last point.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PathError {
    #[error(transparent)]
    Logistic(#[from] LogisticError),
    #[error(transparent)]
    Ridge(#[from] RidgeError),
    #[error(transparent)]
    Rows(#[from] CacheError),
}

impl PathError {
    /// Whether the loss at a point is not finite.
    pub(crate) fn is_divergence(&self) -> bool {
        matches!(self, Self::Logistic(LogisticError::NonFinite(_)))
    }

    /// With its exit code.
    pub(crate) fn failure(self) -> Failure {
        match self {
            Self::Logistic(error) => Failure::new(Exit::Failure, error.to_string()),
            Self::Ridge(error) => Failure::new(Exit::Input, error.to_string()),
            Self::Rows(error) => Failure::of(error),
        }
    }
}

/// Finds the head for every value of the path, the strongest penalty first; `each` hears of them
/// and says whether to go on.
pub(crate) fn solve(
    (task, fitted): (&Task, &Fitted),
    solver: &ConvexSolver,
    mut each: impl FnMut(Candidate) -> Continue,
) -> Result<(), PathError> {
    match solver {
        ConvexSolver::Lbfgs { c, tolerance } => {
            let each = |fit| each(Candidate::logistic(fit));
            Ok(fit_logistic((task, fitted), c, *tolerance, each)?)
        }
        ConvexSolver::Ridge { lambda } => {
            let rows = TrainingRows { task, fitted };
            let ridge = Ridge::new(Gram::accumulate(&rows, Sampling::Every)?)?;
            let mut lambda = lambda.clone();
            lambda.sort_by(|a, b| b.total_cmp(a));
            for value in lambda {
                let candidate = Candidate {
                    value,
                    head: ridge.head(value)?,
                    steps: None,
                    ended_by: "exact",
                };
                if each(candidate) == Continue::No {
                    break;
                }
            }
            Ok(())
        }
    }
}

/// A solution that has not been judged yet.
pub(crate) struct Candidate {
    pub(crate) value: f64,
    pub(crate) head: Head,
    steps: Option<usize>,
    ended_by: &'static str,
}

impl Candidate {
    /// What logistic regression found.
    fn logistic(fit: logistic::Fit) -> Self {
        Self {
            value: fit.strength,
            head: fit.head,
            steps: Some(fit.steps),
            ended_by: match fit.ending {
                logistic::Ending::Converged => "converged",
                logistic::Ending::Precision => "precision",
                logistic::Ending::Steps => "steps",
            },
        }
    }

    /// What a run says of it, given the validation rows under it.
    pub(crate) fn point(&self, tally: &Tally, scaling: &Scaling) -> PathPoint {
        PathPoint {
            value: self.value,
            validation_nll: scaling.nll,
            validation_top1: tally.top1(),
            temperature: scaling.temperature,
            steps: self.steps,
            ended_by: self.ended_by.to_owned(),
        }
    }
}

/// The points so far.
struct Path<'a> {
    task: &'a Task<'a>,
    parameter: &'static str,
    fitted: &'a Fitted,
    monitor: &'a mut Monitor,
    stop: &'a Interrupt,
    points: Vec<PathPoint>,
    best: Option<Best>,
    failure: Option<Failure>,
    ending: Ending,
}

impl<'a> Path<'a> {
    fn new(
        (task, parameter): (&'a Task, &'static str),
        fitted: &'a Fitted,
        (monitor, stop): (&'a mut Monitor, &'a Interrupt),
    ) -> Self {
        Self {
            task,
            parameter,
            fitted,
            monitor,
            stop,
            points: Vec::new(),
            best: None,
            failure: None,
            ending: Ending::Epochs,
        }
    }

    /// Judges a solution and says whether to go on.
    fn add(&mut self, candidate: Candidate) -> Continue {
        if let Err(failure) = self.judge(candidate) {
            self.failure = Some(failure);
            return Continue::No;
        }
        match self.stop.received() {
            Some(exit) => {
                self.ending = Ending::Signal(exit);
                Continue::No
            }
            None => Continue::Yes,
        }
    }

    fn judge(&mut self, candidate: Candidate) -> Result<(), Failure> {
        let validation = &self.task.partition.validation;
        let judge = self.task.judge(&candidate.head, self.fitted, validation);
        let (tally, scaling) = judge.tally_and_temperature().or_exit(Exit::Failure)?;
        let point = candidate.point(&tally, &scaling);
        self.say(&point);
        self.monitor
            .point(self.parameter, &point)
            .or_exit(Exit::Failure)?;
        self.points.push(point);
        let better = |best: &Best| scaling.nll < best.validation_loss;
        if self.best.as_ref().is_none_or(better) {
            self.best = Some(Best {
                epoch: self.points.len() as u32,
                head: candidate.head,
                fitted: self.fitted.clone(),
                validation_loss: scaling.nll,
            });
        }
        Ok(())
    }

    fn say(&self, point: &PathPoint) {
        if self.points.is_empty() {
            self.monitor
                .say("     value    val NLL   acc.  temperature  steps");
        }
        let steps = point.steps.map_or("exact".to_owned(), |n| n.to_string());
        self.monitor.say(&format!(
            "{:>10.3e}  {:>9.4}  {:>5.1}%  {:>11.3}  {steps:>5}",
            point.value,
            point.validation_nll,
            point.validation_top1 * 100.0,
            point.temperature,
        ));
    }

    fn finish(self) -> Result<(Outcome, PathRecord), Failure> {
        if let Some(failure) = self.failure {
            return Err(failure);
        }
        let outcome = Outcome {
            epochs: self.points.len() as u32,
            best: self.best,
            ending: self.ending,
            lines: Vec::new(),
        };
        let record = PathRecord {
            parameter: self.parameter.to_owned(),
            points: self.points,
        };
        Ok((outcome, record))
    }
}
