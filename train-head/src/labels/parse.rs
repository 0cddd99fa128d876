//! The text of a table's fields as classes, truth values, or numbers.

use std::collections::HashMap;

use common::{
    exit::Exit,
    head::TaskKind,
    source::{Fields, UNLABELLED, class_names},
};

use super::join::Joined;
use crate::failure::Failure;

/// What marks an image without an answer among numbers.
const MISSING: f32 = f32::NAN;

/// What a head of `task` that is trained on the rows predicts.
pub(super) fn names(joined: &Joined, task: TaskKind) -> Result<Vec<String>, Failure> {
    let columns = &joined.table.columns;
    match task {
        TaskKind::SingleLabel => Ok(class_names(
            joined.present().map(|row| row.texts[0].as_str()),
        )),
        TaskKind::MultiLabel => match &joined.table.separator {
            Some(separator) => {
                let names = joined.present().flat_map(|row| parts(row, separator));
                let names = class_names(names);
                refuse_truth_values(joined, &names).map(|()| names)
            }
            None => Ok(columns.clone()),
        },
        TaskKind::Regression => Ok(columns.clone()),
    }
}

/// A column of 0 and 1 would make the classes `0` and `1`.
fn refuse_truth_values(joined: &Joined, names: &[String]) -> Result<(), Failure> {
    let problem = if names.is_empty() {
        "names no class in any row that is in the cache"
    } else if names.iter().all(|name| truth(name).is_some()) {
        "holds 0 and 1 or true and false, one column holds names (name one such column a class, or use --task single-label)"
    } else {
        return Ok(());
    };
    let message = format!(
        "table `{}`: column `{}` {problem}",
        joined.table.table.display(),
        joined.table.columns[0]
    );
    Err(Failure::new(Exit::Input, message))
}

/// The names in the one column of `row`.
fn parts<'a>(row: &'a Fields, separator: &'a str) -> impl Iterator<Item = &'a str> {
    let names = row.texts[0].split(separator).map(str::trim);
    names.filter(|name| !name.is_empty())
}

/// The class of every image of the plan.
pub(super) fn classes(joined: &Joined, names: &[String]) -> Result<Vec<i32>, Failure> {
    let positions = positions(names);
    let label = |row: &Option<Fields>| match row {
        Some(row) if !row.texts[0].is_empty() => match positions.get(row.texts[0].as_str()) {
            Some(&class) => Ok(class as i32),
            None => Err(unknown(joined, row, &row.texts[0])),
        },
        _ => Ok(UNLABELLED),
    };
    joined.rows.iter().map(label).collect()
}

/// Whether every image has each class: `[images, names]`.
pub(super) fn flags(joined: &Joined, names: &[String]) -> Result<Vec<f32>, Failure> {
    let Some(separator) = &joined.table.separator else {
        return values(joined, |row, column| {
            truth(&row.texts[column]).ok_or_else(|| {
                let problem = format!(
                    "`{}`, expected 0, 1, true, false, or nothing",
                    row.texts[column]
                );
                joined.wrong(row, column, &problem)
            })
        });
    };
    let positions = positions(names);
    let mut flags = Vec::with_capacity(joined.rows.len() * names.len());
    for row in &joined.rows {
        let start = flags.len();
        let known = row.as_ref().filter(|row| !row.texts[0].is_empty());
        flags.resize(start + names.len(), known.map_or(MISSING, |_| 0.0));
        for (row, name) in known
            .iter()
            .flat_map(|row| parts(row, separator).map(move |n| (row, n)))
        {
            match positions.get(name) {
                Some(&class) => flags[start + class] = 1.0,
                None => return Err(unknown(joined, row, name)),
            }
        }
    }
    Ok(flags)
}

/// The numbers of every image: `[images, columns]`.
pub(super) fn numbers(joined: &Joined) -> Result<Vec<f32>, Failure> {
    values(joined, |row, column| {
        let text = &row.texts[column];
        let number: Option<f64> = text.parse().ok();
        let problem = match number {
            Some(number) if (number as f32).is_finite() => return Ok(number as f32),
            Some(number) if number.is_finite() => "beyond 3.4e38",
            Some(_) => "a finite number is needed (leave the field empty where there is none)",
            None => "expected a number or nothing",
        };
        Err(joined.wrong(row, column, &format!("`{text}`, {problem}")))
    })
}

/// One value a column, none of a row that lacks one.
fn values(
    joined: &Joined,
    value: impl Fn(&Fields, usize) -> Result<f32, Failure>,
) -> Result<Vec<f32>, Failure> {
    let width = joined.table.columns.len();
    let mut values = Vec::with_capacity(joined.rows.len() * width);
    for row in &joined.rows {
        let complete = |row: &&Fields| row.texts.iter().all(|text| !text.is_empty());
        match row.as_ref().filter(complete) {
            Some(row) => {
                for column in 0..width {
                    values.push(value(row, column)?);
                }
            }
            None => values.resize(values.len() + width, MISSING),
        }
    }
    Ok(values)
}

fn truth(text: &str) -> Option<f32> {
    const SPELLINGS: [(&str, f32); 6] = [
        ("0", 0.0),
        ("1", 1.0),
        ("0.0", 0.0),
        ("1.0", 1.0),
        ("false", 0.0),
        ("true", 1.0),
    ];
    let known = SPELLINGS.iter();
    let mut known = known.filter(|(spelling, _)| spelling.eq_ignore_ascii_case(text));
    known.next().map(|(_, value)| *value)
}

fn positions(names: &[String]) -> HashMap<&str, usize> {
    names.iter().map(String::as_str).zip(0..).collect()
}

fn unknown(joined: &Joined, row: &Fields, name: &str) -> Failure {
    let problem = format!("`{name}` is not one of the head's classes");
    joined.wrong(row, 0, &problem)
}
