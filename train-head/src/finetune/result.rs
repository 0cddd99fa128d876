//! The run that a training leaves: the model with the network's own names, the head, and the record.

use common::{
    backbone::{Op, Parameters},
    cache::{CacheReader, FeatureDtype, Identity, Layer},
    exit::Exit,
    head::{Bundle, Fitted, Head, TunedRecord},
    tail::{Alone, Tail, Tensor, Tensors},
};

use super::{
    job::{Job, Phase},
    session::{Session, of_trainer},
    tuned::through_tail,
};
use crate::{
    failure::Failure,
    fit::{Best, Ending, Outcome, Task},
    plan::{Settings, recorded_fine_settings},
    split::Partition,
    train::bundle,
};

/// The last layer of every backbone.
pub(crate) const FEATURES: &str = "avgpool";

/// A run that is ready to be saved.
pub(crate) struct Tuned {
    pub(crate) bundle: Bundle,
    /// Bytes of `model.safetensors`.
    pub(crate) model: Vec<u8>,
}

/// The best model of `session`, measured as it is exported; `None` when no epoch came to its end.
pub(crate) fn tuned(
    session: &Session,
    reader: &CacheReader,
    ending: Ending,
) -> Result<Option<Tuned>, Failure> {
    let job = session.job;
    let (Some(best), Some((best_epoch, validation_loss))) = (&session.best, session.progress.best)
    else {
        return Ok(None);
    };
    let tail = job.tail(Phase::Whole)?;
    let (model, parameters) = model(job, &tail, best, session.progress.steps)?;
    let head = head(&tail, best);
    // The other processes are through.
    let trainer = job.trainers.trainer(tail.clone(), best, Box::new(Alone));
    let mut trainer = trainer.map_err(of_trainer)?;

    let partition = job.partition;
    let train = job.dataset.first_views_of(partition.train.iter().copied());
    let rows = [&train[..], &partition.validation].concat();
    let dataset = through_tail(trainer.as_mut(), &job.inputs, job.dataset, &rows)?;
    let split = train.len() as u32;
    let partition = Partition {
        train: (0..split).collect(),
        validation: (split..rows.len() as u32).collect(),
        origin: partition.origin,
        notes: Vec::new(),
    };
    let plain = Settings::default();
    let task = Task {
        dataset: &dataset,
        partition: &partition,
        classes: dataset.names.len(),
        head: head.kind(),
        settings: &plain,
    };
    let best = Best {
        epoch: best_epoch,
        head,
        fitted: Fitted::None,
        validation_loss,
    };
    let outcome = Outcome {
        best: None,
        epochs: session.progress.epochs,
        ending,
        lines: Vec::new(),
    };
    let layer = Layer {
        name: FEATURES.to_owned(),
        shape: vec![tail.features()],
        dtype: FeatureDtype::F32,
    };
    let mut bundle = bundle(&task, reader, &layer, (&outcome, &best))?;
    let record = &mut bundle.record;
    let base = reader.manifest().identity.clone();
    record.identity = identity(&base, &parameters);
    record.fingerprint = record.identity.fingerprint();
    record.settings = recorded_fine_settings(job.settings)?;
    record.tuned = Some(TunedRecord {
        base,
        layer: job.start.layer.clone(),
        trained: job.selection.trained().to_vec(),
        model_sha256: String::new(),
    });
    record.format_version = record.needed_version();
    Ok(Some(Tuned { bundle, model }))
}

/// What the features of the fine-tuned backbone are.
fn identity(base: &Identity, parameters: &Parameters) -> Identity {
    Identity {
        weights: parameters.digest().to_owned(),
        layers: vec![FEATURES.to_owned()],
        dtype: FeatureDtype::F32,
        views: 1,
        augment: None,
        seed: None,
        ..base.clone()
    }
}

/// The whole model as a weight file of the network, and its backbone's parameters.
fn model(
    job: &Job,
    tail: &Tail,
    best: &Tensors,
    steps: u64,
) -> Result<(Vec<u8>, Parameters), Failure> {
    let network = &job.backbone.network;
    let parameters = Parameters::collect(network, |parameter| {
        let tuned = best.get(&parameter.name).map(|tensor| &tensor.values[..]);
        let values = tuned.or_else(|| job.backbone.parameters.get(&parameter.name));
        Ok::<_, Failure>(values.unwrap_or_default().to_vec())
    })?;
    let of_backbone = network.parameters().into_iter().map(|parameter| Tensor {
        values: parameters.get(&parameter.name).unwrap_or_default().to_vec(),
        name: parameter.name,
        shape: parameter.shape,
    });
    let layers = tail.head_layers();
    let is_head = |tensor: &&Tensor| {
        let layer = tensor.name.rsplit_once('.').map_or("", |(layer, _)| layer);
        layers.iter().any(|own| own == layer)
    };
    let of_head = best.iter().filter(is_head).cloned();
    let tensors: Tensors = of_backbone.chain(of_head).collect();
    let counters: Vec<_> = network
        .nodes()
        .iter()
        .filter_map(|node| match &node.op {
            Op::Conv(conv) => Some(conv),
            _ => None,
        })
        .map(|conv| {
            let batches = if tail.normalises_by_batch(conv) {
                i64::try_from(steps).unwrap_or(i64::MAX)
            } else {
                0
            };
            (format!("{}.num_batches_tracked", conv.norm.name), batches)
        })
        .collect();
    let metadata = serde_json::json!({
        "backbone": network.name(),
        "classes": job.dataset.names,
    });
    let bytes = tensors.to_safetensors(&counters, &metadata.to_string());
    let bytes = bytes.map_err(|problem| Failure::new(Exit::Failure, problem));
    Ok((bytes?, parameters))
}

/// The head among `tensors`.
fn head(tail: &Tail, tensors: &Tensors) -> Head {
    let options = tail.options();
    let mut head = Head::zeros(options.head, tail.features(), options.classes);
    for (name, layer) in tail.head_layers().iter().zip(head.layers_mut()) {
        let values = |tensor: &str| {
            let tensor = tensors.get(&format!("{name}.{tensor}"));
            tensor
                .map(|tensor| tensor.values.clone())
                .unwrap_or_default()
        };
        (layer.weight, layer.bias) = (values("weight"), values("bias"));
    }
    head
}
