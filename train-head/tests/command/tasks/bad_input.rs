//! Tables and options that no head can be trained with.

use std::fs;

use common::{exit::Exit, source::Split};

use super::{FLAGS, SIZES, edited, place, with_field};
use crate::fixture::{Place, Recipe};

/// Trains with `options`, which must fail without leaving a run.
fn refused(place: &Place, options: &str, exit: Exit, expected: &str) {
    let line = format!("linear @cache --out @run {options}");
    let stderr = place.run(&line, exit).stderr;
    assert!(stderr.contains(expected), "{options}\n{stderr}");
    assert!(!place.path("run/run.json").exists());
}

#[test]
fn tables_that_do_not_fit_are_named_with_row_column_and_remedy() {
    let names = "--task multi-label --labels @labels.csv --target names";
    for (options, column, text, expected) in [
        (
            FLAGS,
            3,
            "2",
            "line 6 (`00004.jpg`): column `flies`: `2`, expected 0, 1, true, false, or nothing",
        ),
        (
            SIZES,
            7,
            "fast",
            "line 6 (`00004.jpg`): column `speed`: `fast`, expected a number or nothing",
        ),
        (SIZES, 7, "NaN", "`NaN`, a finite number is needed"),
        (SIZES, 6, "1e300", "`1e300`, beyond 3.4e38"),
        (
            names,
            0,
            "00003.jpg",
            "line 6: `00003.jpg` is on line 5 already",
        ),
        (names, 0, "", "line 6: the uri is empty"),
    ] {
        let place = place();
        edited(&place, |row, line| {
            Some(match row {
                4 => with_field(line, column, text),
                _ => line.to_owned(),
            })
        });
        refused(&place, options, Exit::Input, expected);
    }
}

#[test]
fn columns_that_are_missing_or_of_another_kind_are_named() {
    let place = place();
    let table = "--labels @labels.csv --target";
    for (options, expected) in [
        (
            format!("--task regression {table} weight"),
            "no column `weight` (it has uri, kind, crawls",
        ),
        (
            format!("--task multi-label {table} flies"),
            "column `flies` holds 0 and 1",
        ),
        (
            format!("--task regression {table} kind"),
            "column `kind`: `ant`, expected a number",
        ),
        (
            "--task regression --labels @cache/plan.parquet --target split,nothing".to_owned(),
            "no column `nothing`",
        ),
        (
            "--task regression --labels @nowhere.csv --target size".to_owned(),
            "not found",
        ),
        (
            "--task regression --labels @cache --target size".to_owned(),
            "expected a `.csv` or `.parquet` file",
        ),
    ] {
        refused(&place, &options, Exit::Input, expected);
    }
    fs::write(place.path("labels.csv"), "image,size\na.jpg,1\n").unwrap();
    let options = format!("--task regression {table} size");
    refused(&place, &options, Exit::Input, "no column `uri` or `path`");
    fs::write(place.path("labels.csv"), "uri,size\nx/00000.jpg,1\n").unwrap();
    let expected = "none of its 1 images is in the cache";
    refused(&place, &options, Exit::Input, expected);
    fs::write(place.path("labels.parquet"), "not parquet").unwrap();
    let options = "--task regression --labels @labels.parquet --target size";
    refused(&place, options, Exit::Input, "labels.parquet`: ");
}

#[test]
fn training_rows_that_teach_nothing_are_refused() {
    for (options, column, text, expected) in [
        (
            FLAGS,
            3,
            "0",
            "class `flies` has no row in the training split",
        ),
        (
            FLAGS,
            3,
            "1",
            "every row of the training split has class `flies`",
        ),
        (
            SIZES,
            7,
            "2.5",
            "target `speed` is 2.5 in every training row",
        ),
        (SIZES, 7, "", "the training split has no labelled row"),
    ] {
        let place = place();
        let validates = |row: usize| Recipe::usual().rows[row].1 == Split::Val;
        edited(&place, |row, line| {
            let changed = text.is_empty() || !validates(row);
            Some(if changed {
                with_field(line, column, text)
            } else {
                line.to_owned()
            })
        });
        refused(&place, options, Exit::Input, expected);
    }
    let place = place();
    edited(&place, |row, line| {
        let validates = Recipe::usual().rows[row].1 == Split::Val;
        Some(with_field(
            line,
            3,
            if validates {
                "0"
            } else {
                line.split(',').nth(3).unwrap()
            },
        ))
    });
    let line = format!("linear @cache --out @run {FLAGS}");
    let stderr = place.run(&line, Exit::Success).stderr;
    assert!(
        stderr.contains("class `flies` has no row for validation"),
        "{stderr}"
    );
}

