//! Labelled feature rows of one layer of a cache.

use common::{
    cache::{CacheReader, FeatureBatch, Layer, Manifest},
    exit::Exit,
    head::LabelsRecord,
    interrupt::Interrupt,
    source::Split,
};

use crate::{
    failure::{Failure, OrExit},
    features::{Allowance, Features, Inspection, inspect},
    labels::{Answer, Labelling},
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
    /// The class of a row; all the same where rows have `targets`.
    pub(crate) labels: Vec<u32>,
    /// `[rows, names]`: whether a row has each class (1 or 0), or its numbers; empty where
    /// rows have one class.
    pub(crate) targets: Vec<f32>,
    /// Of the classes, or of the numbers.
    pub(crate) names: Vec<String>,
    /// The table of the labels; `None`: the cache's own.
    pub(crate) label_record: Option<LabelsRecord>,
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
        Self::load_labelled(reader, layer, (wanted, &Labelling::of_cache(reader)), stop)
    }

    /// As [`Dataset::load`], with the answers of `labelling`.
    pub(crate) fn load_labelled(
        reader: &CacheReader,
        layer: &Layer,
        (wanted, labelling): (Wanted, &Labelling),
        stop: &Interrupt,
    ) -> Result<Self, Failure> {
        let mut dataset = Self {
            features: Features::new(layer.dim(), wanted.allowance),
            labels: Vec::new(),
            targets: Vec::new(),
            names: labelling.names.clone(),
            label_record: labelling.record.clone(),
            rows: Vec::new(),
            unlabelled: 0,
            allowance: wanted.allowance,
        };
        for batch in reader.batches(&layer.name).or_exit(Exit::Input)? {
            stop.check().map_err(Failure::of)?;
            dataset.add(batch.or_exit(Exit::Input)?, labelling, wanted)?;
        }
        Ok(dataset)
    }

    fn add(
        &mut self,
        batch: FeatureBatch,
        labelling: &Labelling,
        wanted: Wanted,
    ) -> Result<(), Failure> {
        let classes = labelling.names.len();
        let mut values = vec![0.0; batch.dim()];
        let mut kept = Vec::with_capacity(batch.rows());
        for row in 0..batch.rows() {
            let split = batch.split(row);
            if !wanted.splits.contains(&split) {
                continue;
            }
            let (label, targets) = match labelling.answer(batch.ids()[row], batch.labels()[row]) {
                Answer::Class(label) => (label, &[][..]),
                Answer::Values(values) => (0, values),
                Answer::Missing => {
                    self.unlabelled += 1;
                    if wanted.unlabelled == Unlabelled::LeaveOut {
                        continue;
                    }
                    (NO_LABEL, &[][..])
                }
            };
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
            self.targets.extend_from_slice(targets);
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

    /// The rows of first views, ascending: augmented ones are for fitting, and nothing else is done with
    /// them.
    pub(crate) fn first_views(&self) -> Vec<u32> {
        self.first_views_of(0..self.rows.len() as u32)
    }

    /// Those of `rows` that are first views.
    pub(crate) fn first_views_of(&self, rows: impl IntoIterator<Item = u32>) -> Vec<u32> {
        let is_first = |row: &u32| self.rows[*row as usize].view == 0;
        rows.into_iter().filter(is_first).collect()
    }

    /// `rows`, ascending, image by image: the views of one follow each other.
    pub(crate) fn by_image<'a>(&self, rows: &'a [u32]) -> impl Iterator<Item = &'a [u32]> {
        let id = |row: u32| self.rows[row as usize].id;
        rows.chunk_by(move |&a, &b| id(a) == id(b))
    }

    /// Labels of `rows`.
    pub(crate) fn gather_labels(&self, rows: &[u32], output: &mut Vec<u32>) {
        output.clear();
        output.extend(rows.iter().map(|&row| self.labels[row as usize]));
    }

    /// Targets of `rows`, `[rows, names]`.
    pub(crate) fn gather_targets(&self, rows: &[u32], output: &mut Vec<f32>) {
        let width = self.names.len();
        output.clear();
        for &row in rows {
            output.extend_from_slice(&self.targets[row as usize * width..][..width]);
        }
    }

    /// Rows of each class among `rows`; with any number of classes a row counts for each.
    pub(crate) fn class_rows(&self, rows: &[u32], classes: usize) -> Vec<u64> {
        let mut counts = vec![0; classes];
        if !self.targets.is_empty() {
            for &row in rows {
                let flags = &self.targets[row as usize * classes..][..classes];
                for (count, flag) in counts.iter_mut().zip(flags) {
                    *count += u64::from(*flag > 0.5);
                }
            }
            return counts;
        }
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
