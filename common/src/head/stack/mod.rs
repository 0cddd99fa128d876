//! Training many heads at once: forwards, backwards and one step, for all heads that
//! see the same batches.
//!
//! In: a batch of feature rows and their targets. Out: what each head saw of it, before it was
//! changed. Every head has its own shape, initial values, optimizer, learning rate,
//! weight decay, label smoothing, dropout and normalisation.
//!
//! ```text
//!   rows ──view──► input panels, one copy for each normalisation and dropout
//!                    │
//!                    ├─ product ──► logits of linear heads side by side   (unit)
//!                    ├─ product ──► hidden units ──► logits of an MLP      (unit)
//!                    │                 loss: logits become their gradient
//!                    └─ gradient: dW = inputᵀ · dY, tile by tile, and the step at once
//! ```
//!
//! Invariant: **a head's numbers do not depend on its neighbours**, nor on the number of
//! threads. Every sum of a product is formed in the order of its terms, whatever
//! else is computed beside it (`crate::panel::tile`); sums over a batch go from block to block.
//! Parameters, moments and gradients lie in panels (`layout`) that the kernels read
//! as they are: nothing is repacked, and a gradient is used up in the cache it was formed
//! in. The instruction set is the engine's ([`Isa`]); within one, the same seed gives the
//! same bytes.
//!
//! The loops run on rayon's current pool. Calls from inside it (`rayon::scope`) save
//! waking it up at every step.

mod batch;
mod elements;
mod gradient;
mod layer;
mod layout;
mod loss;
mod product;
mod unit;
pub(crate) mod update;
pub(crate) mod view;

use rayon::prelude::*;

pub use batch::{Batch, Targets};
pub(crate) use update::corrections;
pub use update::{BETAS, EPSILON, Method};
pub use view::{FeatureRows, InMemory};

use self::{
    layout::{Activations, BLOCK_ROWS},
    loss::Objective,
    unit::{Key, Pass, Slot, Unit},
    update::ColumnStep,
    view::{Dropping, Filling, Sight, View},
};
use super::{Fitted, Head, HeadKind, Loss, LossSum, Normalisation};
use crate::{engine::cpu::Isa, random};

/// How one head of a stack is trained.
#[derive(Clone, Debug)]
pub struct Member {
    /// Its parameters before the first step.
    pub head: Head,
    /// What is done to features before it.
    pub normalise: Normalisation,
    /// Update rule.
    pub method: Method,
    /// Weight decay, not on biases: an L2 penalty, decoupled with AdamW.
    pub weight_decay: f32,
    /// Share of the target spread over all classes, in [0, 1]; with binary cross-entropy,
    /// over both answers.
    pub label_smoothing: f32,
    /// Probability with which an input of a layer is dropped, in [0, 1).
    pub dropout: f32,
}

/// What all heads of a stack have in common.
#[derive(Clone, Debug)]
pub struct Common {
    /// The standardisation of the training rows; needed where a member asks for it.
    pub standardise: Fitted,
    /// What is minimised.
    pub loss: Loss,
    /// One an output. With cross-entropy the weight of each class, with binary cross-entropy
    /// of its positive rows (PyTorch's `pos_weight`); other losses have no use for it.
    pub class_weights: Vec<f32>,
    /// Seed of dropout's choices.
    pub seed: u64,
    /// Instruction set.
    pub isa: Isa,
}

/// What a head saw in a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Seen {
    /// In training the loss that is minimised, with smoothing, class weights, and dropout;
    /// otherwise the plain one. With losses that are a mean over outputs too, each of them
    /// weighs 1.
    pub loss: LossSum,
    /// Rows whose class had the largest logit; with binary cross-entropy, right answers to
    /// whether a row has a class; with other losses 0.
    pub correct: u64,
}

/// What a pass is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Goal {
    /// A step.
    Step,
    /// To see how good the heads are.
    Judge,
}

/// Heads in training. Members are numbered as they were given, and keep their numbers.
pub struct Stack {
    common: Common,
    members: Vec<Member>,
    /// Whether a member's loss was not finite once; it takes no steps any more.
    dead: Vec<bool>,
    views: Vec<View>,
    units: Vec<Unit>,
    steps: i32,
    seen: Vec<Seen>,
}

