//! A layer of the heads of a unit: its product, and the tasks of its step.

use super::{
    gradient::{WeightStep, step_biases},
    layout::{Activations, Parameters},
    product::Product,
    update::{ColumnStep, Lanes, Rule},
};
use crate::{
    engine::cpu::isa::Isa,
    head::Linear,
    panel::{LANES, SQUARE},
};

/// Panels of inputs that one task of the update covers: their part of the batch stays
/// in the second-level cache while all outputs pass.
const CHUNK_PANELS: usize = 8;

/// A layer with its optimizer's state.
pub(super) struct Layer {
    pub(super) parameters: Parameters,
    moments: [Parameters; 2],
    /// The next step's numbers, one entry a panel.
    lanes: Vec<Lanes>,
}

impl Layer {
    pub(super) fn zeros(inputs: usize, outputs: usize) -> Self {
        let zeros = Parameters::zeros(inputs, outputs);
        Self {
            lanes: vec![Lanes::default(); zeros.biases.len() / LANES],
            moments: [zeros.clone(), zeros.clone()],
            parameters: zeros,
        }
    }

    /// Puts the outputs of `layer` behind one another from column `first` on.
    pub(super) fn put(&mut self, layer: &Linear, first: usize) {
        let rows = layer.weight.chunks_exact(layer.inputs);
        for ((output, row), bias) in (first..).zip(rows).zip(&layer.bias) {
            self.parameters
                .set_column(output, row.iter().copied(), *bias);
        }
    }

    /// Copies `count` outputs of `from`, with their state.
    pub(super) fn adopt(&mut self, first: usize, from: &Self, from_first: usize, count: usize) {
        let Self {
            parameters,
            moments: [one, two],
            ..
        } = self;
        let sources = [&from.parameters, &from.moments[0], &from.moments[1]];
        for (to, from) in [parameters, one, two].into_iter().zip(sources) {
            for offset in 0..count {
                let output = from_first + offset;
                to.set_column(first + offset, from.column(output), from.biases[output]);
            }
        }
    }

    pub(super) fn to_linear(&self, first: usize, outputs: usize) -> Linear {
        let columns = first..first + outputs;
        Linear {
            inputs: self.parameters.inputs(),
            outputs,
            weight: columns
                .clone()
                .flat_map(|output| self.parameters.column(output))
                .collect(),
            bias: self.parameters.biases[columns].to_vec(),
        }
    }

    pub(super) fn set_step(&mut self, first: usize, outputs: usize, step: ColumnStep) {
        for output in first..first + outputs {
            self.lanes[output / LANES].set(output % LANES, step);
        }
    }

    /// `output = input · W + b` for one block.
    pub(super) fn forward(&self, input: &[f32], output: &mut [f32], isa: Isa) {
        let rows = output.len() / self.parameters.biases.len();
        let weights = self
            .parameters
            .weights
            .chunks_exact(self.parameters.panel_floats());
        let biases = self.parameters.biases.chunks_exact(LANES);
        let outputs = output.chunks_exact_mut(rows * LANES);
        for ((weights, bias), output) in weights.zip(biases).zip(outputs) {
            Product {
                input,
                weights,
                bias,
                output,
            }
            .run(isa);
        }
    }

    /// The tasks of the step against dW = inputᵀ · `gradient`.
    pub(super) fn steps<'a>(
        &'a mut self,
        (input, gradient): (&'a Activations, &'a Activations),
        rule: Rule,
        tasks: &mut Vec<Step<'a>>,
    ) {
        let panel = self.parameters.panel_floats();
        let chunk = CHUNK_PANELS * SQUARE;
        let [first, second] = &mut self.moments;
        let weights = self.parameters.weights.chunks_exact_mut(panel);
        let moments = first
            .weights
            .chunks_exact_mut(panel)
            .zip(second.weights.chunks_exact_mut(panel));
        for (output_panel, ((weights, (first, second)), lanes)) in
            weights.zip(moments).zip(&self.lanes).enumerate()
        {
            let moments = first.chunks_mut(chunk).zip(second.chunks_mut(chunk));
            for (index, (weights, (first, second))) in
                weights.chunks_mut(chunk).zip(moments).enumerate()
            {
                tasks.push(Step::Weights(WeightStep {
                    input,
                    input_panel: index * CHUNK_PANELS,
                    output: gradient,
                    output_panel,
                    rule,
                    lanes,
                    weights,
                    moments: [first, second],
                }));
            }
        }
        tasks.push(Step::Biases {
            gradient,
            rule,
            lanes: &self.lanes,
            biases: &mut self.parameters.biases,
            moments: [&mut first.biases, &mut second.biases],
        });
    }
}

/// A part of an update, independent of the others.
pub(super) enum Step<'a> {
    Weights(WeightStep<'a>),
    Biases {
        gradient: &'a Activations,
        rule: Rule,
        lanes: &'a [Lanes],
        biases: &'a mut [f32],
        moments: [&'a mut [f32]; 2],
    },
}

impl Step<'_> {
    /// The part of the input that it reads; steps in this order find it in the cache.
    pub(super) fn input_panel(&self) -> usize {
        match self {
            Self::Weights(step) => step.input_panel,
            Self::Biases { .. } => 0,
        }
    }

    pub(super) fn run(self, isa: Isa) {
        match self {
            Self::Weights(step) => step.run(isa),
            Self::Biases {
                gradient,
                rule,
                lanes,
                biases,
                moments: [first, second],
            } => {
                let moments = first
                    .chunks_exact_mut(LANES)
                    .zip(second.chunks_exact_mut(LANES));
                let panels = biases.chunks_exact_mut(LANES).zip(moments).zip(lanes);
                for (panel, ((biases, (first, second)), lanes)) in panels.enumerate() {
                    step_biases((gradient, panel), (rule, lanes), biases, [first, second]);
                }
            }
        }
    }
}
