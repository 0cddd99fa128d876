//! Linear heads that a convex solver finds.

use common::{
    exit::Exit,
    head::{HeadKind, logistic, ridge},
};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Settings, check};
use crate::{
    cli::{SolverArg, TrainArgs},
    failure::Failure,
    plan,
    schedule::Decay,
};

/// Logistic regression, by [`logistic`].
pub(crate) const LBFGS: &str = "lbfgs";

/// Ridge classification, by [`ridge`].
pub(crate) const RIDGE: &str = "ridge";

/// What is minimised, for which strengths of regularisation.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "solver", rename_all = "lowercase")]
pub(crate) enum ConvexSolver {
    /// Logistic regression.
    Lbfgs {
        /// At least one, positive.
        c: Vec<f64>,
        /// Largest gradient of the mean loss.
        tolerance: f64,
    },
    /// Ridge classification.
    Ridge {
        /// At least one, positive.
        lambda: Vec<f64>,
    },
}

impl ConvexSolver {
    /// The solver that is asked for; `None` where steps are.
    pub(super) fn of(args: &TrainArgs, head: HeadKind) -> Result<Option<Self>, Failure> {
        let step = &args.step;
        let owners = [
            ("--c", step.c.is_some(), SolverArg::Lbfgs, LBFGS),
            (
                "--tolerance",
                step.tolerance.is_some(),
                SolverArg::Lbfgs,
                LBFGS,
            ),
            ("--lambda", step.lambda.is_some(), SolverArg::Ridge, RIDGE),
        ];
        for (option, given, owner, name) in owners {
            if given && step.solver != owner {
                let message = format!("{option}: only {name} has it (add `--solver {name}`)");
                return Err(Failure::new(Exit::Usage, message));
            }
        }
        let solver = match step.solver {
            SolverArg::Adam | SolverArg::Adamw | SolverArg::Sgd => return Ok(None),
            SolverArg::Lbfgs => Self::Lbfgs {
                c: path("--c", step.c.as_deref(), &logistic::DEFAULT_PATH)?,
                tolerance: positive(
                    "--tolerance",
                    step.tolerance.unwrap_or(logistic::DEFAULT_TOLERANCE),
                )?,
            },
            SolverArg::Ridge => Self::Ridge {
                lambda: path("--lambda", step.lambda.as_deref(), &ridge::DEFAULT_PATH)?,
            },
        };
        if head != HeadKind::Linear {
            let message = "--solver: lbfgs and ridge find linear heads only (use `train-head linear`, or adam, adamw or sgd)";
            return Err(Failure::new(Exit::Usage, message));
        }
        solver.refuse_options_of_steps(args)?;
        Ok(Some(solver))
    }

    /// The values of the path, ascending.
    pub(crate) fn values(&self) -> &[f64] {
        match self {
            Self::Lbfgs { c, .. } => c,
            Self::Ridge { lambda } => lambda,
        }
    }

    /// The same with other values.
    pub(crate) fn along(&self, values: Vec<f64>) -> Self {
        match self {
            Self::Lbfgs { tolerance, .. } => Self::Lbfgs {
                c: values,
                tolerance: *tolerance,
            },
            Self::Ridge { .. } => Self::Ridge { lambda: values },
        }
    }

    /// What the values of the path are called.
    pub(crate) fn parameter(&self) -> &'static str {
        match self {
            Self::Lbfgs { .. } => "c",
            Self::Ridge { .. } => "lambda",
        }
    }

    /// As on the command line.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Lbfgs { .. } => LBFGS,
            Self::Ridge { .. } => RIDGE,
        }
    }

    /// Refuses what only steps have.
    fn refuse_options_of_steps(&self, args: &TrainArgs) -> Result<(), Failure> {
        let (step, model) = (&args.step, &args.model);
        let given = [
            ("--epochs", step.epochs != plan::DEFAULT_EPOCHS),
            ("--patience", step.patience != plan::DEFAULT_PATIENCE),
            ("--batch-size", step.batch_size != plan::DEFAULT_BATCH_SIZE),
            ("--learning-rate", step.learning_rate.is_some()),
            ("--weight-decay", step.weight_decay.is_some()),
            ("--momentum", step.momentum.is_some()),
            ("--nesterov", step.nesterov),
            ("--schedule", step.schedule != Decay::Constant),
            ("--warmup-epochs", step.warmup_epochs != 0),
            ("--dropout", model.dropout != 0.0),
            ("--label-smoothing", model.label_smoothing != 0.0),
        ];
        match given.into_iter().find(|(_, given)| *given) {
            None => Ok(()),
            Some((option, _)) => {
                let solver = self.name();
                let message =
                    format!("{option}: `--solver {solver}` has no use for it (leave it out)");
                Err(Failure::new(Exit::Usage, message))
            }
        }
    }
}

/// The hyper-parameters as `run.json` keeps them.
pub(crate) fn recorded_settings(
    settings: &Settings,
    convex: Option<&ConvexSolver>,
) -> serde_json::Result<Value> {
    let Some(solver) = convex else {
        return serde_json::to_value(settings);
    };
    let mut recorded = serde_json::to_value(solver)?;
    recorded["normalise"] = json!(settings.normalise);
    recorded["class_weights"] = json!(settings.class_weights);
    recorded["val_fraction"] = json!(settings.val_fraction);
    recorded["seed"] = json!(settings.seed);
    Ok(recorded)
}

fn path(option: &str, given: Option<&[f64]>, default: &[f64]) -> Result<Vec<f64>, Failure> {
    let values = given.unwrap_or(default);
    let values: Result<Vec<f64>, Failure> = values
        .iter()
        .map(|&value| positive(option, value))
        .collect();
    let mut values = values?;
    values.sort_by(f64::total_cmp);
    values.dedup();
    Ok(values)
}

pub(super) fn positive(option: &str, value: f64) -> Result<f64, Failure> {
    let holds = value > 0.0 && value.is_finite();
    check(option, value, holds, "a positive number").map(|()| value)
}
