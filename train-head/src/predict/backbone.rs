//! The backbone that a prediction runs through.

use common::{
    embed::{Embedder, WeightSource, Worker},
    head::RunRecord,
};

use crate::{
    embedder::{self, Wanted},
    failure::Failure,
    plan::PredictPlan,
};

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
    let own = || {
        let model = record.tuned.as_ref();
        model.map(|_| WeightSource::File(plan.run.clone()))
    };
    let wanted = Wanted {
        weights: plan.weights.clone().or_else(own),
        layers: vec![record.layer.clone()],
        device: plan.device,
        max_pixels: plan.max_pixels,
    };
    let place = format!("run `{}`", plan.run.display());
    embedder::load(&record.identity, wanted, &place)
}
