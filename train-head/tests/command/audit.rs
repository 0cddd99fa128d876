//! What `audit` finds in caches with planted faults.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
};

use arrow::{
    array::{AsArray, RecordBatch},
    compute::concat_batches,
    datatypes::{Float32Type, Float64Type, UInt32Type},
};
use common::{cache::FileFormat, exit::Exit, source::Split};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::{
    fixture::{Place, Plant, Recipe},
    json,
};

/// Rows of the usual recipe: 4 of 6 train, then one val, one test.
const TRAIN: u64 = 0;
const OTHER_TRAIN: u64 = 1;
const VAL: u64 = 4;
const TEST: u64 = 5;

fn table(place: &Place, name: &str) -> RecordBatch {
    let file = File::open(place.path(&format!("audit/{name}.parquet"))).unwrap();
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = builder.schema().clone();
    let batches: Vec<_> = builder.build().unwrap().map(Result::unwrap).collect();
    concat_batches(&schema, &batches).unwrap()
}

fn words(table: &RecordBatch, column: &str) -> Vec<String> {
    let words = table[column].as_string::<i32>();
    words
        .iter()
        .map(|word| word.unwrap_or_default().to_owned())
        .collect()
}

fn uri(row: u64) -> String {
    format!("{row:05}.jpg")
}

/// The cache of `plants` audited.
fn audit(plants: &[(u64, Plant)], options: &str) -> Place {
    let place = Place::with(&Recipe {
        plants: plants.to_vec(),
        noise: 0.3,
        ..Recipe::usual()
    });
    place.run(
        &format!("audit @cache --out @audit --quiet {options}"),
        Exit::Success,
    );
    place
}

#[test]
fn clean_cache_has_no_duplicates_and_no_leaks() {
    let place = audit(&[], "--near 0.9999");
    for name in ["duplicates", "leaks"] {
        assert_eq!(table(&place, name).num_rows(), 0, "{name}");
    }
    assert_eq!(table(&place, "outliers").num_rows(), 100);
}

#[test]
fn planted_duplicates_are_grouped_and_those_across_splits_are_leaks() {
    // Row 2 is a copy of row 0, the first test row nearly so, the first validation row a copy of row 1.
    let plants = [
        (2, Plant::CopyOf(TRAIN)),
        (TEST, Plant::NearTo(TRAIN)),
        (VAL, Plant::CopyOf(OTHER_TRAIN)),
    ];
    let place = audit(&plants, "--near 0.9999");
    let found = table(&place, "duplicates");
    let groups = found["group"].as_primitive::<UInt32Type>().values();
    let members: Vec<_> = groups.iter().copied().zip(words(&found, "uri")).collect();
    let expected = [(0, 0), (0, 2), (0, 5), (1, 1), (1, 4)];
    assert_eq!(members, expected.map(|(group, row)| (group, uri(row))));
    let identical: Vec<bool> = found["identical"].as_boolean().iter().flatten().collect();
    assert_eq!(identical, [true, true, false, true, true]);

    let leaks = table(&place, "leaks");
    assert_eq!(words(&leaks, "uri"), [uri(VAL), uri(TEST)]);
    assert_eq!(words(&leaks, "other_uri"), [uri(OTHER_TRAIN), uri(TRAIN)]);
    assert_eq!(words(&leaks, "split"), ["val", "test"]);
    assert_eq!(words(&leaks, "other_split"), ["train", "train"]);
    let cosines = leaks["cosine"].as_primitive::<Float32Type>().values();
    assert!(cosines[0] == 1.0 && cosines[1] > 0.9999, "{cosines:?}");

    let summary = json(&String::from_utf8(place.read("audit/audit.json")).unwrap());
    assert_eq!(summary["duplicates"]["groups"], 2);
    assert_eq!(summary["leaks"]["identical"], 1);
}

#[test]
fn copies_with_another_label_are_told() {
    // Row 6 is of the second class.
    let place = audit(&[(6, Plant::CopyOf(TRAIN))], "--near 1");
    let summary = json(&String::from_utf8(place.read("audit/audit.json")).unwrap());
    assert_eq!(summary["duplicates"]["label_conflicts"], 1);
}

