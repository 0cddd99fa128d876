//! From image bytes to features: decoder, preprocessing and backbone as one
//! piece, the same for extraction and prediction.
//!
//! In: the bytes of image files. Out: one row of f32 a layer and image. The
//! result depends on the bytes and the [`Embedder`]'s identity alone.

mod calibration;
mod error;
mod weights;
mod worker;

use std::fmt;

use candle_core::Device;

pub use calibration::{
    Calibrated, Calibration, Calibrator, DEFAULT_CALIBRATION_IMAGES, DEFAULT_CALIBRATION_SEED,
    DEFAULT_MIN_COSINE, Drift, INT8_ROUNDING, sample_order,
};
pub use error::{EmbedderError, ImageError};
pub use weights::{MODEL_FILE, WeightSource, load_weights};
pub use worker::{View, Worker};

use worker::preprocess;

use crate::{
    backbone::{Network, Parameters, registry::Entry},
    cache::{FeatureDtype, Identity},
    engine::{
        Executor, Layer,
        cpu::{CpuEngine, Isa, Settings},
        device::{DeviceChoice, Precision, device_name},
        reference::{Placement, Reference},
    },
    image::{DECODER, DecodeMode, DecodeOptions, Preprocess, PreprocessError},
};

/// Everything that decides what features look like and where they are made.
#[derive(Clone)]
pub struct EmbedderOptions {
    /// The backbone.
    pub entry: &'static Entry,
    /// Its weights; `None` for the embedded ones.
    pub weights: Option<WeightSource>,
    /// Stage names to emit.
    pub layers: Vec<String>,
    /// The preprocessing; usually the entry's own.
    pub preprocess: Preprocess,
    /// How images are decoded.
    pub decode: DecodeOptions,
    /// Where the backbone runs.
    pub device: DeviceChoice,
    /// Its arithmetic.
    pub precision: Precision,
    /// What [`Precision::Int8`] needs to know; made by a [`Calibrator`].
    pub calibration: Option<Calibration>,
}

/// A loaded backbone with its preprocessing. Shared by threads; each makes a
/// [`Worker`] of its own.
pub struct Embedder {
    executor: Box<dyn Executor>,
    options: EmbedderOptions,
    weights_digest: String,
    weights_prefix: String,
    device: Device,
}

impl Embedder {
    /// Loads the weights and places the backbone on its device.
    ///
    /// # Errors
    /// See [`EmbedderError`].
    pub fn load(options: EmbedderOptions) -> Result<Self, EmbedderError> {
        options.preprocess.validate()?;
        let network = options.entry.network();
        for layer in &options.layers {
            network.stage(layer)?;
        }
        let device = options.device.open()?;
        options.precision.check(&device)?;
        let loaded = load_weights(options.entry, options.weights.as_ref())?;
        let executor = place(&network, &loaded.parameters, &options, &device)?;
        Ok(Self {
            executor,
            weights_digest: loaded.parameters.digest().to_owned(),
            weights_prefix: loaded.prefix,
            options,
            device,
        })
    }

    /// What the features of plain views are: a cache's fingerprint is made of it.
    pub fn identity(&self, dtype: FeatureDtype) -> Identity {
        Identity {
            backbone: self.options.entry.network().name().to_owned(),
            weights: self.weights_digest.clone(),
            layers: self.options.layers.clone(),
            preprocessing: serde_json::to_value(self.options.preprocess)
                .unwrap_or(serde_json::Value::Null),
            exif: self.options.decode.exif.to_string(),
            decoder: DECODER.to_owned(),
            decode: match self.options.decode.mode {
                DecodeMode::Exact => None,
                mode => Some(mode.to_string()),
            },
            precision: self.options.precision.as_str().to_owned(),
            dtype,
            views: 1,
            augment: None,
            seed: None,
            calibration: self
                .options
                .calibration
                .as_ref()
                .and_then(|calibration| serde_json::to_value(calibration).ok()),
        }
    }

    /// The layers that are emitted, in order.
    pub fn layers(&self) -> &[Layer] {
        self.executor.layers()
    }

    /// How many images a [`Worker`] should gather before it runs the backbone.
    pub fn preferred_batch(&self) -> usize {
        self.executor.preferred_batch()
    }

    /// The device, as the user names it.
    pub fn device_name(&self) -> String {
        device_name(&self.device)
    }

    /// What the weight file has before each tensor's name; usually nothing.
    pub fn weights_prefix(&self) -> &str {
        &self.weights_prefix
    }

    /// A thread's share: buffers for decoding and one batch.
    ///
    /// # Errors
    /// A recipe that makes no sense.
    pub fn worker(&self) -> Result<Worker<'_>, PreprocessError> {
        Worker::new(self)
    }
}

impl fmt::Debug for Embedder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Embedder")
            .field("backbone", &self.options.entry.name)
            .field("device", &self.device_name())
            .finish_non_exhaustive()
    }
}

/// What the CPU engine is built for.
fn settings(options: &EmbedderOptions) -> Result<Settings, EmbedderError> {
    let side = options.preprocess.crop as usize;
    Ok(Settings {
        input: [side, side],
        isa: Isa::from_environment()?,
    })
}

/// The fast engine on a CPU, the reference executor elsewhere.
fn place(
    network: &Network,
    parameters: &Parameters,
    options: &EmbedderOptions,
    device: &Device,
) -> Result<Box<dyn Executor>, EmbedderError> {
    if device.is_cpu() {
        let settings = settings(options)?;
        let engine = match (options.precision, &options.calibration) {
            (Precision::Int8, Some(calibration)) => {
                let settings = (settings, &calibration.ranges);
                CpuEngine::in_int8(network, parameters, &options.layers, settings)?
            }
            (Precision::Int8, None) => return Err(EmbedderError::Uncalibrated),
            _ => CpuEngine::new(network, parameters, &options.layers, settings)?,
        };
        return Ok(Box::new(engine));
    }
    let side = options.preprocess.crop as usize;
    let placement = Placement {
        device: device.clone(),
        precision: options.precision,
        input: [side, side],
    };
    let reference = Reference::new(network, parameters, &options.layers, placement)?;
    Ok(Box::new(reference))
}
