//! Which points a sweep tries next.

use common::random;
use serde::{Deserialize, Serialize};

use super::{
    space::{Point, Positions, Space},
    tpe,
};

/// How points are chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Search {
    /// Every combination of choices and of points of the ranges
    Grid,
    /// At random
    Random,
    /// Near trials that did well (tree-structured Parzen estimator); the first round is at random
    Bayes,
}

/// Chooses points round by round; the same seed and trials give the same points.
pub(crate) struct Chooser<'a> {
    pub(crate) space: &'a Space,
    pub(crate) search: Search,
    pub(crate) seed: u64,
}

impl Chooser<'_> {
    /// The points of round `round`, at most `count`, given those of the trials so far and
    /// their order, best first.
    pub(crate) fn round(&self, round: u32, count: usize, ranked: &[&Point]) -> Vec<Point> {
        let mut stream = random::stream(self.seed, &format!("sweep/round/{round}"));
        let positions: Vec<Positions> = match self.search {
            Search::Grid => {
                let points = self.space.grid().into_iter();
                return points.skip(ranked.len()).take(count).collect();
            }
            Search::Bayes if !ranked.is_empty() => {
                let ranked = ranked
                    .iter()
                    .filter_map(|point| self.space.positions(point));
                tpe::propose(self.space, &ranked.collect::<Vec<_>>(), count, &mut stream)
            }
            Search::Random | Search::Bayes => (0..count)
                .map(|_| tpe::draw_anywhere(self.space, &mut stream))
                .collect(),
        };
        positions
            .iter()
            .map(|positions| self.space.point(positions))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{Trained, file};

    #[test]
    fn grid_has_every_combination_once_and_rounds_cut_it() {
        let space = file::parse(
            "dropout = { low = 0, high = 0.5, points = 3 }\nhidden = [0, 8]",
            Trained::Heads,
        )
        .unwrap();
        let all = space.grid();
        assert_eq!((all.len(), space.grid_size()), (6, 6));
        let chooser = Chooser {
            space: &space,
            search: Search::Grid,
            seed: 0,
        };
        let first = chooser.round(0, 4, &[]);
        let rest = chooser.round(1, 4, &first.iter().collect::<Vec<_>>());
        assert_eq!([first, rest].concat(), all);
    }

    #[test]
    fn points_are_of_the_space_and_repeat_with_the_seed() {
        let space = file::parse(Trained::Heads.default_space(), Trained::Heads).unwrap();
        for search in [Search::Random, Search::Bayes] {
            let chooser = |seed| Chooser {
                space: &space,
                search,
                seed,
            };
            let first = chooser(3).round(0, 8, &[]);
            let ranked: Vec<&Point> = first.iter().collect();
            let second = chooser(3).round(1, 8, &ranked);
            assert_eq!(second, chooser(3).round(1, 8, &ranked));
            assert_ne!(second, chooser(4).round(1, 8, &ranked));
            assert_ne!(first, second);
            assert!(second.iter().all(|point| space.positions(point).is_some()));
        }
    }
}
