//! Which labels are probably wrong: logistic regression on folds gives every labelled row
//! probabilities from a head that has not seen it, and confident learning judges its label by them.
//!
//! The probabilities are computed twice, once for the classes' thresholds and once for the judgements,
//! so that they need not be held.

use std::collections::BTreeMap;

use common::{
    head::statistics::{LabelJudgement, SelfConfidence},
    interrupt::Interrupt,
};

use super::{Audited, judges::Judges, tables::Tables};
use crate::{
    dataset::{NO_LABEL, RowInfo},
    failure::Failure,
    plan::{AuditPlan, Probabilities},
    split::{Draw, Partition, folds, groups, units_of_classes},
};

/// Units (images, groups of images and duplicates that stay together) that a class needs, so that a
/// fold never takes all of them.
const LEAST_UNITS: usize = 2;

/// What has become of the labels.
pub(super) enum Labels {
    /// Why they cannot be judged.
    Skipped(String),
    Judged(Box<Judged>),
}

/// All labels judged.
pub(super) struct Judged {
    /// Rows of the dataset, the least sure first.
    pub(super) issues: Vec<(u32, LabelJudgement)>,
    /// Rows that were judged.
    pub(super) rows: usize,
    /// Names of the classes that take part.
    pub(super) classes: Vec<String>,
    /// Names of those with too few units.
    pub(super) left_out: Vec<String>,
    /// C of the heads.
    pub(super) strength: f64,
    /// Share of the rows whose label is the most probable class.
    pub(super) accuracy: f64,
    /// Estimated rows by label and true class.
    pub(super) joint: BTreeMap<(u32, u32), f64>,
}

impl Judged {
    /// Estimated share of labels that are wrong.
    pub(super) fn noise(&self) -> f64 {
        let wrong = self
            .joint
            .iter()
            .filter(|((label, class), _)| label != class);
        wrong.map(|(_, rows)| rows).sum::<f64>() / self.rows as f64
    }
}

/// Judges the labels. Those of the dataset become numbers among the classes that take part.
pub(super) fn judge(
    audited: &mut Audited,
    plan: &AuditPlan,
    tables: &mut Tables,
    stop: &Interrupt,
) -> Result<Labels, Failure> {
    let labels = &audited.dataset.labels;
    let labelled = |row: &u32| labels[*row as usize] != NO_LABEL;
    if !audited.rows.iter().any(labelled) {
        return Ok(Labels::Skipped("no image has a label".to_owned()));
    }
    let (classes, left_out) = renumber(audited, plan);
    if classes.len() < 2 {
        let message = format!(
            "labels need two or more classes of {LEAST_UNITS} or more different images or groups, found {}",
            classes.len()
        );
        return Ok(Labels::Skipped(message));
    }
    let partitions = match partitions(audited, plan, &classes) {
        Ok(partitions) => partitions,
        Err(failure) => return Ok(Labels::Skipped(failure.to_string())),
    };
    let audited = &*audited;
    let judges = Judges::fit(audited, (plan, classes.len()), &partitions, stop)?;
    let mut confidence = SelfConfidence::new(classes.len());
    judges.visit(stop, |judged| {
        confidence.add(judged.probabilities[judged.label as usize], judged.label);
        Ok(())
    })?;
    let mut writer = match plan.probabilities {
        Probabilities::Write => Some(tables.probabilities(classes.len())?),
        Probabilities::Forget => None,
    };
    let mut joint = confidence.finish();
    let (mut issues, mut right) = (Vec::new(), 0);
    judges.visit(stop, |judged| {
        let judgement = joint.add(judged.probabilities, judged.label);
        right += u64::from(judgement.predicted == judged.label);
        if judgement.is_issue {
            issues.push((judged.row, judgement));
        }
        match &mut writer {
            Some(writer) => writer.add(audited, &judged),
            None => Ok(()),
        }
    })?;
    writer.map_or(Ok(()), |writer| writer.publish(audited))?;
    issues.sort_by(|(a, first), (b, second)| {
        first
            .self_confidence
            .total_cmp(&second.self_confidence)
            .then(a.cmp(b))
    });
    let rows = partitions
        .iter()
        .map(|partition| partition.validation.len())
        .sum();
    Ok(Labels::Judged(Box::new(Judged {
        issues,
        rows,
        classes,
        left_out,
        strength: judges.strength,
        accuracy: right as f64 / rows as f64,
        joint: joint.estimate(),
    })))
}

/// Gives the classes that take part numbers without gaps, and takes the labels of the others away. The names
/// of both.
fn renumber(audited: &mut Audited, plan: &AuditPlan) -> (Vec<String>, Vec<String>) {
    let names = &audited.reader.manifest().classes;
    let labelled = Labelled::of(audited);
    let units = units_of_classes(&labelled.draw(audited, plan));
    let (mut classes, mut left_out, mut numbers) = (Vec::new(), Vec::new(), Vec::new());
    for (class, name) in (0..).zip(names) {
        let units = units.get(&class).copied().unwrap_or(0);
        if units >= LEAST_UNITS {
            numbers.push(classes.len() as u32);
            classes.push(name.clone());
        } else {
            numbers.push(NO_LABEL);
            if units > 0 {
                left_out.push(name.clone());
            }
        }
    }
    for label in &mut audited.dataset.labels {
        *label = numbers.get(*label as usize).copied().unwrap_or(NO_LABEL);
    }
    (classes, left_out)
}

/// Folds of the rows with labels.
fn partitions(
    audited: &Audited,
    plan: &AuditPlan,
    classes: &[String],
) -> Result<Vec<Partition>, Failure> {
    let labelled = Labelled::of(audited);
    let mut partitions = folds(&labelled.draw(audited, plan), classes, plan.folds)?;
    for partition in &mut partitions {
        for position in partition.train.iter_mut().chain(&mut partition.validation) {
            *position = labelled.rows[*position as usize];
        }
    }
    Ok(partitions)
}

/// The rows that have labels.
struct Labelled {
    /// Of the dataset.
    rows: Vec<u32>,
    labels: Vec<u32>,
    infos: Vec<RowInfo>,
}

impl Labelled {
    fn of(audited: &Audited) -> Self {
        let dataset = &audited.dataset;
        let label = |row: u32| dataset.labels[row as usize];
        let mut rows = audited.rows.clone();
        rows.retain(|&row| label(row) != NO_LABEL);
        Self {
            labels: rows.iter().map(|&row| label(row)).collect(),
            infos: rows.iter().map(|&row| dataset.rows[row as usize]).collect(),
            rows,
        }
    }

    /// What folds of them are drawn with.
    fn draw<'a>(&'a self, audited: &'a Audited, plan: &AuditPlan) -> Draw<'a> {
        Draw {
            labels: &self.labels,
            targets: None,
            rows: &self.infos,
            group: groups(&audited.reader),
            fraction: plan.settings.val_fraction,
            seed: plan.settings.seed,
        }
    }
}
