//! What a sweep's features are read from: every layer asked for of every cache.

use common::{
    cache::{CacheReader, Layer},
    exit::Exit,
    interrupt::Interrupt,
};

use super::super::{
    name::Name,
    record::SourceRecord,
    space::{Dimension, Point, Space},
};
use crate::{
    dataset::{Dataset, Wanted, choose_layer},
    failure::{Failure, OrExit},
    features::Allowance,
    labels::Labelling,
    plan::HeadTrials,
};

/// One layer of one cache.
pub(crate) struct Source {
    pub(crate) reader: CacheReader,
    pub(crate) layer: Layer,
    pub(crate) dataset: Dataset,
}

/// Opens all sources: cache by cache, layer by layer. They hold the same images.
pub(crate) fn open(
    plan: &HeadTrials,
    memory: Allowance,
    stop: &Interrupt,
) -> Result<Vec<Source>, Failure> {
    let mut sources: Vec<Source> = Vec::new();
    let layers: Vec<Option<&str>> = match &plan.layers[..] {
        [] => vec![None],
        named => named.iter().map(|name| Some(name.as_str())).collect(),
    };
    let count = plan.caches.len() * layers.len();
    let wanted = Wanted::for_fitting(memory.shared_by(count));
    let task = plan.base.loss.task();
    for cache in &plan.caches {
        let mut labelling = None;
        for name in &layers {
            let reader = CacheReader::open(cache).or_exit(Exit::Input)?;
            let labelling = match &mut labelling {
                Some(labelling) => labelling,
                none => none.insert(Labelling::read(&reader, plan.labels.as_ref(), task, stop)?),
            };
            let layer = choose_layer(&reader, *name)?.clone();
            let rows = (wanted, &*labelling);
            let dataset = Dataset::load_labelled(&reader, &layer, rows, stop)?;
            let source = Source {
                reader,
                layer,
                dataset,
            };
            if let Some(first) = sources.first() {
                source.check_against(first)?;
            }
            sources.push(source);
        }
    }
    Ok(sources)
}

impl Source {
    /// Trials can only be compared on the same rows.
    fn check_against(&self, first: &Self) -> Result<(), Failure> {
        let rows = |source: &Self| -> Vec<_> {
            let rows = source.dataset.rows.iter().zip(&source.dataset.labels);
            rows.map(|(row, label)| (row.id, row.view, row.split, *label))
                .collect()
        };
        let same = self.reader.manifest().plan_sha256 == first.reader.manifest().plan_sha256
            && self.dataset.names == first.dataset.names
            && self.dataset.targets == first.dataset.targets
            && rows(self) == rows(first);
        if same {
            return Ok(());
        }
        let message = format!(
            "cache `{}`: not the same images, labels and views as in `{}` (extract both from one source)",
            self.reader.directory().display(),
            first.reader.directory().display()
        );
        Err(Failure::new(Exit::Mismatch, message))
    }

    pub(crate) fn record(&self) -> SourceRecord {
        SourceRecord {
            fingerprint: self.reader.manifest().fingerprint.clone(),
            plan_sha256: self.reader.manifest().plan_sha256.clone(),
            layer: self.layer.name.clone(),
        }
    }
}

/// The dimensions of a choice among sources; none where there is nothing to choose.
pub(crate) fn dimensions(plan: &HeadTrials) -> Vec<Dimension> {
    let caches = plan
        .caches
        .iter()
        .map(|cache| cache.to_string_lossy().into_owned());
    let mut dimensions = Vec::new();
    if plan.caches.len() > 1 {
        dimensions.push(Dimension::of_words(Name::Cache, caches));
    }
    if plan.layers.len() > 1 {
        let layers = plan.layers.iter().cloned();
        dimensions.push(Dimension::of_words(Name::Layer, layers));
    }
    dimensions
}

/// Which source `point` chooses, in the order of [`open`].
pub(crate) fn chosen(space: &Space, point: &Point, plan: &HeadTrials) -> usize {
    space.choice(point, Name::Cache) * plan.layers.len().max(1) + space.choice(point, Name::Layer)
}
