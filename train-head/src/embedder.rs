//! The embedder that features of a known identity come from.

use common::{
    backbone::registry,
    cache::Identity,
    embed::{Calibration, Embedder, EmbedderOptions, INT8_ROUNDING, WeightSource},
    engine::device::{DeviceChoice, Precision},
    exit::Exit,
    image::{DecodeMode, DecodeOptions, ExifPolicy, Preprocess},
};

use crate::failure::Failure;

/// What an identity does not say.
pub(crate) struct Wanted {
    /// `None`: the embedded ones.
    pub(crate) weights: Option<WeightSource>,
    pub(crate) layers: Vec<String>,
    pub(crate) device: DeviceChoice,
    pub(crate) max_pixels: u64,
}

/// The backbone and preprocessing that `identity` names. `place` says whose identity it is.
pub(crate) fn load(identity: &Identity, wanted: Wanted, place: &str) -> Result<Embedder, Failure> {
    let unknown = |field: &str, problem: String| {
        let message = format!("{place}: {field} of its features: {problem}");
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
    let options = EmbedderOptions {
        entry,
        weights: wanted.weights,
        layers: wanted.layers,
        preprocess,
        decode: DecodeOptions {
            exif,
            mode,
            max_pixels: wanted.max_pixels,
        },
        device: wanted.device,
        precision,
        calibration,
    };
    Embedder::load(options).map_err(Failure::of)
}
