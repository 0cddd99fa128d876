use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

struct Finished {
    directory: TempDir,
    cache: Cache,
}

impl Finished {
    fn new(format: FileFormat) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listing = listing(10);
        let mut setup = setup(&listing);
        setup.format = Some(format);
        let cache = Cache::create_or_resume(directory.path(), &setup).unwrap();
        write_all(&cache);
        Self { directory, cache }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces a file and corrects its recorded size, so that only its content
    /// can tell.
    fn replace(&self, name: &str, bytes: &[u8]) {
        fs::write(self.path(name), bytes).unwrap();
        let stem = Path::new(name).file_stem().unwrap().to_str().unwrap();
        let path = self.path(&format!("parts/{stem}.json"));
        let mut record: CommitRecord = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        for file in record.files.iter_mut().filter(|file| file.path == name) {
            file.bytes = bytes.len() as u64;
        }
        fs::write(&path, record.to_json()).unwrap();
    }

    /// Opens the cache and reads every row of a layer.
    fn read(&self, layer: &str) -> Result<(), CacheError> {
        let reader = CacheReader::open(self.directory.path())?;
        reader.batches(layer)?.try_for_each(|batch| batch.map(drop))
    }
}

#[test]
fn truncated_files_are_errors_at_every_length() {
    for format in [FileFormat::Arrow, FileFormat::Parquet] {
        let finished = Finished::new(format);
        let name = format!("avgpool/00001.{format}");
        let whole = fs::read(finished.path(&name)).unwrap();
        for length in 0..whole.len() {
            finished.replace(&name, &whole[..length]);
            let error = finished.read("avgpool").unwrap_err();
            assert!(
                matches!(error, CacheError::Damaged { .. }),
                "{length}: {error}"
            );
            assert!(error.to_string().contains(&name), "{error}");
        }
        finished.replace(&name, &whole);
        finished.read("avgpool").unwrap();
    }
}

#[test]
fn a_size_other_than_recorded_makes_the_part_pending() {
    let finished = Finished::new(FileFormat::Arrow);
    let name = finished.path("layer3/00001.arrow");
    let whole = fs::read(&name).unwrap();
    fs::write(&name, &whole[..whole.len() - 1]).unwrap();
    let error = finished.read("avgpool").unwrap_err().to_string();
    assert!(
        error.contains("layer3/00001.arrow") && error.contains("extract verify"),
        "{error}"
    );
    assert_eq!(pending(&finished.cache, Shard::WHOLE), [PartIndex(1)]);
    fs::remove_file(&name).unwrap();
    assert_eq!(pending(&finished.cache, Shard::WHOLE), [PartIndex(1)]);
    write_all(&finished.cache);
    assert_eq!(fs::read(&name).unwrap(), whole);
}

#[test]
fn records_that_are_torn_or_of_another_row_count_make_the_part_pending() {
    let finished = Finished::new(FileFormat::Arrow);
    let path = finished.path("parts/00001.json");
    let whole = fs::read_to_string(&path).unwrap();
    let cases = [
        whole.replace("\"rows\": 4", "\"rows\": 3"),
        whole.replace("\"part\": 1", "\"part\": 2"),
        whole.replace("layer3/00001", "layer3/00000"),
        whole[..whole.len() / 2].to_owned(),
        String::new(),
    ];
    for text in cases {
        fs::write(&path, text).unwrap();
        assert_eq!(pending(&finished.cache, Shard::WHOLE), [PartIndex(1)]);
        assert!(finished.read("avgpool").is_err());
        assert!(!verify(finished.directory.path()).unwrap().is_ok());
    }
}

#[test]
fn another_parts_or_layers_file_is_recognised() {
    for format in [FileFormat::Arrow, FileFormat::Parquet] {
        let finished = Finished::new(format);
        let name = format!("avgpool/00001.{format}");
        let own = fs::read(finished.path(&name)).unwrap();
        let other_part = fs::read(finished.path(&format!("avgpool/00000.{format}"))).unwrap();
        finished.replace(&name, &other_part);
        let error = finished.read("avgpool").unwrap_err().to_string();
        assert!(
            error.contains("expected plan row 4, view 0, found 0, view 0"),
            "{error}"
        );
        let other_layer = fs::read(finished.path(&format!("layer3/00001.{format}"))).unwrap();
        finished.replace(&name, &other_layer);
        let error = finished.read("avgpool").unwrap_err().to_string();
        assert!(error.contains("layer `avgpool`, [5] f32"), "{error}");
        finished.replace(&name, &own);
        finished.read("avgpool").unwrap();
    }
}