impl Stack {
    /// Before the first step.
    ///
    /// # Panics
    /// When heads differ in features or classes, or classes are not as many as class weights.
    pub fn new(common: Common, members: Vec<Member>) -> Self {
        let mut stack = Self {
            dead: vec![false; members.len()],
            seen: vec![Seen::default(); members.len()],
            views: Vec::new(),
            units: Vec::new(),
            steps: 0,
            common,
            members: Vec::new(),
        };
        let mut groups: Vec<(Key, Vec<usize>)> = Vec::new();
        for (number, member) in members.iter().enumerate() {
            assert_eq!(
                member.head.classes(),
                stack.common.class_weights.len(),
                "classes"
            );
            assert_eq!(
                member.head.features(),
                members[0].head.features(),
                "features"
            );
            let key = Key {
                view: stack.view_of(member),
                family: member.method.family(),
            };
            let linear = |other: &usize| members[*other].head.kind() == HeadKind::Linear;
            let shared = groups.iter_mut().find(|(other, group)| {
                *other == key && linear(&number) && group.iter().all(linear)
            });
            match shared {
                Some((_, group)) => group.push(number),
                None => groups.push((key, vec![number])),
            }
        }
        for (key, group) in groups {
            let heads: Vec<_> = group
                .iter()
                .map(|&number| (number, &members[number].head))
                .collect();
            stack
                .units
                .push(Unit::new(key, &heads, members[group[0]].dropout));
        }
        stack.members = members;
        stack
    }

    /// The view that `member` looks through.
    fn view_of(&mut self, member: &Member) -> usize {
        let sight = Sight {
            normalise: member.normalise,
            dropout: member.dropout,
        };
        if let Some(view) = self.views.iter().position(|view| view.sight == sight) {
            return view;
        }
        self.views.push(View {
            sight,
            fitted: member.normalise.fitted(&self.common.standardise),
            input: Activations::new(member.head.features()),
        });
        self.views.len() - 1
    }

    /// One step of every member that is left, with its learning rate in `rates`. A member
    /// whose loss is not finite stays as it was, now and in all later steps. Returns
    /// what each member saw.
    ///
    /// # Panics
    /// When rows, targets and rates do not fit each other and the stack.
    pub fn step(&mut self, batch: Batch, rates: &[f32]) -> &[Seen] {
        assert_eq!(rates.len(), self.members.len(), "learning rates");
        let name = format!("train/dropout/{}", self.steps);
        let needs_key = self.members.iter().any(|member| member.dropout > 0.0);
        let dropping = if needs_key {
            let mut stream = random::stream(self.common.seed, &name);
            Dropping::On {
                key: rand::RngCore::next_u64(&mut stream),
            }
        } else {
            Dropping::Off
        };
        self.pass(batch, Goal::Step, dropping);
        self.steps = self.steps.saturating_add(1);
        for unit in &mut self.units {
            for slot in unit.slots.clone() {
                let member = &self.members[slot.member];
                let mut step = ColumnStep {
                    method: member.method,
                    learning_rate: rates[slot.member],
                    weight_decay: member.weight_decay,
                };
                if !self.seen[slot.member].loss.total.is_finite() {
                    self.dead[slot.member] = true;
                }
                if self.dead[slot.member] {
                    unit.silence(slot);
                    step.learning_rate = 0.0;
                }
                unit.set_step(slot, step);
            }
        }
        self.update();
        &self.seen
    }

    /// What each member sees in `batch`: its plain loss, without dropout,
    /// smoothing and class weights, and its right answers.
    ///
    /// # Panics
    /// When rows and targets do not fit each other and the stack.
    pub fn judge(&mut self, batch: Batch) -> &[Seen] {
        self.pass(batch, Goal::Judge, Dropping::Off);
        &self.seen
    }

    /// Member `member` as it is now; `None` once it has been retired.
    pub fn head(&self, member: usize) -> Option<Head> {
        let (unit, slot) = self.find(member)?;
        Some(unit.head(slot))
    }

