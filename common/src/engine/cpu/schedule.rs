//! The order of work for a block of images.
//!
//! ```text
//!   block of 8 images
//!   ├─ phase, 1 image a time   load ► stem ► layer1 ► layer2   ×8   (large maps:
//!   │                                                                one fills the cache)
//!   └─ phase, 8 images         layer3 ► layer4 ► avgpool       ×1   (small maps, large
//!                                                                    weights: shared by 8)
//! ```
//!
//! Phases go depth first: a chunk of images passes through all steps of a
//! phase before the next chunk begins.

use super::{
    layout::Layout,
    pool::{from_interleaved, from_planar, to_planar},
    scratch::{Buffer, Scratch, TileBuffers},
    step::{Place, Span, Step},
};

/// Most images that are worked on together.
pub const BLOCK_IMAGES: usize = 8;

/// The steps of a backbone up to the deepest layer wanted.
pub(super) struct Schedule {
    pub(super) phases: Vec<Phase>,
    /// Floats of every slot.
    pub(super) slots: Vec<usize>,
    /// Floats of Winograd's buffers.
    pub(super) winograd: [usize; 2],
    /// Floats of the strip of expanded rows.
    pub(super) strip: usize,
}

/// Steps that a chunk of images passes through before the next chunk.
pub(super) struct Phase {
    /// Images at a time; divides [`BLOCK_IMAGES`].
    pub(super) images: usize,
    pub(super) stops: Vec<Stop>,
}

/// A step, or what passes the engine's boundary before or after it.
pub(super) enum Stop {
    /// Pixels come in.
    Load(Place),
    /// Work is done.
    Step(Box<Step>),
    /// A layer goes out, as the output with this index.
    Emit(Place, usize),
}

/// Pixels of a batch.
#[derive(Clone, Copy)]
pub(super) enum Input<'a> {
    /// `[B, 3, H, W]`
    Planar(&'a [f32]),
    /// `[B, H, W, 3]`
    Interleaved(&'a [f32]),
}

/// Sees every stop after it has run; the profile's hook.
pub(super) trait Observer {
    fn before(&mut self) {}
    fn after(&mut self, _phase: usize, _stop: usize) {}
}

/// Looks away.
pub(super) struct Unobserved;

impl Observer for Unobserved {}

impl Schedule {
    /// Buffers for one call.
    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            slots: self.slots.iter().map(|len| Buffer::zeroed(*len)).collect(),
            winograd: TileBuffers {
                input: Buffer::zeroed(self.winograd[0]),
                output: Buffer::zeroed(self.winograd[1]),
            },
            strip: Buffer::zeroed(self.strip),
        }
    }

    /// Runs `batch` images; `outputs` holds a buffer of `[B, C, H, W]` for
    /// every layer.
    pub(super) fn run(
        &self,
        input: Input<'_>,
        outputs: &mut [Vec<f32>],
        scratch: &mut Scratch,
        (batch, observer): (usize, &mut impl Observer),
    ) {
        for block in (0..batch).step_by(BLOCK_IMAGES) {
            let block_images = (batch - block).min(BLOCK_IMAGES);
            for (phase_index, phase) in self.phases.iter().enumerate() {
                for first in (0..block_images).step_by(phase.images) {
                    let span = Span {
                        first,
                        images: phase.images.min(block_images - first),
                    };
                    for (stop_index, stop) in phase.stops.iter().enumerate() {
                        observer.before();
                        match stop {
                            Stop::Load(place) => load(place, input, scratch, (block, span)),
                            Stop::Step(step) => step.run(scratch, span),
                            Stop::Emit(place, layer) => {
                                emit(place, scratch, &mut outputs[*layer], (block, span));
                            }
                        }
                        observer.after(phase_index, stop_index);
                    }
                }
            }
        }
    }
}

fn load(place: &Place, input: Input<'_>, scratch: &mut Scratch, (block, span): (usize, Span)) {
    let layout = &place.layout;
    let len = layout.shape.len();
    let buffer = place.prepare(&mut scratch.slots[place.slot], span);
    let images = buffer.chunks_exact_mut(layout.image_len());
    for (index, image) in images.take(span.images).enumerate() {
        let start = (block + span.first + index) * len;
        match input {
            Input::Planar(pixels) => from_planar(layout, &pixels[start..start + len], image),
            Input::Interleaved(pixels) => {
                from_interleaved(layout, &pixels[start..start + len], image);
            }
        }
    }
}

fn emit(place: &Place, scratch: &Scratch, output: &mut [f32], (block, span): (usize, Span)) {
    let layout: &Layout = &place.layout;
    let len = layout.shape.len();
    let images = place
        .view(&scratch.slots, span)
        .chunks_exact(layout.image_len());
    for (index, image) in images.take(span.images).enumerate() {
        let start = (block + span.first + index) * len;
        to_planar(layout, image, &mut output[start..start + len]);
    }
}
