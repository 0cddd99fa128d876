//! Heads of a stack that are computed as one: any number of linear heads, side by side
//! as columns of one matrix, or one MLP.

use super::{
    Goal, Seen, Targets,
    elements::Elements,
    layer::{Layer, Step},
    layout::{Activations, BLOCK_ROWS, Parameters},
    loss::{Objective, Rows},
    product::Product,
    update::{ColumnStep, Family, Rule},
    view::{Dropping, Mask},
};
use crate::{
    engine::cpu::isa::Isa,
    head::{Head, HeadKind, Loss},
    panel::{LANES, SQUARE},
};

/// A head's place in its unit.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) member: usize,
    /// Its first column of the unit's logits.
    pub(super) column: usize,
}

/// What heads must agree on to share a unit.
#[derive(Clone, Copy, PartialEq)]
pub(super) struct Key {
    pub(super) view: usize,
    pub(super) family: Family,
}

/// Heads that are computed as one.
pub(super) struct Unit {
    pub(super) key: Key,
    pub(super) slots: Vec<Slot>,
    classes: usize,
    /// The first layer of an MLP, which is alone in its unit.
    hidden: Option<Hidden>,
    output: Layer,
    /// Logits, then the loss's gradient by them.
    logits: Activations,
}

struct Hidden {
    layer: Layer,
    dropout: f32,
    /// After the ReLU and dropout.
    activations: Activations,
    /// The loss's gradient by the layer's output before the ReLU.
    gradient: Activations,
    /// The next layer's weights with inputs and outputs exchanged:
    /// `[panels of hidden units][classes, filled up][LANES]`.
    upper: Vec<f32>,
}

impl Unit {
    /// A unit for `slots` heads of kind `kind` with all parameters zero.
    fn zeros(key: Key, kind: HeadKind, sizes: [usize; 2], heads: usize) -> Self {
        let [features, classes] = sizes;
        let (hidden, inputs) = match kind {
            HeadKind::Linear => (None, features),
            HeadKind::Mlp { hidden } => {
                let layer = Layer::zeros(features, hidden);
                (Some((layer, hidden)), hidden)
            }
        };
        let output = Layer::zeros(inputs, classes * heads);
        Self {
            key,
            slots: Vec::with_capacity(heads),
            classes,
            hidden: hidden.map(|(layer, units)| Hidden {
                layer,
                dropout: 0.0,
                activations: Activations::new(units),
                gradient: Activations::new(units),
                upper: vec![0.0; output.parameters.weights.len()],
            }),
            logits: Activations::new(classes * heads),
            output,
        }
    }

    /// One MLP, or linear heads of one key.
    pub(super) fn new(key: Key, heads: &[(usize, &Head)], dropout: f32) -> Self {
        let (_, first) = heads[0];
        let sizes = [first.features(), first.classes()];
        let mut unit = Self::zeros(key, first.kind(), sizes, heads.len());
        for (position, (member, head)) in heads.iter().enumerate() {
            let column = position * unit.classes;
            unit.slots.push(Slot {
                member: *member,
                column,
            });
            if let (Some(hidden), [lower, _]) = (&mut unit.hidden, head.layers()) {
                hidden.layer.put(lower, 0);
                hidden.dropout = dropout;
            }
            let layers = head.layers();
            unit.output.put(&layers[layers.len() - 1], column);
        }
        unit
    }

    /// The same without the heads that `keep` refuses; `None` when none is left.
    pub(super) fn retain(self, keep: &dyn Fn(usize) -> bool) -> Option<Self> {
        let kept: Vec<Slot> = self
            .slots
            .iter()
            .copied()
            .filter(|slot| keep(slot.member))
            .collect();
        if kept.is_empty() {
            return None;
        }
        if kept.len() == self.slots.len() {
            return Some(self);
        }
        // Only linear heads share a unit.
        let sizes = [self.output.parameters.inputs(), self.classes];
        let mut unit = Self::zeros(self.key, HeadKind::Linear, sizes, kept.len());
        for (position, slot) in kept.iter().enumerate() {
            let column = position * self.classes;
            unit.output
                .adopt(column, &self.output, slot.column, self.classes);
            unit.slots.push(Slot { column, ..*slot });
        }
        Some(unit)
    }

