//! What `extract` writes, in every form, and what it says about it.

use std::fs;

use common::{
    cache::{CacheReader, FeatureDtype},
    source::Split,
};
use end_to_end::Workbench;

use crate::{extract_small, json, small_set};

#[test]
fn class_folders_become_a_complete_cache() {
    let bench = Workbench::new();
    small_set(&bench, 2, 3);
    extract_small(&bench, "cache", &["--part-rows", "5"]).exited(0);

    let reader = CacheReader::open(&bench.path("cache")).unwrap();
    assert_eq!(reader.manifest().classes, ["ankle-boot", "bag"]);
    let mut rows = Vec::new();
    for batch in reader.batches("avgpool").unwrap() {
        let batch = batch.unwrap();
        assert_eq!(batch.dim(), 1280);
        for row in 0..batch.rows() {
            rows.push((
                batch.ids()[row],
                batch.uri(row).to_owned(),
                batch.labels()[row],
                batch.split(row),
            ));
        }
    }
    assert_eq!(rows.len(), 18);
    assert!(
        rows.iter()
            .enumerate()
            .all(|(index, row)| row.0 == index as u64)
    );
    assert!(
        rows.windows(2).all(|pair| pair[0].1 < pair[1].1),
        "sorted by uri"
    );
    for (_, uri, label, split) in &rows {
        assert_eq!(*label, i32::from(uri.contains("/bag/")));
        assert_eq!(
            *split,
            Split::from_name(uri.split('/').next().unwrap()).unwrap()
        );
    }
}

#[test]
fn csv_table_gives_labels_and_splits() {
    let bench = Workbench::new();
    small_set(&bench, 2, 2);
    let images = crate::sorted_names(&bench.path("images/train/bag"));
    let table = format!(
        "split,path,label\ntrain,images/train/bag/{},7\ntest,images/train/bag/{},11\n",
        images[0], images[1]
    );
    fs::write(bench.path("table.csv"), table).unwrap();
    let arguments = [&["run", "table.csv", "--out", "cache"], &crate::SMALL[..]].concat();
    bench.extract(&arguments).exited(0);

    let reader = CacheReader::open(&bench.path("cache")).unwrap();
    assert_eq!(reader.manifest().classes, ["7", "11"]);
    let batch = reader.batches("avgpool").unwrap().next().unwrap().unwrap();
    assert_eq!(batch.labels(), [0, 1]);
    assert_eq!(
        (batch.split(0), batch.split(1)),
        (Split::Train, Split::Test)
    );
}

#[test]
fn both_formats_and_dtypes_hold_the_same_features() {
    let bench = Workbench::new();
    small_set(&bench, 1, 2);
    let mut all = Vec::new();
    for format in ["arrow", "parquet"] {
        for dtype in ["f32", "f16"] {
            let out = format!("{format}-{dtype}");
            extract_small(&bench, &out, &["--format", format, "--dtype", dtype]).exited(0);
            let reader = CacheReader::open(&bench.path(&out)).unwrap();
            let expected = match dtype {
                "f16" => FeatureDtype::F16,
                _ => FeatureDtype::F32,
            };
            assert_eq!(reader.manifest().layers[0].dtype, expected);
            all.push(rows(&reader, "avgpool"));
        }
    }
    assert_eq!(all[0], all[2], "f32 is exact in both formats");
    assert_eq!(all[1], all[3], "f16 is the same in both formats");
    for (single, half) in all[0].iter().flatten().zip(all[1].iter().flatten()) {
        assert!(
            (single - half).abs() <= single.abs() * 5e-4 + 1e-6,
            "{single} {half}"
        );
    }
}

#[test]
fn several_layers_in_one_pass_are_those_of_single_passes() {
    let bench = Workbench::new();
    small_set(&bench, 1, 2);
    extract_small(&bench, "both", &["--layer", "avgpool,stage5"]).exited(0);
    extract_small(&bench, "one", &["--layer", "stage5"]).exited(0);
    let both = CacheReader::open(&bench.path("both")).unwrap();
    let one = CacheReader::open(&bench.path("one")).unwrap();
    assert_eq!(both.manifest().layers[1].shape, [112, 4, 4]);
    assert_eq!(rows(&both, "stage5"), rows(&one, "stage5"));
    assert_eq!(rows(&both, "avgpool")[0].len(), 1280);
}

