//! The frozen CPU engine: f32 or int8, single-threaded within a call, parallel
//! by calls.
//!
//! In: pixels of a batch. Out: the activations at the wanted stages. All that
//! depends on the weights alone is done once, in [`CpuEngine::new`]:
//! normalisation is folded in, weights are packed or transformed, buffers are
//! assigned. A call takes a scratch of its own, so any number of threads may
//! call one engine; images are what they divide.
//!
//! ```text
//!   Network ──fusion──► operations ──lowering──► Schedule        (once)
//!                                                   │
//!   pixels ─► load ─► step ─► step ─► … ─► emit ─► features      (every call)
//!                       │
//!                       ├─ direct      any window, any stride ─┐
//!                       ├─ winograd    3×3, stride 1 ──────────┴─► kernel
//!                       ├─ depthwise   3×3, 5×5
//!                       ├─ strip       1×1 and depthwise in one
//!                       └─ pool        max, average, addition
//! ```
//!
//! `int8` has a counterpart on integers for each of these steps.
//!
//! `layout` shows how an activation lies in memory, `kernel` how the one product
//! works on it, `winograd` and `direct` what they make of it, `schedule` how a
//! batch passes through. `vector` and `isa` are how the same loops run as
//! AVX-512, AVX2 or plain Rust. `unsafe` is where loops work without bounds
//! checks (`tile`, `winograd_transform`, `depthwise` and their counterparts in
//! `int8`, each behind assertions), in `vector`, `int8::integers`, `isa` and
//! `scratch`, and nowhere else.

mod convolution;
mod depthwise;
mod direct;
mod fusion;
mod int8;
pub(crate) mod isa;
mod kernel;
mod layout;
mod lowering;
mod pack;
mod placement;
mod pool;
mod profile;
mod schedule;
pub(crate) mod scratch;
mod slots;
mod step;
mod strip;
#[cfg(test)]
mod tests;
mod tile;
pub(crate) mod vector;
mod winograd;
mod winograd_transform;

use std::sync::{Mutex, PoisonError};

pub use int8::{RangeFinder, Ranges, ValueRange};
pub use isa::{Isa, UnknownIsa};
pub use profile::StepProfile;
pub use schedule::BLOCK_IMAGES;

use self::{
    int8::Quantisation,
    lowering::{Arithmetic, Lowering, is_supported},
    schedule::{Input, Observer, Schedule, Unobserved},
    scratch::Scratch,
};
use super::{EngineError, Executor, Layer};
use crate::{
    backbone::{Network, Parameters, UnknownStage},
    image,
};

/// A frozen backbone, ready to run on the CPU.
pub struct CpuEngine {
    schedule: Schedule,
    layers: Vec<Layer>,
    input: [usize; 2],
    /// Scratches of finished calls.
    idle: Mutex<Vec<Scratch>>,
}

/// How a [`CpuEngine`] runs.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Rows and columns of the input.
    pub input: [usize; 2],
    /// The instructions; features are bit-identical within one set.
    pub isa: Isa,
}

/// What an engine computes in.
#[derive(Clone, Copy)]
enum Numbers<'a> {
    Floats,
    /// Floats in which every value can be looked at.
    ObservedFloats,
    /// Integers that these ranges scale.
    Integers(&'a Ranges),
}

/// Why a [`CpuEngine`] could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A layer that the network does not have.
    #[error(transparent)]
    Layer(#[from] UnknownStage),
    /// A convolution that the engine has no kernel for.
    #[error(
        "convolution `{name}`: the CPU engine has no kernel for it (use the reference executor)"
    )]
    Unsupported {
        /// Name of the convolution.
        name: String,
    },
    /// An operation that is done in floats only.
    #[error("`{network}` has {operation}, which int8 does not (use --precision f32)")]
    NotInIntegers {
        /// Name of the architecture.
        network: String,
        /// What it has.
        operation: String,
    },
    /// A range that a calibration lacks.
    #[error("the int8 calibration says nothing of value {value} of the network (calibrate again)")]
    Uncalibrated {
        /// Its number.
        value: usize,
    },
    /// An input that the network cannot take.
    #[error(
        "input of {height}×{width} pixels: `{network}` cannot take it (use 32×32 to 4096×4096)"
    )]
    InputSize {
        /// Rows.
        height: usize,
        /// Columns.
        width: usize,
        /// Name of the architecture.
        network: String,
    },
}

/// Most floats of one activation: offsets within a block of images are 32 bits
/// wide.
const MAX_ACTIVATION: usize = 1 << 29;

