//! Where a call spends its time.

use std::time::{Duration, Instant};

use super::{
    CpuEngine,
    schedule::{Input, Observer, Stop},
    scratch::Scratch,
    step::Span,
};
use crate::engine::EngineError;

/// Time of one step, over all images of a call.
#[derive(Clone, Debug)]
pub struct StepProfile {
    /// Name of the convolution, or empty.
    pub name: String,
    /// `direct`, `winograd`, `depthwise`, `max-pool` and so on.
    pub kind: &'static str,
    /// Channels, rows and columns of the result.
    pub output: [usize; 3],
    /// Images at a time.
    pub chunk_images: usize,
    /// Time in all.
    pub elapsed: Duration,
    /// Operations by the definition of a convolution, in all; Winograd does fewer.
    pub flops: usize,
}

/// A time for every stop of every phase.
struct Clock {
    started: Instant,
    elapsed: Vec<Vec<Duration>>,
}

impl Observer for Clock {
    fn before(&mut self) {
        self.started = Instant::now();
    }

    fn after(&mut self, [phase, stop]: [usize; 2], _stopped: (&Stop, &Scratch, Span)) {
        self.elapsed[phase][stop] += self.started.elapsed();
    }
}

impl CpuEngine {
    /// Runs `batch` images, `[batch, 3, H, W]`, and returns the time of every
    /// step instead of the features.
    ///
    /// # Errors
    /// When `pixels` has another length.
    pub fn profile(&self, pixels: &[f32], batch: usize) -> Result<Vec<StepProfile>, EngineError> {
        self.check_length(pixels, batch)?;
        let phases = &self.schedule.phases;
        let mut clock = Clock {
            started: Instant::now(),
            elapsed: phases
                .iter()
                .map(|phase| vec![Duration::ZERO; phase.stops.len()])
                .collect(),
        };
        self.run(Input::Planar(pixels), (batch, &mut clock));
        let mut profile = Vec::new();
        for (phase, times) in phases.iter().zip(clock.elapsed) {
            for (stop, elapsed) in phase.stops.iter().zip(times) {
                let (name, kind, place, flops) = match stop {
                    Stop::Load(place, _) => ("", "load", place, 0),
                    Stop::Emit(place, ..) => ("", "emit", place, 0),
                    Stop::Step(step) => (
                        step.name.as_str(),
                        step.work.kind(),
                        &step.output,
                        step.flops * batch,
                    ),
                };
                let shape = place.layout.shape;
                profile.push(StepProfile {
                    name: name.to_owned(),
                    kind,
                    output: [shape.channels, shape.height, shape.width],
                    chunk_images: phase.images,
                    elapsed,
                    flops,
                });
            }
        }
        Ok(profile)
    }
}
