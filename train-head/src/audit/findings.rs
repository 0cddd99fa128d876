//! What comparing all rows has found: groups of duplicates, leaks between splits, outliers.

use std::collections::HashMap;

use super::{
    Audited,
    similar::{Likenesses, Twin},
};

/// Images that are duplicates of each other, directly or by way of others.
#[derive(Debug)]
pub(super) struct Group {
    /// Rows of the dataset and the nearest duplicate of each, in the order of the rows; two or more.
    pub(super) members: Vec<(u32, Twin)>,
}

/// The groups, in the order of their first rows.
pub(super) fn duplicates(audited: &Audited, likenesses: &Likenesses) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    let mut of_root = HashMap::new();
    for (position, (&row, likeness)) in audited.rows.iter().zip(&likenesses.of).enumerate() {
        let Some(twin) = likeness.twin else {
            continue;
        };
        let root = likenesses.joined.root(position);
        let group = *of_root.entry(root).or_insert(groups.len());
        if group == groups.len() {
            groups.push(Group {
                members: Vec::new(),
            });
        }
        groups[group].members.push((row, twin));
    }
    // Rounding may let one row of a pair see what the other does not.
    groups.retain(|group| group.members.len() > 1);
    groups
}

impl Group {
    /// Whether its images have different labels.
    pub(super) fn disagrees(&self, audited: &Audited) -> bool {
        let labels = self
            .members
            .iter()
            .filter_map(|(row, _)| audited.label(*row));
        let mut labels = labels.peekable();
        let first = labels.peek().copied();
        labels.any(|label| Some(label) != first)
    }
}

/// Rows of the validation and test split with the row of an earlier split that is most like each;
/// the most alike first.
pub(super) fn leaks(audited: &Audited, likenesses: &Likenesses) -> Vec<(u32, Twin)> {
    let rows = audited.rows.iter().zip(&likenesses.of);
    let mut leaks: Vec<(u32, Twin)> = rows
        .filter_map(|(&row, likeness)| Some((row, likeness.source?)))
        .collect();
    leaks.sort_by(|(a, first), (b, second)| {
        let identical = second.identical.cmp(&first.identical);
        identical
            .then(second.cosine.total_cmp(&first.cosine))
            .then(a.cmp(b))
    });
    leaks
}

/// The `most` rows that are furthest from their neighbours, with their mean distance.
pub(super) fn outliers(audited: &Audited, likenesses: &Likenesses, most: usize) -> Vec<(u32, f64)> {
    let rows = audited.rows.iter().zip(&likenesses.of);
    let mut outliers: Vec<(u32, f64)> = rows
        .filter_map(|(&row, likeness)| Some((row, likeness.distance()?)))
        .collect();
    outliers.sort_by(|(a, first), (b, second)| second.total_cmp(first).then(a.cmp(b)));
    outliers.truncate(most);
    outliers
}