#[test]
fn swapped_labels_are_found_with_the_class_they_look_like() {
    // Rows 0 to 5 are labelled 0, rows 6 to 11 are labelled 1.
    let plants = [
        (1, Plant::LooksLike(2)),
        (7, Plant::LooksLike(0)),
        (VAL, Plant::LooksLike(1)),
    ];
    let place = audit(&plants, "--probabilities");
    let found = table(&place, "labels");
    let pairs: HashSet<_> = words(&found, "uri")
        .into_iter()
        .zip(words(&found, "suggested"))
        .collect();
    let expected = [(1, "cat"), (7, "ant"), (VAL, "bee")];
    for (row, class) in expected {
        assert!(pairs.contains(&(uri(row), class.to_owned())), "{pairs:?}");
    }
    assert!(pairs.len() <= 5, "{pairs:?}");
    let confidence = found["self_confidence"]
        .as_primitive::<Float64Type>()
        .values();
    assert!(confidence.windows(2).all(|pair| pair[0] <= pair[1]));

    let joint = table(&place, "joint");
    let rows: f64 = joint["rows"]
        .as_primitive::<Float64Type>()
        .values()
        .iter()
        .sum();
    assert!((rows - 180.0).abs() < 1e-6, "{rows}");
    let probabilities = table(&place, "probabilities");
    assert_eq!(probabilities.num_rows(), 180);
    let list = probabilities["probabilities"].as_fixed_size_list();
    let values = list.values().as_primitive::<Float64Type>().values();
    assert!(
        values
            .chunks(3)
            .all(|row| (row.iter().sum::<f64>() - 1.0).abs() < 1e-9)
    );
}

#[test]
fn planted_outlier_is_the_furthest() {
    let place = audit(&[(20, Plant::FarOff)], "--outliers 3");
    let found = table(&place, "outliers");
    assert_eq!(found.num_rows(), 3);
    assert_eq!(words(&found, "uri")[0], uri(20));
    let distances = found["distance"].as_primitive::<Float64Type>().values();
    assert!(
        distances[0] > distances[1] && distances[1] >= distances[2],
        "{distances:?}"
    );
}

#[test]
fn labels_that_cannot_be_judged_are_skipped_with_the_reason_and_the_rest_is_done() {
    let mut unlabelled = Recipe::usual();
    unlabelled.rows.iter_mut().for_each(|row| row.0 = -1);
    unlabelled.plants = vec![(2, Plant::CopyOf(0))];
    let one_class = Recipe {
        classes: vec!["ant"],
        rows: vec![(0, Split::None); 20],
        plants: vec![(2, Plant::CopyOf(0))],
        ..Recipe::usual()
    };
    for (recipe, said) in [
        (unlabelled, "no image has a label"),
        (one_class, "labels need two or more classes"),
    ] {
        let place = Place::with(&recipe);
        let line = "audit @cache --out @audit --near 1";
        let text = place.run(line, Exit::Success).stdout;
        assert!(
            text.contains("labels: not judged") && text.contains(said),
            "{text}"
        );
        let found = table(&place, "duplicates");
        assert_eq!(words(&found, "uri"), [uri(0), uri(2)]);
        assert!(!place.path("audit/labels.parquet").exists());
    }
}

#[test]
fn class_with_a_single_image_is_left_out_and_named() {
    let mut recipe = Recipe::usual();
    recipe.classes.push("dog");
    recipe.rows.push((3, Split::Train));
    let place = Place::with(&recipe);
    let said = place.run("audit @cache --out @audit --json", Exit::Success);
    let labels = &json(&said.stdout)["labels"];
    assert_eq!(labels["classes_left_out"], json("[\"dog\"]"));
    assert_eq!(labels["rows"], 180);
}

#[test]
fn class_whose_images_are_all_in_one_group_is_left_out_and_named() {
    let mut recipe = Recipe::usual();
    recipe.classes.push("dog");
    recipe.rows.extend([(3, Split::Train); 6]);
    recipe.groups = (180..186).map(|row| (row, "litter")).collect();
    let place = Place::with(&recipe);
    let said = place.run("audit @cache --out @audit --json", Exit::Success);
    let labels = &json(&said.stdout)["labels"];
    assert_eq!(labels["classes_left_out"], json("[\"dog\"]"));
    assert_eq!(labels["rows"], 180);
}

