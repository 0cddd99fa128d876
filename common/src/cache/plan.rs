//! The ordered inputs of a cache, and how a source differs from them later.

use std::{
    cmp::Ordering,
    collections::{HashMap, HashSet},
    fmt,
};

use crate::{
    digest::Hasher,
    source::{Listing, Sample, UNLABELLED},
};

/// Rows of `plan.parquet`. A row's position is its id, and never changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    rows: Vec<Sample>,
}

impl Plan {
    /// The plan of these rows, in this order.
    pub(super) fn new(rows: Vec<Sample>) -> Self {
        Self { rows }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Every row, in order.
    pub fn rows(&self) -> &[Sample] {
        &self.rows
    }

    /// Row `id`.
    pub fn get(&self, id: u64) -> Option<&Sample> {
        self.rows.get(usize::try_from(id).ok()?)
    }

    /// Keeps the first `rows` rows.
    pub(super) fn truncate(&mut self, rows: usize) {
        self.rows.truncate(rows);
    }

    /// SHA-256 of what the rows say: not of a file, so that another writer of
    /// Parquet, or another version of it, makes the same plan. Sizes are left
    /// out, since a reject's changes when its file is repaired.
    pub fn digest(&self) -> String {
        let mut hasher = Hasher::default();
        for row in &self.rows {
            hash_text(&mut hasher, Some(&row.uri));
            hasher.update(&row.label.to_le_bytes());
            hash_text(&mut hasher, Some(row.split.as_str()));
            hash_text(&mut hasher, row.group.as_deref());
            hash_text(&mut hasher, row.problem.as_deref());
        }
        hasher.finish()
    }
}

/// Length first, so that no two rows read the same; `u64::MAX` for no text.
fn hash_text(hasher: &mut Hasher, text: Option<&str>) {
    let length = text.map_or(u64::MAX, |text| text.len() as u64);
    hasher.update(&length.to_le_bytes());
    hasher.update(text.unwrap_or_default().as_bytes());
}

/// How a source differs from the plan that was made of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanDifference {
    /// Uris that the plan does not have, sorted.
    pub added: Vec<String>,
    /// Uris that only the plan has, sorted.
    pub removed: Vec<String>,
    /// What changed at a uri, such as ``a.jpg` (10 bytes, now 12)`.
    pub changed: Vec<String>,
}

impl PlanDifference {
    /// Uris or changes of one kind that a message shows.
    pub const SHOWN: usize = 3;

    /// Whether source and plan agree.
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty() && self.changed.is_empty()
    }

    /// Whether appending makes them agree.
    pub fn is_growth(&self) -> bool {
        self.removed.is_empty() && self.changed.is_empty()
    }
}

impl fmt::Display for PlanDifference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = [
            ("changed", &self.changed),
            ("removed", &self.removed),
            ("added", &self.added),
        ];
        for (kind, entries) in kinds.into_iter().filter(|(_, entries)| !entries.is_empty()) {
            let shown = entries[..entries.len().min(Self::SHOWN)].join(", ");
            let more = if entries.len() > Self::SHOWN {
                ", …"
            } else {
                ""
            };
            write!(formatter, "{} {kind}: {shown}{more}; ", entries.len())?;
        }
        formatter.write_str(if self.is_growth() {
            "add `--append` to extend the cache"
        } else {
            "put the old files back, or run into a new folder"
        })
    }
}

/// A plan and a listing side by side.
pub(super) struct Comparison {
    pub(super) difference: PlanDifference,
    /// The cache's classes with the listing's new ones behind them.
    pub(super) classes: Vec<String>,
    /// The added samples by uri, labelled by `classes`.
    pub(super) added: Vec<Sample>,
    /// New sizes by uri of files that were rejects and have been replaced.
    pub(super) repaired: HashMap<String, u64>,
}

/// Compares by uri and by class name: the order of the plan and the numbers of
/// the classes are the cache's own once something was appended. The files in
/// `rejected` have no features, so their size may change.
pub(super) fn compare(
    plan: &Plan,
    classes: &[String],
    listing: &Listing,
    rejected: &HashSet<String>,
) -> Comparison {
    let (classes, labels) = merged_classes(classes, &listing.classes);
    let mut planned: Vec<&Sample> = plan.rows().iter().collect();
    planned.sort_by(|a, b| a.uri.cmp(&b.uri));
    let mut listed: Vec<Sample> = listing.samples.clone();
    listed.sort_by(|a, b| a.uri.cmp(&b.uri));
    for sample in &mut listed {
        let label = usize::try_from(sample.label).ok();
        sample.label = label
            .and_then(|label| labels.get(label).copied())
            .unwrap_or(UNLABELLED);
    }
    let mut difference = PlanDifference::default();
    let mut added = Vec::new();
    let mut repaired = HashMap::new();
    let (mut old, mut new) = (
        planned.into_iter().peekable(),
        listed.into_iter().peekable(),
    );
    loop {
        let order = match (old.peek(), new.peek()) {
            (None, None) => break,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(row), Some(sample)) => row.uri.cmp(&sample.uri),
        };
        let row = if order.is_le() { old.next() } else { None };
        let sample = if order.is_ge() { new.next() } else { None };
        match (row, sample) {
            (Some(row), Some(sample))
                if row.bytes != sample.bytes && rejected.contains(&row.uri) =>
            {
                let mut row = row.clone();
                row.bytes = sample.bytes;
                difference.changed.extend(change(&row, &sample, &classes));
                repaired.insert(row.uri, row.bytes);
            }
            (Some(row), Some(sample)) => difference.changed.extend(change(row, &sample, &classes)),
            (Some(row), None) => difference.removed.push(format!("`{}`", row.uri)),
            (None, sample) => {
                difference
                    .added
                    .extend(sample.iter().map(|sample| format!("`{}`", sample.uri)));
                added.extend(sample);
            }
        }
    }
    Comparison {
        difference,
        classes,
        added,
        repaired,
    }
}

/// The cache's classes with new ones appended, and where each of the listing's
/// classes is among them.
fn merged_classes(cache: &[String], listing: &[String]) -> (Vec<String>, Vec<i32>) {
    let mut classes = cache.to_vec();
    let known: HashMap<&str, i32> = cache.iter().map(String::as_str).zip(0..).collect();
    let mut next = i32::try_from(cache.len()).unwrap_or(i32::MAX);
    let mut labels = Vec::with_capacity(listing.len());
    for class in listing {
        labels.push(known.get(class.as_str()).copied().unwrap_or_else(|| {
            classes.push(class.clone());
            next += 1;
            next - 1
        }));
    }
    (classes, labels)
}

fn change(row: &Sample, sample: &Sample, classes: &[String]) -> Option<String> {
    let class = |label: i32| {
        let class = usize::try_from(label)
            .ok()
            .and_then(|label| classes.get(label));
        class.map_or("unlabelled", String::as_str).to_owned()
    };
    let group = |sample: &Sample| sample.group.clone().unwrap_or_default();
    let (old, new) = if row.bytes != sample.bytes {
        (format!("{} bytes", row.bytes), sample.bytes.to_string())
    } else if row.label != sample.label {
        (format!("class {}", class(row.label)), class(sample.label))
    } else if row.split != sample.split {
        (
            format!("split `{}`", row.split),
            format!("`{}`", sample.split),
        )
    } else if row.group != sample.group {
        (
            format!("group `{}`", group(row)),
            format!("`{}`", group(sample)),
        )
    } else {
        return None;
    };
    Some(format!("`{}` ({old}, now {new})", row.uri))
}
