//! `extract run`'s options, checked: nothing past this module sees a clap type.

mod bench;
mod views;

use std::{fmt, num::NonZeroUsize, path::PathBuf, str::FromStr, thread};

use anyhow::Result;
use common::{
    backbone::registry,
    cache::{FeatureDtype, FileFormat, Growth, Shard},
    embed::EmbedderOptions,
    exit::UsageError,
    image::{DecodeOptions, Preprocess, Resize},
    progress::Verbosity,
};

pub use bench::{BenchPlan, Stage};
pub use views::{MOST_VIEWS, Views};

use crate::{
    cli::{DtypeArg, FormatArg, ImageArgs, RunArgs},
    shard::{self, ShardOrigin},
};

/// What `extract run` is to do.
pub struct RunPlan {
    /// Folder or table.
    pub source: PathBuf,
    /// The cache.
    pub out: PathBuf,
    /// Backbone, preprocessing and device.
    pub embedder: EmbedderOptions,
    /// Augmented views; `None` for the plain one alone.
    pub views: Option<Views>,
    /// What int8 is calibrated on.
    pub calibration: CalibrationPlan,
    /// Kind of part files; `None` for the cache's own.
    pub format: Option<FileFormat>,
    /// Number type in the cache.
    pub dtype: FeatureDtype,
    /// Rows a part; `None` for the cache's own.
    pub part_rows: Option<u32>,
    /// What new inputs do.
    pub growth: Growth,
    /// What parts with rejects do.
    pub rejected: RejectedParts,
    /// How many inputs may be unusable.
    pub max_rejects: MaxRejects,
    /// This process' share.
    pub shard: Shard,
    /// Where the share came from.
    pub shard_origin: ShardOrigin,
    /// Worker threads.
    pub threads: usize,
    /// What is said on standard error.
    pub verbosity: Verbosity,
    /// What is printed on standard output at the end.
    pub summary: Summary,
}

/// How the scales of int8 are found.
pub struct CalibrationPlan {
    /// Images in the sample.
    pub images: u32,
    /// Seed of the sample.
    pub seed: u64,
    /// The least cosine between int8 and f32 that is accepted.
    pub min_cosine: f64,
    /// A cache whose calibration is taken instead.
    pub from: Option<PathBuf>,
}

/// What is printed at the end of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summary {
    /// Sentences on standard error.
    Text,
    /// One JSON object on standard output.
    Json,
}

/// What happens to finished parts that hold rejects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectedParts {
    /// They stay.
    Keep,
    /// They are done again.
    Redo,
}

/// `--max-rejects`: how many inputs may be unusable before a run stops.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum MaxRejects {
    /// A number of inputs.
    Count(u64),
    /// A share of the inputs, from 0 to 100.
    Percent(f64),
}

impl Default for MaxRejects {
    fn default() -> Self {
        Self::Percent(1.0)
    }
}

impl MaxRejects {
    /// Rejects allowed among `rows` inputs. A share is rounded up.
    pub fn allowed(self, rows: u64) -> u64 {
        match self {
            Self::Count(count) => count,
            Self::Percent(percent) => (rows as f64 * percent / 100.0).ceil() as u64,
        }
    }
}

impl FromStr for MaxRejects {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_suffix('%') {
            Some(percent) => percent
                .parse()
                .ok()
                .filter(|percent| (0.0..=100.0).contains(percent))
                .map(Self::Percent),
            None => text.parse().ok().map(Self::Count),
        };
        parsed.ok_or_else(|| format!("`{text}` is neither a number nor a share such as 1%"))
    }
}

impl fmt::Display for MaxRejects {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(formatter, "{count}"),
            Self::Percent(percent) => write!(formatter, "{percent}%"),
        }
    }
}

