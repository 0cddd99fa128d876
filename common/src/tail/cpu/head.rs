//! The head's layers: fully connected with a bias, a ReLU between them, dropout before each.

use rayon::prelude::*;

use super::{
    affine::{Affine, Clip, ClipBack},
    general::{General, Source},
    maps::{Maps, Pool, Size},
    norm::deviations,
    parameters::{ParameterId, Parameters},
    product::Onto,
    settle::WeightGradient,
    window::Window,
};
use crate::{
    backbone::{Activation, Padding, Shape},
    engine::cpu::isa::Isa,
    head::stack::view::{Dropping, Mask},
    panel::LANES,
};

/// One layer.
pub(super) struct Dense {
    pub(super) weight: ParameterId,
    pub(super) bias: ParameterId,
    pub(super) outputs: usize,
    /// Behind it.
    pub(super) activation: Activation,
}

/// All layers.
pub(super) struct Layers {
    pub(super) list: Vec<Dense>,
    pub(super) dropout: f32,
}

/// What dropout's choices depend on.
#[derive(Clone, Copy)]
pub(super) struct Drop {
    pub(super) dropping: Dropping,
    pub(super) first_row: usize,
}

/// What decides how everything is computed.
#[derive(Clone, Copy)]
pub(super) struct Means<'a> {
    pub(super) isa: Isa,
    pub(super) pool: &'a Pool,
}

fn shape(channels: usize) -> Shape {
    Shape {
        channels,
        height: 1,
        width: 1,
    }
}

fn product(isa: Isa) -> General {
    let window = Window::new((1, 1, Padding::Symmetric(0)), [shape(1), shape(1)]);
    General { window, isa }
}

impl Layers {
    /// What each layer reads, after dropout, and the logits.
    pub(super) fn forward(
        &self,
        features: &Maps,
        parameters: &Parameters,
        drop: Drop,
        means: Means<'_>,
    ) -> (Vec<Maps>, Maps) {
        let mut inputs = Vec::with_capacity(self.list.len());
        let mut value = means.pool.maps(features.size());
        for (number, panel) in value.panels_mut().into_iter().enumerate() {
            panel.copy_from_slice(features.panel(number));
        }
        for (number, layer) in self.list.iter().enumerate() {
            self.drop(number, &mut value, drop);
            let size = value.size();
            let mut output = means.pool.maps(Size {
                shape: shape(layer.outputs),
                ..size
            });
            let bias = parameters.values(layer.bias);
            let finish = Affine {
                scale: vec![1.0; bias.len()],
                shift: bias.to_vec(),
                clip: layer.activation.into(),
            };
            let weights = parameters.values(layer.weight);
            product(means.isa).forward(
                Source::Panels(&value),
                weights,
                &mut output,
                (Some(&finish), means.pool),
            );
            inputs.push(std::mem::replace(&mut value, output));
        }
        (inputs, value)
    }

    /// Gradients of all layers, given that by the logits; returns that by the features where it is
    /// `wanted`.
    pub(super) fn backward(
        &self,
        (inputs, logits): (Vec<Maps>, Maps),
        parameters: &mut Parameters,
        (drop, wanted): (Drop, bool),
        means: Means<'_>,
    ) -> Option<Maps> {
        let onto = parameters.onto();
        let mut gradient = logits;
        for (number, input) in inputs.into_iter().enumerate().rev() {
            let layer = &self.list[number];
            let [sums, _] = deviations(
                &gradient,
                &vec![0.0; gradient.size().panels() * LANES],
                means.isa,
            );
            parameters.add_vector(layer.bias, sums.into_iter());
            let ones = vec![1.0; gradient.size().panels() * LANES];
            let terms = parameters.packing(layer.weight).term_panels();
            let (weights, to) = parameters.with_gradient(layer.weight);
            let wanted_weights = WeightGradient {
                to,
                onto,
                terms,
                scale: &ones,
                weights: None,
            };
            let source = Source::Panels(&input);
            product(means.isa).weight_gradient((source, &gradient), wanted_weights, means.pool);
            if number == 0 && !wanted {
                means.pool.recycle(input);
                break;
            }
            let mut below = means.pool.maps(input.size());
            product(means.isa).input_gradient(
                &gradient,
                (weights, &ones),
                (&mut below, Onto::Nothing),
                means.pool,
            );
            self.drop(number, &mut below, drop);
            if number > 0 {
                clip_back(Activation::Relu.into(), &input, &mut below, means.isa);
            }
            means.pool.recycle(input);
            means.pool.recycle(std::mem::replace(&mut gradient, below));
        }
        if wanted {
            return Some(gradient);
        }
        means.pool.recycle(gradient);
        None
    }

    /// Drops inputs of layer `number`, or the gradient by them.
    fn drop(&self, number: usize, values: &mut Maps, drop: Drop) {
        let Some(mask) = drop.dropping.mask(self.dropout, number as u64) else {
            return;
        };
        let width = values.size().panels() * LANES;
        for (panel, rows) in values.panels_mut().into_iter().enumerate() {
            for (row, values) in rows.chunks_exact_mut(LANES).enumerate() {
                let place = (drop.first_row + row) * width + panel * LANES;
                Mask::apply(mask, values, place as u32);
            }
        }
    }
}

/// `gradient` by what came out of an activation becomes that by what went in.
pub(super) fn clip_back(clip: Clip, results: &Maps, gradient: &mut Maps, isa: Isa) {
    if clip.is_identity() {
        return;
    }
    let panels = gradient.panels_mut().into_par_iter().enumerate();
    panels.for_each(|(number, gradient)| {
        isa.run(ClipBack {
            clip,
            results: results.panel(number),
            gradient,
        });
    });
}
