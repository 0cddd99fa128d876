//! `--memory`: features beyond the allowance give the same bytes.

use common::{
    cache::{FeatureDtype, FileFormat},
    exit::Exit,
};

use crate::{
    fixture::{Place, Recipe},
    json,
};

/// Far below the features of the usual cache, 180 · 16 · 4 bytes.
const LITTLE: &str = "--memory 1K";

/// As much as one part's features, 50 · 16 · 4 bytes, and a little more.
const SOME: &str = "--memory 4K";

fn place(format: FileFormat, dtype: FeatureDtype) -> Place {
    Place::with(&Recipe {
        format,
        dtype,
        ..Recipe::usual()
    })
}

#[test]
fn heads_have_the_same_bytes_with_any_solver_format_and_dtype() {
    for (format, dtype) in [
        (FileFormat::Arrow, FeatureDtype::F32),
        (FileFormat::Arrow, FeatureDtype::F16),
        (FileFormat::Parquet, FeatureDtype::F32),
        (FileFormat::Parquet, FeatureDtype::F16),
    ] {
        let place = place(format, dtype);
        for options in [
            "linear --solver adam --epochs 4 --normalise standardise",
            "linear --solver lbfgs --c 0.01,1 --normalise standardise",
            "linear --solver ridge --lambda 1,100",
            "mlp --hidden 8 --epochs 3 --normalise l2",
        ] {
            let (command, options) = options.split_once(' ').unwrap();
            let line = format!("{command} @cache --overwrite --quiet {options}");
            place.run(&format!("{line} --out @all"), Exit::Success);
            for memory in [LITTLE, SOME] {
                place.run(&format!("{line} --out @little {memory}"), Exit::Success);
                let read = |run: &str| place.read(&format!("{run}/head.safetensors"));
                assert!(
                    read("all") == read("little"),
                    "{options} {format} {dtype} {memory}"
                );
            }
        }
    }
}

#[test]
fn sweep_probe_and_eval_say_the_same() {
    let place = place(FileFormat::Parquet, FeatureDtype::F32);
    let sweep = "sweep @cache --trials 8 --round 4 --epochs 3 --quiet";
    place.run(&format!("{sweep} --out @all"), Exit::Success);
    place.run(&format!("{sweep} --out @little {LITTLE}"), Exit::Success);
    for file in ["trials.parquet", "best/head.safetensors"] {
        let same = place.read(&format!("all/{file}")) == place.read(&format!("little/{file}"));
        assert!(same, "{file}");
    }
    let answers = |options: &str| {
        let said = place.run(&format!("probe @cache --json {options}"), Exit::Success);
        json(&said.stdout)["answers"].clone()
    };
    assert_eq!(answers(""), answers(LITTLE));
    let metrics = |options: &str| {
        let line = format!("eval @all/best @cache --split val --json {options}");
        json(&place.run(&line, Exit::Success).stdout)["metrics"].clone()
    };
    assert_eq!(metrics(""), metrics(LITTLE));
    let compared = |options: &str| {
        let line = format!("compare @all/best @little/best @cache --split val {options}");
        place.run(&line, Exit::Success).stdout
    };
    assert_eq!(compared(""), compared(LITTLE));
}

#[test]
fn temporary_file_without_a_folder_for_it_is_a_clear_error() {
    let place = place(FileFormat::Parquet, FeatureDtype::F32);
    let mut command = place.command(&format!("linear @cache --out @run {LITTLE}"));
    let output = command
        .env("TMPDIR", place.path("nowhere"))
        .output()
        .unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(Exit::Failure as i32), "{stderr}");
    assert!(
        stderr.contains("temporary file in") && stderr.contains("TMPDIR"),
        "{stderr}"
    );
    // Rows that the allowance covers need none, however many others there are: 30 of 64 bytes here.
    place.run("linear @cache --out @whole --epochs 2", Exit::Success);
    let mut command = place.command("eval @whole @cache --split val --memory 2K");
    let status = command.env("TMPDIR", place.path("nowhere")).status();
    assert!(status.unwrap().success());
    // An Arrow cache needs none.
    Recipe::usual().write(&place.path("arrow"));
    let mut command = place.command(&format!("linear @arrow --out @other --epochs 2 {LITTLE}"));
    let status = command.env("TMPDIR", place.path("nowhere")).status();
    assert!(status.unwrap().success());
}

#[test]
fn cache_that_shrinks_while_it_is_read_ends_the_training_with_an_error() {
    let place = Place::with(&Recipe::usual());
    let line =
        format!("linear @cache --out @run --epochs 100000000 --patience 0 --lr 1e-9 {LITTLE}");
    let said = place.disturb(&line, "best", Exit::Failure, |_| {
        for file in std::fs::read_dir(place.path("cache/avgpool")).unwrap() {
            let file = std::fs::File::options()
                .write(true)
                .open(file.unwrap().path());
            file.unwrap().set_len(100).unwrap();
        }
    });
    assert!(
        said.contains("reading features failed"),
        "{}",
        &said[said.len() - 300..]
    );
    assert!(!place.path("run/run.json").exists());
}
