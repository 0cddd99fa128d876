//! Carries out a [`Preprocess`] recipe: resize, centre crop, normalise.
//!
//! Only the part of the picture that the crop shows is resized. The arithmetic
//! is that of Pillow up to 12: columns first, rounded to bytes, then rows. Pillow
//! 13 takes rows first for some shapes (pictures twice as high as wide among
//! them). With bilinear both orders agree within one level; bicubic overshoots
//! and is clipped in between, so there the orders can differ by more at hard edges.

use super::normalise::Normaliser;
use super::resample::{Taps, Window};
use super::{CHANNELS, Layout, Preprocess, PreprocessError, Resize, RgbImage};

/// Pixels between the two passes beyond which rows go first: a picture one pixel
/// wide and millions high must not grow to gigabytes on the way to a small square.
const MAX_INTERMEDIATE_PIXELS: usize = 1 << 26;

/// A recipe with its buffers, owned by one worker thread.
#[derive(Debug, Clone)]
pub struct Preprocessor {
    recipe: Preprocess,
    layout: Layout,
    normaliser: Normaliser,
    /// The picture between the two passes.
    between: Vec<u8>,
    /// The visible part of the resized picture.
    content: Vec<u8>,
    /// `[crop, crop, 3]`, with a border where the picture is too small.
    cropped: Vec<u8>,
}

impl Preprocessor {
    /// Prepares a recipe for many pictures.
    ///
    /// # Errors
    /// A recipe that cannot be carried out; see [`Preprocess::validate`].
    pub fn new(recipe: Preprocess, layout: Layout) -> Result<Self, PreprocessError> {
        recipe.validate()?;
        Ok(Self {
            recipe,
            layout,
            normaliser: Normaliser::new(&recipe),
            between: Vec::new(),
            content: Vec::new(),
            cropped: Vec::new(),
        })
    }

    /// The recipe that is carried out.
    pub fn recipe(&self) -> &Preprocess {
        &self.recipe
    }

    /// Writes the normalised tensor of one picture: `[3, crop, crop]` or
    /// `[crop, crop, 3]`, as the layout says.
    ///
    /// # Errors
    /// An `output` that is not 3 × crop × crop long, or a picture without pixels.
    pub fn apply(&mut self, image: &RgbImage, output: &mut [f32]) -> Result<(), PreprocessError> {
        let expected = self.recipe.output_len();
        if output.len() != expected {
            return Err(PreprocessError::OutputLength {
                expected,
                found: output.len(),
            });
        }
        self.resize_and_crop(image)?;
        self.normaliser.write(&self.cropped, self.layout, output);
        Ok(())
    }

    /// The resized and cropped bytes `[crop, crop, 3]`, before normalisation.
    ///
    /// # Errors
    /// A picture without pixels.
    pub fn resize_and_crop(&mut self, image: &RgbImage) -> Result<&[u8], PreprocessError> {
        check(image)?;
        let (width, height) = resized_size(self.recipe.resize, image);
        let crop = self.recipe.crop;
        let x = Axis::new(image.width, width, crop);
        let y = Axis::new(image.height, height, crop);
        if x.length == crop && y.length == crop {
            let mut cropped = std::mem::take(&mut self.cropped);
            self.resample(image, x, y, &mut cropped);
            self.cropped = cropped;
        } else {
            let mut content = std::mem::take(&mut self.content);
            self.resample(image, x, y, &mut content);
            self.content = content;
            self.place_in_border(x, y);
        }
        Ok(&self.cropped)
    }

    /// Resizes the visible part of the picture into `output`: `[y.length, x.length, 3]`.
    fn resample(&mut self, image: &RgbImage, x: Axis, y: Axis, output: &mut Vec<u8>) {
        let columns = Taps::new(x.window(), self.recipe.interpolation);
        let rows = Taps::new(y.window(), self.recipe.interpolation);
        let width = image.width as usize;
        let line_bytes = width * CHANNELS;
        let needed = rows.source_range();
        let between = &mut self.between;
        if needed.len() * x.length as usize > MAX_INTERMEDIATE_PIXELS {
            rows.across_lines(&image.pixels, line_bytes, 0, between);
            columns.along_lines(between, width, output);
            return;
        }
        let source = &image.pixels[needed.start * line_bytes..needed.end * line_bytes];
        columns.along_lines(source, width, between);
        let line_bytes = x.length as usize * CHANNELS;
        rows.across_lines(between, line_bytes, needed.start, output);
    }

    /// Puts a picture that is smaller than the crop into a black square.
    fn place_in_border(&mut self, x: Axis, y: Axis) {
        let line_bytes = self.recipe.crop as usize * CHANNELS;
        let content_bytes = x.length as usize * CHANNELS;
        let left_bytes = x.border as usize * CHANNELS;
        self.cropped.clear();
        self.cropped
            .resize(line_bytes * self.recipe.crop as usize, 0);
        let lines = self.cropped.chunks_exact_mut(line_bytes);
        let content = self.content.chunks_exact(content_bytes);
        for (line, row) in lines.skip(y.border as usize).zip(content) {
            line[left_bytes..left_bytes + content_bytes].copy_from_slice(row);
        }
    }
}

/// One direction of resize and crop, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Axis {
    source: u32,
    /// The whole side after resizing.
    resized: u64,
    /// Where the visible part of it begins.
    first: u64,
    /// The visible part's size.
    length: u32,
    /// Black pixels before it.
    border: u32,
}

impl Axis {
    fn new(source: u32, resized: u64, crop: u32) -> Self {
        let crop_size = u64::from(crop);
        let whole = Self {
            source,
            resized,
            first: 0,
            length: crop,
            border: 0,
        };
        if resized <= crop_size {
            // Not above `crop`, so both fit.
            let length = resized as u32;
            let border = (crop - length) / 2;
            return Self {
                length,
                border,
                ..whole
            };
        }
        let first = half_to_even(resized - crop_size);
        Self { first, ..whole }
    }

    fn window(self) -> Window {
        Window {
            source: self.source as usize,
            scale: f64::from(self.source) / self.resized as f64,
            first: self.first,
            length: self.length as usize,
        }
    }
}

/// `round(doubled / 2)` as Python rounds: halves go to the even neighbour.
fn half_to_even(doubled: u64) -> u64 {
    let down = doubled / 2;
    down + (doubled % 2) * (down % 2)
}

/// Width and height after resizing. The long side can be far beyond `u32`; it is never allocated.
fn resized_size(resize: Resize, image: &RgbImage) -> (u64, u64) {
    let (width, height) = (u64::from(image.width), u64::from(image.height));
    match resize {
        Resize::None => (width, height),
        Resize::Exact { width, height } => (u64::from(width), u64::from(height)),
        Resize::ShortSide(short) if width <= height => {
            (u64::from(short), u64::from(short) * height / width)
        }
        Resize::ShortSide(short) => (u64::from(short) * width / height, u64::from(short)),
    }
}

fn check(image: &RgbImage) -> Result<(), PreprocessError> {
    let pixels = super::error::pixels(image.width, image.height);
    if pixels == 0 || image.pixels.len() as u64 != pixels * CHANNELS as u64 {
        return Err(picture_error(image));
    }
    Ok(())
}

fn picture_error(image: &RgbImage) -> PreprocessError {
    PreprocessError::Picture {
        width: image.width,
        height: image.height,
        bytes: image.pixels.len(),
    }
}