impl RunPlan {
    /// Checks the options and fills in what was left out.
    ///
    /// # Errors
    /// An unknown backbone or layer, a recipe that makes no sense, or array
    /// variables that make no shard.
    pub fn new(args: RunArgs) -> Result<Self> {
        let views = Views::of(&args)?;
        let entry = registry::find(&args.backbone)?;
        let network = entry.network();
        let mut layers = args.layer;
        for layer in &layers {
            network.stage(layer)?;
        }
        let mut seen = std::collections::HashSet::new();
        layers.retain(|layer| seen.insert(layer.clone()));
        let (shard, shard_origin) = shard::resolve(args.shard, |name| std::env::var(name).ok())?;
        Ok(Self {
            views,
            source: args.source,
            out: args.out,
            embedder: EmbedderOptions {
                entry,
                weights: args.weights,
                layers,
                preprocess: preprocess(entry.preprocess(), &args.image)?,
                decode: decode(&args.image),
                device: args.device,
                precision: args.precision,
                calibration: None,
            },
            calibration: CalibrationPlan {
                images: args.calibration.calibration_images,
                seed: args.seed,
                min_cosine: args.calibration.min_cosine,
                from: args.calibration.calibration_from,
            },
            format: args.format.map(FileFormat::from),
            dtype: args.dtype.into(),
            part_rows: args.part_rows,
            growth: if args.append {
                Growth::Append
            } else {
                Growth::Forbid
            },
            rejected: if args.retry_rejects {
                RejectedParts::Redo
            } else {
                RejectedParts::Keep
            },
            max_rejects: args.max_rejects,
            shard,
            shard_origin,
            threads: threads(args.threads),
            verbosity: if args.quiet {
                Verbosity::Quiet
            } else {
                Verbosity::Normal
            },
            summary: if args.json {
                Summary::Json
            } else {
                Summary::Text
            },
        })
    }
}

/// The threads asked for, else one a core.
fn threads(asked: Option<u16>) -> usize {
    let cores = || thread::available_parallelism().map_or(1, NonZeroUsize::get);
    asked.map_or_else(cores, usize::from)
}

fn decode(args: &ImageArgs) -> DecodeOptions {
    DecodeOptions {
        exif: args.exif,
        mode: args.decode,
        max_pixels: args.max_pixels,
    }
}

/// The entry's recipe with what the command line overrides.
fn preprocess(recipe: Preprocess, args: &ImageArgs) -> Result<Preprocess> {
    let three = |option: &str, values: &Option<Vec<f32>>, default: [f32; 3]| match values {
        None => Ok(default),
        Some(values) => <[f32; 3]>::try_from(values.as_slice()).map_err(|_| {
            UsageError(format!(
                "{option} takes three numbers, found {}",
                values.len()
            ))
        }),
    };
    let recipe = Preprocess {
        resize: args.resize.map_or(recipe.resize, Resize::ShortSide),
        crop: args.crop.unwrap_or(recipe.crop),
        interpolation: args.interpolation.unwrap_or(recipe.interpolation),
        mean: three("--mean", &args.mean, recipe.mean)?,
        std: three("--std", &args.std, recipe.std)?,
    };
    recipe.validate()?;
    Ok(recipe)
}

impl From<FormatArg> for FileFormat {
    fn from(format: FormatArg) -> Self {
        match format {
            FormatArg::Arrow => Self::Arrow,
            FormatArg::Parquet => Self::Parquet,
        }
    }
}

impl From<DtypeArg> for FeatureDtype {
    fn from(dtype: DtypeArg) -> Self {
        match dtype {
            DtypeArg::F16 => Self::F16,
            DtypeArg::F32 => Self::F32,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_of_rejects_is_rounded_up() {
        assert_eq!(MaxRejects::default().allowed(50), 1);
        assert_eq!(MaxRejects::default().allowed(1000), 10);
        assert_eq!(MaxRejects::Percent(0.0).allowed(1000), 0);
        assert_eq!(MaxRejects::Count(3).allowed(1000), 3);
    }

    #[test]
    fn max_rejects_round_trips_and_refuses_nonsense() {
        for text in ["1%", "0.5%", "12"] {
            assert_eq!(text.parse::<MaxRejects>().unwrap().to_string(), text);
        }
        for text in ["101%", "-1%", "-1", "few", "%", "NaN%"] {
            assert!(text.parse::<MaxRejects>().is_err(), "{text}");
        }
    }
}