    /// The head in `slot` as it is now.
    pub(super) fn head(&self, slot: Slot) -> Head {
        let output = self.output.to_linear(slot.column, self.classes);
        match &self.hidden {
            None => Head::from_layers(HeadKind::Linear, vec![output]),
            Some(hidden) => {
                let units = hidden.layer.parameters.outputs();
                let lower = hidden.layer.to_linear(0, units);
                Head::from_layers(HeadKind::Mlp { hidden: units }, vec![lower, output])
            }
        }
    }

    /// Says how the head in `slot` takes its next step.
    pub(super) fn set_step(&mut self, slot: Slot, step: ColumnStep) {
        self.output.set_step(slot.column, self.classes, step);
        if let Some(hidden) = &mut self.hidden {
            let units = hidden.layer.parameters.outputs();
            hidden.layer.set_step(0, units, step);
        }
    }

    /// Makes room for a batch; before [`Unit::blocks`].
    pub(super) fn prepare(&mut self, rows: usize, goal: Goal) {
        self.logits.resize(rows);
        let Some(hidden) = &mut self.hidden else {
            return;
        };
        hidden.activations.resize(rows);
        hidden.gradient.resize(rows);
        if goal == Goal::Step {
            exchange(&self.output.parameters, &mut hidden.upper);
        }
    }

    /// The blocks of a batch, to be run independently of each other.
    pub(super) fn blocks(&mut self) -> Vec<Block<'_>> {
        let mut lower = Vec::new();
        if let Some(hidden) = &mut self.hidden {
            let (layer, upper, dropout) = (&hidden.layer, &hidden.upper[..], hidden.dropout);
            let gradients = hidden.gradient.blocks_mut();
            let blocks = hidden.activations.blocks_mut().zip(gradients);
            lower.extend(blocks.map(|(activations, gradient)| Lower {
                layer,
                upper,
                dropout,
                activations,
                gradient,
            }));
        }
        let mut lower = lower.into_iter();
        let mut blocks = Vec::new();
        for (index, logits) in self.logits.blocks_mut().enumerate() {
            blocks.push(Block {
                index,
                lower: lower.next(),
                output: &self.output,
                slots: &self.slots,
                logits,
            });
        }
        blocks
    }

    /// Sets the gradient by the logits of the head in `slot` to zero.
    pub(super) fn silence(&mut self, slot: Slot) {
        let panels = self.logits.panels();
        for block in self.logits.blocks_mut() {
            let rows = block.len() / (panels * LANES);
            for column in slot.column..slot.column + self.classes {
                let panel = &mut block[column / LANES * rows * LANES..][..rows * LANES];
                let column = panel[column % LANES..].iter_mut().step_by(LANES);
                column.for_each(|value| *value = 0.0);
            }
        }
    }

    /// The tasks of the step that the last backward pass leads to.
    pub(super) fn steps<'a>(
        &'a mut self,
        input: &'a Activations,
        step: i32,
        tasks: &mut Vec<Step<'a>>,
    ) {
        let rule = Rule::new(self.key.family, step);
        match &mut self.hidden {
            None => self.output.steps((input, &self.logits), rule, tasks),
            Some(hidden) => {
                let between = &hidden.activations;
                self.output.steps((between, &self.logits), rule, tasks);
                hidden.layer.steps((input, &hidden.gradient), rule, tasks);
            }
        }
    }
}

/// Writes the transpose of a layer's weights.
fn exchange(parameters: &Parameters, to: &mut [f32]) {
    let panel = parameters.panel_floats();
    let hidden_panels = panel / SQUARE;
    let outputs = parameters.biases.len();
    for (output_panel, weights) in parameters.weights.chunks_exact(panel).enumerate() {
        for (hidden_panel, square) in weights.chunks_exact(SQUARE).enumerate().take(hidden_panels) {
            let to = &mut to[(hidden_panel * outputs + output_panel * LANES) * LANES..][..SQUARE];
            for (hidden, row) in square.chunks_exact(LANES).enumerate() {
                for (output, value) in row.iter().enumerate() {
                    to[output * LANES + hidden] = *value;
                }
            }
        }
    }
}