/// Every file of the audit.
fn files(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(place.path("audit")).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names
        .map(|name| (name.clone(), place.read(&format!("audit/{name}"))))
        .collect()
}

#[test]
fn audit_that_fails_keeps_the_tables_that_were_there() {
    let place = audit(&[], "--probabilities");
    let before = files(&place);
    assert_eq!(before.len(), 7);
    place.damage_first_row();
    let line = "audit @cache --out @audit --overwrite";
    let stderr = place.run(line, Exit::Input).stderr;
    assert!(stderr.contains("is NaN"), "{stderr}");
    assert!(before == files(&place));
    // One that comes to its end leaves nothing of the one before.
    Recipe::usual().write(&place.path("other"));
    place.run("audit @other --out @audit --overwrite", Exit::Success);
    let after = files(&place);
    assert_eq!(after.len(), 6);
    assert!(!after.contains_key("probabilities.parquet"));
    assert!(before["outliers.parquet"] != after["outliers.parquet"]);
}

#[test]
fn audit_that_ends_among_the_labels_keeps_what_is_done() {
    let place = audit(&[], "");
    let before = files(&place);
    // The table of labels cannot be replaced.
    std::fs::remove_file(place.path("audit/labels.parquet")).unwrap();
    std::fs::create_dir(place.path("audit/labels.parquet")).unwrap();
    let line = "audit @cache --out @audit --overwrite --outliers 3";
    let stderr = place.run(line, Exit::Failure).stderr;
    assert!(stderr.contains("the other tables are in"), "{stderr}");
    assert_eq!(table(&place, "outliers").num_rows(), 3);
    for name in ["joint.parquet", "audit.json"] {
        assert!(
            before[name] == place.read(&format!("audit/{name}")),
            "{name}"
        );
    }
}

#[test]
fn audit_that_is_there_is_kept_unless_overwritten() {
    let place = audit(&[(1, Plant::LooksLike(2))], "");
    let before = place.read("audit/labels.parquet");
    let said = place.run("audit @cache --out @audit", Exit::Usage);
    assert!(said.stderr.contains("--overwrite"), "{}", said.stderr);
    assert!(before == place.read("audit/labels.parquet"));
    place.run(
        "audit @cache --out @audit --overwrite --quiet",
        Exit::Success,
    );
    assert!(
        before == place.read("audit/labels.parquet"),
        "the same bytes again"
    );
    for options in ["--near 0", "--near 1.5", "--neighbours 0", "--folds 1"] {
        let line = format!("audit @cache --out @other {options}");
        let said = place.run(&line, Exit::Usage);
        let option = options.split(' ').next().unwrap();
        assert!(said.stderr.contains(option), "{}", said.stderr);
        assert!(!place.path("other").exists());
    }
}

#[test]
fn tables_do_not_depend_on_threads_format_or_memory() {
    let recipe = Recipe {
        plants: vec![
            (2, Plant::CopyOf(0)),
            (1, Plant::LooksLike(2)),
            (9, Plant::FarOff),
        ],
        ..Recipe::usual()
    };
    let place = Place::with(&recipe);
    let parquet = Recipe {
        format: FileFormat::Parquet,
        ..recipe
    };
    parquet.write(&place.path("parquet"));
    place.run_on("1", "audit @cache --out @audit --quiet");
    place.run_on("3", "audit @cache --out @b --quiet");
    place.run_on("2", "audit @parquet --out @c --quiet --memory 1K");
    place.run_on("2", "audit @cache --out @d --quiet --memory 1K");
    for name in ["duplicates", "leaks", "labels", "joint", "outliers"] {
        let first = place.read(&format!("audit/{name}.parquet"));
        for other in ["b", "c", "d"] {
            assert!(
                first == place.read(&format!("{other}/{name}.parquet")),
                "{name} {other}"
            );
        }
    }
}
