//! Carries out a [`Preprocess`] recipe: resize, centre crop, normalise.

use super::excerpt::{Excerpt, Place};
use super::normalise::Normaliser;
use super::resize::Resizer;
use super::vectors::Vectors;
use super::{Layout, Preprocess, PreprocessError, RgbImage};

/// A recipe with its buffers, owned by one worker thread.
#[derive(Debug, Clone)]
pub struct Preprocessor {
    layout: Layout,
    normaliser: Normaliser,
    resizer: Resizer,
}

impl Preprocessor {
    /// Prepares a recipe for many pictures.
    ///
    /// # Errors
    /// A recipe that cannot be carried out; see [`Preprocess::validate`].
    pub fn new(recipe: Preprocess, layout: Layout) -> Result<Self, PreprocessError> {
        recipe.validate()?;
        Ok(Self {
            layout,
            normaliser: Normaliser::new(&recipe),
            resizer: Resizer::new(recipe, Vectors::from_environment()),
        })
    }

    /// The recipe that is carried out.
    pub fn recipe(&self) -> &Preprocess {
        &self.resizer.recipe
    }

    /// Writes the normalised tensor of one picture: `[3, crop, crop]` or
    /// `[crop, crop, 3]`, as the layout says.
    ///
    /// # Errors
    /// An `output` that is not 3 × crop × crop long, or a picture without pixels.
    pub fn apply(&mut self, image: &RgbImage, output: &mut [f32]) -> Result<(), PreprocessError> {
        self.write(image, Place::whole(image), output)
    }

    /// The same for what [`decode_excerpt`](super::decode_excerpt) has made of a
    /// file for this recipe.
    ///
    /// # Errors
    /// An `output` that is not 3 × crop × crop long, or an excerpt for another
    /// recipe.
    pub fn apply_excerpt(
        &mut self,
        excerpt: &Excerpt,
        output: &mut [f32],
    ) -> Result<(), PreprocessError> {
        self.write(&excerpt.image, excerpt.place, output)
    }

    /// The resized and cropped bytes `[crop, crop, 3]`, before normalisation.
    ///
    /// # Errors
    /// A picture without pixels.
    pub fn resize_and_crop(&mut self, image: &RgbImage) -> Result<Vec<u8>, PreprocessError> {
        self.bytes(image, Place::whole(image))
    }

    /// The same of what [`decode_excerpt`](super::decode_excerpt) has made.
    ///
    /// # Errors
    /// An excerpt for another recipe.
    pub fn resize_and_crop_excerpt(
        &mut self,
        excerpt: &Excerpt,
    ) -> Result<Vec<u8>, PreprocessError> {
        self.bytes(&excerpt.image, excerpt.place)
    }

    fn bytes(&mut self, image: &RgbImage, place: Place) -> Result<Vec<u8>, PreprocessError> {
        let mut pixels = Vec::with_capacity(self.recipe().output_len());
        let take = |_, row: &[u8]| pixels.extend_from_slice(row);
        self.resizer.run(image, place, take)?;
        Ok(pixels)
    }

    fn write(
        &mut self,
        image: &RgbImage,
        place: Place,
        output: &mut [f32],
    ) -> Result<(), PreprocessError> {
        let expected = self.recipe().output_len();
        if output.len() != expected {
            return Err(PreprocessError::OutputLength {
                expected,
                found: output.len(),
            });
        }
        // Each row is normalised while the nearest cache holds it.
        let (normaliser, layout) = (&self.normaliser, self.layout);
        let take = |index, row: &[u8]| normaliser.write_row(row, index, layout, output);
        self.resizer.run(image, place, take)
    }
}
