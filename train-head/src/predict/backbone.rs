//! The backbone that a prediction runs through.

use common::{cache::Identity, exit::Exit, head::RunRecord};

use crate::{failure::Failure, plan::PredictPlan};

/// From the bytes of image files to the features of one layer, in batches.
pub(super) trait Backbone {
    /// What its features are.
    fn identity(&self) -> Identity;

    /// How many images a batch should have.
    fn preferred_batch(&self) -> usize;

    /// Decodes an image and appends it to the batch; an unusable one is said why
    /// and changes nothing.
    fn add(&mut self, file: &[u8]) -> Result<(), String>;

    /// Runs and empties the batch: `[B, D]` f32, in the order of adding.
    fn forward(&mut self) -> Result<Vec<f32>, Failure>;
}

/// The backbone, preprocessing and layer that the record names, with the plan's weights
/// on the plan's device.
pub(super) fn open_backbone(
    record: &RunRecord,
    plan: &PredictPlan,
) -> Result<Box<dyn Backbone>, Failure> {
    let _ = (&plan.weights, &plan.device);
    let message = format!("backbone `{}`: not connected yet", record.identity.backbone);
    Err(Failure::new(Exit::Failure, message))
}
