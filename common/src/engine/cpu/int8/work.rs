//! The steps between integers.

use super::{
    super::{pool::MaxPool, scratch::WorkBuffers, strip::Strip},
    convolution::Operands,
    depthwise::Depthwise,
    direct::Direct,
    max_pool,
    strip::Parts,
    winograd::Winograd,
};

/// What a step on integers computes.
pub(in super::super) enum Work {
    Direct(Box<Direct>),
    Winograd(Box<Winograd>),
    Depthwise(Depthwise),
    Strip(Box<Strip<Parts>>),
    MaxPool(MaxPool),
}

impl Work {
    pub(in super::super) fn run(&self, operands: &mut Operands<'_>, scratch: &mut WorkBuffers) {
        match self {
            Self::Direct(direct) => direct.run(operands, &mut scratch.strip),
            Self::Winograd(winograd) => winograd.run(operands, &mut scratch.winograd),
            Self::Depthwise(depthwise) => depthwise.run(operands),
            Self::Strip(strip) => strip.run_integers(operands, &mut scratch.strip),
            Self::MaxPool(pool) => max_pool::run(pool, operands),
        }
    }

    /// Floats of Winograd's two buffers and of the strip, for calls of `images`
    /// images.
    pub(in super::super) fn scratch(&self, images: usize) -> ([usize; 2], usize) {
        match self {
            Self::Direct(direct) => ([0, 0], direct.scratch(images)),
            Self::Winograd(winograd) => (winograd.scratch(), 0),
            Self::Strip(strip) => ([0, 0], strip.scratch()),
            Self::Depthwise(_) | Self::MaxPool(_) => ([0, 0], 0),
        }
    }

    /// How the work is called in a profile.
    pub(in super::super) fn kind(&self) -> &'static str {
        match self {
            Self::Direct(_) => "direct int8",
            Self::Winograd(_) => "winograd int8",
            Self::Depthwise(_) => "depthwise int8",
            Self::Strip(_) => "strip int8",
            Self::MaxPool(_) => "max-pool int8",
        }
    }
}
