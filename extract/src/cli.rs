//! The command line as it is typed.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use common::{
    backbone::registry::DEFAULT_BACKBONE,
    cache::DEFAULT_PART_ROWS,
    embed::{
        DEFAULT_CALIBRATION_IMAGES, DEFAULT_CALIBRATION_SEED, DEFAULT_MIN_COSINE, WeightSource,
    },
    engine::device::{DeviceChoice, Precision},
    exit::EXIT_CODES,
    image::{Augment, DEFAULT_MAX_PIXELS, DecodeMode, ExifPolicy, Interpolation},
};

use crate::{
    plan::{MOST_VIEWS, MaxRejects},
    shard::ShardChoice,
};

/// Run a frozen, pre-trained backbone over images once and cache its features.
#[derive(Debug, Parser)]
#[command(name = "extract", version, after_help = EXIT_CODES)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Extract features; run again to resume.
    Run(Box<RunArgs>),
    /// Say how far a cache is.
    Status(CacheArgs),
    /// Recompute the checksums of a cache.
    Verify(VerifyArgs),
    /// List the known backbones.
    Backbones(BackbonesArgs),
    /// Measure how many images a second this machine takes.
    Bench(Box<BenchArgs>),
}

/// `extract run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// A folder of class folders (also below train/ val/ test/), a flat folder
    /// of images, or a CSV table with the columns path, label and, if wanted,
    /// split and group.
    pub source: PathBuf,
    /// The cache's folder; an existing cache is resumed.
    #[arg(long)]
    pub out: PathBuf,
    /// Which network; see `extract backbones`.
    #[arg(long, default_value = DEFAULT_BACKBONE)]
    pub backbone: String,
    /// Its weights: a .safetensors or .pth file, hf:OWNER/NAME/FILE, or the folder
    /// of a run that holds model.safetensors.
    #[arg(long)]
    pub weights: Option<WeightSource>,
    /// Stages to cache, in one pass.
    #[arg(long, value_delimiter = ',', default_value = "avgpool")]
    pub layer: Vec<String>,
    /// Kind of the part files [default: the cache's own, or arrow].
    #[arg(long, value_enum)]
    pub format: Option<FormatArg>,
    /// Number type in the part files.
    #[arg(long, value_enum, default_value = "f32")]
    pub dtype: DtypeArg,
    /// Arithmetic of the backbone: f32, int8 on a CPU, or f16 and bf16 on a GPU.
    #[arg(long, default_value_t)]
    pub precision: Precision,
    /// auto, cpu, or cuda:N.
    #[arg(long, default_value_t)]
    pub device: DeviceChoice,
    /// Worker threads, 1 to 1024 [default: all cores].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Do the parts i with i mod N = K. Slurm array tasks and Kubernetes
    /// indexed jobs get theirs from the environment [default: 0/1].
    #[arg(long, value_name = "K/N")]
    pub shard: Option<ShardChoice>,
    /// Plan rows a part [default: the cache's own, or 1024].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub part_rows: Option<u32>,
    /// Add inputs that the source has gained to the end of the plan. Finished
    /// parts stay; only a last part that was not full is done again.
    #[arg(long)]
    pub append: bool,
    /// Redo the parts that hold rejects, for instance after a repair of files.
    #[arg(long)]
    pub retry_rejects: bool,
    /// Stop when more inputs are unusable: a number, or a share such as 1%
    /// (rounded up).
    #[arg(long, default_value_t)]
    pub max_rejects: MaxRejects,
    /// Cache K augmented views of each training image, 1 to 254, beside the plain
    /// one. Images of a validation or test split have the plain view alone.
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u8).range(1..=i64::from(MOST_VIEWS)))]
    pub views: Option<u8>,
    /// How views are augmented. crop-flip: a random part of 8 to 100 % of the area,
    /// resized to the crop's size, mirrored every other time, as torchvision's
    /// RandomResizedCrop and RandomHorizontalFlip.
    #[arg(long)]
    pub augment: Option<Augment>,
    /// Seed of all random choices: the augmented views, and the sample that int8 is
    /// calibrated on.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SEED)]
    pub seed: u64,
    /// Calibration of int8.
    #[command(flatten)]
    pub calibration: CalibrationArgs,
    /// Preprocessing and decoding.
    #[command(flatten)]
    pub image: ImageArgs,
    /// Say nothing but errors.
    #[arg(long)]
    pub quiet: bool,
    /// Print a summary as JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

