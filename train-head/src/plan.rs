//! What a command is to do, valid by construction.

mod audit;
mod convex;
mod finetune;
mod memory;
mod probe;
mod refusal;
mod settings;
mod sweep;
mod task;

use std::{num::NonZeroUsize, path::PathBuf, thread};

use common::{
    embed::WeightSource, engine::device::DeviceChoice, exit::Exit, head::HeadKind,
    progress::Verbosity, source::Split,
};

use crate::{
    cli::{Cli, Command, CompareArgs, EvalArgs, PredictArgs, ReportArgs, SplitArg, TrainArgs},
    failure::Failure,
    features::Allowance,
    labels::LabelTable,
    sweep::Trained,
};

pub(crate) use audit::{
    AuditPlan, DEFAULT_AUDIT_FOLDS, DEFAULT_NEAR, DEFAULT_OUTLIER_NEIGHBOURS, DEFAULT_OUTLIERS,
    Probabilities,
};
pub(crate) use convex::{ConvexSolver, LBFGS, RIDGE, recorded_settings};
pub(crate) use finetune::{
    DEFAULT_CHECKPOINT_SECONDS, DEFAULT_FINE_BATCH_SIZE, DEFAULT_FINE_EPOCHS,
    DEFAULT_FINE_PATIENCE, DEFAULT_FINE_WARMUP, DEFAULT_HEAD_RATE_FACTOR, FineSettings,
    FinetunePlan, fine_rate, freeze_epochs, recorded_fine_settings,
};
pub(crate) use memory::parse_size;
pub(crate) use probe::ProbePlan;
pub(crate) use refusal::{solver_refusal, task_refusal};
pub(crate) use settings::{ClassWeights, Sampling, Settings, optimizer_defaults};
pub(crate) use sweep::{DEFAULT_SURVIVORS, HeadTrials, Refit, SubjectPlan, SweepPlan, TailTrials};

/// Passes over the training rows at most; on cached features an epoch costs
/// little and early stopping usually comes first.
pub(crate) const DEFAULT_EPOCHS: u32 = 100;

/// Epochs without a smaller validation loss before training ends.
pub(crate) const DEFAULT_PATIENCE: u32 = 10;

/// Rows a step.
pub(crate) const DEFAULT_BATCH_SIZE: usize = 256;

/// Learning rate of Adam and AdamW, as in PyTorch.
pub(crate) const DEFAULT_ADAM_RATE: f64 = 1e-3;

/// Learning rate of SGD.
pub(crate) const DEFAULT_SGD_RATE: f64 = 0.1;

/// Momentum of SGD.
pub(crate) const DEFAULT_MOMENTUM: f32 = 0.9;

/// Weight decay of AdamW, as in PyTorch; Adam and SGD have none.
pub(crate) const DEFAULT_ADAMW_DECAY: f32 = 0.01;

/// Share of the training rows that is drawn for validation.
pub(crate) const DEFAULT_VAL_FRACTION: f64 = 0.2;

/// Seed.
pub(crate) const DEFAULT_SEED: u64 = 0;

/// Largest hidden layer; beyond it a typing error is likelier than a head.
pub(crate) const MAX_HIDDEN: usize = 1 << 16;

/// Most threads; beyond it a typing error is likelier than a machine.
const MAX_THREADS: usize = 1024;

/// One command.
#[derive(Debug)]
pub(crate) enum Plan {
    Train(TrainPlan),
    Finetune(Box<FinetunePlan>),
    Sweep(SweepPlan),
    /// What its trials train.
    PrintSpace(Trained),
    Probe(ProbePlan),
    Audit(AuditPlan),
    Evaluate(EvaluatePlan),
    Compare(ComparePlan),
    Predict(PredictPlan),
}

#[derive(Debug)]
pub(crate) struct TrainPlan {
    pub(crate) cache: PathBuf,
    pub(crate) out: PathBuf,
    pub(crate) existing: Existing,
    pub(crate) layer: Option<String>,
    /// `None`: the labels of the cache.
    pub(crate) labels: Option<LabelTable>,
    pub(crate) head: HeadKind,
    pub(crate) settings: Settings,
    /// Takes the place of steps.
    pub(crate) convex: Option<ConvexSolver>,
    pub(crate) memory: Allowance,
    pub(crate) report: Reporting,
}

#[derive(Debug)]
pub(crate) struct EvaluatePlan {
    pub(crate) run: PathBuf,
    pub(crate) cache: PathBuf,
    /// Table of labels; `None`: those of the cache.
    pub(crate) labels: Option<PathBuf>,
    /// `None`: every labelled row.
    pub(crate) split: Option<Split>,
    pub(crate) memory: Allowance,
    pub(crate) report: Reporting,
}

#[derive(Debug)]
pub(crate) struct ComparePlan {
    pub(crate) runs: [PathBuf; 2],
    pub(crate) cache: PathBuf,
    /// Table of labels; `None`: those of the cache.
    pub(crate) labels: Option<PathBuf>,
    /// `None`: every labelled row.
    pub(crate) split: Option<Split>,
    /// Of the features of one run; they are read one after the other.
    pub(crate) memory: Allowance,
    pub(crate) report: Reporting,
}

#[derive(Debug)]
pub(crate) struct PredictPlan {
    pub(crate) run: PathBuf,
    pub(crate) images: Vec<PathBuf>,
    pub(crate) top: usize,
    pub(crate) weights: Option<WeightSource>,
    pub(crate) device: DeviceChoice,
    pub(crate) max_pixels: u64,
    pub(crate) threads: usize,
    pub(crate) report: Reporting,
}

