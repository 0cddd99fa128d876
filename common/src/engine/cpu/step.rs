//! One step of a schedule: which buffers it reads and writes, and its work.

use super::{
    convolution::Operands,
    depthwise::Depthwise,
    direct::Direct,
    layout::Layout,
    pool::{Addition, AveragePool, MaxPool},
    scratch::{Buffer, Scratch},
    strip::Strip,
    winograd::Winograd,
};

/// A value's place: a slot of the scratch, and where in it an image is.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) slot: usize,
    pub(super) layout: Layout,
    /// Which images the slot holds.
    pub(super) extent: Extent,
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
    Strip(Box<Strip>),
    MaxPool(MaxPool),
    AveragePool(AveragePool),
    Addition(Addition),
}

/// Work with its operands.
pub(super) struct Step {
    pub(super) name: String,
    /// Multiplications and additions of the definition, an image.
    pub(super) flops: usize,
    pub(super) work: Work,
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
    pub(super) fn view<'a>(&self, slots: &'a [Buffer], span: Span) -> &'a [f32] {
        &slots[self.slot].as_slice()[self.start(span)..]
    }

    /// The same for writing; the borders are cleared.
    pub(super) fn prepare<'a>(&self, buffer: &'a mut Buffer, span: Span) -> &'a mut [f32] {
        let images = &mut buffer.as_mut_slice()[self.start(span)..];
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
        let mut operands = Operands {
            input: self.input.view(&scratch.slots, span),
            residual: self
                .residual
                .map(|residual| residual.view(&scratch.slots, span)),
            output: self.output.prepare(&mut buffer, span),
            images: span.images,
        };
        match &self.work {
            Work::Direct(direct) => direct.run(&mut operands),
            Work::Winograd(winograd) => winograd.run(&mut operands, &mut scratch.winograd),
            Work::Depthwise(depthwise) => depthwise.run(&mut operands),
            Work::Strip(strip) => strip.run(&mut operands, &mut scratch.strip),
            Work::MaxPool(pool) => pool.run(&mut operands),
            Work::AveragePool(pool) => pool.run(&mut operands),
            Work::Addition(addition) => addition.run(&mut operands),
        }
        scratch.slots[self.output.slot] = buffer;
    }
}

impl Work {
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
        }
    }
}
