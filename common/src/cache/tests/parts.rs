use super::*;

#[test]
fn bytes_do_not_depend_on_shards_or_order() {
    let listing = listing(23);
    for format in [FileFormat::Arrow, FileFormat::Parquet] {
        let mut setup = setup(&listing);
        setup.format = Some(format);
        let straight = tempfile::tempdir().unwrap();
        write_all(&Cache::create_or_resume(straight.path(), &setup).unwrap());

        let sharded = tempfile::tempdir().unwrap();
        for index in [2, 0, 1] {
            let cache = Cache::create_or_resume(sharded.path(), &setup).unwrap();
            let shard = Shard::new(index, 3).unwrap();
            for part in pending(&cache, shard).into_iter().rev() {
                assert_eq!(part.0 % 3, index);
                write(&cache, part);
            }
        }
        assert_eq!(contents(straight.path()), contents(sharded.path()));
        assert_eq!(contents(straight.path()).len(), 2 + 3 * 6);
    }
    assert_eq!(Shard::new(3, 3), None);
}

#[test]
fn dropped_writer_leaves_nothing_and_the_part_stays_pending() {
    let listing = listing(10);
    for format in [FileFormat::Arrow, FileFormat::Parquet] {
        let directory = tempfile::tempdir().unwrap();
        let mut setup = setup(&listing);
        setup.format = Some(format);
        let cache = Cache::create_or_resume(directory.path(), &setup).unwrap();
        write(&cache, PartIndex(1));
        let before = contents(directory.path());
        drop(fill(&cache, PartIndex(0), 3));
        assert_eq!(contents(directory.path()), before);
        assert_eq!(pending(&cache, Shard::WHOLE), [PartIndex(0), PartIndex(2)]);
        let error = CacheReader::open(directory.path())
            .err()
            .unwrap()
            .to_string();
        assert!(error.contains("2 of 3 parts are missing"), "{error}");
    }
}

#[test]
fn leftovers_of_a_killed_run_are_removed_when_the_part_starts_again() {
    let listing = listing(10);
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::create_or_resume(directory.path(), &setup(&listing)).unwrap();
    // A kill runs no destructors.
    std::mem::forget(fill(&cache, PartIndex(0), 2));
    std::mem::forget(fill(&cache, PartIndex(1), 6));
    assert_eq!(contents(directory.path()).len(), 2 + 4);
    write_all(&cache);
    assert_eq!(contents(directory.path()).len(), 2 + 9);
    assert_rows(&CacheReader::open(directory.path()).unwrap(), "layer3");
}

#[test]
fn writer_refuses_rows_out_of_order_and_commits_only_whole_parts() {
    let listing = listing(10);
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::create_or_resume(directory.path(), &setup(&listing)).unwrap();
    let layers: [&[f32]; 2] = [&[0.0; 5], &[0.0; 24]];
    let row = |plan_row, view| FeatureRow {
        plan_row,
        view,
        layers: &layers,
    };
    let mut writer = cache.write_part(PartIndex(1)).unwrap();
    assert!(matches!(
        writer.push(row(0, 0)),
        Err(CacheError::Protocol { .. })
    ));
    assert!(matches!(
        writer.push(row(5, 0)),
        Err(CacheError::Protocol { .. })
    ));
    assert!(matches!(
        writer.push(row(4, 1)),
        Err(CacheError::Protocol { .. })
    ));
    let short: [&[f32]; 2] = [&[0.0; 5], &[0.0; 23]];
    let error = writer
        .push(FeatureRow {
            plan_row: 4,
            view: 0,
            layers: &short,
        })
        .unwrap_err();
    assert!(
        error.to_string().contains("expected 24 values, found 23"),
        "{error}"
    );
    writer.push(row(4, 0)).unwrap();
    let error = writer.commit().unwrap_err().to_string();
    assert!(
        error.contains("part 00001: expected rows up to 8, stopped before row 5"),
        "{error}"
    );
    assert_eq!(pending(&cache, Shard::WHOLE).len(), 3);
    assert!(matches!(
        cache.write_part(PartIndex(3)),
        Err(CacheError::Protocol { .. })
    ));
}

