//! Resizes and crops.
//!
//! Only the part of the picture that the crop shows is resized. The arithmetic
//! is that of Pillow up to 12: columns first, rounded to bytes, then rows. Pillow
//! 13 takes rows first for some shapes (pictures twice as high as wide among
//! them). With bilinear both orders agree within one level; bicubic overshoots
//! and is clipped in between, so there the orders can differ by more at hard edges.

use super::excerpt::Place;
use super::geometry::Axis;
use super::resample::{Lines, Source, Taps};
use super::vectors::Vectors;
use super::{CHANNELS, Preprocess, PreprocessError, RgbImage};

/// Pixels between the two passes beyond which rows go first: a picture one pixel
/// wide and millions high must not grow to gigabytes on the way to a small square.
const MAX_INTERMEDIATE_PIXELS: usize = 1 << 26;

/// Resizes to a recipe's square, with the buffers that takes.
#[derive(Debug, Clone)]
pub(super) struct Resizer {
    pub(super) recipe: Preprocess,
    vectors: Vectors,
    /// The last picture's taps, horizontal and vertical: the next one often has
    /// the same size.
    taps: Option<[Taps; 2]>,
    /// The picture between the two passes.
    between: Lines,
    /// A row of the square.
    row: Vec<u8>,
}

impl Resizer {
    pub(super) fn new(recipe: Preprocess, vectors: Vectors) -> Self {
        Self {
            recipe,
            vectors,
            taps: None,
            between: Lines::default(),
            row: Vec::new(),
        }
    }

    /// Hands out the rows of the square from the top, `[crop, 3]` bytes each.
    ///
    /// # Errors
    /// A picture without pixels, or one that lacks some that the recipe looks at.
    pub(super) fn run(
        &mut self,
        image: &RgbImage,
        place: Place,
        mut take: impl FnMut(usize, &[u8]),
    ) -> Result<(), PreprocessError> {
        if place.full.contains(&0) {
            return Err(picture_error(image));
        }
        let [x, y] = Axis::both(&self.recipe, place.full, place.scale);
        let taps = [x, y].map(Axis::taps);
        let known = self
            .taps
            .take()
            .filter(|known| known.each_ref().map(Taps::axis) == taps);
        let [columns, rows] = self.taps.insert(known.unwrap_or_else(|| {
            taps.map(|axis| Taps::new(axis, self.recipe.interpolation, self.vectors))
        }));
        let (source, first_row) = source(image, place, [columns, rows])?;
        let is_tall = source.lines() * x.length as usize > MAX_INTERMEDIATE_PIXELS;
        if is_tall {
            let mut wide = Lines::default();
            wide.reset(source.line_bytes, y.length as usize);
            let across = Source {
                skipped: first_row,
                ..source
            };
            for (index, line) in wide.iter_mut().enumerate() {
                rows.across_lines(index, across, &mut line[..source.line_bytes]);
            }
            columns.along_lines(wide.source(source.skipped), &mut self.between);
        } else {
            columns.along_lines(source, &mut self.between);
        }
        let between = self.between.source(first_row);
        self.row.clear();
        self.row.resize(self.recipe.crop as usize * CHANNELS, 0);
        for index in 0..self.recipe.crop as usize {
            // A picture that is smaller than the crop has a black border.
            let inside = index.checked_sub(y.border as usize);
            let content = &mut self.row[x.border as usize * CHANNELS..];
            let content = &mut content[..x.length as usize * CHANNELS];
            match inside.filter(|row| *row < y.length as usize) {
                Some(row) if is_tall => {
                    content.copy_from_slice(&between.line(row)[..content.len()]);
                }
                Some(row) => rows.across_lines(row, between, content),
                None => content.fill(0),
            }
            take(index, &self.row);
        }
        Ok(())
    }
}

/// The rows of the picture that `rows` reads, and the number of the first.
fn source<'a>(
    image: &'a RgbImage,
    place: Place,
    [columns, rows]: [&Taps; 2],
) -> Result<(Source<'a>, usize), PreprocessError> {
    let size = [image.width as usize, image.height as usize];
    let (x, y) = (columns.source_range(), rows.source_range());
    let [left, top] = place.offset;
    let is_inside =
        x.start >= left && x.end <= left + size[0] && y.start >= top && y.end <= top + size[1];
    let line_bytes = size[0] * CHANNELS;
    if !is_inside || line_bytes == 0 || image.pixels.len() != size[1] * line_bytes {
        return Err(picture_error(image));
    }
    let source = Source {
        bytes: &image.pixels[(y.start - top) * line_bytes..(y.end - top) * line_bytes],
        line_bytes,
        skipped: left,
    };
    Ok((source, y.start))
}