#[test]
fn status_verify_and_backbones_speak_json() {
    let bench = Workbench::new();
    small_set(&bench, 1, 2);
    extract_small(&bench, "cache", &[]).exited(0);
    let status = json(
        &bench
            .extract(&["status", "cache", "--json"])
            .exited(0)
            .stdout,
    );
    assert_eq!(status["status"]["rows"], 6);
    assert_eq!(status["status"]["done_rows"], 6);
    let report = json(
        &bench
            .extract(&["verify", "cache", "--json"])
            .exited(0)
            .stdout,
    );
    assert_eq!(report["ok_files"], 1);
    let backbones = json(&bench.extract(&["backbones", "--json"]).exited(0).stdout);
    let names: Vec<_> = backbones
        .as_array()
        .unwrap()
        .iter()
        .map(|row| &row["name"])
        .collect();
    assert!(names.iter().any(|name| **name == "resnet152"));
}

#[test]
fn a_flipped_byte_is_found_discarded_and_redone() {
    let bench = Workbench::new();
    small_set(&bench, 2, 2);
    extract_small(&bench, "cache", &["--part-rows", "4"]).exited(0);
    let file = bench.path("cache/avgpool/00001.arrow");
    let whole = fs::read(&file).unwrap();
    let mut torn = whole.clone();
    let middle = torn.len() / 2;
    torn[middle] ^= 1;
    fs::write(&file, torn).unwrap();

    let found = bench.extract(&["verify", "cache"]).exited(6);
    assert!(found.stdout.contains("00001.arrow"), "{}", found.stdout);
    fs::write(bench.path("cache/parts/00000.json"), "{").unwrap();
    let status = bench.extract(&["status", "cache"]).exited(0).stdout;
    for said in ["damaged      1", "parts/00000.json", "extract verify cache"] {
        assert!(status.contains(said), "no `{said}` in {status}");
    }
    bench.extract(&["verify", "cache", "--discard"]).exited(6);
    extract_small(&bench, "cache", &[]).exited(0);
    assert_eq!(fs::read(&file).unwrap(), whole);
    bench.extract(&["verify", "cache"]).exited(0);
}

#[test]
fn new_inputs_are_refused_or_appended_as_asked() {
    let bench = Workbench::new();
    small_set(&bench, 1, 2);
    extract_small(&bench, "cache", &["--part-rows", "3"]).exited(0);
    let first_part = fs::read(bench.path("cache/avgpool/00000.arrow")).unwrap();
    let image = crate::sorted_names(&bench.path("images/test/ankle-boot")).remove(0);
    let folder = bench.path("images/test/ankle-boot");
    fs::copy(folder.join(&image), folder.join("00000.png")).unwrap();

    extract_small(&bench, "cache", &[])
        .exited(4)
        .saying(&["00000.png", "--append"]);
    extract_small(&bench, "cache", &["--append"]).exited(0);
    let reader = CacheReader::open(&bench.path("cache")).unwrap();
    assert_eq!(rows(&reader, "avgpool").len(), 7);
    assert_eq!(
        fs::read(bench.path("cache/avgpool/00000.arrow")).unwrap(),
        first_part
    );
}

/// All features of a layer, in plan order.
fn rows(reader: &CacheReader, layer: &str) -> Vec<Vec<f32>> {
    let mut rows = Vec::new();
    for batch in reader.batches(layer).unwrap() {
        let batch = batch.unwrap();
        for row in 0..batch.rows() {
            let mut values = vec![0.0; batch.dim()];
            batch.copy_row(row, &mut values);
            rows.push(values);
        }
    }
    rows
}

#[test]
fn bench_measures_every_stage_and_precision() {
    let bench = Workbench::new();
    let options = "--stage decode,backbone --precision f32,int8 --threads 2 --seconds 1 --json";
    let arguments: Vec<_> = ["bench"].into_iter().chain(options.split(' ')).collect();
    let report = json(&bench.extract(&arguments).exited(0).stdout);
    let results = report["results"].as_array().unwrap();
    let named: Vec<_> = results
        .iter()
        .map(|row| (row["stage"].as_str(), row["precision"].as_str()))
        .collect();
    let expected = [
        (Some("decode"), None),
        (Some("backbone"), Some("f32")),
        (Some("backbone"), Some("int8")),
    ];
    assert_eq!(named, expected);
    for row in results {
        assert!(row["images_per_second"].as_f64().unwrap() > 0.0, "{row}");
    }

    fs::create_dir(bench.path("empty")).unwrap();
    bench
        .extract(&["bench", "empty"])
        .exited(3)
        .saying(&["empty"]);
}
