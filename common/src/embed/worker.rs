//! A thread's share of an embedder: images in, a batch at a time, features out.

use super::{Embedder, ImageError};
use crate::{
    engine::EngineError,
    image::{
        Augmentation, DecodeOptions, Layout, PreprocessError, Preprocessor, RgbImage, ViewKey,
        decode_excerpt, decode_rgb,
    },
};

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
    pub(super) fn new(embedder: &'a Embedder) -> Result<Self, PreprocessError> {
        let recipe = embedder.options.preprocess;
        Ok(Self {
            embedder,
            preprocessor: Preprocessor::new(recipe, embedder.executor.layout())?,
            image_len: recipe.output_len(),
            pixels: Vec::new(),
            images: 0,
        })
    }

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

    /// Decodes an image file for [`Worker::add_view`]: all of it, at full size even
    /// where [`Worker::add`] decodes fast.
    ///
    /// # Errors
    /// The image is unusable.
    pub fn decode(&self, file: &[u8]) -> Result<RgbImage, ImageError> {
        let image = decode_rgb(file, &self.embedder.options.decode)?;
        if image.pixels.is_empty() {
            let (width, height, bytes) = (image.width, image.height, 0);
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
    /// [`Worker::add`] does unless it decodes fast, or an augmented one.
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
pub(super) fn preprocess(
    file: &[u8],
    decode: &DecodeOptions,
    preprocessor: &mut Preprocessor,
    pixels: &mut [f32],
) -> Result<(), ImageError> {
    let excerpt = decode_excerpt(file, decode, preprocessor.recipe())?;
    Ok(preprocessor.apply_excerpt(&excerpt, pixels)?)
}

#[cfg(test)]
mod tests;