    /// Keeps the members that `keep` accepts and forgets the others.
    pub fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        let units = std::mem::take(&mut self.units);
        self.units = units
            .into_iter()
            .filter_map(|unit| unit.retain(&keep))
            .collect();
        self.seen.fill(Seen::default());
    }

    fn find(&self, member: usize) -> Option<(&Unit, Slot)> {
        self.units.iter().find_map(|unit| {
            let slot = unit.slots.iter().find(|slot| slot.member == member)?;
            Some((unit, *slot))
        })
    }

    fn pass(&mut self, batch: Batch, goal: Goal, dropping: Dropping) {
        let (rows, outputs) = (batch.rows.len(), self.common.class_weights.len());
        assert!(
            batch.targets.fit(self.common.loss, rows, outputs),
            "a target for every row"
        );
        self.fill_views(batch, dropping);
        let plain = vec![1.0; self.common.class_weights.len()];
        let weights = match goal {
            Goal::Step => &self.common.class_weights,
            Goal::Judge => &plain,
        };
        let total: f64 = match batch.targets {
            Targets::Classes(labels) => {
                let weights = labels.iter().map(|&label| weights[label as usize]);
                weights.map(f64::from).sum()
            }
            Targets::Values(values) => values.len() as f64,
        };
        let common = Objective {
            label_smoothing: 0.0,
            class_weights: weights,
            weight_sum: weights.iter().sum(),
            scale: (1.0 / total) as f32,
        };
        let objective = |member: &Member| match goal {
            Goal::Step => Objective {
                label_smoothing: member.label_smoothing,
                ..common
            },
            Goal::Judge => common,
        };
        let objectives: Vec<_> = self.members.iter().map(objective).collect();
        let pass = Pass {
            goal,
            dropping,
            rows,
            targets: batch.targets,
            loss: self.common.loss,
            objectives: &objectives,
            isa: self.common.isa,
        };
        let parts = run_blocks(&mut self.units, &self.views, pass);
        self.seen.fill(Seen::default());
        for (number, part) in parts {
            for (slot, part) in self.units[number].slots.iter().zip(part) {
                let seen = &mut self.seen[slot.member];
                seen.loss.add(part.loss);
                seen.correct += part.correct;
            }
        }
    }

    fn fill_views(&mut self, batch: Batch, dropping: Dropping) {
        let wanted: Vec<bool> = (0..self.views.len())
            .map(|view| self.units.iter().any(|unit| unit.key.view == view))
            .collect();
        let blocks = batch.rows.len().div_ceil(BLOCK_ROWS);
        let mut tasks: Vec<Vec<Filling>> = (0..blocks).map(|_| Vec::new()).collect();
        for (view, _) in self
            .views
            .iter_mut()
            .zip(wanted)
            .filter(|(_, wanted)| *wanted)
        {
            view.input.resize(batch.rows.len());
            let mask = dropping.mask(view.sight.dropout, 0);
            for (task, block) in tasks.iter_mut().zip(view.input.blocks_mut()) {
                task.push(Filling {
                    fitted: &view.fitted,
                    mask,
                    block,
                });
            }
        }
        let rows = batch.rows.par_chunks(BLOCK_ROWS);
        rows.zip(tasks)
            .enumerate()
            .for_each(|(index, (rows, mut views))| {
                view::fill(batch.features, index, rows, &mut views);
            });
    }

    fn update(&mut self) {
        let mut tasks = Vec::new();
        let dead = &self.dead;
        for unit in &mut self.units {
            // Of an MLP that is not finite even a gradient of zero may become NaN.
            if unit.slots.iter().all(|slot| dead[slot.member]) {
                continue;
            }
            let input = &self.views[unit.key.view].input;
            unit.steps(input, self.steps, &mut tasks);
        }
        tasks.sort_by_key(layer::Step::input_panel);
        let isa = self.common.isa;
        tasks.into_par_iter().for_each(|task| task.run(isa));
    }
}

/// Runs `units` on `views`: for every block of rows the number of its unit, and what each
/// slot of it saw, block after block.
fn run_blocks(units: &mut [Unit], views: &[View], pass: Pass) -> Vec<(usize, Vec<Seen>)> {
    let (rows, goal) = (pass.rows, pass.goal);
    units
        .par_iter_mut()
        .for_each(|unit| unit.prepare(rows, goal));
    let mut tasks = Vec::new();
    for (number, unit) in units.iter_mut().enumerate() {
        let input = views[unit.key.view].input.blocks();
        let blocks = unit.blocks().into_iter().zip(input);
        tasks.extend(blocks.map(|(block, input)| (number, block, input)));
    }
    // Units that follow one another find their block of the input in the cache.
    tasks.sort_by_key(|(_, block, _)| block.index);
    tasks
        .into_par_iter()
        .with_max_len(1)
        .map(|(number, block, input)| (number, block.run(input, pass)))
        .collect()
}
