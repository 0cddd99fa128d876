//! Preprocessing recipes: how a picture of any size becomes the square that a
//! backbone was trained on. The recipe belongs to the weights and is part of a
//! cache's fingerprint. [`Preprocessor`](super::Preprocessor) carries it out.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{Layout, Preprocessor, RgbImage, UnknownName};

/// Channel means of ImageNet on a scale of 0 to 1, as torchvision's weights want them.
pub const IMAGENET_MEAN: [f32; 3] = [0.485, 0.456, 0.406];
/// Channel standard deviations of ImageNet on a scale of 0 to 1.
pub const IMAGENET_STD: [f32; 3] = [0.229, 0.224, 0.225];
/// Largest resized side and crop, in pixels; more is a typing error.
pub const MAX_SIDE: u32 = 8192;

/// The size that a picture is resized to before the crop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Resize {
    /// The short side gets this many pixels, the long side `⌊short × long / short side⌋`:
    /// torchvision's `Resize(size)`.
    ShortSide(u32),
    /// Both sides are set, whatever the shape was: torchvision's `Resize((height, width))`.
    Exact {
        /// Columns, in pixels.
        width: u32,
        /// Rows, in pixels.
        height: u32,
    },
    /// The picture keeps its size.
    None,
}

/// The resampling filter, always widened when shrinking (antialias).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Interpolation {
    /// Triangle filter.
    Bilinear,
    /// Cubic convolution with a = −0.5, Pillow's `BICUBIC`.
    Bicubic,
}

impl fmt::Display for Interpolation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
        })
    }
}

impl FromStr for Interpolation {
    type Err = UnknownName;

    fn from_str(word: &str) -> Result<Self, UnknownName> {
        match word {
            "bilinear" => Ok(Self::Bilinear),
            "bicubic" => Ok(Self::Bicubic),
            _ => Err(UnknownName {
                what: "interpolation",
                found: word.to_string(),
                choices: "bilinear or bicubic",
            }),
        }
    }
}

/// A recipe: resize, centre crop, scale to 0…1, normalise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocess {
    /// The size before the crop.
    pub resize: Resize,
    /// Side of the centre crop, in pixels. A smaller picture gets a black border,
    /// as in torchvision's `CenterCrop`.
    pub crop: u32,
    /// The resampling filter.
    pub interpolation: Interpolation,
    /// Subtracted from each channel, on a scale of 0 to 1.
    pub mean: [f32; 3],
    /// Divides each channel after that.
    pub std: [f32; 3],
}

/// Why a recipe cannot be carried out.
#[derive(Debug, thiserror::Error)]
pub enum PreprocessError {
    /// A side of the recipe is zero or absurd.
    #[error("preprocessing: {field} is {found} pixels, expected 1 to {MAX_SIDE}")]
    Side {
        /// The field of the recipe.
        field: &'static str,
        /// Its value.
        found: u32,
    },
    /// A mean or standard deviation that makes no finite number.
    #[error("preprocessing: mean {mean:?} and std {std:?} must be finite, and std positive")]
    Normalisation {
        /// The recipe's mean.
        mean: [f32; 3],
        /// The recipe's standard deviation.
        std: [f32; 3],
    },
    /// The output slice has the wrong size.
    #[error("preprocessing: the output holds {found} numbers, expected {expected}")]
    OutputLength {
        /// 3 × crop × crop.
        expected: usize,
        /// The slice's length.
        found: usize,
    },
    /// The picture's pixels do not match its sides, or it has none.
    #[error("preprocessing: a picture of {width}×{height} with {bytes} bytes of pixels")]
    Picture {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
        /// Bytes of pixels found.
        bytes: usize,
    },
}

impl Preprocess {
    /// What most ImageNet weights want: short side 256 bilinear, crop 224, ImageNet's mean and std.
    pub const fn imagenet() -> Self {
        Self {
            resize: Resize::ShortSide(256),
            crop: 224,
            interpolation: Interpolation::Bilinear,
            mean: IMAGENET_MEAN,
            std: IMAGENET_STD,
        }
    }

    /// Numbers in one output: 3 × crop × crop.
    pub const fn output_len(&self) -> usize {
        super::CHANNELS * self.crop as usize * self.crop as usize
    }