#[test]
fn appending_keeps_finished_parts_and_redoes_the_last_partial_one() {
    let directory = tempfile::tempdir().unwrap();
    let old = listing(10);
    write_all(&Cache::create_or_resume(directory.path(), &setup(&old)).unwrap());
    let before = contents(directory.path());

    let mut new = listing(10);
    new.classes = ["aardvark", "ant", "bee", "cow"]
        .map(str::to_owned)
        .to_vec();
    for sample in new.samples.iter_mut().filter(|sample| sample.label >= 0) {
        sample.label += 1;
    }
    new.samples.insert(
        0,
        Sample {
            uri: "a/first.jpg".to_owned(),
            label: 0,
            ..new.samples[0].clone()
        },
    );
    let refused = Cache::create_or_resume(directory.path(), &setup(&new))
        .unwrap_err()
        .to_string();
    assert!(
        refused.contains("1 added: `a/first.jpg`; add `--append`"),
        "{refused}"
    );
    assert_eq!(contents(directory.path()), before);

    let mut grow = setup(&new);
    grow.growth = Growth::Append;
    let cache = Cache::create_or_resume(directory.path(), &grow).unwrap();
    assert_eq!(cache.manifest().classes, ["ant", "bee", "cow", "aardvark"]);
    assert_eq!(cache.plan().rows()[..10], old.samples);
    assert_eq!(cache.plan().get(10).unwrap().uri, "a/first.jpg");
    assert_eq!(cache.plan().get(10).unwrap().label, 3);
    assert_eq!(pending(&cache, Shard::WHOLE), [PartIndex(2)]);
    write_all(&cache);
    assert_rows(&CacheReader::open(directory.path()).unwrap(), "avgpool");
    for (name, bytes) in contents(directory.path()) {
        if name.contains("00000.") || name.contains("00001.") {
            assert_eq!(before[&name], bytes, "{name}");
        }
    }
    // The grown source is the cache's source now, in either mode.
    Cache::create_or_resume(directory.path(), &setup(&new)).unwrap();
    let again = Cache::create_or_resume(directory.path(), &grow).unwrap();
    assert_eq!(pending(&again, Shard::WHOLE), []);
}

#[test]
fn kill_between_the_new_plan_and_the_new_manifest_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new) = (listing(10), listing(14));
    write_all(&Cache::create_or_resume(directory.path(), &setup(&old)).unwrap());
    let manifest = fs::read(directory.path().join("cache.json")).unwrap();
    let mut grow = setup(&new);
    grow.growth = Growth::Append;
    Cache::create_or_resume(directory.path(), &grow).unwrap();
    fs::write(directory.path().join("cache.json"), manifest).unwrap();

    let reader = CacheReader::open(directory.path()).unwrap();
    assert_rows(&reader, "layer3");
    assert_eq!(reader.plan().len(), 10);
    let cache = Cache::create_or_resume(directory.path(), &grow).unwrap();
    assert_eq!(cache.plan().len(), 14);
    assert_eq!(pending(&cache, Shard::WHOLE), [PartIndex(2), PartIndex(3)]);
}

#[test]
fn status_counts_what_is_committed() {
    let listing = listing(10);
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::create_or_resume(directory.path(), &setup(&listing)).unwrap();
    let record = write(&cache, PartIndex(2));
    write(&cache, PartIndex(0));
    let status = status(&cache).unwrap();
    assert_eq!((status.rows, status.done_rows), (10, 6));
    assert_eq!((status.parts, status.done_parts), (3, 2));
    assert_eq!(
        status
            .rejects
            .iter()
            .map(|reject| reject.id)
            .collect::<Vec<_>>(),
        [3, 8]
    );
    assert!(status.bytes > record.files.iter().map(|file| file.bytes).sum());
    assert_eq!(status.images(), 4);
    assert!(!status.is_complete());
}
