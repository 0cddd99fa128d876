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
    int8::{Scales, rounded},
    layout::Layout,
    pool::{from_interleaved, from_planar, to_planar},
    scratch::{Buffer, Element, Scratch, TileBuffers, WorkBuffers},
    step::{Number, Place, Span, Step},
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
    /// Floats of the strip.
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
    /// Pixels come in, and become these integers, if any.
    Load(Place, Option<Scales>),
    /// Work is done.
    Step(Box<Step>),
    /// A layer goes out, as the output with this index; where it is integers,
    /// this is what one of those stands for.
    Emit(Place, usize, f32),
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
    /// `position` is the phase and the stop in it.
    fn after(&mut self, _position: [usize; 2], _stopped: (&Stop, &Scratch, Span)) {}
}

/// Looks away.
pub(super) struct Unobserved;

impl Observer for Unobserved {}

impl Schedule {
    /// Buffers for one call.
    pub(super) fn scratch(&self) -> Scratch {
        Scratch {
            slots: self.slots.iter().map(|len| Buffer::zeroed(*len)).collect(),
            work: WorkBuffers {
                winograd: TileBuffers {
                    input: Buffer::zeroed(self.winograd[0]),
                    output: Buffer::zeroed(self.winograd[1]),
                },
                strip: Buffer::zeroed(self.strip),
            },
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
                            Stop::Load(place, scales) => {
                                load((place, *scales), input, scratch, (block, span));
                            }
                            Stop::Step(step) => step.run(scratch, span),
                            Stop::Emit(place, layer, scale) => {
                                let output = &mut outputs[*layer];
                                emit((place, *scale), scratch, output, (block, span));
                            }
                        }
                        observer.after([phase_index, stop_index], (stop, scratch, span));
                    }
                }
            }
        }
    }
}

fn load(
    (place, scales): (&Place, Option<Scales>),
    input: Input<'_>,
    scratch: &mut Scratch,
    (block, span): (usize, Span),
) {
    let buffer = &mut scratch.slots[place.slot];
    let first = block + span.first;
    match scales {
        None => load_as(place, input, (first, span), (buffer, |value| value)),
        Some(scales) => {
            let inverse = scales.scale.recip();
            let [low, high] = scales.range.map(f32::from);
            let integer = |value: f32| rounded((value * inverse).clamp(low, high));
            load_as(place, input, (first, span), (buffer, integer));
        }
    }
}

/// Images from `first` on.
fn load_as<T: Element>(
    place: &Place,
    input: Input<'_>,
    (first, span): (usize, Span),
    (buffer, convert): (&mut Buffer, impl Fn(f32) -> T),
) {
    let layout = &place.layout;
    let len = layout.shape.len();
    let images = place
        .prepare(buffer, span)
        .chunks_exact_mut(layout.image_len());
    for (index, image) in images.take(span.images).enumerate() {
        let start = (first + index) * len;
        match input {
            Input::Planar(pixels) => {
                from_planar(layout, &pixels[start..start + len], image, &convert);
            }
            Input::Interleaved(pixels) => {
                from_interleaved(layout, &pixels[start..start + len], image, &convert);
            }
        }
    }
}

fn emit(
    (place, scale): (&Place, f32),
    scratch: &Scratch,
    output: &mut [f32],
    (block, span): (usize, Span),
) {
    let first = block + span.first;
    let slots = &scratch.slots;
    match place.number {
        Number::Float => emit_as(place, slots, output, (first, span), |value: f32| value),
        Number::Short => emit_as(place, slots, output, (first, span), |value: i16| {
            f32::from(value) * scale
        }),
    }
}

/// Images from `first` on.
fn emit_as<T: Element>(
    place: &Place,
    slots: &[Buffer],
    output: &mut [f32],
    (first, span): (usize, Span),
    convert: impl Fn(T) -> f32,
) {
    let layout: &Layout = &place.layout;
    let len = layout.shape.len();
    let images = place.view(slots, span).chunks_exact(layout.image_len());
    for (index, image) in images.take(span.images).enumerate() {
        let start = (first + index) * len;
        to_planar(layout, image, &mut output[start..start + len], &convert);
    }
}
