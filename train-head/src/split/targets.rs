//! What training and validation rows must have where a head predicts any number of
//! classes, or numbers.

use common::{exit::Exit, head::TaskKind};

use super::{NAMED_CLASSES, Rows};
use crate::failure::Failure;

/// Targets of all rows of a dataset.
#[derive(Clone, Copy)]
pub(crate) struct Targets<'a> {
    /// `[rows, names]`.
    pub(crate) values: &'a [f32],
    pub(crate) task: TaskKind,
}

impl Targets<'_> {
    /// The value of output `output` in each of `rows`.
    fn column(self, rows: &[u32], output: usize, outputs: usize) -> impl Iterator<Item = f32> {
        rows.iter()
            .map(move |&row| self.values[row as usize * outputs + output])
    }

    fn positives(self, rows: &[u32], output: usize, outputs: usize) -> usize {
        let column = self.column(rows, output, outputs);
        column.filter(|value| *value > 0.5).count()
    }

    /// Refuses training rows that nothing can be learned from.
    pub(super) fn check(self, names: &[String], train: Rows) -> Result<(), Failure> {
        let problem = |(output, name): (usize, &String)| {
            if self.task == TaskKind::Regression {
                let mut column = self.column(train, output, names.len());
                let first = column.next()?;
                return column.all(|value| value == first).then(|| {
                    format!(
                        "target `{name}` is {first} in every training row, there is nothing to learn (leave it out)"
                    )
                });
            }
            match self.positives(train, output, names.len()) {
                0 => Some(format!(
                    "class `{name}` has no row in the training split (add images of it, or leave it out)"
                )),
                all if all == train.len() => Some(format!(
                    "every row of the training split has class `{name}`, there is nothing to learn (leave it out)"
                )),
                _ => None,
            }
        };
        match names.iter().enumerate().find_map(problem) {
            Some(message) => Err(Failure::new(Exit::Input, message)),
            None => Ok(()),
        }
    }

    /// What the user should know of the validation rows, in sentences.
    pub(super) fn notes(self, names: &[String], validation: Rows) -> Vec<String> {
        if self.task == TaskKind::Regression {
            return Vec::new();
        }
        let missing: Vec<&String> = (0..names.len())
            .filter(|&class| self.positives(validation, class, names.len()) == 0)
            .map(|class| &names[class])
            .collect();
        let note = |name: &&String| {
            format!("class `{name}` has no row for validation: its threshold is 0.5")
        };
        let mut notes: Vec<String> = missing.iter().take(NAMED_CLASSES).map(note).collect();
        if missing.len() > NAMED_CLASSES {
            let more = missing.len() - NAMED_CLASSES;
            notes.push(format!("{more} more classes have no row for validation"));
        }
        notes
    }
}
