//! The backbone that a prediction runs through.

use common::{
    backbone::registry,
    embed::{Calibration, Embedder, EmbedderOptions, INT8_ROUNDING, WeightSource, Worker},
    engine::device::Precision,
    exit::Exit,
    head::RunRecord,
    image::{DecodeMode, DecodeOptions, ExifPolicy, Preprocess},
};

use crate::{failure::Failure, plan::PredictPlan};

/// From the bytes of image files to the features of one layer, in batches.
pub(super) trait Backbone {
    /// Decodes an image and appends it to the batch; an unusable one is said why
    /// and changes nothing.
    fn add(&mut self, file: &[u8]) -> Result<(), String>;

    /// Runs and empties the batch: `[B, D]` f32, in the order of adding.
    fn forward(&mut self) -> Result<Vec<f32>, Failure>;
}

impl Backbone for Worker<'_> {
    fn add(&mut self, file: &[u8]) -> Result<(), String> {
        Self::add(self, file).map_err(|error| error.to_string())
    }

    fn forward(&mut self) -> Result<Vec<f32>, Failure> {
        let mut layers = Self::forward(self).map_err(Failure::of)?;
        // The embedder was loaded with the head's layer alone.
        Ok(layers.pop().unwrap_or_default())
    }
}

/// The backbone, preprocessing and layer that the record names, with the plan's weights
/// on the plan's device.
pub(super) fn load(record: &RunRecord, plan: &PredictPlan) -> Result<Embedder, Failure> {
    let identity = &record.identity;
    let unknown = |field: &str, problem: String| {
        let message = format!(
            "run `{}`: {field} of its cache: {problem}",
            plan.run.display()
        );
        Failure::new(Exit::Input, message)
    };
    let entry = registry::find(&identity.backbone)
        .map_err(|error| unknown("backbone", error.to_string()))?;
    let preprocess: Preprocess = serde_json::from_value(identity.preprocessing.clone())
        .map_err(|error| unknown("preprocessing", error.to_string()))?;
    let exif: ExifPolicy = identity
        .exif
        .parse()
        .map_err(|error| unknown("EXIF policy", format!("{error}")))?;
    let mode = match &identity.decode {
        Some(word) => word
            .parse()
            .map_err(|error| unknown("decoding", format!("{error}")))?,
        None => DecodeMode::Exact,
    };
    let precision: Precision = identity
        .precision
        .parse()
        .map_err(|problem| unknown("precision", problem))?;
    let calibration = identity.calibration.clone().map(serde_json::from_value);
    let calibration: Option<Calibration> = calibration
        .transpose()
        .map_err(|error| unknown("calibration", error.to_string()))?;
    if calibration
        .as_ref()
        .is_some_and(|calibration| calibration.rounding != INT8_ROUNDING)
    {
        let problem = "another version of int8 (extract and train again)".to_owned();
        return Err(unknown("calibration", problem));
    }
    let own = || {
        let model = record.tuned.as_ref();
        model.map(|_| WeightSource::File(plan.run.clone()))
    };
    let options = EmbedderOptions {
        entry,
        weights: plan.weights.clone().or_else(own),
        layers: vec![record.layer.clone()],
        preprocess,
        decode: DecodeOptions {
            exif,
            mode,
            max_pixels: plan.max_pixels,
        },
        device: plan.device,
        precision,
        calibration,
    };
    Embedder::load(options).map_err(Failure::of)
}
