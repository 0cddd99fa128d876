//! From image bytes to features: decoder, preprocessing and backbone as one
//! piece, the same for extraction and prediction.
//!
//! In: the bytes of image files. Out: one row of f32 a layer and image. The
//! result depends on the bytes and the [`Embedder`]'s identity alone.

mod calibration;
mod error;
mod weights;

use std::fmt;

use candle_core::Device;

pub use calibration::{
    Calibrated, Calibration, Calibrator, DEFAULT_CALIBRATION_IMAGES, DEFAULT_CALIBRATION_SEED,
    DEFAULT_MIN_COSINE, Drift, INT8_ROUNDING, sample_order,
};
pub use error::{EmbedderError, ImageError};
pub use weights::{MODEL_FILE, WeightSource, load_weights};

use crate::{
    backbone::{Network, Parameters, registry::Entry},
    cache::{FeatureDtype, Identity},
    engine::{
        EngineError, Executor, Layer,
        cpu::{CpuEngine, Isa, Settings},
        device::{DeviceChoice, Precision, device_name},
        reference::{Placement, Reference},
    },
    image::{
        Augmentation, DECODER, DecodeMode, DecodeOptions, Layout, Preprocess, PreprocessError,
        Preprocessor, RgbImage, ViewKey, decode_excerpt, decode_rgb,
    },
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
        let side = self.options.preprocess.crop as usize;
        Ok(Worker {
            embedder: self,
            preprocessor: Preprocessor::new(self.options.preprocess, self.executor.layout())?,
            image_len: 3 * side * side,
            pixels: Vec::new(),
            images: 0,
        })
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

/// What is seen of a decoded image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum View {
    /// What the recipe says.
    Plain,
    /// A random part: which one depends on the augmentation, the key and the image's
    /// size alone.
    Augmented(Augmentation, ViewKey),
}

/// Decodes images into a batch and runs the backbone on it.
pub struct Worker<'a> {
    embedder: &'a Embedder,
    preprocessor: Preprocessor,
    image_len: usize,
    pixels: Vec<f32>,
    images: usize,
}

impl<'a> Worker<'a> {
    /// What the worker belongs to.
    pub fn embedder(&self) -> &'a Embedder {
        self.embedder
    }

    /// Images in the batch.
    pub fn images(&self) -> usize {
        self.images
    }

    /// Decodes an image file and appends it to the batch.
    ///
    /// # Errors
    /// The image is unusable; the batch is as before.
    pub fn add(&mut self, file: &[u8]) -> Result<(), ImageError> {
        let decode = &self.embedder.options.decode;
        self.append(|preprocessor, pixels| preprocess(file, decode, preprocessor, pixels))
    }

    /// Decodes an image file for [`Worker::add_view`]: all of it, at full size whatever
    /// the embedder's [`DecodeMode`] is.
    ///
    /// # Errors
    /// The image is unusable.
    pub fn decode(&self, file: &[u8]) -> Result<RgbImage, ImageError> {
        let image = decode_rgb(file, &self.embedder.options.decode)?;
        if image.pixels.is_empty() {
            let (width, height) = (image.width, image.height);
            let bytes = 0;
            return Err(PreprocessError::Picture {
                width,
                height,
                bytes,
            }
            .into());
        }
        Ok(image)
    }

    /// Appends a view of a decoded image to the batch: the recipe's own, as
    /// [`Worker::add`] does with [`DecodeMode::Exact`], or an augmented one.
    ///
    /// # Errors
    /// An image that [`Worker::decode`] would not have made; the batch is as before.
    pub fn add_view(&mut self, image: &RgbImage, view: View) -> Result<(), PreprocessError> {
        self.append(|preprocessor, pixels| match view {
            View::Plain => preprocessor.apply(image, pixels),
            View::Augmented(augmentation, key) => {
                let crop = augmentation.crop(key, [image.width, image.height]);
                preprocessor.apply_view(image, &crop, pixels)
            }
        })
    }

    fn append<E>(
        &mut self,
        write: impl FnOnce(&mut Preprocessor, &mut [f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let start = self.images * self.image_len;
        let end = start + self.image_len;
        if self.pixels.len() < end {
            self.pixels.resize(end, 0.0);
        }
        write(&mut self.preprocessor, &mut self.pixels[start..end])?;
        self.images += 1;
        Ok(())
    }

    /// Empties the batch without running the backbone on it. Returns its normalised pixels,
    /// `[batch, 3, H, W]` f32, images in the order they were added.
    pub fn take_pixels(&mut self) -> Vec<f32> {
        let pixels = &self.pixels[..self.images * self.image_len];
        let planar = match self.embedder.executor.layout() {
            Layout::Planar => pixels.to_vec(),
            Layout::Interleaved => {
                let images = pixels.chunks_exact(self.image_len);
                let planes = images.flat_map(|image| {
                    (0..3).flat_map(move |channel| image.iter().skip(channel).step_by(3).copied())
                });
                planes.collect()
            }
        };
        self.clear();
        planar
    }

    /// Runs the backbone on the batch and empties it. Returns for each layer
    /// `[batch, dim]` f32, images in the order they were added.
    ///
    /// # Errors
    /// When the device fails.
    pub fn forward(&mut self) -> Result<Vec<Vec<f32>>, EngineError> {
        let features = self.run();
        self.clear();
        features
    }

    /// Runs the backbone on the batch and keeps it.
    ///
    /// # Errors
    /// When the device fails.
    pub fn run(&self) -> Result<Vec<Vec<f32>>, EngineError> {
        if self.images == 0 {
            return Ok(vec![Vec::new(); self.embedder.layers().len()]);
        }
        let pixels = &self.pixels[..self.images * self.image_len];
        self.embedder
            .executor
            .forward_as_laid_out(pixels, self.images)
    }

    /// Forgets the batch.
    pub fn clear(&mut self) {
        self.images = 0;
    }
}

/// From the bytes of an image file to its normalised `pixels`.
fn preprocess(
    file: &[u8],
    decode: &DecodeOptions,
    preprocessor: &mut Preprocessor,
    pixels: &mut [f32],
) -> Result<(), ImageError> {
    let excerpt = decode_excerpt(file, decode, preprocessor.recipe())?;
    Ok(preprocessor.apply_excerpt(&excerpt, pixels)?)
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

#[cfg(test)]
mod tests;
