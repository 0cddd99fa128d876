//! `extract bench`'s options, checked.

use std::{path::PathBuf, time::Duration};

use anyhow::Result;
use common::{
    backbone::registry,
    embed::{EmbedderOptions, WeightSource},
    engine::device::Precision,
};

use super::{Summary, decode, preprocess, threads};
use crate::cli::{BenchArgs, StageArg};

/// Layer whose features are computed.
const LAYER: &str = "avgpool";

/// A piece of the way from a file to its features.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// From the bytes of a file to the normalised tensor.
    Decode,
    /// From the tensor to the features.
    Backbone,
    /// From the bytes of a file to the features.
    Whole,
}

impl Stage {
    /// Name in options and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Backbone => "backbone",
            Self::Whole => "whole",
        }
    }
}

impl From<StageArg> for Stage {
    fn from(stage: StageArg) -> Self {
        match stage {
            StageArg::Decode => Self::Decode,
            StageArg::Backbone => Self::Backbone,
            StageArg::Whole => Self::Whole,
        }
    }
}

/// What `extract bench` is to measure.
pub struct BenchPlan {
    /// Folder or table; `None` for pictures made on the spot.
    pub source: Option<PathBuf>,
    /// Backbone, preprocessing and device; the precision is one of `precisions`.
    pub embedder: EmbedderOptions,
    /// What is measured, in this order.
    pub stages: Vec<Stage>,
    /// Arithmetics to measure the backbone in.
    pub precisions: Vec<Precision>,
    /// Worker threads.
    pub threads: usize,
    /// Time for each measurement.
    pub duration: Duration,
    /// How the result is printed.
    pub summary: Summary,
}

impl BenchPlan {
    /// Checks the options and fills in what was left out.
    ///
    /// # Errors
    /// An unknown backbone, or a recipe that makes no sense.
    pub fn new(args: BenchArgs) -> Result<Self> {
        let entry = registry::find(&args.backbone)?;
        let random = entry.embedded.is_none().then_some(WeightSource::Random);
        Ok(Self {
            source: args.source,
            embedder: EmbedderOptions {
                entry,
                weights: args.weights.or(random),
                layers: vec![LAYER.to_owned()],
                preprocess: preprocess(entry.preprocess(), &args.image)?,
                decode: decode(&args.image),
                device: args.device,
                precision: Precision::F32,
                calibration: None,
            },
            stages: args.stage.into_iter().map(Stage::from).collect(),
            precisions: args.precision,
            threads: threads(args.threads),
            duration: Duration::from_secs(args.seconds.into()),
            summary: if args.json {
                Summary::Json
            } else {
                Summary::Text
            },
        })
    }
}