impl CpuEngine {
    /// Prepares `network` up to the deepest of `layers`, in f32.
    ///
    /// # Errors
    /// Unknown layer names, an operation without a kernel, or an input too
    /// small or too large for the network.
    pub fn new(
        network: &Network,
        parameters: &Parameters,
        layers: &[String],
        settings: Settings,
    ) -> Result<Self, BuildError> {
        Self::build(network, parameters, layers, (settings, Numbers::Floats))
    }

    /// The same in int8, with the ranges of a calibration. Features are
    /// bit-identical on all instruction sets.
    ///
    /// # Errors
    /// As [`CpuEngine::new`], and when the ranges are not the network's or an
    /// operation exists in floats only.
    pub fn in_int8(
        network: &Network,
        parameters: &Parameters,
        layers: &[String],
        (settings, ranges): (Settings, &Ranges),
    ) -> Result<Self, BuildError> {
        Self::build(
            network,
            parameters,
            layers,
            (settings, Numbers::Integers(ranges)),
        )
    }

    fn build(
        network: &Network,
        parameters: &Parameters,
        layers: &[String],
        (settings, numbers): (Settings, Numbers<'_>),
    ) -> Result<Self, BuildError> {
        let [height, width] = settings.input;
        let outputs = layers
            .iter()
            .map(|name| network.stage(name).map(|stage| stage.output))
            .collect::<Result<Vec<_>, _>>()?;
        let length = outputs.iter().map(|output| output.0).max().unwrap_or(0);
        let shapes = network.shapes(height, width);
        let shapes = &shapes[..=length];
        let fits = |len: usize| (1..=MAX_ACTIVATION).contains(&len);
        if !shapes.iter().all(|shape| fits(shape.len())) {
            return Err(BuildError::InputSize {
                height,
                width,
                network: network.name().to_owned(),
            });
        }
        if let Some(conv) = network.convs().find(|conv| !is_supported(conv)) {
            return Err(BuildError::Unsupported {
                name: conv.name.clone(),
            });
        }
        let arithmetic = match numbers {
            Numbers::Floats => Arithmetic::Floats,
            Numbers::ObservedFloats => Arithmetic::ObservedFloats,
            Numbers::Integers(ranges) => {
                Arithmetic::Integers(Quantisation::new(network, ranges, length)?)
            }
        };
        let lowering = Lowering {
            isa: settings.isa,
            parameters,
            operations: &fusion::fuse(&network.nodes()[..length], &outputs),
            shapes,
            outputs: &outputs,
            arithmetic: &arithmetic,
        };
        Ok(Self {
            schedule: lowering.schedule(),
            layers: Layer::list(layers, &outputs, shapes),
            input: settings.input,
            idle: Mutex::default(),
        })
    }

    /// [`Executor::forward`] for pixels `[batch, H, W, 3]`, the order in which
    /// the engine keeps them.
    ///
    /// # Errors
    /// When `pixels` has another length.
    pub fn forward_interleaved(
        &self,
        pixels: &[f32],
        batch: usize,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        self.check_length(pixels, batch)?;
        Ok(self.run(Input::Interleaved(pixels), (batch, &mut Unobserved)))
    }

    fn run(
        &self,
        input: Input<'_>,
        (batch, observer): (usize, &mut impl Observer),
    ) -> Vec<Vec<f32>> {
        let mut outputs: Vec<_> = self
            .layers
            .iter()
            .map(|layer| vec![0.0; batch * layer.shape.len()])
            .collect();
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let scratch = idle().pop();
        let mut scratch = scratch.unwrap_or_else(|| self.schedule.scratch());
        self.schedule
            .run(input, &mut outputs, &mut scratch, (batch, observer));
        idle().push(scratch);
        outputs
    }

    fn check_length(&self, pixels: &[f32], batch: usize) -> Result<(), EngineError> {
        let [height, width] = self.input;
        let expected = batch * 3 * height * width;
        if pixels.len() == expected {
            return Ok(());
        }
        Err(EngineError::InputLength {
            expected,
            found: pixels.len(),
            batch,
            height,
            width,
        })
    }
}

impl Executor for CpuEngine {
    fn layers(&self) -> &[Layer] {
        &self.layers
    }

    fn preferred_batch(&self) -> usize {
        BLOCK_IMAGES
    }

    fn forward(&self, pixels: &[f32], batch: usize) -> Result<Vec<Vec<f32>>, EngineError> {
        self.check_length(pixels, batch)?;
        Ok(self.run(Input::Planar(pixels), (batch, &mut Unobserved)))
    }

    fn layout(&self) -> image::Layout {
        image::Layout::Interleaved
    }

    fn forward_as_laid_out(
        &self,
        pixels: &[f32],
        batch: usize,
    ) -> Result<Vec<Vec<f32>>, EngineError> {
        self.forward_interleaved(pixels, batch)
    }
}
