//! Labelled feature rows of one layer of a cache.

use common::{
    cache::{CacheReader, FeatureBatch, Layer, Manifest},
    exit::Exit,
    interrupt::Interrupt,
    source::Split,
};

use crate::{
    failure::{Failure, OrExit},
    features::{Allowance, Features, Inspection, inspect},
    split::FITTING_SPLITS,
};

/// The layer that a head is meant for when a cache holds several.
const USUAL_LAYER: &str = "avgpool";

/// Stands for no label, where rows without one are kept.
pub(crate) const NO_LABEL: u32 = u32::MAX;

/// What becomes of rows without a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unlabelled {
    LeaveOut,
    /// Their label is [`NO_LABEL`].
    Keep,
}

/// Which rows are read, and how much memory their features may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted<'a> {
    pub(crate) splits: &'a [Split],
    pub(crate) unlabelled: Unlabelled,
    pub(crate) allowance: Allowance,
}

impl Wanted<'static> {
    /// What heads are fitted to.
    pub(crate) fn for_fitting(allowance: Allowance) -> Self {
        Self {
            splits: &FITTING_SPLITS,
            unlabelled: Unlabelled::LeaveOut,
            allowance,
        }
    }
}

/// Rows, with labels; every list has one entry a row.
pub(crate) struct Dataset {
    pub(crate) features: Features,
    pub(crate) labels: Vec<u32>,
    pub(crate) rows: Vec<RowInfo>,
    /// Rows without a label.
    pub(crate) unlabelled: u64,
    pub(crate) allowance: Allowance,
}

/// What is known of a row beside its features and label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RowInfo {
    /// The image's position in the cache's plan.
    pub(crate) id: u64,
    /// Which view of the image.
    pub(crate) view: u8,
    pub(crate) split: Split,
    /// Equal for rows whose features have the same bits.
    pub(crate) digest: u64,
}

impl Dataset {
    /// Reads the rows of `layer` whose split is among those wanted, checking every
    /// value, unless `stop` is set before the end.
    pub(crate) fn load(
        reader: &CacheReader,
        layer: &Layer,
        wanted: Wanted,
        stop: &Interrupt,
    ) -> Result<Self, Failure> {
        let mut dataset = Self {
            features: Features::new(layer.dim(), wanted.allowance),
            labels: Vec::new(),
            rows: Vec::new(),
            unlabelled: 0,
            allowance: wanted.allowance,
        };
        let classes = reader.manifest().classes.len();
        for batch in reader.batches(&layer.name).or_exit(Exit::Input)? {
            stop.check().map_err(Failure::of)?;
            dataset.add(batch.or_exit(Exit::Input)?, classes, wanted)?;
        }
        Ok(dataset)
    }

    fn add(&mut self, batch: FeatureBatch, classes: usize, wanted: Wanted) -> Result<(), Failure> {
        let mut values = vec![0.0; batch.dim()];
        let mut kept = Vec::with_capacity(batch.rows());
        for row in 0..batch.rows() {
            let split = batch.split(row);
            if !wanted.splits.contains(&split) {
                continue;
            }
            let label = u32::try_from(batch.labels()[row]).unwrap_or(NO_LABEL);
            self.unlabelled += u64::from(label == NO_LABEL);
            if label == NO_LABEL && wanted.unlabelled == Unlabelled::LeaveOut {
                continue;
            }
            if label != NO_LABEL && label as usize >= classes {
                let uri = batch.uri(row);
                let message = format!(
                    "`{uri}`: label {label}, the cache has {classes} classes (find damage with `extract verify`)"
                );
                return Err(Failure::new(Exit::Input, message));
            }
            batch.copy_row(row, &mut values);
            let digest = match inspect(&values) {
                Inspection::Digest(digest) => digest,
                Inspection::NonFinite { position, value } => {
                    let uri = batch.uri(row);
                    let message = format!(
                        "`{uri}`: feature {position} is {value} (extract it again; a smaller --precision or damaged weights make such values)"
                    );
                    return Err(Failure::new(Exit::Input, message));
                }
            };
            self.labels.push(label);
            self.rows.push(RowInfo {
                id: batch.ids()[row],
                view: batch.views()[row],
                split,
                digest,
            });
            kept.push(row);
        }
        self.features.add(batch, &kept)
    }

    /// Labels of `rows`.
    pub(crate) fn gather_labels(&self, rows: &[u32], output: &mut Vec<u32>) {
        output.clear();
        output.extend(rows.iter().map(|&row| self.labels[row as usize]));
    }

    /// Rows of each class among `rows`.
    pub(crate) fn class_rows(&self, rows: &[u32], classes: usize) -> Vec<u64> {
        let mut counts = vec![0; classes];
        for &row in rows {
            counts[self.labels[row as usize] as usize] += 1;
        }
        counts
    }
}

/// The layer to train on: the one asked for, or the obvious one. A head needs
/// one vector an image, not a map.
pub(crate) fn choose_layer<'a>(
    reader: &'a CacheReader,
    requested: Option<&str>,
) -> Result<&'a Layer, Failure> {
    choose(reader.manifest(), requested).map_err(|problem| {
        Failure::new(
            Exit::Input,
            format!("cache `{}`: {problem}", reader.directory().display()),
        )
    })
}

fn choose<'a>(manifest: &'a Manifest, requested: Option<&str>) -> Result<&'a Layer, String> {
    let names = |layers: &[&Layer]| {
        let names: Vec<_> = layers.iter().map(|layer| layer.name.as_str()).collect();
        names.join(", ")
    };
    let all: Vec<_> = manifest.layers.iter().collect();
    if let Some(name) = requested {
        let layer = manifest
            .layer(name)
            .ok_or_else(|| format!("no layer `{name}` (it holds {})", names(&all)))?;
        return if is_vector(layer) {
            Ok(layer)
        } else {
            Err(format!(
                "`{name}` has the shape {:?}, a head needs one vector an image (run `extract run --layer {USUAL_LAYER}`)",
                layer.shape
            ))
        };
    }
    let vectors: Vec<_> = all
        .iter()
        .copied()
        .filter(|layer| is_vector(layer))
        .collect();
    match (manifest.layer(USUAL_LAYER), &vectors[..]) {
        (Some(layer), _) if is_vector(layer) => Ok(layer),
        (_, [layer]) => Ok(layer),
        (_, []) => Err(format!(
            "built from {}, a head needs one vector an image (run `extract run --layer {USUAL_LAYER}`)",
            names(&all)
        )),
        _ => Err(format!(
            "several layers (choose one with --layer: {})",
            names(&vectors)
        )),
    }
}

fn is_vector(layer: &Layer) -> bool {
    layer.shape.iter().filter(|&&length| length > 1).count() <= 1
}
