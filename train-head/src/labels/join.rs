//! Rows of a table beside the images of a cache.

use std::collections::HashMap;

use common::{
    cache::CacheReader,
    exit::Exit,
    interrupt::Interrupt,
    source::{Fields, read_columns},
};

use super::LabelTable;
use crate::failure::Failure;

/// A table's rows by the images of a cache.
pub(super) struct Joined<'a> {
    pub(super) table: &'a LabelTable,
    /// One entry an image of the plan.
    pub(super) rows: Vec<Option<Fields>>,
    /// Rows of the table whose image is not in the cache.
    pub(super) strangers: usize,
}

impl<'a> Joined<'a> {
    pub(super) fn read(
        reader: &CacheReader,
        table: &'a LabelTable,
        stop: &Interrupt,
    ) -> Result<Self, Failure> {
        let fields = read_columns(&table.table, &table.columns, stop)
            .map_err(|error| Failure::new(error.exit(), error.to_string()))?;
        let plan = reader.plan().rows();
        let ids = plan.iter().map(|sample| sample.uri.as_str()).zip(0..);
        let ids: HashMap<&str, usize> = ids.collect();
        let mut joined = Self {
            table,
            rows: vec![None; plan.len()],
            strangers: 0,
        };
        let mut stranger = None;
        for row in fields {
            match ids.get(row.uri.as_str()) {
                Some(&id) => joined.rows[id] = Some(row),
                None => {
                    joined.strangers += 1;
                    stranger.get_or_insert(row.uri);
                }
            }
        }
        if joined.rows.iter().all(Option::is_none) {
            let known = plan.first().map_or("nothing", |sample| sample.uri.as_str());
            let held = stranger.unwrap_or_else(|| "no row".to_owned());
            let message = format!(
                "table `{}`: none of its {} images is in the cache `{}` (it has `{held}`, the cache `{known}`; write uris as the cache's plan.parquet has them)",
                table.table.display(),
                joined.strangers,
                reader.directory().display(),
            );
            return Err(Failure::new(Exit::Input, message));
        }
        Ok(joined)
    }

    /// The rows that are there.
    pub(super) fn present(&self) -> impl Iterator<Item = &Fields> {
        self.rows.iter().flatten()
    }

    /// What is wrong with column `column` of `row`.
    pub(super) fn wrong(&self, row: &Fields, column: usize, problem: &str) -> Failure {
        let message = format!(
            "table `{}`, {} (`{}`): column `{}`: {problem}",
            self.table.table.display(),
            row.place,
            row.uri,
            self.table.columns[column],
        );
        Failure::new(Exit::Input, message)
    }
}
