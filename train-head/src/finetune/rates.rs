//! Learning rate and weight decay of every trained tensor.

use common::tail::{GroupStep, Tail, Tensors};

use super::job::{Job, Phase};
use crate::{
    failure::Failure,
    plan::FineSettings,
    schedule::{Decay, Schedule},
};

/// What the groups of one phase have for each of its steps.
pub(crate) struct Rates {
    /// Peak learning rate and weight decay.
    peaks: Vec<(f64, f32)>,
    schedule: Schedule,
}

impl Rates {
    /// Of `phase`, which begins with `tensors`.
    pub(crate) fn of(job: &Job, phase: Phase, tensors: &Tensors) -> Result<Self, Failure> {
        let settings = job.settings;
        let steps = job.steps_an_epoch();
        let schedule = match phase {
            Phase::Head => Schedule {
                peak: 1.0,
                decay: Decay::Constant,
                warmup_steps: 0,
                total_steps: u64::from(settings.freeze_epochs) * steps,
            },
            Phase::Whole => Schedule {
                peak: 1.0,
                decay: settings.schedule,
                warmup_steps: u64::from(settings.warmup_epochs) * steps,
                total_steps: u64::from(settings.epochs - settings.freeze_epochs) * steps,
            },
        };
        Ok(Self::new(&job.tail(phase)?, tensors, settings, schedule))
    }

    /// Of the trained tensors of `tail`, in their order: the head has its own rate, the last block
    /// the backbone's, and each block before it a share of the next one's. What has one dimension,
    /// biases and normalisations, has no decay. `schedule`'s peak is 1.
    fn new(tail: &Tail, tensors: &Tensors, settings: &FineSettings, schedule: Schedule) -> Self {
        let names = tail.trained();
        let groups = names.iter().zip(tail.depths());
        let peaks = groups.map(|(name, depth)| {
            let rate = match depth {
                0 => settings.head_learning_rate,
                _ => settings.learning_rate * settings.layer_decay.powi(depth as i32 - 1),
            };
            let dimensions = tensors.get(name).map_or(0, |tensor| tensor.shape.len());
            let decay = if dimensions > 1 {
                settings.weight_decay
            } else {
                0.0
            };
            (rate, decay)
        });
        Self {
            peaks: peaks.collect(),
            schedule,
        }
    }

    /// Of step `step`, counted from 0.
    pub(crate) fn at(&self, step: u64) -> Vec<GroupStep> {
        let groups = self.peaks.iter().map(|&(peak, weight_decay)| GroupStep {
            learning_rate: self.rate_of(peak, step),
            weight_decay,
        });
        groups.collect()
    }

    /// The largest learning rate of step `step`.
    pub(crate) fn largest(&self, step: u64) -> f32 {
        let peak = self.peaks.iter().map(|peak| peak.0).fold(0.0, f64::max);
        self.rate_of(peak, step)
    }

    fn rate_of(&self, peak: f64, step: u64) -> f32 {
        Schedule {
            peak,
            ..self.schedule
        }
        .rate(step)
    }
}

#[cfg(test)]
mod tests {
    use common::{
        backbone::{Parameters, registry},
        head::{Head, HeadKind},
        tail::{NormMode, Selection, TailOptions},
    };

    use super::*;

    #[test]
    fn blocks_further_from_the_head_learn_slower_and_norms_do_not_decay() {
        let network = registry::find("resnet18").unwrap().network();
        let selection = Selection::new(&network, &["layer4".to_owned()]).unwrap();
        let start = network.stage("layer3").unwrap().output;
        let options = TailOptions {
            input: [32, 32],
            norm: NormMode::Frozen,
            head: HeadKind::Linear,
            classes: 2,
            dropout: 0.0,
        };
        let parameters = Parameters::synthetic(&network);
        let tail = Tail::new(network, start, selection, options).unwrap();
        let tensors = tail.tensors(&parameters, &Head::zeros(HeadKind::Linear, 512, 2));
        let settings = FineSettings {
            learning_rate: 0.01,
            head_learning_rate: 0.5,
            layer_decay: 0.1,
            weight_decay: 0.2,
            ..FineSettings::default()
        };
        let schedule = Schedule {
            peak: 1.0,
            decay: Decay::Constant,
            warmup_steps: 0,
            total_steps: 1,
        };
        let steps = Rates::new(&tail, &tensors, &settings, schedule).at(0);
        let names = tail.trained();
        let step_of = |name: &str| {
            let group = names.iter().position(|known| known == name).unwrap();
            (steps[group].learning_rate, steps[group].weight_decay)
        };
        assert_eq!(step_of("layer4.1.conv2.weight"), (0.01, 0.2));
        assert_eq!(step_of("layer4.0.conv1.weight"), (0.001, 0.2));
        assert_eq!(step_of("layer4.0.bn1.weight"), (0.001, 0.0));
        assert_eq!(step_of("fc.weight"), (0.5, 0.2));
        assert_eq!(step_of("fc.bias"), (0.5, 0.0));
    }
}
