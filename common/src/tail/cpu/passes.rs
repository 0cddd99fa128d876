//! The operations of a tail in order, forwards, and backwards as far as something trains.

use rayon::prelude::*;

use super::{
    affine::{Accumulation, Addition, Clip},
    conv::Normalised,
    general::Source,
    head::{Means, clip_back},
    maps::{Maps, Pool, Size},
    parameters::Parameters,
    plan::{Node, Operation, Plan},
    pooling::{self, Winners},
    product::Onto,
};
use crate::{
    engine::cpu::isa::Isa,
    tail::{Collective, CollectiveError},
};

/// What comes in.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    /// `[images, C, H, W]`
    pub(super) values: &'a [f32],
    pub(super) images: usize,
}

/// What a pass is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Train,
    Evaluate,
}

/// What is left of a forward pass.
pub(super) struct Trace {
    /// What is still needed.
    values: Vec<Option<Maps>>,
    normalised: Vec<Option<Normalised>>,
    winners: Vec<Option<Winners>>,
}

impl Trace {
    /// What the head reads.
    pub(super) fn take_features(&mut self) -> Option<Maps> {
        self.values.last_mut()?.take()
    }
}

/// A pass over a plan.
pub(super) struct Pass<'a> {
    pub(super) plan: &'a Plan,
    pub(super) parameters: &'a mut Parameters,
    pub(super) inputs: Inputs<'a>,
    pub(super) collective: &'a dyn Collective,
    pub(super) means: Means<'a>,
}

impl<'a> Pass<'a> {
    /// Forwards to the features.
    pub(super) fn forward(&mut self, mode: Mode) -> Result<Trace, CollectiveError> {
        let count = self.plan.nodes.len();
        let mut trace = Trace {
            values: (0..=count).map(|_| None).collect(),
            normalised: (0..count).map(|_| None).collect(),
            winners: (0..count).map(|_| None).collect(),
        };
        if self.plan.loads_input {
            let mut maps = self.means.pool.maps(Size {
                shape: self.plan.input,
                images: self.inputs.images,
            });
            maps.load(self.inputs.values);
            trace.values[0] = Some(maps);
        }
        for (number, node) in self.plan.nodes.iter().enumerate() {
            let result = self.run(number, node, &mut trace, mode)?;
            trace.values[number + 1] = Some(result);
            for &value in &node.inputs {
                let needed = mode == Mode::Train && self.plan.kept[value];
                if self.plan.last_use[value] == number && !needed {
                    self.forget(&mut trace.values[value]);
                }
            }
        }
        Ok(trace)
    }

    fn forget(&self, value: &mut Option<Maps>) {
        if let Some(maps) = value.take() {
            self.means.pool.recycle(maps);
        }
    }

