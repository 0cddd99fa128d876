//! From the graph to a [`Schedule`]: algorithms and phases ([`super::placement`]
//! has layouts and buffers).

use rayon::prelude::*;

use super::{
    convolution::{Folded, Site, bounds, windows},
    depthwise::Depthwise,
    direct::Direct,
    fusion::{Kind, Operation},
    int8::{self, Quantisation, Scales},
    isa::Isa,
    layout::Layout,
    pool::{Addition, AveragePool, MaxPool},
    schedule::{BLOCK_IMAGES, Phase, Schedule, Stop},
    step::{Place, Step, Work},
    strip::{LEAST_EXPANSION, Strip},
    winograd::{self, Winograd},
};
use crate::backbone::{Conv, Padding, Parameters, Shape, ValueId};

/// Floats that one value of a chunk of images should occupy at most.
const CHUNK_FLOATS: usize = 512 * 1024;

/// All that the steps depend on.
pub(super) struct Lowering<'a> {
    pub(super) isa: Isa,
    pub(super) parameters: &'a Parameters,
    pub(super) operations: &'a [Operation<'a>],
    /// Shape of every value.
    pub(super) shapes: &'a [Shape],
    /// Values to emit.
    pub(super) outputs: &'a [ValueId],
    pub(super) arithmetic: &'a Arithmetic,
}

/// What a schedule computes in.
pub(super) enum Arithmetic {
    /// f32
    Floats,
    /// f32, and every value is there to be looked at.
    ObservedFloats,
    /// Integers of these scales.
    Integers(Quantisation),
}

