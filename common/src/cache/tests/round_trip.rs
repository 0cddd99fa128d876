use super::*;

const DTYPES: [FeatureDtype; 2] = [FeatureDtype::F32, FeatureDtype::F16];
const FORMATS: [FileFormat; 2] = [FileFormat::Arrow, FileFormat::Parquet];

#[test]
fn every_format_and_dtype_gives_back_what_was_written() {
    let listing = listing(23);
    for (format, dtype, views) in FORMATS.into_iter().flat_map(|f| DTYPES.map(|d| (f, d, 2))) {
        let directory = tempfile::tempdir().unwrap();
        let mut setup = with_dtype(setup(&listing), dtype);
        setup.format = Some(format);
        setup.identity.views = views;
        let cache = Cache::create_or_resume(directory.path(), &setup).unwrap();
        write_all(&cache);
        let reader = CacheReader::open(directory.path()).unwrap();
        assert_eq!(reader.plan().rows(), listing.samples);
        assert_eq!(reader.manifest().classes, listing.classes);
        assert_rows(&reader, "avgpool");
        assert_rows(&reader, "layer3");
        let rejects: Vec<_> = reader.rejects().map(|reject| reject.id).collect();
        assert_eq!(rejects, [3, 8, 13, 18]);
        assert_eq!(reader.rejects().next().unwrap().reason, "truncated file");
        assert!(verify(directory.path()).unwrap().is_ok());
    }
}

#[test]
fn arrow_features_are_borrowed_from_an_aligned_map() {
    let listing = listing(4);
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::create_or_resume(directory.path(), &setup(&listing)).unwrap();
    write_all(&cache);
    let reader = CacheReader::open(directory.path()).unwrap();
    let batch = reader.batches("layer3").unwrap().next().unwrap().unwrap();
    let Embedding::F32(values) = batch.values() else {
        panic!("expected f32");
    };
    assert_eq!(values.len(), 3 * 24);
    assert_eq!(values.as_ptr().addr() % ARROW_ALIGNMENT, 0);
    let copy = batch.clone();
    let Embedding::F32(again) = copy.values() else {
        panic!("expected f32");
    };
    assert_eq!(again.as_ptr(), values.as_ptr());
    drop(reader);
    assert_eq!(again[0], value(0, 0, 0));
}

#[test]
fn values_are_in_the_file_where_the_batch_says_and_nowhere_with_parquet() {
    let listing = listing(23);
    for (format, dtype) in FORMATS.into_iter().flat_map(|f| DTYPES.map(|d| (f, d))) {
        let directory = tempfile::tempdir().unwrap();
        let mut setup = with_dtype(setup(&listing), dtype);
        setup.format = Some(format);
        write_all(&Cache::create_or_resume(directory.path(), &setup).unwrap());
        let reader = CacheReader::open(directory.path()).unwrap();
        for batch in reader.batches("layer3").unwrap() {
            let batch = batch.unwrap();
            let expected: Vec<u8> = match batch.values() {
                Embedding::F16(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
                Embedding::F32(values) => values.iter().flat_map(|v| v.to_le_bytes()).collect(),
            };
            assert_eq!(batch.place().is_some(), format == FileFormat::Arrow);
            let Some(place) = batch.place() else { continue };
            let file = fs::read(&place.path).unwrap();
            assert_eq!(file[place.offset as usize..][..expected.len()], expected);
        }
    }
}

#[test]
fn large_rows_are_cut_into_batches_by_bytes() {
    let listing = listing(7);
    for format in FORMATS {
        let directory = tempfile::tempdir().unwrap();
        let mut setup = setup(&listing);
        setup.format = Some(format);
        setup.part_rows = None;
        setup.layers[1].shape = vec![512, 32, 32];
        let cache = Cache::create_or_resume(directory.path(), &setup).unwrap();
        write_all(&cache);
        let reader = CacheReader::open(directory.path()).unwrap();
        let rows: Vec<_> = reader
            .batches("layer3")
            .unwrap()
            .map(|batch| batch.unwrap().rows())
            .collect();
        // 2 MiB a row: two rows a batch of 4 MiB; one of the seven is a reject.
        assert_eq!(rows, [2, 2, 2]);
        assert_rows(&reader, "avgpool");
    }
}

#[test]
fn a_part_of_rejects_alone_is_a_part() {
    let listing = listing(3);
    for format in FORMATS {
        let directory = tempfile::tempdir().unwrap();
        let mut setup = setup(&listing);
        setup.format = Some(format);
        let cache = Cache::create_or_resume(directory.path(), &setup).unwrap();
        let mut writer = cache.write_part(PartIndex(0)).unwrap();
        for id in 0..3 {
            writer.reject(id, "unreadable").unwrap();
        }
        writer.commit().unwrap();
        let reader = CacheReader::open(directory.path()).unwrap();
        assert_eq!(
            reader
                .batches("avgpool")
                .unwrap()
                .map(|batch| batch.unwrap().rows())
                .sum::<usize>(),
            0
        );
        assert!(verify(directory.path()).unwrap().is_ok());
    }
}

#[test]
fn values_that_would_be_stored_wrongly_are_refused_by_name() {
    let listing = listing(4);
    let push = |dtype, bad: f32| {
        let directory = tempfile::tempdir().unwrap();
        let cache =
            Cache::create_or_resume(directory.path(), &with_dtype(setup(&listing), dtype)).unwrap();
        let mut writer = cache.write_part(PartIndex(0)).unwrap();
        let mut map = [0.0; 24];
        map[7] = bad;
        let layers: [&[f32]; 2] = [&[0.0; 5], &map];
        writer.push(FeatureRow {
            plan_row: 0,
            view: 0,
            layers: &layers,
        })
    };
    for dtype in DTYPES {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let error = push(dtype, bad).unwrap_err();
            assert!(matches!(error, CacheError::NonFinite { .. }));
            let message = error.to_string();
            assert!(
                message.contains("`class 0/000000.jpg`") && message.contains("`layer3`"),
                "{message}"
            );
        }
    }
    push(FeatureDtype::F32, 65520.0).unwrap();
    push(FeatureDtype::F16, 65519.0).unwrap();
    let message = push(FeatureDtype::F16, 65520.0).unwrap_err().to_string();
    assert!(
        message.contains("--dtype f32") && message.contains("position 7"),
        "{message}"
    );
}

#[test]
fn reader_names_the_layers_it_has() {
    let listing = listing(2);
    let directory = tempfile::tempdir().unwrap();
    let cache = Cache::create_or_resume(directory.path(), &setup(&listing)).unwrap();
    write_all(&cache);
    let reader = CacheReader::open(directory.path()).unwrap();
    let message = reader.batches("layer4").err().unwrap().to_string();
    assert!(
        message.contains("no layer `layer4` (it holds avgpool, layer3;"),
        "{message}"
    );
}

#[test]
fn writers_and_readers_can_be_sent_to_threads() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<PartWriter>();
    is_send::<Batches>();
    is_send::<FeatureBatch>();
    is_sync::<FeatureBatch>();
    is_sync::<Cache>();
    is_sync::<CacheReader>();
}
