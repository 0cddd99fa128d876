//! What the fine-tunings of a sweep share: the backbone, the activations, and where each degree of unfreezing
//! starts from.

use std::sync::Arc;

use common::{
    cache::CacheReader,
    engine::cpu::Isa,
    exit::Exit,
    head::Head,
    interrupt::Interrupt,
    tail::{Alone, Cut, Selection, Trainers},
};

use super::{super::record::SourceRecord, candidate::Candidate};
use crate::{
    dataset::Dataset,
    failure::{Failure, OrExit},
    features::Allowance,
    finetune::{
        backbone::{Backbone, cache_place, cached_start},
        head::{head_of, new_head},
        inputs::Inputs,
        job::{Job, class_weights},
        load,
    },
    plan::{FineSettings, TailTrials},
    split::Partition,
};

/// What all trials read.
pub(super) struct Ground {
    pub(super) reader: CacheReader,
    backbone: Backbone,
    /// In the order of the command line.
    degrees: Vec<Degree>,
    /// One a layer that a degree starts from.
    datasets: Vec<Dataset>,
    /// That of another run, which all begin with.
    pub(super) first_head: Option<Head>,
    trainers: Trainers,
}

/// A degree of unfreezing.
struct Degree {
    selection: Selection,
    start: Cut,
    /// Which of the datasets has the activations.
    dataset: usize,
}

impl Ground {
    /// Reads all that the trials of `own` need. `memory` is for the activations.
    pub(super) fn open(
        own: &TailTrials,
        memory: Allowance,
        stop: &Interrupt,
    ) -> Result<Self, Failure> {
        let reader = CacheReader::open(&own.cache).or_exit(Exit::Input)?;
        let identity = &reader.manifest().identity;
        let place = cache_place(&own.cache);
        let backbone = Backbone::load(identity, own.weights.as_ref(), &place)?;
        let mut degrees: Vec<Degree> = Vec::new();
        let mut starts: Vec<Cut> = Vec::new();
        for patterns in &own.degrees {
            let network = &backbone.network;
            let selection = Selection::new(network, patterns).or_exit(Exit::Usage)?;
            let start = cached_start(&reader, network, (&selection, patterns), None)?;
            let known = starts.iter().position(|known| *known == start);
            let dataset = known.unwrap_or(starts.len());
            if known.is_none() {
                starts.push(start.clone());
            }
            degrees.push(Degree {
                selection,
                start,
                dataset,
            });
        }
        let isa = Isa::from_environment().or_exit(Exit::Device)?;
        let trainers = Trainers::on(own.device, own.precision, isa).map_err(Failure::of)?;
        let share = memory.shared_by(starts.len());
        let datasets = starts
            .iter()
            .map(|start| load(&reader, start, share, stop))
            .collect::<Result<Vec<_>, _>>()?;
        let init = own.init.as_ref();
        let first_head = init
            .map(|run| head_of(run, &reader, &datasets[0].names))
            .transpose()?;
        Ok(Self {
            reader,
            backbone,
            degrees,
            datasets,
            first_head,
            trainers,
        })
    }

    /// The activations that degree `degree` starts from.
    pub(super) fn dataset(&self, degree: usize) -> &Dataset {
        &self.datasets[self.degrees[degree].dataset]
    }

    /// Name of the layer that degree `degree` starts from.
    pub(super) fn layer(&self, degree: usize) -> Option<&str> {
        self.degrees[degree].start.layer.as_deref()
    }

    /// A trial with `settings`, but for the seed and for the shape of a head that is there already.
    pub(super) fn candidate(&self, settings: FineSettings, degree: usize, seed: u64) -> Candidate {
        let classes = self.datasets[0].names.len();
        let head = match &self.first_head {
            Some(head) => head.clone(),
            None => new_head(&self.backbone, settings.head, classes, seed),
        };
        Candidate {
            settings: FineSettings {
                head: head.kind(),
                seed,
                ..settings
            },
            head,
            degree,
        }
    }

    /// `candidate` on `partition`.
    pub(super) fn job<'a>(&'a self, candidate: &'a Candidate, partition: &'a Partition) -> Job<'a> {
        let degree = &self.degrees[candidate.degree];
        let dataset = &self.datasets[degree.dataset];
        Job {
            settings: &candidate.settings,
            backbone: &self.backbone,
            selection: &degree.selection,
            start: &degree.start,
            head: &candidate.head,
            dataset,
            partition,
            inputs: Inputs::Cached(dataset),
            class_weights: class_weights(&candidate.settings, dataset, partition),
            trainers: self.trainers.clone(),
            collective: Arc::new(Alone),
            images: dataset.by_image(&partition.train).collect(),
        }
    }

    /// What each degree reads.
    pub(super) fn records(&self) -> Vec<SourceRecord> {
        let manifest = self.reader.manifest();
        let record = |degree: &Degree| SourceRecord {
            fingerprint: manifest.fingerprint.clone(),
            plan_sha256: manifest.plan_sha256.clone(),
            layer: degree.start.layer.clone().unwrap_or_default(),
        };
        self.degrees.iter().map(record).collect()
    }

    /// What each degree trains, in words.
    pub(super) fn notes(&self, own: &TailTrials) -> Vec<String> {
        let parameters = self.backbone.network.parameters();
        let note = |(degree, patterns): (&Degree, &Vec<String>)| {
            let trained = parameters
                .iter()
                .filter(|parameter| degree.selection.contains(&parameter.name));
            let sizes = trained.map(|parameter| parameter.shape.iter().product());
            let sizes: Vec<usize> = sizes.collect();
            format!(
                "--unfreeze {}: trains {} tensors of the backbone, {} parameters, from layer `{}` on",
                patterns.join(","),
                sizes.len(),
                sizes.iter().sum::<usize>(),
                degree.start.layer.as_deref().unwrap_or_default()
            )
        };
        self.degrees.iter().zip(&own.degrees).map(note).collect()
    }
}