impl Lowering<'_> {
    /// Chooses and prepares everything.
    pub(super) fn schedule(&self) -> Schedule {
        let chunks = self.chunks();
        let (places, slots) = self.places(&chunks);
        let steps: Vec<_> = (0..self.operations.len())
            .into_par_iter()
            .map(|index| {
                let own = !self.is_expansion(index);
                own.then(|| self.step(index, &places, chunks[index]))
            })
            .collect();
        let mut phases: Vec<Phase> = Vec::new();
        let mut winograd = [0, 0];
        let mut strip = 0;
        let operations = self.operations.iter().zip(steps).enumerate();
        for (index, (operation, step)) in operations {
            if index == 0 || chunks[index] != chunks[index - 1] {
                phases.push(Phase {
                    images: chunks[index],
                    stops: Vec::new(),
                });
            }
            let Some(phase) = phases.last_mut() else {
                unreachable!("the first operation has begun a phase");
            };
            if index == 0 {
                let scales = self.scales(ValueId(0)).copied();
                phase.stops.push(Stop::Load(places[0], scales));
            }
            // An expansion is part of the step behind it.
            let Some(step) = step else {
                continue;
            };
            let (tiles, len) = step.work.scratch(chunks[index]);
            winograd = [0, 1].map(|side| tiles[side].max(winograd[side]));
            strip = len.max(strip);
            phase.stops.push(Stop::Step(Box::new(step)));
            for (layer, output) in self.outputs.iter().enumerate() {
                if *output == operation.output {
                    let scale = self.scales(*output).map_or(1.0, |scales| scales.scale);
                    phase.stops.push(Stop::Emit(places[output.0], layer, scale));
                }
            }
        }
        Schedule {
            phases,
            slots,
            winograd,
            strip,
        }
    }

    /// Images at a time of every operation. It never shrinks along the way, so
    /// that there are few phases.
    fn chunks(&self) -> Vec<usize> {
        let mut images = 1;
        let chunk = |operation: &Operation<'_>| {
            let largest = [operation.input, operation.output]
                .map(|value| self.shapes[value.0].len())
                .into_iter()
                .max();
            let fitting = CHUNK_FLOATS / largest.unwrap_or(1).max(1);
            images = images.max(previous_power_of_two(fitting.clamp(1, BLOCK_IMAGES)));
            images
        };
        self.operations.iter().map(chunk).collect()
    }

    /// What a value's integers stand for; `None` for floats.
    pub(super) fn scales(&self, value: ValueId) -> Option<&Scales> {
        match self.arithmetic {
            Arithmetic::Floats | Arithmetic::ObservedFloats => None,
            Arithmetic::Integers(quantisation) => quantisation.scales[value.0].as_ref(),
        }
    }

    /// Whether an operation is done strip by strip within the next one: a 1×1
    /// convolution that only the depthwise one behind it reads.
    pub(super) fn is_expansion(&self, index: usize) -> bool {
        let operation = &self.operations[index];
        let Some(next) = self.operations.get(index + 1) else {
            return false;
        };
        let (Kind::Conv(conv, _), Kind::Conv(depthwise, _)) = (&operation.kind, &next.kind) else {
            return false;
        };
        let value = operation.output;
        let readers = self
            .operations
            .iter()
            .filter(|operation| operation.input == value || operation.residual == Some(value));
        !matches!(self.arithmetic, Arithmetic::ObservedFloats)
            && conv.kernel == 1
            && conv.stride == 1
            && conv.groups == 1
            && operation.residual.is_none()
            && depthwise.groups > 1
            && next.input == value
            && readers.count() == 1
            && !self.outputs.contains(&value)
            && self.shapes[value.0].len() >= LEAST_EXPANSION
            && self.shapes[value.0].height == self.shapes[operation.input.0].height
    }

    /// The expansion that is part of an operation.
    fn expansion_of(&self, index: usize) -> Option<&Operation<'_>> {
        let before = index.checked_sub(1)?;
        self.is_expansion(before).then(|| &self.operations[before])
    }

    /// The value that an operation reads.
    pub(super) fn read_value(&self, index: usize) -> ValueId {
        self.expansion_of(index)
            .map_or(self.operations[index].input, |expansion| expansion.input)
    }

    fn step(&self, index: usize, places: &[Place], images: usize) -> Step {
        let operation = &self.operations[index];
        let input = places[self.read_value(index).0];
        let output = places[operation.output.0];
        let residual = operation.residual.map(|value| places[value.0]);
        let isa = self.isa;
        let work = match operation.kind {
            Kind::Conv(conv, activation) => {
                let windowed = places[operation.input.0].layout;
                let site = Site {
                    input: input.layout,
                    residual: residual.map(|place| place.layout),
                    output: output.layout,
                    windows: windows(conv.padding, [conv.kernel, conv.stride], &windowed),
                    images,
                    isa,
                };
                let folded = Folded::new(conv, self.parameters, activation);
                let expansion = self.expansion_of(index).map(|before| (before, windowed));
                match self.arithmetic {
                    Arithmetic::Integers(_) => Work::Integers(self.convolve_integers(
                        (operation, expansion),
                        conv,
                        &folded,
                        &site,
                    )),
                    _ => match expansion {
                        Some((before, expanded)) => self.strip(before, &folded, (expanded, &site)),
                        None => convolve(conv, &folded, &site),
                    },
                }
            }
            Kind::MaxPool(pool) => {
                let pool = MaxPool {
                    isa,
                    input: input.layout,
                    output: output.layout,
                    windows: windows(pool.padding, [pool.kernel, pool.stride], &input.layout),
                    kernel: pool.kernel,
                };
                match self.arithmetic {
                    Arithmetic::Integers(_) => Work::Integers(int8::Work::MaxPool(pool)),
                    _ => Work::MaxPool(pool),
                }
            }
            Kind::Add(activation) => Work::Addition(Addition {
                input: input.layout,
                residual: residual.map_or(input.layout, |place| place.layout),
                output: output.layout,
                clamp: bounds(activation),
            }),
            Kind::GlobalAvgPool => Work::AveragePool(AveragePool {
                isa,
                input: input.layout,
                output: output.layout,
            }),
        };
        let name = match operation.kind {
            Kind::Conv(conv, _) => conv.name.clone(),
            _ => String::new(),
        };
        let expansion = self.expansion_of(index);
        let flops = [Some(operation), expansion].into_iter().flatten();
        let flops = flops.map(|operation| self.flops(operation)).sum();
        Step {
            name,
            flops,
            work,
            value: operation.output,
            input,
            residual,
            output,
        }
    }

    fn strip(
        &self,
        expansion: &Operation<'_>,
        depthwise: &Folded,
        (expanded, site): (Layout, &Site),
    ) -> Work {
        let expansion = self.folded(expansion);
        Work::Strip(Box::new(Strip::of_floats(
            [&expansion, depthwise],
            expanded,
            site,
        )))
    }

    /// The convolution of an expansion.
    pub(super) fn folded(&self, expansion: &Operation<'_>) -> Folded {
        let Kind::Conv(conv, activation) = expansion.kind else {
            unreachable!("an expansion is a convolution");
        };
        Folded::new(conv, self.parameters, activation)
    }

    /// Multiplications and additions of a convolution by its definition.
    fn flops(&self, operation: &Operation<'_>) -> usize {
        match operation.kind {
            Kind::Conv(conv, _) => {
                let inputs = conv.in_channels / conv.groups * conv.kernel * conv.kernel;
                2 * inputs * self.shapes[operation.output.0].len()
            }
            _ => 0,
        }
    }
}

fn convolve(conv: &Conv, folded: &Folded, site: &Site) -> Work {
    if conv.groups > 1 {
        Work::Depthwise(Depthwise::new(folded, site))
    } else if winograd::suits(conv) {
        Work::Winograd(Winograd::new(folded, site))
    } else {
        Work::Direct(Direct::new(folded, site))
    }
}

/// Whether the engine has a kernel for `conv`.
pub(super) fn is_supported(conv: &Conv) -> bool {
    let depthwise = conv.groups == conv.in_channels && conv.groups == conv.out_channels;
    let padded = !matches!(conv.padding, Padding::Symmetric(padding) if padding >= conv.kernel);
    padded && (conv.groups == 1 || (depthwise && Depthwise::supports(conv.kernel, conv.stride)))
}

fn previous_power_of_two(number: usize) -> usize {
    1 << number.ilog2()
}
