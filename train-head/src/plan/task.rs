//! What a head is to predict, and where its labels are.

use std::path::PathBuf;

use common::{
    exit::Exit,
    head::{Loss, TaskKind},
};

use super::check;
use crate::{
    cli::{LossArg, TaskArg, TaskArgs},
    failure::Failure,
    labels::LabelTable,
};

/// What separates names in a column unless told otherwise.
pub(crate) const DEFAULT_SEPARATOR: &str = "|";

/// The loss and the labels that are asked for; `None`: those of the cache.
pub(super) fn task(args: TaskArgs) -> Result<(Loss, Option<LabelTable>), Failure> {
    let loss = loss(&args)?;
    let task = loss.task();
    let names = task == TaskKind::MultiLabel && args.target.len() == 1;
    if args.separator.is_some() && !names {
        return refuse(
            "--separator: only the one column of --task multi-label has names to separate (leave it out)",
        );
    }
    let separator = args
        .separator
        .unwrap_or_else(|| DEFAULT_SEPARATOR.to_owned());
    let parts = !separator.trim().is_empty();
    check(
        "--separator",
        format_args!("`{separator}`"),
        parts,
        "a sign that is no space",
    )?;
    let Some(table) = args.labels else {
        return match task {
            TaskKind::SingleLabel => Ok((loss, None)),
            _ => refuse(&format!(
                "--task {task}: a cache holds one class an image (name a table with --labels TABLE and its columns with --target COLUMN,…)"
            )),
        };
    };
    let separator = names.then_some(separator);
    label_table(table, args.target, (task, separator)).map(|table| (loss, Some(table)))
}

fn loss(args: &TaskArgs) -> Result<Loss, Failure> {
    match (args.task, args.loss) {
        (TaskArg::Regression, Some(LossArg::Huber)) => Ok(Loss::Huber),
        (TaskArg::Regression, _) => Ok(Loss::Mse),
        (_, Some(_)) => refuse("--loss: only regression has a choice (add `--task regression`)"),
        (TaskArg::SingleLabel, None) => Ok(Loss::CrossEntropy),
        (TaskArg::MultiLabel, None) => Ok(Loss::BinaryCrossEntropy),
    }
}

fn label_table(
    table: PathBuf,
    target: Vec<String>,
    (task, separator): (TaskKind, Option<String>),
) -> Result<LabelTable, Failure> {
    let columns: Vec<String> = target.iter().map(|name| name.trim().to_owned()).collect();
    if columns.iter().any(String::is_empty) {
        return refuse("--target: a column's name is empty (name columns as COLUMN,COLUMN)");
    }
    if let Some(index) = (1..columns.len()).find(|&i| columns[..i].contains(&columns[i])) {
        return refuse(&format!("--target: `{}` given twice", columns[index]));
    }
    if task == TaskKind::SingleLabel && columns.len() > 1 {
        return refuse(
            "--target: several columns, --task single-label has one (use --task multi-label or regression)",
        );
    }
    Ok(LabelTable {
        table,
        columns,
        separator,
    })
}

fn refuse<T>(message: &str) -> Result<T, Failure> {
    Err(Failure::new(Exit::Usage, message.to_owned()))
}
