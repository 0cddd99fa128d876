//! From the graph to a [`Schedule`]: algorithms, layouts, phases, buffers.

use super::{
    convolution::{Folded, Site, bounds, windows},
    depthwise::Depthwise,
    direct::Direct,
    fusion::{Kind, Operation},
    isa::Isa,
    layout::{Border, Layout, Windows},
    pool::{Addition, AveragePool, MaxPool},
    schedule::{BLOCK_IMAGES, Phase, Schedule, Stop},
    slots::{Lifetime, assign},
    step::{Place, Step, Work},
    winograd::{Winograd, rows_read},
};
use crate::backbone::{Conv, Padding, Parameters, Shape, ValueId};

/// Floats that one value of a chunk of images should occupy at most.
const CHUNK_FLOATS: usize = 512 * 1024;

/// Channels on either side below which Winograd's transforms cost more than
/// its products save.
const WINOGRAD_CHANNELS: usize = 16;

/// All that the steps depend on.
pub(super) struct Lowering<'a> {
    pub(super) isa: Isa,
    pub(super) parameters: &'a Parameters,
    pub(super) operations: &'a [Operation<'a>],
    /// Shape of every value.
    pub(super) shapes: &'a [Shape],
    /// Values to emit.
    pub(super) outputs: &'a [ValueId],
}

