//! The learning rate of every step.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// How the learning rate changes after the warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Decay {
    /// It stays.
    #[default]
    Constant,
    /// Half a cosine, down to zero after the last epoch.
    Cosine,
}

/// A warm-up and what follows it, in optimizer steps.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    pub(crate) peak: f64,
    pub(crate) decay: Decay,
    /// Steps over which the rate grows linearly to `peak`; the last of them has it.
    pub(crate) warmup_steps: u64,
    pub(crate) total_steps: u64,
}

impl Schedule {
    /// The learning rate of step `step`, counted from 0.
    pub(crate) fn rate(&self, step: u64) -> f32 {
        if step < self.warmup_steps {
            return (self.peak * (step + 1) as f64 / self.warmup_steps as f64) as f32;
        }
        let factor = match self.decay {
            Decay::Constant => 1.0,
            Decay::Cosine => {
                let length = self.total_steps.saturating_sub(self.warmup_steps).max(1);
                let progress = (step - self.warmup_steps) as f64 / length as f64;
                0.5 * (1.0 + (PI * progress.min(1.0)).cos())
            }
        };
        (self.peak * factor) as f32
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(decay: Decay, warmup_steps: u64) -> Schedule {
        Schedule {
            peak: 0.4,
            decay,
            warmup_steps,
            total_steps: 8,
        }
    }

    #[test]
    fn constant_rate_never_changes() {
        let schedule = schedule(Decay::Constant, 0);
        assert!((0..8).all(|step| schedule.rate(step) == 0.4));
    }

    #[test]
    fn warmup_is_linear_and_ends_at_the_peak() {
        let schedule = schedule(Decay::Constant, 4);
        let rates: Vec<f32> = (0..5).map(|step| schedule.rate(step)).collect();
        assert_eq!(rates, [0.1, 0.2, 0.3, 0.4, 0.4]);
    }

    #[test]
    fn cosine_starts_at_the_peak_is_half_way_in_the_middle_and_ends_at_zero() {
        // torch.optim.lr_scheduler.CosineAnnealingLR(T_max=8), lr 0.4: after 2 steps 0.3414214.
        let schedule = schedule(Decay::Cosine, 0);
        assert_eq!(schedule.rate(0), 0.4);
        assert!((schedule.rate(2) - 0.341_421_4).abs() < 1e-6);
        assert!((schedule.rate(4) - 0.2).abs() < 1e-6);
        assert!(schedule.rate(8) < 1e-6);
    }
}