    fn source<'b>(&self, value: Option<&'b Maps>) -> Source<'b>
    where
        'a: 'b,
    {
        match value {
            Some(maps) => Source::Panels(maps),
            None => Source::Planar(self.inputs.values, self.plan.input.channels),
        }
    }

    fn run(
        &mut self,
        number: usize,
        node: &Node,
        trace: &mut Trace,
        mode: Mode,
    ) -> Result<Maps, CollectiveError> {
        let images = self.inputs.images;
        let learns = mode == Mode::Train && self.plan.has_gradient[number + 1];
        let (shape, first) = (node.shape, node.inputs[0]);
        if let Operation::Add(clip) = node.operation {
            return Ok(self.add(number, node, clip, (trace, mode)));
        }
        let input = trace.values[first].as_ref();
        if let Operation::Conv(conv) = &node.operation {
            let source = self.source(input);
            if learns && conv.by_batch {
                let parameters = (&mut *self.parameters, images);
                let (output, normalised) =
                    conv.normalise(source, parameters, self.collective, self.means)?;
                trace.normalised[number] = Some(normalised);
                return Ok(output);
            }
            return Ok(conv.evaluate(source, (self.parameters, images), self.means));
        }
        let mut output = self.means.pool.maps(Size { shape, images });
        let Some(input) = input else {
            unreachable!("only convolutions read images");
        };
        if let Operation::MaxPool(window) = node.operation {
            let winners = window.max_pool(input, &mut output);
            trace.winners[number] = learns.then_some(winners);
        } else {
            pooling::average(input, &mut output);
        }
        Ok(output)
    }

    /// The sum of two values; it takes the place of the first where that is not needed any more.
    fn add(
        &self,
        number: usize,
        node: &Node,
        clip: Clip,
        (trace, mode): (&mut Trace, Mode),
    ) -> Maps {
        let (one, other) = (node.inputs[0], node.inputs[1]);
        let needed = mode == Mode::Train && self.plan.kept[one];
        let isa = self.means.isa;
        let may_take = one != other && self.plan.last_use[one] == number && !needed;
        if may_take
            && let (Some(mut sum), Some(other)) = (trace.values[one].take(), &trace.values[other])
        {
            let panels = sum.panels_mut().into_par_iter().enumerate();
            panels.for_each(|(panel, to)| {
                isa.run(Accumulation {
                    from: other.panel(panel),
                    to,
                });
            });
            clip.apply_to(&mut sum, isa);
            return sum;
        }
        let (Some(one), Some(other)) = (&trace.values[one], &trace.values[other]) else {
            unreachable!("what is read was made before");
        };
        let mut sum = self.means.pool.maps(one.size());
        let panels = sum.panels_mut().into_par_iter().enumerate();
        panels.for_each(|(panel, to)| {
            let (one, other) = (one.panel(panel), other.panel(panel));
            isa.run(Addition {
                one,
                other,
                clip,
                to,
            });
        });
        sum
    }

    /// Backwards from the gradient by the features.
    pub(super) fn backward(
        &mut self,
        mut trace: Trace,
        gradient: Maps,
    ) -> Result<(), CollectiveError> {
        let count = self.plan.nodes.len();
        let mut gradients: Vec<Option<Maps>> = (0..=count).map(|_| None).collect();
        gradients[count] = Some(gradient);
        for (number, node) in self.plan.nodes.iter().enumerate().rev() {
            if let Some(gradient) = gradients[number + 1].take() {
                self.back((number, node), gradient, &mut trace, &mut gradients)?;
            }
            self.forget(&mut trace.values[number + 1]);
        }
        self.forget(&mut trace.values[0]);
        Ok(())
    }

    fn back(
        &mut self,
        (number, node): (usize, &Node),
        mut gradient: Maps,
        trace: &mut Trace,
        gradients: &mut [Option<Maps>],
    ) -> Result<(), CollectiveError> {
        let first = node.inputs[0];
        let shape = match first {
            0 => self.plan.input,
            node => self.plan.nodes[node - 1].shape,
        };
        let size = Size {
            shape,
            images: self.inputs.images,
        };
        let means = self.means;
        match &node.operation {
            Operation::Add(clip) => {
                if let Some(output) = trace.values[number + 1].as_ref() {
                    clip_back(*clip, output, &mut gradient, means.isa);
                }
                for &input in &node.inputs[1..] {
                    if self.plan.has_gradient[input] {
                        add_copy(&gradient, &mut gradients[input], means);
                    }
                }
                match &mut gradients[first] {
                    _ if !self.plan.has_gradient[first] => means.pool.recycle(gradient),
                    Some(sum) => {
                        add_onto(&gradient, sum, means.isa);
                        means.pool.recycle(gradient);
                    }
                    empty => *empty = Some(gradient),
                }
            }
            Operation::Conv(conv) => {
                let mut below = self.plan.has_gradient[first]
                    .then(|| target(&mut gradients[first], size, means.pool));
                let keeps = conv.keeps_input(self.parameters);
                let source = keeps.then(|| self.source(trace.values[first].as_ref()));
                conv.backward(
                    (source, trace.values[number + 1].as_ref()),
                    (gradient, trace.normalised[number].take()),
                    self.parameters,
                    below.as_mut().map(|(maps, onto)| (maps, *onto)),
                    (self.collective, means),
                )?;
                gradients[first] = below.map(|(maps, _)| maps);
            }
            Operation::MaxPool(window) => {
                if let Some(winners) = trace.winners[number].take() {
                    let (mut below, onto) = target(&mut gradients[first], size, means.pool);
                    window.max_pool_back((&gradient, &winners), (&mut below, onto));
                    gradients[first] = Some(below);
                }
                means.pool.recycle(gradient);
            }
            Operation::AveragePool => {
                let (mut below, onto) = target(&mut gradients[first], size, means.pool);
                pooling::average_back(&gradient, (&mut below, onto));
                gradients[first] = Some(below);
                means.pool.recycle(gradient);
            }
        }
        Ok(())
    }
}

/// Where a gradient goes: onto the one that is there, if any.
fn target(gradient: &mut Option<Maps>, size: Size, pool: &Pool) -> (Maps, Onto) {
    match gradient.take() {
        Some(sum) => (sum, Onto::Sum),
        None => (pool.maps(size), Onto::Nothing),
    }
}

fn add_onto(from: &Maps, to: &mut Maps, isa: Isa) {
    let panels = to.panels_mut().into_par_iter().enumerate();
    panels.for_each(|(panel, to)| {
        isa.run(Accumulation {
            from: from.panel(panel),
            to,
        });
    });
}

fn add_copy(from: &Maps, to: &mut Option<Maps>, means: Means<'_>) {
    match to {
        Some(to) => add_onto(from, to, means.isa),
        None => {
            let mut copy = means.pool.maps(from.size());
            let panels = copy.panels_mut().into_par_iter().enumerate();
            panels.for_each(|(panel, to)| to.copy_from_slice(from.panel(panel)));
            *to = Some(copy);
        }
    }
}
