//! Augmentation: which part of a picture a random view shows.
//!
//! In: a picture's size and a stream of random numbers, named by a [`ViewKey`].
//! Out: a [`CropFlip`], which [`Preprocessor`](super::Preprocessor) carries out.
//!
//! Invariant: a view depends on the seed, its key and the picture's size alone.

use std::{fmt, str::FromStr};

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::UnknownName;
use crate::random;

/// Share of a picture's area that a view shows, least and most.
pub const CROP_SCALE: [f64; 2] = [0.08, 1.0];
/// Width of the shown part divided by its height, least and most.
pub const CROP_RATIO: [f64; 2] = [3.0 / 4.0, 4.0 / 3.0];
/// How often a view is mirrored.
pub const FLIP_PROBABILITY: f64 = 0.5;
/// Parts that are drawn before one is taken that always fits.
const ATTEMPTS: usize = 10;

/// A way to vary pictures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Augment {
    /// torchvision's `RandomResizedCrop` to the recipe's square with its defaults
    /// ([`CROP_SCALE`], [`CROP_RATIO`]), then `RandomHorizontalFlip`
    /// ([`FLIP_PROBABILITY`]).
    CropFlip,
}

impl Augment {
    /// What a cache's identity says: the rule with its parameters. Another rule
    /// needs another text.
    pub fn recipe(self) -> &'static str {
        match self {
            Self::CropFlip => "crop-flip, scale 0.08 to 1, ratio 3/4 to 4/3, flip 0.5",
        }
    }
}

impl fmt::Display for Augment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::CropFlip => "crop-flip",
        })
    }
}

impl FromStr for Augment {
    type Err = UnknownName;

    fn from_str(word: &str) -> Result<Self, UnknownName> {
        match word {
            "crop-flip" => Ok(Self::CropFlip),
            _ => Err(UnknownName {
                what: "augmentation",
                found: word.to_string(),
                choices: "crop-flip",
            }),
        }
    }
}

/// A way to vary pictures, and the seed of its random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Augmentation {
    /// The way.
    pub augment: Augment,
    /// The seed.
    pub seed: u64,
}

impl Augmentation {
    /// What the view `key` shows of a picture of `size`: columns and rows, at
    /// least one of each.
    pub fn crop(&self, key: ViewKey, size: [u32; 2]) -> CropFlip {
        match self.augment {
            Augment::CropFlip => CropFlip::draw(size, &mut key.stream(self.seed)),
        }
    }
}

/// Names the random numbers of one view of one image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ViewKey {
    /// One of the views that a cache holds.
    Cached {
        /// The image's row in the plan.
        image: u64,
        /// The view's number, from 1: view 0 is not random.
        view: u8,
    },
    /// The view that one epoch of a training sees.
    Epoch {
        /// The image's row in the plan.
        image: u64,
        /// The epoch.
        epoch: u32,
    },
}

impl ViewKey {
    /// The stream `augment/IMAGE/VIEW` or `augment/IMAGE/epoch/EPOCH` of `seed`.
    fn stream(self, seed: u64) -> ChaCha8Rng {
        let name = match self {
            Self::Cached { image, view } => format!("augment/{image}/{view}"),
            Self::Epoch { image, epoch } => format!("augment/{image}/epoch/{epoch}"),
        };
        random::stream(seed, &name)
    }
}

/// A part of a picture that is brought to the recipe's square, and whether it is
/// mirrored then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CropFlip {
    /// Columns to the left of it.
    pub left: u32,
    /// Rows above it.
    pub top: u32,
    /// Columns of it.
    pub width: u32,
    /// Rows of it.
    pub height: u32,
    /// Whether left and right change places.
    pub is_flipped: bool,
}

impl CropFlip {
    fn draw(size: [u32; 2], random: &mut impl Rng) -> Self {
        let crop = Self::random_part(size, random).unwrap_or_else(|| Self::central_part(size));
        Self {
            is_flipped: random.random::<f64>() < FLIP_PROBABILITY,
            ..crop
        }
    }

    /// As `RandomResizedCrop.get_params`: a share of the area and the logarithm of
    /// the ratio, both uniform, then a place; `None` when ten of ten do not fit.
    fn random_part([columns, rows]: [u32; 2], random: &mut impl Rng) -> Option<Self> {
        let area = f64::from(columns) * f64::from(rows);
        let mut uniform = |[least, most]: [f64; 2]| least + (most - least) * random.random::<f64>();
        let fits = |&[width, height]: &[f64; 2]| {
            (1.0..=f64::from(columns)).contains(&width) && (1.0..=f64::from(rows)).contains(&height)
        };
        let mut draw = |_| {
            let target = area * uniform(CROP_SCALE);
            let ratio = uniform(CROP_RATIO.map(f64::ln)).exp();
            [target * ratio, target / ratio].map(|square| square.sqrt().round_ties_even())
        };
        let [width, height] = (0..ATTEMPTS).map(&mut draw).find(fits)?;
        // Whole and not above the picture's sides.
        let (width, height) = (width as u32, height as u32);
        Some(Self {
            top: random.random_range(0..=rows - height),
            left: random.random_range(0..=columns - width),
            width,
            height,
            is_flipped: false,
        })
    }

    /// The largest part in the centre whose ratio is allowed.
    fn central_part([columns, rows]: [u32; 2]) -> Self {
        let [least, most] = CROP_RATIO;
        let ratio = f64::from(columns) / f64::from(rows);
        let side = |length: f64| length.round_ties_even() as u32;
        let (width, height) = if ratio < least {
            (columns, side(f64::from(columns) / least))
        } else if ratio > most {
            (side(f64::from(rows) * most), rows)
        } else {
            (columns, rows)
        };
        Self {
            left: (columns - width) / 2,
            top: (rows - height) / 2,
            width,
            height,
            is_flipped: false,
        }
    }

    /// Whether it lies in a picture of `columns` and `rows`.
    pub(super) fn is_within(&self, [columns, rows]: [u32; 2]) -> bool {
        let ends = |start: u32, length: u32, side: u32| {
            length > 0 && start.checked_add(length).is_some_and(|end| end <= side)
        };
        ends(self.left, self.width, columns) && ends(self.top, self.height, rows)
    }
}

#[cfg(test)]
mod tests;
