//! Carries out a [`Preprocess`] recipe: resize, centre crop, normalise; or, for an
//! augmented view, the part of the picture that it shows instead.

use super::excerpt::{Excerpt, Place};
use super::normalise::Normaliser;
use super::resize::{Resizer, picture_error};
use super::vectors::Vectors;
use super::{CHANNELS, CropFlip, Layout, Preprocess, PreprocessError, Resize, RgbImage};

/// A recipe with its buffers, owned by one worker thread.
#[derive(Debug, Clone)]
pub struct Preprocessor {
    layout: Layout,
    normaliser: Normaliser,
    resizer: Resizer,
    /// From any part of a picture to the whole square.
    stretcher: Resizer,
    /// That part.
    part: RgbImage,
}

impl Preprocessor {
    /// Prepares a recipe for many pictures.
    ///
    /// # Errors
    /// A recipe that cannot be carried out; see [`Preprocess::validate`].
    pub fn new(recipe: Preprocess, layout: Layout) -> Result<Self, PreprocessError> {
        recipe.validate()?;
        let vectors = Vectors::from_environment();
        let square = Resize::Exact {
            width: recipe.crop,
            height: recipe.crop,
        };
        let whole = Preprocess {
            resize: square,
            ..recipe
        };
        Ok(Self {
            layout,
            normaliser: Normaliser::new(&recipe),
            resizer: Resizer::new(recipe, vectors),
            stretcher: Resizer::new(whole, vectors),
            part: RgbImage {
                width: 0,
                height: 0,
                pixels: Vec::new(),
            },
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

    /// Writes the normalised tensor of an augmented view of a whole picture: the part
    /// that `crop` names is cut out, brought to the recipe's square with the recipe's
    /// interpolation, whatever its shape is, and mirrored if need be.
    ///
    /// # Errors
    /// An `output` that is not 3 × crop × crop long, or a part that is not in the
    /// picture.
    pub fn apply_view(
        &mut self,
        image: &RgbImage,
        crop: &CropFlip,
        output: &mut [f32],
    ) -> Result<(), PreprocessError> {
        self.check_output(output)?;
        cut(image, crop, &mut self.part)?;
        let (normaliser, layout) = (&self.normaliser, self.layout);
        let mut mirrored = Vec::new();
        let take = |index, row: &[u8]| {
            let row = if crop.is_flipped {
                mirrored.clear();
                mirrored.extend(row.rchunks_exact(CHANNELS).flatten());
                &mirrored
            } else {
                row
            };
            normaliser.write_row(row, index, layout, output);
        };
        self.stretcher
            .run(&self.part, Place::whole(&self.part), take)
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
        self.check_output(output)?;
        // Each row is normalised while the nearest cache holds it.
        let (normaliser, layout) = (&self.normaliser, self.layout);
        let take = |index, row: &[u8]| normaliser.write_row(row, index, layout, output);
        self.resizer.run(image, place, take)
    }

    fn check_output(&self, output: &[f32]) -> Result<(), PreprocessError> {
        let (expected, found) = (self.recipe().output_len(), output.len());
        if found == expected {
            return Ok(());
        }
        Err(PreprocessError::OutputLength { expected, found })
    }
}

/// Copies the part of `image` that `crop` names.
fn cut(image: &RgbImage, crop: &CropFlip, part: &mut RgbImage) -> Result<(), PreprocessError> {
    let (columns, line_bytes) = (image.width as usize, image.width as usize * CHANNELS);
    let is_whole = image.pixels.len() == image.height as usize * line_bytes;
    if !is_whole || columns == 0 || !crop.is_within([image.width, image.height]) {
        return Err(picture_error(image));
    }
    (part.width, part.height) = (crop.width, crop.height);
    part.pixels.clear();
    let lines = image.pixels.chunks_exact(line_bytes);
    for line in lines.skip(crop.top as usize).take(crop.height as usize) {
        let left = &line[crop.left as usize * CHANNELS..];
        part.pixels
            .extend_from_slice(&left[..crop.width as usize * CHANNELS]);
    }
    Ok(())
}
