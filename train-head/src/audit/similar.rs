//! Which rows are alike: every row is compared with every other, block by block.

use std::mem;

use common::{
    head::{BLOCK_ROWS, Cosines, Fitted},
    interrupt::Interrupt,
    source::Split,
};
use rayon::prelude::*;

use super::Audited;
use crate::{failure::Failure, joined::Joined};

/// Rows whose cosines with all others are taken in one pass over these.
const QUERY_ROWS: usize = 4096;

/// Cosine of rows with the same bits, however theirs is rounded, be they all zero.
const IDENTICAL: f32 = 1.0;

/// A row and how much another is like it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Twin {
    /// Row of the dataset.
    pub(super) row: u32,
    pub(super) cosine: f32,
    /// Whether the features have the same bits.
    pub(super) identical: bool,
}

impl Twin {
    /// Whether it is more alike than `other`; of equals the one that came first stays.
    fn beats(&self, other: Option<Self>) -> bool {
        other.is_none_or(|other| (self.identical, self.cosine) > (other.identical, other.cosine))
    }
}

/// What is known of a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Likeness {
    /// The nearest of its near duplicates.
    pub(super) twin: Option<Twin>,
    /// The nearest of those in splits before its own.
    pub(super) source: Option<Twin>,
    /// Cosines of the nearest rows, largest first.
    nearest: Vec<f32>,
    /// Near duplicates in the block that was last compared, further on among the rows.
    joins: Vec<usize>,
}

impl Likeness {
    /// Mean of 1 − cosine over the nearest rows; `None` where there is no other row.
    pub(super) fn distance(&self) -> Option<f64> {
        let sum: f64 = self
            .nearest
            .iter()
            .map(|cosine| 1.0 - f64::from(*cosine))
            .sum();
        (!self.nearest.is_empty()).then(|| sum / self.nearest.len() as f64)
    }

    fn offer(&mut self, cosine: f32, most: usize) {
        if self.nearest.len() == most {
            if self.nearest.last().is_some_and(|least| cosine <= *least) {
                return;
            }
            self.nearest.pop();
        }
        let place = self.nearest.partition_point(|nearer| *nearer >= cosine);
        self.nearest.insert(place, cosine);
    }
}

/// All rows compared.
pub(super) struct Likenesses {
    /// One entry a row of the audit.
    pub(super) of: Vec<Likeness>,
    /// Positions among the rows of the audit, joined where rows are near duplicates.
    pub(super) joined: Joined,
}

/// Compares all rows. Near duplicates have a cosine of at least `near`, or the same bits.
pub(super) fn search(
    audited: &Audited,
    (near, most): (f32, usize),
    stop: &Interrupt,
) -> Result<Likenesses, Failure> {
    let rows = &audited.rows;
    let mut found = Likenesses {
        of: vec![Likeness::default(); rows.len()],
        joined: Joined::apart(rows.len()),
    };
    let width = audited.dataset.features.width();
    let mut block = Vec::new();
    for (chunk, queries) in rows.chunks(QUERY_ROWS).enumerate() {
        let first_query = chunk * QUERY_ROWS;
        let mut cosines = Cosines::new(directions(audited, queries, Vec::new()), width);
        for (number, others) in rows.chunks(BLOCK_ROWS).enumerate() {
            stop.check().map_err(Failure::of)?;
            let first_other = number * BLOCK_ROWS;
            block = directions(audited, others, block);
            let comparison = Comparison {
                audited,
                others,
                first_other,
                near,
                most,
            };
            let likenesses = &mut found.of[first_query..first_query + queries.len()];
            likenesses
                .par_iter_mut()
                .zip(cosines.with(&block).par_chunks(others.len()))
                .enumerate()
                .for_each(|(query, (likeness, cosines))| {
                    comparison.look(first_query + query, likeness, cosines);
                });
            for (query, likeness) in (first_query..).zip(likenesses) {
                // Taken, not drained: a row with many duplicates must not keep room for them.
                for other in mem::take(&mut likeness.joins) {
                    found.joined.join(query, other);
                }
            }
        }
    }
    Ok(found)
}

/// `rows` divided by their norms.
fn directions(audited: &Audited, rows: &[u32], mut room: Vec<f32>) -> Vec<f32> {
    let features = &audited.dataset.features;
    features.gather(rows, &mut room);
    Fitted::L2.apply(&mut room, features.width());
    room
}

/// A block that rows are compared with.
struct Comparison<'a> {
    audited: &'a Audited,
    others: &'a [u32],
    /// Position of the first of them among the rows of the audit.
    first_other: usize,
    near: f32,
    most: usize,
}

impl Comparison<'_> {
    /// Notes what the `cosines` of the row at `position` with the block say of it.
    fn look(&self, position: usize, likeness: &mut Likeness, cosines: &[f32]) {
        let infos = &self.audited.dataset.rows;
        let own = infos[self.audited.rows[position] as usize];
        for ((other, &row), &cosine) in (self.first_other..).zip(self.others).zip(cosines) {
            if other == position {
                continue;
            }
            let info = infos[row as usize];
            let identical = info.digest == own.digest;
            let cosine = if identical {
                IDENTICAL
            } else {
                cosine.min(1.0)
            };
            likeness.offer(cosine, self.most);
            if !identical && cosine < self.near {
                continue;
            }
            let twin = Twin {
                row,
                cosine,
                identical,
            };
            if twin.beats(likeness.twin) {
                likeness.twin = Some(twin);
            }
            if stage(info.split) < stage(own.split) && twin.beats(likeness.source) {
                likeness.source = Some(twin);
            }
            if other > position {
                likeness.joins.push(other);
            }
        }
    }
}

/// When a split's rows are used: what was used before must not come back.
fn stage(split: Split) -> u8 {
    match split {
        Split::Train | Split::None => 0,
        Split::Val => 1,
        Split::Test => 2,
    }
}