/// Options of `--precision int8`. The first run into a cache calibrates; the
/// cache keeps the scales for all others.
#[derive(Debug, Args)]
pub struct CalibrationArgs {
    /// Images that int8 is calibrated on.
    #[arg(long, value_name = "N", default_value_t = DEFAULT_CALIBRATION_IMAGES, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub calibration_images: u32,
    /// Refuse int8 when an image of the sample has a smaller cosine with f32;
    /// 0 accepts everything.
    #[arg(long, value_name = "COSINE", default_value_t = DEFAULT_MIN_COSINE)]
    pub min_cosine: f64,
    /// Take the calibration of another cache, so that one head serves both.
    #[arg(long, value_name = "CACHE")]
    pub calibration_from: Option<PathBuf>,
}

/// Options that change how an image becomes a tensor. Unset ones come from the
/// weights' registry entry.
#[derive(Debug, Args)]
pub struct ImageArgs {
    /// Short side after resizing, in pixels.
    #[arg(long, value_name = "PIXELS")]
    pub resize: Option<u32>,
    /// Side of the centre crop, in pixels.
    #[arg(long, value_name = "PIXELS")]
    pub crop: Option<u32>,
    /// bilinear or bicubic, both with antialias.
    #[arg(long)]
    pub interpolation: Option<Interpolation>,
    /// Three means on a scale of 0 to 1.
    #[arg(long, value_delimiter = ',', value_name = "R,G,B", num_args = 1)]
    pub mean: Option<Vec<f32>>,
    /// Three standard deviations.
    #[arg(long, value_delimiter = ',', value_name = "R,G,B", num_args = 1)]
    pub std: Option<Vec<f32>>,
    /// exact, or fast: large JPEGs at 1/2, 1/4 or 1/8 of their size where they
    /// are shrunk further anyway. The features drift a little.
    #[arg(long, default_value_t)]
    pub decode: DecodeMode,
    /// EXIF orientation: ignore (as torchvision does) or apply.
    #[arg(long, default_value_t)]
    pub exif: ExifPolicy,
    /// Refuse images of more pixels.
    #[arg(long, default_value_t = DEFAULT_MAX_PIXELS, value_parser = clap::value_parser!(u64).range(1..))]
    pub max_pixels: u64,
}

/// `--format`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum FormatArg {
    /// Arrow IPC: training maps it without copying.
    Arrow,
    /// Parquet: smaller, for exchange and object stores.
    Parquet,
}

/// `--dtype`
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum DtypeArg {
    /// Half precision.
    F16,
    /// Single precision.
    F32,
}

/// `extract status`
#[derive(Debug, Args)]
pub struct CacheArgs {
    /// The cache's folder.
    pub cache: PathBuf,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `extract verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The cache's folder and the output.
    #[command(flatten)]
    pub cache: CacheArgs,
    /// Discard damaged parts, so that the next `extract run` redoes them.
    #[arg(long)]
    pub discard: bool,
}

/// `extract backbones`
#[derive(Debug, Args)]
pub struct BackbonesArgs {
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `extract bench`
#[derive(Debug, Args)]
pub struct BenchArgs {
    /// Images to measure with, as for `extract run` [default: photos of
    /// 500×375 pixels that are made on the spot].
    pub source: Option<PathBuf>,
    /// Which network; see `extract backbones`.
    #[arg(long, default_value = DEFAULT_BACKBONE)]
    pub backbone: String,
    /// Its weights [default: the embedded ones, or random ones: speed does not
    /// depend on them].
    #[arg(long)]
    pub weights: Option<WeightSource>,
    /// What to measure.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "decode,backbone,whole"
    )]
    pub stage: Vec<StageArg>,
    /// Arithmetics of the backbone, one after the other.
    #[arg(long, value_delimiter = ',', default_value = "f32")]
    pub precision: Vec<Precision>,
    /// auto, cpu, or cuda:N.
    #[arg(long, default_value_t)]
    pub device: DeviceChoice,
    /// Worker threads, 1 to 1024 [default: all cores].
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Time for each measurement, in seconds.
    #[arg(long, default_value_t = DEFAULT_BENCH_SECONDS, value_parser = clap::value_parser!(u32).range(1..=3600))]
    pub seconds: u32,
    /// Preprocessing and decoding.
    #[command(flatten)]
    pub image: ImageArgs,
    /// Print JSON.
    #[arg(long)]
    pub json: bool,
}

/// `--stage`
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum StageArg {
    /// From the bytes of a file to the normalised tensor.
    Decode,
    /// From the tensor to the features.
    Backbone,
    /// From the bytes of a file to the features.
    Whole,
}

/// Seed of all random choices of `extract run`.
pub const DEFAULT_SEED: u64 = DEFAULT_CALIBRATION_SEED;

/// Time for each measurement of `extract bench`, in seconds.
pub const DEFAULT_BENCH_SECONDS: u32 = 5;

const _: () = assert!(
    DEFAULT_PART_ROWS == 1024,
    "the help of --part-rows says 1024"
);
