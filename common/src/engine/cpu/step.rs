//! One step of a schedule: which buffers it reads and writes, and its work.

use super::{
    convolution::Operands,
    depthwise::Depthwise,
    direct::Direct,
    int8,
    layout::Layout,
    pool::{Addition, AveragePool, MaxPool},
    scratch::{Buffer, Element, Scratch, WorkBuffers},
    strip::{Floats, Strip},
    winograd::Winograd,
};
use crate::backbone::ValueId;

/// A value's place: a slot of the scratch, and where in it an image is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) slot: usize,
    pub(super) layout: Layout,
    pub(super) number: Number,
    /// Which images the slot holds.
    pub(super) extent: Extent,
}

/// What a value's buffer holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Number {
    /// f32
    Float,
    /// i16, the integers of int8.
    Short,
}

impl Number {
    /// Floats that an image of `len` numbers needs, with room for the word
    /// that an odd end lies in.
    pub(super) fn floats(self, len: usize) -> usize {
        match self {
            Self::Float => len,
            Self::Short => len / 2 + 1,
        }
    }
}

/// Which images a value's buffer holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Extent {
    /// Those of the phase's current chunk: the value dies within the phase.
    Chunk,
    /// Those of the whole block: the value passes from phase to phase.
    Block,
}

/// The images a step works on: `first..first + images` of the block.
#[derive(Clone, Copy)]
pub(super) struct Span {
    pub(super) first: usize,
    pub(super) images: usize,
}

/// What a step computes.
pub(super) enum Work {
    Direct(Direct),
    Winograd(Winograd),
    Depthwise(Depthwise),
    Strip(Box<Strip<Floats>>),
    MaxPool(MaxPool),
    AveragePool(AveragePool),
    Addition(Addition),
    Integers(int8::Work),
}

/// Work with its operands.
pub(super) struct Step {
    pub(super) name: String,
    /// Multiplications and additions of the definition, an image.
    pub(super) flops: usize,
    pub(super) work: Work,
    /// What it makes.
    pub(super) value: ValueId,
    pub(super) input: Place,
    pub(super) residual: Option<Place>,
    pub(super) output: Place,
}

impl Place {
    fn start(&self, span: Span) -> usize {
        match self.extent {
            Extent::Chunk => 0,
            Extent::Block => span.first * self.layout.image_len(),
        }
    }

    /// The images of `span`, and what lies behind them.
    pub(super) fn view<'a, T: Element>(&self, slots: &'a [Buffer], span: Span) -> &'a [T] {
        &slots[self.slot].view()[self.start(span)..]
    }

    /// The same for writing; the borders are cleared.
    pub(super) fn prepare<'a, T: Element>(
        &self,
        buffer: &'a mut Buffer,
        span: Span,
    ) -> &'a mut [T] {
        let images = &mut buffer.view_mut()[self.start(span)..];
        let image_len = self.layout.image_len();
        for image in images.chunks_exact_mut(image_len).take(span.images) {
            self.layout.clear_border(image);
        }
        images
    }
}

impl Step {
    pub(super) fn run(&self, scratch: &mut Scratch, span: Span) {
        // Out of the list while it is written, so that the others can be read.
        let mut buffer = std::mem::take(&mut scratch.slots[self.output.slot]);
        let (slots, work) = (&scratch.slots, &mut scratch.work);
        match &self.work {
            Work::Integers(integers) => {
                let mut operands = int8::Operands {
                    input: self.input.view(slots, span),
                    residual: self.residual.map(|residual| residual.view(slots, span)),
                    output: match self.output.number {
                        Number::Float => {
                            int8::Destination::Floats(self.output.prepare(&mut buffer, span))
                        }
                        Number::Short => {
                            int8::Destination::Shorts(self.output.prepare(&mut buffer, span))
                        }
                    },
                    images: span.images,
                };
                integers.run(&mut operands, work);
            }
            floats => {
                let mut operands = Operands {
                    input: self.input.view(slots, span),
                    residual: self.residual.map(|residual| residual.view(slots, span)),
                    output: self.output.prepare(&mut buffer, span),
                    images: span.images,
                };
                floats.run(&mut operands, work);
            }
        }
        scratch.slots[self.output.slot] = buffer;
    }
}

impl Work {
    fn run(&self, operands: &mut Operands<'_>, scratch: &mut WorkBuffers) {
        match self {
            Self::Direct(direct) => direct.run(operands),
            Self::Winograd(winograd) => winograd.run(operands, &mut scratch.winograd),
            Self::Depthwise(depthwise) => depthwise.run(operands),
            Self::Strip(strip) => strip.run(operands, &mut scratch.strip),
            Self::MaxPool(pool) => pool.run(operands),
            Self::AveragePool(pool) => pool.run(operands),
            Self::Addition(addition) => addition.run(operands),
            Self::Integers(_) => unreachable!("integers have operands of their own"),
        }
    }

    /// Floats of Winograd's two buffers and of the strip, for calls of `images`
    /// images.
    pub(super) fn scratch(&self, images: usize) -> ([usize; 2], usize) {
        match self {
            Self::Winograd(winograd) => (winograd.scratch(), 0),
            Self::Strip(strip) => ([0, 0], strip.scratch()),
            Self::Integers(integers) => integers.scratch(images),
            _ => ([0, 0], 0),
        }
    }

    /// How the work is called in a profile.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Direct(_) => "direct",
            Self::Winograd(_) => "winograd",
            Self::Depthwise(_) => "depthwise",
            Self::Strip(_) => "strip",
            Self::MaxPool(_) => "max-pool",
            Self::AveragePool(_) => "average-pool",
            Self::Addition(_) => "addition",
            Self::Integers(integers) => integers.kind(),
        }
    }
}
