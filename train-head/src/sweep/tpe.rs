//! Bayesian search: tree-structured Parzen estimators (Bergstra et al., "Algorithms for
//! Hyper-Parameter Optimization", 2011), one for every dimension.
//!
//! They are told the ranks of the trials so far. Proposals of a round count as the worst of all
//! trials for those behind them, which keeps a round from crowding in one place. Where a point's
//! solver has no use for a name, its estimator is told so.

use std::convert::Infallible;

use rand::{Rng, RngCore};
use rand_chacha::ChaCha8Rng;
use rand_core::TryRng;
use tpe::{TpeOptimizer, TpeOptimizerBuilder};

use super::space::{Domain, Positions, Space};

/// Share of the trials that is called good.
const GOOD: f64 = 0.2;

/// Points drawn from the good density for each proposal.
const CANDIDATES: usize = 48;

/// `count` proposals, given the positions of the trials so far, best first.
pub(super) fn propose(
    space: &Space,
    ranked: &[Positions],
    count: usize,
    stream: &mut ChaCha8Rng,
) -> Vec<Positions> {
    let mut estimators = Estimators::new(space);
    for (rank, positions) in ranked.iter().enumerate() {
        estimators.tell(positions, rank as f64);
    }
    (0..count)
        .map(|_| {
            let proposal = space.settle(estimators.ask(stream));
            estimators.tell(&proposal, f64::INFINITY);
            proposal
        })
        .collect()
}

/// Positions at random.
pub(super) fn draw_anywhere(space: &Space, stream: &mut ChaCha8Rng) -> Positions {
    let draw = |domain: &Domain| match domain {
        Domain::Range(_) => stream.random(),
        Domain::Choices(choices) => stream.random_range(0..choices.len()) as f64,
    };
    let domains = space.0.iter().map(|dimension| &dimension.domain);
    space.settle(domains.map(draw).map(Some).collect())
}

/// One for each dimension of a space.
struct Estimators<'a>(Vec<(&'a Domain, TpeOptimizer)>);

impl<'a> Estimators<'a> {
    fn new(space: &'a Space) -> Self {
        let domains = space.0.iter().map(|dimension| &dimension.domain);
        Self(domains.map(|domain| (domain, estimator(domain))).collect())
    }

    fn tell(&mut self, positions: &Positions, value: f64) {
        for ((domain, estimator), position) in self.0.iter_mut().zip(positions) {
            // NaN stands for a name that is not used.
            let position = position.map_or(f64::NAN, |at| at.clamp(0.0, end(domain).next_down()));
            if estimator.tell(position, value).is_err() {
                unreachable!("the position is within the range, the value a number");
            }
        }
    }

    fn ask(&mut self, stream: &mut ChaCha8Rng) -> Positions {
        let ask = |(domain, estimator): &mut (&Domain, TpeOptimizer)| {
            let Ok(position) = estimator.ask(&mut Stream(&mut *stream));
            Some(match domain {
                Domain::Range(_) => position,
                Domain::Choices(_) => position.floor(),
            })
        };
        self.0.iter_mut().map(ask).collect()
    }
}

fn estimator(domain: &Domain) -> TpeOptimizer {
    let density = match domain {
        Domain::Range(_) => tpe::parzen_estimator(),
        Domain::Choices(_) => tpe::histogram_estimator(),
    };
    let mut builder = TpeOptimizerBuilder::new();
    builder.gamma(GOOD).candidates(CANDIDATES);
    let built = tpe::range(0.0, end(domain)).map(|range| builder.build(density, range));
    let Ok(Ok(estimator)) = built else {
        unreachable!("a range has a width, and the constants are valid");
    };
    estimator
}

/// Where positions end: a choice's are below the number of choices.
fn end(domain: &Domain) -> f64 {
    match domain {
        Domain::Range(_) => 1.0,
        Domain::Choices(choices) => choices.len() as f64,
    }
}

/// A stream as the estimators take it, who know a later generation of traits.
struct Stream<'a>(&'a mut ChaCha8Rng);

impl TryRng for Stream<'_> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.0.next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.0.next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.fill_bytes(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use common::random;

    use super::*;
    use crate::sweep::{Trained, file};

    fn space() -> Space {
        let text =
            "learning_rate = { low = 1e-4, high = 1, scale = \"log\" }\nhidden = [0, 64, 128]";
        file::parse(text, Trained::Heads).unwrap()
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
}
