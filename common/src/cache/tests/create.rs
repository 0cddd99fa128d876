use std::sync::Barrier;

use super::*;

#[test]
fn racing_creators_agree_on_one_cache() {
    let listing = listing(50);
    for _ in 0..20 {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("deep/cache");
        let barrier = Barrier::new(4);
        std::thread::scope(|scope| {
            for index in 0..4 {
                let (barrier, directory, listing) = (&barrier, &directory, &listing);
                scope.spawn(move || {
                    barrier.wait();
                    let cache = Cache::create_or_resume(directory, &setup(listing)).unwrap();
                    for part in pending(&cache, Shard::new(index, 4).unwrap()) {
                        write(&cache, part);
                    }
                });
            }
        });
        assert_rows(&CacheReader::open(&directory).unwrap(), "avgpool");
        assert_eq!(contents(&directory).len(), 2 + 3 * 13);
    }
}

#[test]
fn another_identity_is_refused_with_every_differing_field() {
    let listing = listing(4);
    let directory = tempfile::tempdir().unwrap();
    Cache::create_or_resume(directory.path(), &setup(&listing)).unwrap();
    let mut other = with_dtype(setup(&listing), FeatureDtype::F16);
    other.identity.backbone = "resnet50".to_owned();
    other.identity.preprocessing["crop"] = json!(256);
    let error = Cache::create_or_resume(directory.path(), &other).unwrap_err();
    assert!(matches!(error, CacheError::Mismatch { .. }));
    let message = error.to_string();
    for expected in [
        r#"backbone is "resnet18", not "resnet50""#,
        "preprocessing.crop is 224, not 256",
        r#"dtype is "f32", not "f16""#,
    ] {
        assert!(message.contains(expected), "{message}");
    }
}

#[test]
fn layout_settings_are_the_caches_own_or_an_error() {
    let listing = listing(4);
    let directory = tempfile::tempdir().unwrap();
    Cache::create_or_resume(directory.path(), &setup(&listing)).unwrap();
    let mut other = setup(&listing);
    other.part_rows = None;
    assert_eq!(
        Cache::create_or_resume(directory.path(), &other)
            .unwrap()
            .manifest()
            .part_rows,
        4
    );
    other.part_rows = Some(5);
    let message = Cache::create_or_resume(directory.path(), &other)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("was made with --part-rows 4, not 5"),
        "{message}"
    );
    other.part_rows = None;
    other.format = Some(FileFormat::Parquet);
    let message = Cache::create_or_resume(directory.path(), &other)
        .unwrap_err()
        .to_string();
    assert!(message.contains("--format arrow, not parquet"), "{message}");
}

#[test]
fn contradictory_setups_are_refused_before_anything_is_written() {
    let listing = listing(4);
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cache");
    let mut cases = [
        setup(&listing),
        setup(&listing),
        setup(&listing),
        setup(&listing),
    ];
    cases[0].part_rows = Some(0);
    cases[1].identity.layers.pop();
    cases[2].layers[0].name = "../x".to_owned();
    cases[2].identity.layers[0] = "../x".to_owned();
    cases[3].layers[1].shape = vec![usize::MAX, 2];
    for case in &cases {
        let error = Cache::create_or_resume(&directory, case).unwrap_err();
        assert!(matches!(error, CacheError::InvalidSetup(_)), "{error}");
    }
    assert!(!directory.exists());
}

#[test]
fn changed_source_names_what_changed() {
    let old = listing(12);
    let directory = tempfile::tempdir().unwrap();
    Cache::create_or_resume(directory.path(), &setup(&old)).unwrap();
    let mut new = listing(12);
    new.samples[1].bytes = 7;
    new.samples[2].label = 0;
    new.samples[4].split = Split::Test;
    new.samples.remove(9);
    for growth in [Growth::Forbid, Growth::Append] {
        let mut changed = setup(&new);
        changed.growth = growth;
        let message = Cache::create_or_resume(directory.path(), &changed)
            .unwrap_err()
            .to_string();
        for expected in [
            "3 changed: `class 1/000001.jpg` (1001 bytes, now 7)",
            "`class 2/000002.jpg` (class cow, now ant)",
            "`class 1/000004.jpg` (split `train`, now `test`)",
            "1 removed: `class 0/000009.jpg`",
            "put the old files back",
        ] {
            assert!(message.contains(expected), "{message}");
        }
    }
}

#[test]
fn folder_with_other_things_is_not_overwritten() {
    let listing = listing(4);
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("thesis.doc"), "dear").unwrap();
    let error = Cache::create_or_resume(directory.path(), &setup(&listing)).unwrap_err();
    assert!(error.to_string().contains("holds `thesis.doc`"), "{error}");
    assert_eq!(contents(directory.path()).len(), 1);
    assert!(matches!(
        CacheReader::open(directory.path()),
        Err(CacheError::NotFound(_))
    ));
}

#[test]
fn creation_killed_halfway_is_repeated() {
    let listing = listing(4);
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(".cache.json.Ab12.tmp"), "{").unwrap();
    fs::write(directory.path().join("plan.parquet"), "PAR1").unwrap();
    let cache = Cache::create_or_resume(directory.path(), &setup(&listing)).unwrap();
    write_all(&cache);
    assert_rows(&CacheReader::open(directory.path()).unwrap(), "avgpool");
}

#[test]
fn newer_and_edited_manifests_are_refused() {
    let listing = listing(4);
    let directory = tempfile::tempdir().unwrap();
    Cache::create_or_resume(directory.path(), &setup(&listing)).unwrap();
    let path = directory.path().join("cache.json");
    let text = fs::read_to_string(&path).unwrap();
    let open = |text: &str| {
        fs::write(&path, text).unwrap();
        Cache::open(directory.path()).err()
    };
    let newer = open(&text.replace(
        "\"format_version\": 1",
        "\"format_version\": 2, \"news\": []",
    ));
    assert!(
        newer
            .unwrap()
            .to_string()
            .contains("format version 2, this program reads up to 1")
    );
    let edited = open(&text.replace("resnet18", "resnet50"));
    assert!(edited.unwrap().to_string().contains("fingerprint"));
    assert!(matches!(
        open(&text.replace("\"rows\": 4", "\"rows\": 3")),
        Some(CacheError::BadHeader { .. })
    ));
    for end in 0..text.len() - 2 {
        assert!(
            matches!(open(&text[..end]), Some(CacheError::BadHeader { .. })),
            "{end}"
        );
    }
    assert!(open(&text).is_none());
}
