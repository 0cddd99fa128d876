//! Bayesian search: a tree-structured Parzen estimator (Bergstra et al., "Algorithms for
//! Hyper-Parameter Optimization", 2011) with one kernel over all dimensions.
//!
//! The trials so far are split into good and other ones; both become a density, and of
//! candidates drawn from the good one that is proposed whose ratio of densities is largest.
//! Proposals of the same round count as other ones, which keeps a round from crowding in one
//! place. A name that a point's solver has no use for is as likely everywhere.
//!
//! Written here because the crates there are propose one point at a time, one dimension at
//! a time.

use std::f64::consts::PI;

use common::head::statistics::normal_tails;
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::space::{Dimension, Domain, Positions, Space};

/// Share of the trials that is called good, and the most of them.
const GOOD: (f64, usize) = (0.2, 25);

/// Points drawn from the good density for each proposal.
const CANDIDATES: usize = 48;

/// Weight of a choice's own kernel; the rest goes to all choices alike.
const OWN_CHOICE: f64 = 0.75;

/// Narrowest kernel along a range, as a share of it.
const LEAST_WIDTH: f64 = 0.04;

/// `count` proposals, given the positions of the trials so far, best first.
pub(super) fn propose(
    space: &Space,
    ranked: &[Positions],
    count: usize,
    stream: &mut ChaCha8Rng,
) -> Vec<Positions> {
    let good = ((ranked.len() as f64 * GOOD.0).ceil() as usize).min(GOOD.1);
    let (good, rest) = ranked.split_at(good);
    let good = Density::new(space, good.to_vec());
    let mut other = rest.to_vec();
    let mut proposals = Vec::new();
    for _ in 0..count {
        let others = Density::new(space, other.clone());
        let candidates = (0..CANDIDATES).map(|_| {
            let point = good.draw(stream);
            let merit = good.of(&point).ln() - others.of(&point).ln();
            (merit, point)
        });
        let best = candidates.max_by(|(a, _), (b, _)| a.total_cmp(b));
        let best = best.map_or_else(Positions::default, |(_, point)| point);
        other.push(best.clone());
        proposals.push(best);
    }
    proposals
}

/// A mixture of kernels around points, and of the uniform density.
struct Density<'a> {
    space: &'a Space,
    points: Vec<Positions>,
    /// Of the kernels along ranges, around each point: their height in every dimension.
    heights: Vec<Vec<f64>>,
    width: f64,
}

impl<'a> Density<'a> {
    fn new(space: &'a Space, points: Vec<Positions>) -> Self {
        let dimensions = space.0.len() as f64;
        // Scott's rule for a spread of a quarter of the range.
        let width = 0.25 * (points.len().max(1) as f64).powf(-1.0 / (dimensions + 4.0));
        let width = width.max(LEAST_WIDTH);
        let height = |centre: &Option<f64>| centre.map_or(0.0, |centre| height(centre, width));
        Self {
            space,
            heights: points
                .iter()
                .map(|point| point.iter().map(height).collect())
                .collect(),
            points,
            width,
        }
    }

    fn of(&self, point: &Positions) -> f64 {
        let uniform: f64 = self
            .space
            .0
            .iter()
            .map(|dimension| uniform(&dimension.domain))
            .product();
        let kernels = self.points.iter().zip(&self.heights);
        let kernels = kernels.map(|(centre, heights)| {
            let dimensions = self.space.0.iter().zip(heights);
            let factors = dimensions
                .zip(centre.iter().zip(point))
                .map(|(dimension, pair)| self.factor(dimension, pair));
            factors.product::<f64>()
        });
        (uniform + kernels.sum::<f64>()) / (self.points.len() + 1) as f64
    }

    /// The density of one dimension at `at`, around `centre`.
    fn factor(
        &self,
        (dimension, height): (&Dimension, &f64),
        pair: (&Option<f64>, &Option<f64>),
    ) -> f64 {
        match (&dimension.domain, pair) {
            (Domain::Range(_), (Some(centre), Some(at))) => {
                let distance = (at - centre) / self.width;
                height * (-0.5 * distance * distance).exp()
            }
            (Domain::Choices(choices), (Some(centre), Some(at))) => {
                let own = if centre == at { OWN_CHOICE } else { 0.0 };
                own + (1.0 - OWN_CHOICE) / choices.len() as f64
            }
            (domain, _) => uniform(domain),
        }
    }