#[test]
fn options_that_contradict_the_task_are_refused() {
    let place = place();
    let table = "--labels @labels.csv --target";
    for (options, expected) in [
        (
            "--task multi-label".to_owned(),
            "name a table with --labels",
        ),
        ("--task regression".to_owned(), "name a table with --labels"),
        ("--labels @labels.csv".to_owned(), "--target"),
        ("--target size".to_owned(), "--labels"),
        (format!("{table} size,kind"), "--task single-label has one"),
        (
            format!("{table} size --loss mse"),
            "--loss: only regression",
        ),
        (format!("{table} kind --separator ;"), "--separator: only"),
        (format!("{FLAGS} --separator ;"), "--separator: only"),
        (
            format!("--task regression {table} size,size"),
            "--target: `size` given twice",
        ),
        (
            format!("{SIZES} --label-smoothing 0.1"),
            "--label-smoothing: ",
        ),
        (
            format!("{SIZES} --class-weights balanced"),
            "--class-weights: ",
        ),
        (format!("{SIZES} --solver lbfgs"), "heads of one label only"),
        (format!("{FLAGS} --solver ridge"), "heads of one label only"),
    ] {
        refused(&place, &options, Exit::Usage, expected);
    }
    for space in [
        "solver = [\"adamw\", \"lbfgs\"]",
        "solver = [\"adam\", \"ridge\"]",
        "solver = \"ridge\"\nlambda = [1.0, 10.0]",
    ] {
        fs::write(place.path("space.toml"), space).unwrap();
        for options in [FLAGS, SIZES] {
            let line = format!("sweep @cache --out @sweep --space @space.toml {options}");
            let stderr = place.run(&line, Exit::Input).stderr;
            let said = "`solver` has values of no use with --task ";
            assert!(stderr.contains(said), "{stderr}");
            assert!(stderr.contains("heads of one label only"), "{stderr}");
            assert!(!place.path("sweep").exists());
        }
    }
    let line = format!("sweep @cache --out @sweep --objective accuracy {SIZES}");
    let stderr = place.run(&line, Exit::Usage).stderr;
    assert!(stderr.contains("regression has no accuracy"), "{stderr}");
}

#[test]
fn runs_and_tables_that_do_not_belong_together_are_refused() {
    let place = place();
    place.run(
        &format!("linear @cache --out @flags --epochs 2 {FLAGS}"),
        Exit::Success,
    );
    place.run("linear @cache --out @plain --epochs 2", Exit::Success);
    let line = "linear @cache --out @kind --epochs 2 --labels @labels.csv --target kind";
    place.run(line, Exit::Success);
    for (line, exit, expected) in [
        (
            "eval @flags @cache",
            Exit::Usage,
            "name the table with --labels",
        ),
        (
            "eval @plain @cache --labels @labels.csv",
            Exit::Usage,
            "leave --labels out",
        ),
        (
            "compare @plain @plain @cache --labels @labels.csv",
            Exit::Usage,
            "leave --labels out",
        ),
        (
            "compare @flags @flags @cache --labels @labels.csv",
            Exit::Mismatch,
            "a multi-label head, `compare` tests heads of one label",
        ),
    ] {
        let stderr = place.run(line, exit).stderr;
        assert!(stderr.contains(expected), "{stderr}");
    }
    place.run(
        "compare @kind @kind @cache --labels @labels.csv --split val",
        Exit::Success,
    );
    // The table is that of the one head; the cache says the same.
    let mixed = "compare @kind @plain @cache --labels @labels.csv --split val";
    place.run(mixed, Exit::Success);
    let line = "linear @cache --out @crawls --epochs 2 --labels @labels.csv --target crawls";
    place.run(line, Exit::Success);
    let line = "compare @kind @crawls @cache --labels @labels.csv";
    let stderr = place.run(line, Exit::Mismatch).stderr;
    let said = "trained on column `kind` of a table";
    assert!(
        stderr.contains(said) && stderr.contains("on `crawls`"),
        "{stderr}"
    );
    edited(&place, |row, line| {
        let kind = if row % 6 == 4 {
            "ant"
        } else {
            line.split(',').nth(1).unwrap()
        };
        Some(with_field(line, 1, kind))
    });
    let stderr = place.run(mixed, Exit::Mismatch).stderr;
    assert!(stderr.contains("are not those of the table"), "{stderr}");
    edited(&place, |row, line| {
        Some(match row {
            5 => with_field(line, 1, "dog"),
            _ => line.to_owned(),
        })
    });
    let line = "eval @kind @cache --labels @labels.csv";
    let stderr = place.run(line, Exit::Input).stderr;
    assert!(
        stderr.contains("(`00005.jpg`): column `kind`: `dog` is not one of the head's classes"),
        "{stderr}"
    );
    edited(&place, |row, line| {
        let test = Recipe::usual().rows[row].1 == Split::Test;
        Some(if test {
            with_field(line, 1, "")
        } else {
            line.to_owned()
        })
    });
    let stderr = place.run(line, Exit::Input).stderr;
    assert!(
        stderr.contains("no answer for any of the 30 rows"),
        "{stderr}"
    );
}