impl Lowering<'_> {
    /// Chooses and prepares everything.
    pub(super) fn schedule(&self) -> Schedule {
        let chunks = self.chunks();
        let (places, slots) = self.places(&chunks);
        let mut phases: Vec<Phase> = Vec::new();
        let mut winograd = [0, 0];
        for (index, operation) in self.operations.iter().enumerate() {
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
                phase.stops.push(Stop::Load(places[0]));
            }
            let step = self.step(operation, &places, chunks[index]);
            if let Work::Winograd(work) = &step.work {
                for (most, len) in winograd.iter_mut().zip(work.scratch()) {
                    *most = len.max(*most);
                }
            }
            phase.stops.push(Stop::Step(Box::new(step)));
            for (layer, output) in self.outputs.iter().enumerate() {
                if *output == operation.output {
                    phase.stops.push(Stop::Emit(places[output.0], layer));
                }
            }
        }
        Schedule {
            phases,
            slots,
            winograd,
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

    /// A place for every value, and the slots' sizes.
    fn places(&self, chunks: &[usize]) -> (Vec<Place>, Vec<usize>) {
        let layouts = self.layouts();
        let lifetimes = self.lifetimes(chunks, &layouts);
        let (slots, sizes) = assign(&lifetimes);
        let places = layouts
            .into_iter()
            .zip(&lifetimes)
            .zip(slots)
            .map(|((layout, lifetime), slot)| Place {
                slot,
                layout,
                extent: lifetime.extent,
            })
            .collect();
        (places, sizes)
    }

    fn lifetimes(&self, chunks: &[usize], layouts: &[Layout]) -> Vec<Lifetime> {
        let mut lifetimes = vec![Lifetime::unused(); self.shapes.len()];
        lifetimes[0].extend(0);
        for (index, operation) in self.operations.iter().enumerate() {
            for value in [
                Some(operation.input),
                operation.residual,
                Some(operation.output),
            ] {
                if let Some(value) = value {
                    lifetimes[value.0].extend(index);
                }
            }
        }
        for (lifetime, layout) in lifetimes.iter_mut().zip(layouts) {
            lifetime.place(chunks, layout.image_len());
        }
        lifetimes
    }

    fn layouts(&self) -> Vec<Layout> {
        let lanes = self.isa.lanes();
        let mut layouts: Vec<_> = self
            .shapes
            .iter()
            .map(|shape| Layout {
                shape: *shape,
                border: Border::default(),
                pitch: shape.channels.next_multiple_of(lanes),
            })
            .collect();
        // The network's input is read as sums only, never by lanes: its three
        // channels need no padding.
        let by_sums = |operation: &Operation<'_>| match operation.kind {
            Kind::Conv(conv, _) => !self.by_lanes(conv),
            _ => false,
        };
        if self
            .operations
            .iter()
            .filter(|operation| operation.input.0 == 0 || operation.residual == Some(ValueId(0)))
            .all(by_sums)
        {
            layouts[0].pitch = self.shapes[0].channels;
        }
        for operation in self.operations {
            if let Kind::Conv(conv, _) = operation.kind {
                let border = self.border(conv, operation);
                let layout = &mut layouts[operation.input.0];
                layout.border = layout.border.union(border);
            }
        }
        layouts
    }

    fn by_lanes(&self, conv: &Conv) -> bool {
        conv.groups > 1 || self.suits_winograd(conv)
    }

    fn suits_winograd(&self, conv: &Conv) -> bool {
        conv.kernel == 3
            && conv.stride == 1
            && conv.groups == 1
            && conv.in_channels.min(conv.out_channels) >= WINOGRAD_CHANNELS
    }

    /// What a convolution reads around its input.
    fn border(&self, conv: &Conv, operation: &Operation<'_>) -> Border {
        let (input, output) = (
            self.shapes[operation.input.0],
            self.shapes[operation.output.0],
        );
        let winograd = self.suits_winograd(conv);
        let along = |size: usize, outputs: usize| {
            let before = conv.padding.along(size, conv.kernel, conv.stride).0;
            let read = if winograd {
                rows_read(outputs)
            } else {
                (outputs - 1) * conv.stride + conv.kernel
            };
            (before, (read - before).saturating_sub(size))
        };
        let (top, bottom) = along(input.height, output.height);
        let (left, right) = along(input.width, output.width);
        Border {
            top,
            bottom,
            left,
            right,
        }
    }

    fn step(&self, operation: &Operation<'_>, places: &[Place], images: usize) -> Step {
        let input = places[operation.input.0];
        let output = places[operation.output.0];
        let residual = operation.residual.map(|value| places[value.0]);
        let layouts = (input.layout, output.layout);
        let (name, flops, work) = match operation.kind {
            Kind::Conv(conv, activation) => {
                let folded = Folded::new(conv, self.parameters, activation);
                let site = Site {
                    input: input.layout,
                    residual: residual.map(|place| place.layout),
                    output: output.layout,
                    windows: windows(conv, input.layout.shape),
                    images,
                    isa: self.isa,
                };
                let flops = 2 * folded.weight.len() / conv.out_channels * output.layout.shape.len();
                (
                    conv.name.clone(),
                    flops,
                    self.convolve(conv, &folded, &site),
                )
            }
            Kind::MaxPool(pool) => {
                let before = |size| pool.padding.along(size, pool.kernel, pool.stride).0;
                let shape = input.layout.shape;
                let work = MaxPool {
                    isa: self.isa,
                    input: layouts.0,
                    output: layouts.1,
                    windows: Windows {
                        before: [before(shape.height), before(shape.width)],
                        stride: pool.stride,
                    },
                    kernel: pool.kernel,
                };
                (String::new(), 0, Work::MaxPool(work))
            }
            Kind::Add(activation) => {
                let work = Addition {
                    input: layouts.0,
                    residual: residual.map_or(layouts.0, |place| place.layout),
                    output: layouts.1,
                    clamp: bounds(activation),
                };
                (String::new(), 0, Work::Addition(work))
            }
            Kind::GlobalAvgPool => {
                let work = AveragePool {
                    isa: self.isa,
                    input: layouts.0,
                    output: layouts.1,
                };
                (String::new(), 0, Work::AveragePool(work))
            }
        };
        Step {
            name,
            flops,
            work,
            input,
            residual,
            output,
        }
    }

    fn convolve(&self, conv: &Conv, folded: &Folded, site: &Site) -> Work {
        if conv.groups > 1 {
            Work::Depthwise(Depthwise::new(folded, site))
        } else if self.suits_winograd(conv) {
            Work::Winograd(Winograd::new(folded, site))
        } else {
            Work::Direct(Direct::new(folded, site))
        }
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