    /// Writes the normalised planar tensor `[3, crop, crop]` of one picture. In a
    /// loop, keep a [`Preprocessor`]: it reuses its buffers.
    ///
    /// # Errors
    /// An impossible recipe, or an `output` that is not `output_len()` long.
    pub fn apply(&self, image: &RgbImage, output: &mut [f32]) -> Result<(), PreprocessError> {
        Preprocessor::new(*self, Layout::Planar)?.apply(image, output)
    }

    /// The picture as the backbone sees it, before normalisation: crop × crop.
    ///
    /// # Errors
    /// An impossible recipe.
    pub fn resize_and_crop(&self, image: &RgbImage) -> Result<RgbImage, PreprocessError> {
        let mut preprocessor = Preprocessor::new(*self, Layout::Planar)?;
        let pixels = preprocessor.resize_and_crop(image)?;
        Ok(RgbImage {
            width: self.crop,
            height: self.crop,
            pixels,
        })
    }

    /// Checks that the recipe can be carried out.
    ///
    /// # Errors
    /// Names the first impossible field.
    pub fn validate(&self) -> Result<(), PreprocessError> {
        let mut sides = vec![("crop", self.crop)];
        match self.resize {
            Resize::ShortSide(short) => sides.push(("resized short side", short)),
            Resize::Exact { width, height } => {
                sides.extend([("resized width", width), ("resized height", height)]);
            }
            Resize::None => {}
        }
        for (field, found) in sides {
            if !(1..=MAX_SIDE).contains(&found) {
                return Err(PreprocessError::Side { field, found });
            }
        }
        let finite = |v: &f32| v.is_finite();
        if !self.mean.iter().all(finite) || !self.std.iter().all(|s| s.is_normal() && *s > 0.0) {
            return Err(PreprocessError::Normalisation {
                mean: self.mean,
                std: self.std,
            });
        }
        Ok(())
    }
}

impl fmt::Display for Preprocess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.resize {
            Resize::ShortSide(short) => write!(f, "short side {short} {}, ", self.interpolation)?,
            Resize::Exact { width, height } => {
                write!(f, "resize {width}×{height} {}, ", self.interpolation)?;
            }
            Resize::None => write!(f, "no resize, ")?,
        }
        let list = |v: [f32; 3]| format!("{} {} {}", v[0], v[1], v[2]);
        write!(
            f,
            "crop {}, mean {}, std {}",
            self.crop,
            list(self.mean),
            list(self.std)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recipe_survives_json_and_reads_well() {
        let recipe = Preprocess::imagenet();
        let json = serde_json::to_string(&recipe).unwrap();
        assert_eq!(
            json,
            r#"{"resize":{"short_side":256},"crop":224,"interpolation":"bilinear","mean":[0.485,0.456,0.406],"std":[0.229,0.224,0.225]}"#
        );
        assert_eq!(serde_json::from_str::<Preprocess>(&json).unwrap(), recipe);
        assert!(serde_json::from_str::<Preprocess>(&json.replace("crop", "corp")).is_err());
    }

    #[test]
    fn recipe_prints_on_one_line() {
        assert_eq!(
            Preprocess::imagenet().to_string(),
            "short side 256 bilinear, crop 224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225"
        );
    }

    #[test]
    fn unknown_words_name_the_choices() {
        assert_eq!("bicubic".parse(), Ok(Interpolation::Bicubic));
        let error = "lanczos".parse::<Interpolation>().unwrap_err();
        assert_eq!(
            error.to_string(),
            "interpolation `lanczos` is unknown (choose bilinear or bicubic)"
        );
        assert!("on".parse::<super::super::ExifPolicy>().is_err());
    }

    #[test]
    fn impossible_recipes_are_refused_by_field() {
        let refused = |recipe: Preprocess| recipe.validate().unwrap_err().to_string();
        let good = Preprocess::imagenet();
        assert!(refused(Preprocess { crop: 0, ..good }).contains("crop is 0"));
        let resize = Resize::ShortSide(100_000);
        assert!(refused(Preprocess { resize, ..good }).contains("resized short side is 100000"));
        let std = [0.2, 0.0, 0.2];
        assert!(refused(Preprocess { std, ..good }).contains("std positive"));
    }
}
