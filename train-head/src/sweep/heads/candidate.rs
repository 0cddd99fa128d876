//! A point of the space as a training takes it.

use common::head::{HeadKind, Normalisation, stack::Method};

use super::{
    super::{
        name::Name,
        space::{Point, Space},
    },
    source,
};
use crate::plan::{
    ConvexSolver, DEFAULT_MOMENTUM, HeadTrials, LBFGS, RIDGE, Settings, optimizer_defaults,
};

/// C where a space that has lbfgs does not say, as scikit-learn's.
pub(crate) const DEFAULT_C: f64 = 1.0;

/// λ where a space that has ridge does not say, as scikit-learn's.
pub(crate) const DEFAULT_LAMBDA: f64 = 1.0;

/// A point as a training takes it.
#[derive(Clone)]
pub(crate) struct Candidate {
    pub(crate) head: HeadKind,
    pub(crate) settings: Settings,
    /// Takes the place of steps; its path is a single point.
    pub(crate) convex: Option<ConvexSolver>,
    /// Which of the sweep's sources its features come from.
    pub(crate) source: usize,
}

impl Candidate {
    /// The training that `point` stands for.
    pub(super) fn new(space: &Space, plan: &HeadTrials, point: &Point) -> Self {
        let number = |name| space.number(point, name);
        let word = |name| space.word(point, name);
        let mut settings: Settings = plan.base.clone();
        settings.optimizer = match word(Name::Solver) {
            Some("adamw") => Method::AdamW,
            Some("sgd") => Method::Sgd {
                momentum: DEFAULT_MOMENTUM,
                nesterov: false,
            },
            _ => Method::Adam,
        };
        (settings.learning_rate, settings.weight_decay) = optimizer_defaults(settings.optimizer);
        settings.normalise = match word(Name::Normalise) {
            Some("l2") => Normalisation::L2,
            Some("standardise") => Normalisation::Standardise,
            _ => Normalisation::None,
        };
        let real = |name, default: f32| number(name).map_or(default, |number| number as f32);
        settings.learning_rate = number(Name::LearningRate).unwrap_or(settings.learning_rate);
        settings.weight_decay = real(Name::WeightDecay, settings.weight_decay);
        settings.label_smoothing = real(Name::LabelSmoothing, settings.label_smoothing);
        settings.dropout = real(Name::Dropout, settings.dropout);
        if let Some(rows) = number(Name::BatchSize) {
            settings.batch_size = rows as usize;
        }
        let convex = match word(Name::Solver) {
            Some(LBFGS) => Some(ConvexSolver::Lbfgs {
                c: vec![number(Name::C).unwrap_or(DEFAULT_C)],
                tolerance: plan.tolerance,
            }),
            Some(RIDGE) => Some(ConvexSolver::Ridge {
                lambda: vec![number(Name::Lambda).unwrap_or(DEFAULT_LAMBDA)],
            }),
            _ => None,
        };
        Self {
            head: match number(Name::Hidden) {
                Some(hidden) if hidden > 0.0 => HeadKind::Mlp {
                    hidden: hidden as usize,
                },
                _ => HeadKind::Linear,
            },
            convex,
            source: source::chosen(space, point, plan),
            settings,
        }
    }

    /// Whether one path over C, or over λ, finds both.
    pub(super) fn shares_path(&self, other: &Self) -> bool {
        let key = |candidate: &Self| {
            let parameter = candidate.convex.as_ref().map(ConvexSolver::parameter);
            (parameter, candidate.source, candidate.settings.normalise)
        };
        self.convex.is_some() && key(self) == key(other)
    }
}
