//! `train-head audit`: what is wrong with a data set, as far as its features show.
//!
//! ```text
//! features ── cosines, block by block ──► duplicates.parquet, leaks.parquet   (similar, findings)
//!          │                         └──► outliers.parquet
//!          └─ heads on folds ── confident learning ──► labels.parquet         (labels)
//! ```
//!
//! A table is published as soon as it is ready, so that an audit that is stopped keeps what is done.
//! All rows take part, of every split and without a label too; of several views of an image the first.
//! What is held beside the features: a few numbers a row, blocks of rows, and one head a fold.

mod findings;
mod judges;
mod labels;
mod report;
mod similar;
mod tables;

use std::time::Instant;

use common::{
    cache::CacheReader,
    exit::Exit,
    interrupt::Interrupt,
    source::{Sample, Split},
};

use self::{labels::Labels, tables::Tables};
use crate::{
    dataset::{Dataset, Unlabelled, Wanted, choose_layer},
    failure::{Failure, OrExit},
    plan::AuditPlan,
};

/// The rows that are looked at.
struct Audited {
    reader: CacheReader,
    dataset: Dataset,
    /// Of the dataset, ascending: the first view of every image.
    rows: Vec<u32>,
}

impl Audited {
    /// What the plan says of row `row` of the dataset.
    fn sample(&self, row: u32) -> &Sample {
        // Every feature row is a row of the plan: the reader has checked it.
        &self.reader.plan().rows()[self.dataset.rows[row as usize].id as usize]
    }

    fn split(&self, row: u32) -> Split {
        self.dataset.rows[row as usize].split
    }

    /// Class of row `row`.
    fn label(&self, row: u32) -> Option<&str> {
        let label = usize::try_from(self.sample(row).label).ok()?;
        let classes = &self.reader.manifest().classes;
        classes.get(label).map(String::as_str)
    }
}

/// Audits the cache, writes the tables, and prints a summary.
pub(crate) fn run(plan: &AuditPlan) -> Result<Exit, Failure> {
    let start = Instant::now();
    let stop = Interrupt::listen().or_exit(Exit::Failure)?;
    let reader = CacheReader::open(&plan.cache).or_exit(Exit::Input)?;
    let layer = choose_layer(&reader, plan.layer.as_deref())?.clone();
    let mut tables = Tables::new(&plan.out, plan.existing)?;
    let wanted = Wanted {
        splits: &Split::ALL,
        unlabelled: Unlabelled::Keep,
        allowance: plan.memory,
    };
    let dataset = Dataset::load(&reader, &layer, wanted, &stop)?;
    let rows = dataset.first_views();
    if rows.is_empty() {
        let message = format!(
            "cache `{}`: holds no features (extract some images)",
            plan.cache.display()
        );
        return Err(Failure::new(Exit::Input, message));
    }
    let mut audited = Audited {
        reader,
        dataset,
        rows,
    };
    let likenesses = similar::search(&audited, (plan.near, plan.neighbours), &stop)?;
    let duplicates = findings::duplicates(&audited, &likenesses);
    let leaks = findings::leaks(&audited, &likenesses);
    let outliers = findings::outliers(&audited, &likenesses, plan.outliers);
    tables.duplicates(&audited, &duplicates)?;
    tables.leaks(&audited, &leaks)?;
    tables.outliers(&audited, &outliers)?;
    let labels = judge_labels(&mut audited, plan, &mut tables, &stop).map_err(|failure| {
        let kept = tables.folder().display();
        failure.within(&format!("labels (the other tables are in `{kept}`)"))
    })?;
    let summary = report::Summary::new(
        &audited,
        (plan, layer.name.as_str()),
        report::Found {
            duplicates: &duplicates,
            leaks: &leaks,
            outliers: &outliers,
            labels: &labels,
        },
        start.elapsed(),
    );
    tables.summary(&summary)?;
    crate::report::result(plan.report.result, &summary.text(&audited, plan), &summary)?;
    Ok(Exit::Success)
}

/// Judges the labels and writes what is found of them.
fn judge_labels(
    audited: &mut Audited,
    plan: &AuditPlan,
    tables: &mut Tables,
    stop: &Interrupt,
) -> Result<Labels, Failure> {
    let labels = labels::judge(audited, plan, tables, stop)?;
    if let Labels::Judged(judged) = &labels {
        tables.labels(audited, judged)?;
    }
    Ok(labels)
}