/// What happens to a run that is there already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existing {
    Refuse,
    Replace,
}

impl Existing {
    /// What "the same command" must do without to go on instead of beginning anew.
    pub(crate) fn proviso(self) -> &'static str {
        match self {
            Self::Refuse => "",
            Self::Replace => " without --overwrite",
        }
    }
}

/// Who reads the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reporting {
    /// The result goes to standard output as text or as JSON.
    pub(crate) result: ResultFormat,
    /// What goes to standard error.
    pub(crate) verbosity: Verbosity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResultFormat {
    Text,
    Json,
    Nothing,
}

impl TryFrom<Cli> for Plan {
    type Error = Failure;

    fn try_from(cli: Cli) -> Result<Self, Failure> {
        match cli.command {
            Command::Linear(args) => train_plan(args, HeadKind::Linear).map(Self::Train),
            Command::Mlp(args) => {
                let hidden = args.hidden;
                check(
                    "--hidden",
                    hidden,
                    (1..=MAX_HIDDEN).contains(&hidden),
                    "1 to 65536",
                )?;
                train_plan(args.train, HeadKind::Mlp { hidden }).map(Self::Train)
            }
            Command::Finetune(args) => {
                finetune::plan(*args).map(|plan| Self::Finetune(Box::new(plan)))
            }
            Command::Sweep(args) if args.print_space => Ok(Self::PrintSpace(sweep::trained(&args))),
            Command::Sweep(args) => sweep::plan(*args).map(Self::Sweep),
            Command::Probe(args) => probe::plan(args).map(Self::Probe),
            Command::Audit(args) => audit::plan(args).map(Self::Audit),
            Command::Eval(args) => Ok(Self::Evaluate(evaluate_plan(args))),
            Command::Compare(args) => Ok(Self::Compare(compare_plan(args))),
            Command::Predict(args) => predict_plan(args).map(Self::Predict),
        }
    }
}

fn train_plan(args: TrainArgs, head: HeadKind) -> Result<TrainPlan, Failure> {
    let convex = ConvexSolver::of(&args, head)?;
    let (loss, labels) = task::task(args.task)?;
    let settings = settings::settings(loss, &args.step, &args.model)?;
    let refused = convex
        .as_ref()
        .and_then(|solver| solver_refusal(solver.name(), &settings));
    if let Some(message) = refused {
        return Err(Failure::new(Exit::Usage, message));
    }
    Ok(TrainPlan {
        cache: args.cache,
        out: args.out,
        existing: existing(args.overwrite),
        layer: args.layer,
        labels,
        head,
        settings,
        convex,
        memory: memory::allowance(args.memory),
        report: reporting(args.report),
    })
}

fn evaluate_plan(args: EvalArgs) -> EvaluatePlan {
    EvaluatePlan {
        run: args.run,
        cache: args.cache,
        labels: args.labels,
        split: split(args.split),
        memory: memory::allowance(args.memory),
        report: reporting(args.report),
    }
}

fn compare_plan(args: CompareArgs) -> ComparePlan {
    ComparePlan {
        runs: [args.first, args.second],
        cache: args.cache,
        labels: args.labels,
        split: split(args.split),
        memory: memory::allowance(args.memory),
        report: reporting(args.report),
    }
}

fn existing(overwrite: bool) -> Existing {
    if overwrite {
        Existing::Replace
    } else {
        Existing::Refuse
    }
}

fn split(split: SplitArg) -> Option<Split> {
    match split {
        SplitArg::Train => Some(Split::Train),
        SplitArg::Val => Some(Split::Val),
        SplitArg::Test => Some(Split::Test),
        SplitArg::All => None,
    }
}

fn predict_plan(args: PredictArgs) -> Result<PredictPlan, Failure> {
    check("--top", args.top, args.top > 0, "1 or more")?;
    let pixels = args.max_pixels;
    check("--max-pixels", pixels, pixels > 0, "1 or more")?;
    let cores = thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let threads = args.threads.unwrap_or(cores);
    let few = (1..=MAX_THREADS).contains(&threads);
    check("--threads", threads, few, "1 to 1024")?;
    Ok(PredictPlan {
        run: args.run,
        images: args.images,
        top: args.top,
        weights: args.weights,
        device: args.device,
        max_pixels: pixels,
        threads,
        report: reporting(args.report),
    })
}

fn reporting(args: ReportArgs) -> Reporting {
    Reporting {
        result: match (args.json, args.quiet) {
            (true, _) => ResultFormat::Json,
            (false, true) => ResultFormat::Nothing,
            (false, false) => ResultFormat::Text,
        },
        verbosity: if args.quiet {
            Verbosity::Quiet
        } else {
            Verbosity::Normal
        },
    }
}

/// The number that training calculates with. One that is too small or too large
/// for it would become 0 or infinite without a word.
fn single(option: &str, value: f64) -> Result<f32, Failure> {
    let single = value as f32;
    let fits = value == 0.0 || single.is_normal() || !value.is_finite();
    let expected = "0 or a size between 1.2e-38 and 3.4e38";
    check(option, format_args!("{value:e}"), fits, expected).map(|()| single)
}

fn check(
    option: &str,
    value: impl std::fmt::Display,
    holds: bool,
    expected: &str,
) -> Result<(), Failure> {
    if holds {
        return Ok(());
    }
    let message = format!("{option}: {value} given, {expected} expected");
    Err(Failure::new(Exit::Usage, message))
}

#[cfg(test)]
mod tests;
