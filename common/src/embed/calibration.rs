//! Calibrating int8: how large the backbone's values become on a sample of the
//! data set, and how far int8 is from f32 there.
//!
//! In: image files. Out: a [`Calibration`], which becomes part of the cache's
//! identity, and the [`Drift`] of every layer. Both depend on the files and
//! the options alone, not on threads.

use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

use super::{EmbedderError, EmbedderOptions, ImageError, load_weights, preprocess, settings};
use crate::{
    backbone::{Network, Parameters},
    engine::{
        Executor,
        cpu::{BLOCK_IMAGES, CpuEngine, RangeFinder, Ranges, Settings},
    },
    image::{Layout, Preprocess, Preprocessor},
    in_order::{self, Pieces},
    interrupt::Interrupt,
    random,
};

/// Images that int8 is calibrated on.
pub const DEFAULT_CALIBRATION_IMAGES: u32 = 128;

/// Number of the way in which int8 weights are rounded; another number stands for other features
/// with the same scales.
pub const INT8_ROUNDING: u32 = 1;

/// Seed of the sample.
pub const DEFAULT_CALIBRATION_SEED: u64 = 0;

/// The least cosine between an image's features in int8 and in f32. On real
/// photos and real weights the worst image is above 0.99; one below 0.97 has
/// lost more than its neighbours are apart.
pub const DEFAULT_MIN_COSINE: f64 = 0.97;

/// What an int8 backbone depends on besides its weights.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// Images asked for; a small or damaged data set has fewer.
    pub images: u32,
    /// Seed of the sample.
    pub seed: u64,
    /// How large values become.
    pub ranges: Ranges,
    /// [`INT8_ROUNDING`] of the program that wrote this.
    #[serde(default)]
    pub rounding: u32,
}

/// How far the features of one layer are from f32 over a sample: cosines of
/// an image's features in both.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// Name of the layer.
    pub layer: String,
    /// Images.
    pub images: usize,
    /// Of the image in the middle.
    pub median: f64,
    /// Of the image that suffers most.
    pub worst: f64,
    /// The same without what all images have in common: after subtraction of
    /// the sample's mean in f32.
    pub centred_median: f64,
    /// The image that suffers most by that measure.
    pub centred_worst: f64,
}

/// What a [`Calibrator`] finds.
#[derive(Clone, Debug)]
pub struct Calibrated {
    /// For [`EmbedderOptions::calibration`].
    pub calibration: Calibration,
    /// One a layer, in their order.
    pub drift: Vec<Drift>,
}

/// The positions of `rows` images in the order in which a sample with this seed
/// takes them.
pub fn sample_order(rows: usize, seed: u64) -> Vec<usize> {
    let mut order: Vec<_> = (0..rows).collect();
    order.shuffle(&mut random::stream(seed, "calibration"));
    order
}

/// Gathers images and calibrates on them.
pub struct Calibrator {
    options: EmbedderOptions,
    network: Network,
    parameters: Parameters,
    settings: Settings,
    preprocessor: Preprocessor,
    image_len: usize,
    /// `[images, 3, H, W]`
    pixels: Vec<f32>,
}

impl Calibrator {
    /// Loads the weights.
    ///
    /// # Errors
    /// See [`EmbedderError`]; int8 is not available on other devices than the
    /// CPU.
    pub fn new(options: EmbedderOptions) -> Result<Self, EmbedderError> {
        options.precision.check(&options.device.open()?)?;
        let preprocessor = Preprocessor::new(options.preprocess, Layout::Planar)?;
        let side = options.preprocess.crop as usize;
        Ok(Self {
            network: options.entry.network(),
            parameters: load_weights(options.entry, options.weights.as_ref())?.parameters,
            settings: settings(&options)?,
            preprocessor,
            image_len: 3 * side * side,
            pixels: Vec::new(),
            options,
        })
    }

    /// Images so far.
    pub fn images(&self) -> usize {
        self.pixels.len() / self.image_len
    }

    /// Decodes an image file and adds it.
    ///
    /// # Errors
    /// The image is unusable; the sample is as before.
    pub fn add(&mut self, file: &[u8]) -> Result<(), ImageError> {
        let start = self.pixels.len();
        self.pixels.resize(start + self.image_len, 0.0);
        let (decode, pixels) = (&self.options.decode, &mut self.pixels[start..]);
        let added = preprocess(file, decode, &mut self.preprocessor, pixels);
        if added.is_err() {
            self.pixels.truncate(start);
        }
        added
    }

