//! The summary of an audit, for people or for scripts.

use std::{fmt::Write as _, time::Duration};

use serde::Serialize;

use super::{
    Audited,
    findings::Group,
    labels::{Judged, Labels},
    similar::Twin,
    tables::{DUPLICATES_FILE, LABELS_FILE, LEAKS_FILE, OUTLIERS_FILE},
};
use crate::plan::AuditPlan;

/// Images of each kind that the text names.
const NAMED: usize = 5;

/// What was found.
pub(super) struct Found<'a> {
    pub(super) duplicates: &'a [Group],
    pub(super) leaks: &'a [(u32, Twin)],
    pub(super) outliers: &'a [(u32, f64)],
    pub(super) labels: &'a Labels,
}

/// The figures; `audit.json` holds them, and `--json` prints them.
#[derive(Serialize)]
pub(super) struct Summary<'a> {
    cache: String,
    audit: String,
    layer: &'a str,
    rows: usize,
    unlabelled_rows: u64,
    duplicates: Duplicates,
    leaks: Leaks,
    labels: LabelFigures,
    outliers: Outliers,
    seconds: f64,
    #[serde(skip)]
    found: Found<'a>,
}

#[derive(Serialize)]
struct Duplicates {
    /// Least cosine of near duplicates.
    near: f32,
    groups: usize,
    images: usize,
    /// Images with one that has the same features, bit for bit.
    identical: usize,
    /// Groups whose images have different labels.
    label_conflicts: usize,
}

#[derive(Serialize)]
struct Leaks {
    images: usize,
    identical: usize,
}

/// The labels' figures, or why there are none.
#[derive(Serialize)]
struct LabelFigures {
    #[serde(skip_serializing_if = "Option::is_none")]
    skipped: Option<String>,
    #[serde(flatten)]
    judged: Option<JudgedFigures>,
}

#[derive(Serialize)]
struct JudgedFigures {
    rows: usize,
    issues: usize,
    estimated_noise: f64,
    out_of_fold_accuracy: f64,
    folds: usize,
    c: f64,
    classes: Vec<String>,
    classes_left_out: Vec<String>,
}

#[derive(Serialize)]
struct Outliers {
    neighbours: usize,
    listed: usize,
    largest_distance: Option<f64>,
}

impl<'a> Summary<'a> {
    pub(super) fn new(
        audited: &Audited,
        (plan, layer): (&AuditPlan, &'a str),
        found: Found<'a>,
        elapsed: Duration,
    ) -> Self {
        let members = || found.duplicates.iter().flat_map(|group| &group.members);
        let disagreeing = found
            .duplicates
            .iter()
            .filter(|group| group.disagrees(audited));
        Self {
            cache: plan.cache.to_string_lossy().into_owned(),
            audit: plan.out.to_string_lossy().into_owned(),
            layer,
            rows: audited.rows.len(),
            unlabelled_rows: audited.dataset.unlabelled,
            duplicates: Duplicates {
                near: plan.near,
                groups: found.duplicates.len(),
                images: members().count(),
                identical: members().filter(|(_, twin)| twin.identical).count(),
                label_conflicts: disagreeing.count(),
            },
            leaks: Leaks {
                images: found.leaks.len(),
                identical: found
                    .leaks
                    .iter()
                    .filter(|(_, twin)| twin.identical)
                    .count(),
            },
            labels: label_figures(found.labels, plan.folds),
            outliers: Outliers {
                neighbours: plan.neighbours,
                listed: found.outliers.len(),
                largest_distance: found.outliers.first().map(|(_, distance)| *distance),
            },
            seconds: elapsed.as_secs_f64(),
            found,
        }
    }

    /// In words, with the first images of each kind.
    pub(super) fn text(&self, audited: &Audited, plan: &AuditPlan) -> String {
        let mut text = format!(
            "layer `{}`, {} images; tables in `{}`; {:.1} s\n",
            self.layer, self.rows, self.audit, self.seconds
        );
        let name = |row: u32| audited.sample(row).uri.as_str();
        let found = &self.found;
        let duplicates = &self.duplicates;
        let _ = writeln!(
            text,
            "\nduplicates: {} groups of {} images (cosine {} or more), {} of them identical; labels differ in {} groups ({DUPLICATES_FILE})",
            duplicates.groups,
            duplicates.images,
            plan.near,
            duplicates.identical,
            duplicates.label_conflicts,
        );
        for group in found.duplicates.iter().take(NAMED) {
            let names: Vec<&str> = group
                .members
                .iter()
                .take(NAMED)
                .map(|(row, _)| name(*row))
                .collect();
            let more = if group.members.len() > NAMED {
                ", …"
            } else {
                ""
            };
            let _ = writeln!(text, "  {}{more}", names.join(", "));
        }
        let _ = writeln!(
            text,
            "\nleaks: {} images of the validation or test split are in an earlier split too, {} of them identical ({LEAKS_FILE})",
            self.leaks.images, self.leaks.identical
        );
        for (row, twin) in found.leaks.iter().take(NAMED) {
            let (from, to) = (audited.split(twin.row), audited.split(*row));
            let _ = writeln!(
                text,
                "  {} ({to}) is {} ({from}), cosine {:.4}",
                name(*row),
                name(twin.row),
                twin.cosine
            );
        }
        match found.labels {
            Labels::Skipped(why) => {
                let _ = writeln!(text, "\nlabels: not judged: {why}");
            }
            Labels::Judged(judged) => labels(&mut text, audited, judged),
        }
        let _ = writeln!(
            text,
            "\noutliers: the {} furthest from their {} nearest ({OUTLIERS_FILE})",
            self.outliers.listed, self.outliers.neighbours
        );
        for (row, distance) in found.outliers.iter().take(NAMED) {
            let _ = writeln!(text, "  {} at {distance:.4}", name(*row));
        }
        text
    }
}

fn label_figures(labels: &Labels, folds: usize) -> LabelFigures {
    match labels {
        Labels::Skipped(why) => LabelFigures {
            skipped: Some(why.clone()),
            judged: None,
        },
        Labels::Judged(judged) => LabelFigures {
            skipped: None,
            judged: Some(JudgedFigures {
                rows: judged.rows,
                issues: judged.issues.len(),
                estimated_noise: judged.noise(),
                out_of_fold_accuracy: judged.accuracy,
                folds,
                c: judged.strength,
                classes: judged.classes.clone(),
                classes_left_out: judged.left_out.clone(),
            }),
        },
    }
}

fn labels(text: &mut String, audited: &Audited, judged: &Judged) {
    let _ = writeln!(
        text,
        "\nlabels: {} of {} are probably wrong, an estimated {:.2}% of all are; out of fold {:.2}% are predicted ({LABELS_FILE})",
        judged.issues.len(),
        judged.rows,
        judged.noise() * 100.0,
        judged.accuracy * 100.0
    );
    if !judged.left_out.is_empty() {
        let _ = writeln!(
            text,
            "  classes with too few images or groups are left out: {}",
            judged.left_out.join(", ")
        );
    }
    for (row, issue) in judged.issues.iter().take(NAMED) {
        let _ = writeln!(
            text,
            "  {} is labelled {}, looks like {} (probability of the label {:.4})",
            audited.sample(*row).uri,
            audited.label(*row).unwrap_or_default(),
            judged
                .classes
                .get(issue.predicted as usize)
                .map_or("", String::as_str),
            issue.self_confidence
        );
    }
}