#[test]
fn verify_finds_a_flipped_byte_and_discarding_repairs_it() {
    for format in [FileFormat::Arrow, FileFormat::Parquet] {
        let finished = Finished::new(format);
        let before = contents(finished.directory.path());
        let name = format!("layer3/00002.{format}");
        let mut bytes = before[&name].clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(finished.path(&name), &bytes).unwrap();

        let report = verify(finished.directory.path()).unwrap();
        assert_eq!(report.ok_files, 5);
        assert_eq!(report.damaged.len(), 1);
        assert!(report.damaged[0].path.ends_with(&name));
        assert!(report.damaged[0].problem.contains("SHA-256"));
        finished
            .cache
            .discard(PartIndex(report.damaged[0].part))
            .unwrap();
        finished
            .cache
            .discard(PartIndex(report.damaged[0].part))
            .unwrap();
        assert_eq!(
            verify(finished.directory.path()).unwrap().missing_parts,
            [2]
        );
        write_all(&finished.cache);
        assert_eq!(contents(finished.directory.path()), before);
    }
}

#[test]
fn truncated_plans_are_errors_at_every_length() {
    let finished = Finished::new(FileFormat::Arrow);
    let path = finished.path("plan.parquet");
    let whole = fs::read(&path).unwrap();
    for length in 0..whole.len() {
        fs::write(&path, &whole[..length]).unwrap();
        let error = Cache::open(finished.directory.path()).unwrap_err();
        assert!(
            matches!(error, CacheError::BadHeader { .. }),
            "{length}: {error}"
        );
    }
}

#[test]
fn a_cache_without_its_plan_is_unusable_input_with_the_remedy() {
    let finished = Finished::new(FileFormat::Arrow);
    fs::remove_file(finished.path("plan.parquet")).unwrap();
    let error = Cache::open(finished.directory.path()).unwrap_err();
    assert_eq!(error.exit(), crate::exit::Exit::Input);
    let error = error.to_string();
    assert!(
        error.contains("plan.parquet") && error.contains("into a new folder"),
        "{error}"
    );
}

#[test]
fn status_reports_damaged_parts_beside_the_others() {
    let finished = Finished::new(FileFormat::Arrow);
    fs::write(finished.path("parts/00001.json"), "{").unwrap();
    fs::write(finished.path("avgpool/00002.arrow"), "short").unwrap();
    let status = status(&finished.cache).unwrap();
    assert_eq!((status.parts, status.done_parts), (3, 1));
    let damaged: Vec<_> = status
        .damaged
        .iter()
        .map(|damage| (damage.part, damage.path.clone()))
        .collect();
    assert_eq!(
        damaged,
        [
            (1, finished.path("parts/00001.json")),
            (2, finished.path("avgpool/00002.arrow"))
        ]
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Flipped bytes may change a feature (only a checksum sees that), but never
    /// the rows' identity, and they never crash the reader.
    #[test]
    fn flipped_bytes_never_crash_the_arrow_reader(flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4)) {
        thread_local! {
            static FINISHED: (Finished, Vec<u8>) = {
                let finished = Finished::new(FileFormat::Arrow);
                let whole = fs::read(finished.path("avgpool/00001.arrow")).unwrap();
                (finished, whole)
            };
        }
        FINISHED.with(|(finished, whole)| {
            let mut bytes = whole.clone();
            for (position, mask) in &flips {
                let position = position.index(bytes.len());
                bytes[position] ^= mask;
            }
            fs::write(finished.path("avgpool/00001.arrow"), &bytes).unwrap();
            if let Err(error) = finished.read("avgpool") {
                assert!(matches!(error, CacheError::Damaged { .. }), "{error}");
            }
        });
    }
}