    fn draw(&self, stream: &mut ChaCha8Rng) -> Positions {
        let centre = self.points.get(stream.random_range(0..=self.points.len()));
        let mut point = Vec::with_capacity(self.space.0.len());
        for (index, dimension) in self.space.0.iter().enumerate() {
            let centre = centre.and_then(|centre| centre[index]);
            point.push(Some(match (&dimension.domain, centre) {
                (Domain::Range(_), Some(centre)) => draw_normal(centre, self.width, stream),
                (Domain::Choices(_), Some(centre)) if stream.random_bool(OWN_CHOICE) => centre,
                (domain, _) => draw_uniform(domain, stream),
            }));
        }
        self.space.settle(point)
    }
}

fn uniform(domain: &Domain) -> f64 {
    match domain {
        Domain::Range(_) => 1.0,
        Domain::Choices(choices) => 1.0 / choices.len() as f64,
    }
}

/// Positions at random.
pub(super) fn draw_anywhere(space: &Space, stream: &mut ChaCha8Rng) -> Positions {
    let dimensions = space.0.iter();
    let positions = dimensions.map(|dimension| Some(draw_uniform(&dimension.domain, stream)));
    space.settle(positions.collect())
}

fn draw_uniform(domain: &Domain, stream: &mut ChaCha8Rng) -> f64 {
    match domain {
        Domain::Range(_) => stream.random(),
        Domain::Choices(choices) => stream.random_range(0..choices.len()) as f64,
    }
}

/// The normal density around `centre`, cut off at 0 and 1, where it is largest.
fn height(centre: f64, width: f64) -> f64 {
    let inside = below((1.0 - centre) / width) - below(-centre / width);
    1.0 / (width * (2.0 * PI).sqrt() * inside)
}

fn draw_normal(centre: f64, width: f64, stream: &mut ChaCha8Rng) -> f64 {
    // At least half of the density is inside, so that this ends soon.
    loop {
        // Box and Muller.
        let radius = (-2.0 * (1.0 - stream.random::<f64>()).ln()).sqrt();
        let at = centre + width * radius * (2.0 * PI * stream.random::<f64>()).cos();
        if (0.0..=1.0).contains(&at) {
            return at;
        }
    }
}

/// The share of the standard normal distribution below `x`.
fn below(x: f64) -> f64 {
    let tail = 0.5 * normal_tails(x.abs());
    if x < 0.0 { tail } else { 1.0 - tail }
}

#[cfg(test)]
mod tests {
    use common::random;

    use super::*;
    use crate::sweep::file;

    fn space() -> Space {
        let text =
            "learning_rate = { low = 1e-4, high = 1, scale = \"log\" }\nhidden = [0, 64, 128]";
        file::parse(text).unwrap()
    }

    /// Smallest at a rate of 1e-3 (position 0.25) with 64 hidden units.
    fn cost(point: &Positions) -> f64 {
        (point[0].unwrap() - 0.25).abs() + if point[1] == Some(1.0) { 0.0 } else { 0.3 }
    }

    #[test]
    fn proposals_gather_where_trials_were_good() {
        let (space, mut stream) = (space(), random::stream(1, "tpe"));
        let draw = |stream: &mut ChaCha8Rng| draw_anywhere(&space, stream);
        let mut trials: Vec<Positions> = (0..16).map(|_| draw(&mut stream)).collect();
        for _ in 0..3 {
            trials.sort_by(|a, b| cost(a).total_cmp(&cost(b)));
            trials.extend(propose(&space, &trials, 16, &mut stream));
        }
        let mean =
            |trials: &[Positions]| trials.iter().map(cost).sum::<f64>() / trials.len() as f64;
        let by_chance: Vec<Positions> = (0..1000).map(|_| draw(&mut stream)).collect();
        let (proposed, random) = (mean(&trials[48..]), mean(&by_chance));
        assert!(proposed < 0.6 * random, "{proposed} {random}");
    }

    #[test]
    fn normal_distribution_is_the_textbooks() {
        for (x, share) in [
            (0.0, 0.5),
            (1.0, 0.841_344_746),
            (-1.959_964, 0.025),
            (3.0, 0.998_650_102),
        ] {
            assert!((below(x) - share).abs() < 2e-7, "{x}");
        }
    }
}