pub(super) fn picture_error(image: &RgbImage) -> PreprocessError {
    PreprocessError::Picture {
        width: image.width,
        height: image.height,
        bytes: image.pixels.len(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::image::{
        Interpolation, Resize,
        excerpt::{Scale, View},
        geometry::Demand,
    };

    fn recipe() -> impl Strategy<Value = Preprocess> {
        let resize = prop_oneof![
            4 => (1_u32..90).prop_map(Resize::ShortSide),
            1 => (1_u32..90, 1_u32..90).prop_map(|(width, height)| Resize::Exact { width, height }),
            1 => Just(Resize::None),
        ];
        let interpolation =
            prop_oneof![Just(Interpolation::Bilinear), Just(Interpolation::Bicubic)];
        (resize, 1_u32..80, interpolation).prop_map(|(resize, crop, interpolation)| Preprocess {
            resize,
            crop,
            interpolation,
            ..Preprocess::imagenet()
        })
    }

    fn picture(width: u32, height: u32, seed: u32) -> RgbImage {
        let mut state = seed | 1;
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            // Often black or white, where cubic weights overshoot.
            (state % 768).saturating_sub(256).min(255) as u8
        };
        RgbImage {
            width,
            height,
            pixels: (0..width * height * 3).map(|_| next()).collect(),
        }
    }

    fn rows(resizer: &mut Resizer, image: &RgbImage, place: Place) -> Vec<u8> {
        let mut pixels = Vec::new();
        let take = |_, row: &[u8]| pixels.extend_from_slice(row);
        resizer.run(image, place, take).unwrap();
        pixels
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(600))]

        #[test]
        fn every_instruction_set_and_excerpt_gives_the_same_bytes(
            recipe in recipe(),
            width in 1_u32..200,
            height in 1_u32..150,
            seed in any::<u32>(),
        ) {
            let image = picture(width, height, seed);
            let place = Place::whole(&image);
            let plain = rows(&mut Resizer::new(recipe, Vectors::PLAIN), &image, place);
            let demand = Demand { recipe: &recipe, mode: crate::image::DecodeMode::Exact };
            let window = demand.window(place.full, Scale::Full);
            let lines = image.pixels.chunks_exact(width as usize * CHANNELS);
            let lines = lines.skip(window.rows.start).take(window.rows.len());
            let columns = window.columns.start * CHANNELS..window.columns.end * CHANNELS;
            let excerpt = RgbImage {
                width: window.columns.len() as u32,
                height: window.rows.len() as u32,
                pixels: lines.flat_map(|line| &line[columns.clone()]).copied().collect(),
            };
            let cut = Place { offset: [window.columns.start, window.rows.start], ..place };
            for vectors in Vectors::available() {
                let mut resizer = Resizer::new(recipe, vectors);
                prop_assert_eq!(&rows(&mut resizer, &image, place), &plain);
                prop_assert_eq!(&rows(&mut resizer, &excerpt, cut), &plain);
            }
        }
    }

    #[test]
    fn a_picture_without_pixels_is_refused() {
        for (width, height) in [(0, 0), (0, 3), (3, 0)] {
            let image = picture(width, height, 1);
            let mut resizer = Resizer::new(Preprocess::imagenet(), Vectors::PLAIN);
            assert!(
                resizer
                    .run(&image, Place::whole(&image), |_, _| {})
                    .is_err()
            );
        }
        let mut short = picture(4, 4, 1);
        short.pixels.pop();
        let mut resizer = Resizer::new(Preprocess::imagenet(), Vectors::PLAIN);
        assert!(
            resizer
                .run(&short, Place::whole(&short), |_, _| {})
                .is_err()
        );
    }

    #[test]
    fn an_excerpt_for_another_recipe_is_refused() {
        let image = picture(40, 40, 1);
        let place = Place {
            full: [400, 400],
            ..Place::whole(&image)
        };
        let mut resizer = Resizer::new(Preprocess::imagenet(), Vectors::PLAIN);
        assert!(resizer.run(&image, place, |_, _| {}).is_err());
    }
}
