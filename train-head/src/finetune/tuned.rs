//! Rows as the head of a fine-tuned backbone sees them.

use std::{ops::ControlFlow, path::Path};

use common::{
    cache::{CacheReader, Layer},
    embed::WeightSource,
    engine::{
        cpu::Isa,
        device::{DeviceChoice, Precision},
    },
    exit::Exit,
    head::{Bundle, TunedRecord},
    tail::{Alone, NormMode, Selection, Tail, TailOptions, Trainer, Trainers},
};

use super::{
    backbone::{Backbone, cache_place},
    inputs::{Inputs, Purpose},
    session::of_trainer,
};
use crate::{
    dataset::Dataset,
    failure::{Failure, OrExit},
    features::Features,
    head_input::{difference, difference_of},
};

/// Rows that go through the tail together.
const BATCH_ROWS: usize = 32;

/// The rows `rows` of `dataset`, with what `trainer` makes of their activations in the place of features.
/// They are numbered from 0.
pub(crate) fn through_tail(
    trainer: &mut dyn Trainer,
    inputs: &Inputs,
    dataset: &Dataset,
    rows: &[u32],
) -> Result<Dataset, Failure> {
    let batches: Vec<_> = rows.chunks(BATCH_ROWS).map(<[u32]>::to_vec).collect();
    let mut values = Vec::new();
    inputs.visit(&batches, Purpose::Judging, |number, inputs| {
        let features = trainer.features(inputs, batches[number].len());
        values.extend(features.map_err(of_trainer)?);
        Ok(ControlFlow::Continue(()))
    })?;
    let mut labels = Vec::new();
    dataset.gather_labels(rows, &mut labels);
    Ok(Dataset {
        features: Features::of_values(values.len() / rows.len().max(1), values),
        labels,
        targets: Vec::new(),
        names: dataset.names.clone(),
        label_record: dataset.label_record.clone(),
        rows: rows.iter().map(|&row| dataset.rows[row as usize]).collect(),
        unlabelled: dataset.unlabelled,
        allowance: dataset.allowance,
    })
}

/// The fine-tuned backbone's record if a cache does not hold its features, but perhaps the activations that
/// its training started from.
pub(crate) fn before_tail<'a>(bundle: &'a Bundle, reader: &CacheReader) -> Option<&'a TunedRecord> {
    let (manifest, record) = (reader.manifest(), &bundle.record);
    let has_layer = manifest.layer(&record.layer).is_some();
    let has_features = has_layer && difference(&manifest.identity, record).is_none();
    record.tuned.as_ref().filter(|_| !has_features)
}

/// The layer of a cache whose activations the tail of the run in `run` reads.
///
/// # Errors
/// When the cache does not hold it, or made it in another way.
pub(crate) fn tail_layer<'a>(
    tuned: &TunedRecord,
    run: &Path,
    reader: &'a CacheReader,
) -> Result<&'a Layer, Failure> {
    let manifest = reader.manifest();
    let place = cache_place(reader.directory());
    let remedy = format!(
        "or extract the features of the fine-tuned backbone: `extract run SOURCE --out OTHER --backbone {} --weights {}`, with the other options of its cache",
        tuned.base.backbone,
        run.display()
    );
    let Some(name) = &tuned.layer else {
        let message = format!(
            "{place}: the run was trained from the pixels on, which no cache holds ({remedy})"
        );
        return Err(Failure::new(Exit::Mismatch, message));
    };
    if let Some(difference) = difference_of(&manifest.identity, &tuned.base, name) {
        let message = format!(
            "{place}: not the activations that the run `{}` was trained on: {difference} (extract with its settings, {remedy})",
            run.display()
        );
        return Err(Failure::new(Exit::Mismatch, message));
    }
    manifest.layer(name).ok_or_else(|| {
        let message = format!(
            "{place}: no layer `{name}`, from which the run was trained (extract it, {remedy})"
        );
        Failure::new(Exit::Mismatch, message)
    })
}

/// The rows `rows` of `dataset`, which holds activations of `layer`, as the head of the run in `run` sees them.
pub(crate) fn tuned_rows(
    (bundle, run): (&Bundle, &Path),
    layer: &str,
    dataset: &Dataset,
    rows: &[u32],
) -> Result<Dataset, Failure> {
    let weights = WeightSource::File(run.to_owned());
    let place = format!("run `{}`", run.display());
    let backbone = Backbone::load(&bundle.record.identity, Some(&weights), &place)?;
    let start = backbone.network.stage(layer).or_exit(Exit::Input)?.output;
    let options = TailOptions {
        input: backbone.input,
        norm: NormMode::Frozen,
        head: bundle.head.kind(),
        classes: bundle.head.classes(),
        dropout: 0.0,
    };
    let selection = Selection::head_alone(&backbone.network);
    let tail = Tail::new(backbone.network, start, selection, options).or_exit(Exit::Input)?;
    let tensors = tail.tensors(&backbone.parameters, &bundle.head);
    let isa = Isa::from_environment().or_exit(Exit::Device)?;
    let trainers = Trainers::on(DeviceChoice::Cpu, Precision::F32, isa).map_err(Failure::of)?;
    let trainer = trainers.trainer(tail, &tensors, Box::new(Alone));
    let mut trainer = trainer.map_err(of_trainer)?;
    through_tail(trainer.as_mut(), &Inputs::Cached(dataset), dataset, rows)
}