/// One block of a batch in one unit.
pub(super) struct Block<'a> {
    pub(super) index: usize,
    lower: Option<Lower<'a>>,
    output: &'a Layer,
    slots: &'a [Slot],
    logits: &'a mut [f32],
}

struct Lower<'a> {
    layer: &'a Layer,
    upper: &'a [f32],
    dropout: f32,
    activations: &'a mut [f32],
    gradient: &'a mut [f32],
}

/// What a block is run with.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) goal: Goal,
    pub(super) dropping: Dropping,
    /// Of the whole batch.
    pub(super) rows: usize,
    pub(super) targets: Targets<'a>,
    pub(super) loss: Loss,
    /// The objective of every member.
    pub(super) objectives: &'a [Objective<'a>],
    pub(super) isa: Isa,
}

impl Block<'_> {
    /// Forwards, and with [`Goal::Step`] backwards to the output of the first layer.
    /// `input` is the block's part of the batch; returns what each slot saw.
    pub(super) fn run(mut self, input: &[f32], pass: Pass) -> Vec<Seen> {
        let first = self.index * BLOCK_ROWS;
        let end = pass.rows.min(first + BLOCK_ROWS);
        let mask = self
            .lower
            .as_ref()
            .and_then(|lower| pass.dropping.mask(lower.dropout, 1));
        match &mut self.lower {
            None => self.output.forward(input, self.logits, pass.isa),
            Some(lower) => {
                lower.forward(input, mask, (self.index, end - first), pass.isa);
                self.output
                    .forward(lower.activations, self.logits, pass.isa);
            }
        }
        let mut seen = vec![Seen::default(); self.slots.len()];
        for (slot, seen) in self.slots.iter().zip(&mut seen) {
            let (block, column) = (&mut *self.logits, slot.column);
            let (objective, goal) = (pass.objectives[slot.member], pass.goal);
            match pass.targets {
                Targets::Classes(labels) => {
                    let labels = &labels[first..end];
                    let rows = Rows {
                        block,
                        column,
                        labels,
                        objective,
                        goal,
                        seen,
                    };
                    rows.run(pass.isa);
                }
                Targets::Values(values) => {
                    let outputs = objective.class_weights.len();
                    let elements = Elements {
                        block,
                        column,
                        targets: &values[first * outputs..end * outputs],
                        loss: pass.loss,
                        objective,
                        goal,
                        seen,
                    };
                    elements.run(pass.isa);
                }
            }
        }
        if let (Some(lower), Goal::Step) = (&mut self.lower, pass.goal) {
            lower.backward(self.logits, mask.map_or(1.0, Mask::scale), pass.isa);
        }
        seen
    }
}

impl Lower<'_> {
    fn forward(
        &mut self,
        input: &[f32],
        mask: Option<Mask>,
        (block, rows): (usize, usize),
        isa: Isa,
    ) {
        self.layer.forward(input, self.activations, isa);
        for value in &mut *self.activations {
            *value = if *value > 0.0 { *value } else { 0.0 };
        }
        let Some(mask) = mask else {
            return;
        };
        let panels = self.activations.len() / (rows * LANES);
        for (panel, values) in self.activations.chunks_exact_mut(rows * LANES).enumerate() {
            for (row, values) in values.chunks_exact_mut(LANES).enumerate() {
                let place = ((block * BLOCK_ROWS + row) * panels + panel) * LANES;
                mask.apply(values, place as u32);
            }
        }
    }

    /// dH = dY · Wᵀ, through dropout and the ReLU: where an activation is zero, nothing
    /// flows.
    fn backward(&mut self, logit_gradient: &[f32], scale: f32, isa: Isa) {
        let panel = self.activations.len() / (self.layer.parameters.biases.len() / LANES);
        let outputs = self.upper.len() / self.layer.parameters.biases.len();
        let panels = self.gradient.chunks_exact_mut(panel);
        for (output, weights) in panels.zip(self.upper.chunks_exact(outputs * LANES)) {
            Product {
                input: logit_gradient,
                weights,
                bias: &[0.0; LANES],
                output,
            }
            .run(isa);
        }
        for (value, activation) in self.gradient.iter_mut().zip(&*self.activations) {
            *value = if *activation > 0.0 {
                *value * scale
            } else {
                0.0
            };
        }
    }
}