    /// Calibrates on the images with `threads` threads; `images` and `seed` say
    /// how they were chosen.
    ///
    /// # Errors
    /// When there is no image, or the backbone cannot be run in int8.
    pub fn finish(
        self,
        (images, seed): (u32, u64),
        threads: usize,
    ) -> Result<Calibrated, EmbedderError> {
        if self.pixels.is_empty() {
            return Err(EmbedderError::NothingToCalibrateOn);
        }
        let layers = &self.options.layers;
        let finder = RangeFinder::new(&self.network, &self.parameters, layers, self.settings)?;
        let observed =
            self.in_blocks(threads, |pixels, batch| Ok(finder.observe(pixels, batch)?))?;
        drop(finder);
        let (found, floats): (Vec<_>, Vec<_>) = observed.into_iter().unzip();
        let bound = pixel_bound(&self.options.preprocess);
        let mut ranges = found.into_iter().fold(Ranges::default(), Ranges::union);
        ranges.pixels = bound.max(ranges.pixels);
        let settings = (self.settings, &ranges);
        let engine = CpuEngine::in_int8(&self.network, &self.parameters, layers, settings)?;
        let integers =
            self.in_blocks(threads, |pixels, batch| Ok(engine.forward(pixels, batch)?))?;
        let drift = layers.iter().enumerate().map(|(layer, name)| {
            let dim = engine.layers()[layer].shape.len();
            let rows = |blocks: &[Vec<Vec<f32>>]| -> Vec<f32> {
                blocks
                    .iter()
                    .flat_map(|block| &block[layer])
                    .copied()
                    .collect()
            };
            drift(name, dim, &rows(&floats), &rows(&integers))
        });
        Ok(Calibrated {
            drift: drift.collect(),
            calibration: Calibration {
                images,
                seed,
                ranges,
                rounding: INT8_ROUNDING,
            },
        })
    }

    /// What `work` makes of every block of images, in their order.
    fn in_blocks<T: Send>(
        &self,
        threads: usize,
        work: impl Fn(&[f32], usize) -> Result<T, EmbedderError> + Sync,
    ) -> Result<Vec<T>, EmbedderError> {
        let blocks: Vec<_> = self.pixels.chunks(BLOCK_IMAGES * self.image_len).collect();
        let pieces = Pieces {
            count: blocks.len() as u64,
            threads,
            interrupt: &Interrupt::default(),
        };
        let start = || {
            Ok(|piece: u64| {
                let pixels = blocks[piece as usize];
                work(pixels, pixels.len() / self.image_len)
            })
        };
        let mut results = Vec::with_capacity(blocks.len());
        in_order::work(&pieces, start, |_, result| {
            results.push(result);
            Ok(())
        })?;
        Ok(results)
    }
}

/// Largest magnitude of a normalised pixel.
fn pixel_bound(recipe: &Preprocess) -> f32 {
    let channels = recipe.mean.iter().zip(recipe.std);
    channels
        .map(|(mean, std)| mean.abs().max((1.0 - mean).abs()) / std)
        .fold(0.0, f32::max)
}

/// `floats` and `integers`: `[images, dim]`.
fn drift(layer: &str, dim: usize, floats: &[f32], integers: &[f32]) -> Drift {
    let images = floats.len() / dim;
    let mut mean = vec![0.0; dim];
    for row in floats.chunks_exact(dim) {
        for (mean, value) in mean.iter_mut().zip(row) {
            *mean += f64::from(*value) / images as f64;
        }
    }
    let zeros = vec![0.0; dim];
    let sorted = |mean: &[f64]| {
        let rows = floats.chunks_exact(dim).zip(integers.chunks_exact(dim));
        let mut cosines: Vec<_> = rows.map(|(a, b)| cosine(a, b, mean)).collect();
        cosines.sort_by(f64::total_cmp);
        cosines
    };
    let (plain, centred) = (sorted(&zeros), sorted(&mean));
    Drift {
        layer: layer.to_owned(),
        images,
        median: plain[images / 2],
        worst: plain[0],
        centred_median: centred[images / 2],
        centred_worst: centred[0],
    }
}

/// Of `a − mean` and `b − mean`; 1 where both vanish.
fn cosine(a: &[f32], b: &[f32], mean: &[f64]) -> f64 {
    let (mut product, mut left, mut right) = (0.0, 0.0, 0.0);
    for ((a, b), mean) in a.iter().zip(b).zip(mean) {
        let (a, b) = (f64::from(*a) - mean, f64::from(*b) - mean);
        product += a * b;
        left += a * a;
        right += b * b;
    }
    if left == 0.0 && right == 0.0 {
        return 1.0;
    }
    product / (left * right).sqrt().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_depends_on_its_seed_alone_and_takes_every_image_once() {
        let mut order = sample_order(100, 1);
        assert_eq!(order, sample_order(100, 1));
        assert_ne!(order, sample_order(100, 2));
        order.sort_unstable();
        assert!(order.into_iter().eq(0..100));
    }

    #[test]
    fn drift_is_that_of_the_image_in_the_middle_and_the_worst() {
        let floats = [1.0, 0.0, 0.0, 1.0, 1.0, 1.0];
        let integers = [1.0, 0.0, 0.0, 2.0, 1.0, 0.0];
        let drift = drift("avgpool", 2, &floats, &integers);
        assert_eq!((drift.images, drift.median), (3, 1.0));
        assert!((drift.worst - 0.5_f64.sqrt()).abs() < 1e-12);
        assert!(drift.centred_worst < drift.worst);
    }

    #[test]
    fn the_same_features_do_not_drift() {
        let features = [0.5, 1.0, 2.0, 0.0];
        let drift = drift("layer3", 2, &features, &features);
        assert!(drift.worst > 1.0 - 1e-12 && drift.centred_worst > 1.0 - 1e-12);
        assert_eq!(cosine(&[0.0], &[0.0], &[0.0]), 1.0);
        assert_eq!(cosine(&[0.0], &[1.0], &[0.0]), 0.0);
    }

    #[test]
    fn the_bound_of_pixels_is_black_or_white() {
        let recipe = Preprocess::imagenet();
        assert!((pixel_bound(&recipe) - (1.0 - 0.406) / 0.225).abs() < 1e-6);
    }
}
