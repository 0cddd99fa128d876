//! Files that torch wrote (`data/make_torch_fixtures.py`), damaged copies of
//! them, and hand-made hostile ones.

use std::{
    io::{Cursor, Write},
    path::PathBuf,
};

use zip::{ZipWriter, write::SimpleFileOptions};

use super::{
    super::{Dtype, WeightError, WeightFile, tensor_digest},
    TorchError,
    unpickle::{MAX_PICKLE_BYTES, MAX_VALUES, Pickle},
};

const CONTAINERS: [&str; 2] = ["zip", "legacy"];

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../data/fixtures/torch")
        .join(name)
}

fn open(name: &str) -> WeightFile {
    WeightFile::open(&path(name)).unwrap()
}

fn refusal(bytes: Vec<u8>) -> TorchError {
    match WeightFile::from_bytes(bytes, "hostile.pth") {
        Err(WeightError::Torch { source, .. }) => source,
        other => panic!("expected a torch error, got {other:?}"),
    }
}

fn fixture_refusal(name: &str) -> TorchError {
    refusal(std::fs::read(path(name)).unwrap())
}

/// An archive as torch lays it out.
fn archive(records: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, bytes) in records {
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn assert_is_the_plain_state_dict(file: &WeightFile) {
    let names: Vec<&str> = file.names().collect();
    assert_eq!(names, ["fc.weight", "fc.bias", "bn.num_batches_tracked"]);
    assert_eq!(file.info("fc.weight").unwrap().shape, [2, 3]);
    assert_eq!(
        file.read_f32("fc.weight").unwrap(),
        [0.0, 0.25, 0.5, 0.75, 1.0, 1.25]
    );
    assert_eq!(file.read_f32("fc.bias").unwrap(), [0.5, -1.0]);
    let counter = file.info("bn.num_batches_tracked").unwrap();
    assert_eq!((counter.shape.len(), &counter.dtype), (0, &Dtype::I64));
    assert_eq!(file.read_f32("bn.num_batches_tracked").unwrap(), [7.0]);
}

#[test]
fn state_dict_is_found_bare_and_under_its_usual_keys() {
    for container in CONTAINERS {
        for name in ["plain", "checkpoint", "model-key"] {
            assert_is_the_plain_state_dict(&open(&format!("{name}-{container}.pth")));
        }
    }
    assert_is_the_plain_state_dict(&open("plain-protocol4.pth"));
}

#[test]
fn views_of_a_shared_storage_are_gathered() {
    for container in CONTAINERS {
        let file = open(&format!("views-{container}.pth"));
        let read = |name| file.read_f32(name).unwrap();
        let expected: Vec<f32> = (0..12_u8).map(f32::from).collect();
        assert_eq!(read("whole"), expected);
        assert_eq!(file.info("transposed").unwrap().shape, [4, 3]);
        assert_eq!(
            read("transposed"),
            [0., 4., 8., 1., 5., 9., 2., 6., 10., 3., 7., 11.]
        );
        assert_eq!(read("column"), [1., 5., 9.]);
        assert_eq!(read("block"), [6., 7., 10., 11.]);
        assert_eq!(read("every_other"), [0., 2., 4., 6., 8., 10.]);
        assert_eq!(file.info("one_row").unwrap().shape, [4, 1]);
        assert_eq!(read("one_row"), [8., 9., 10., 11.]);
    }
}

#[test]
fn element_types_are_converted_and_others_named() {
    for container in CONTAINERS {
        let file = open(&format!("dtypes-{container}.pth"));
        for name in ["half", "bfloat", "double", "parameter", "frozen"] {
            assert_eq!(file.read_f32(name).unwrap(), [1.5, -2.0, 0.25], "{name}");
        }
        assert_eq!(file.info("half").unwrap().dtype, Dtype::F16);
        assert_eq!(file.read_f32("long").unwrap(), [1.0, -2.0, 3.0]);
        assert_eq!(file.read_f32("empty").unwrap(), [0.0; 0]);
        let error = file.read_f32("int").unwrap_err();
        assert!(matches!(error, WeightError::UnsupportedDtype { .. }));
        assert!(error.to_string().contains("`int` is IntStorage"), "{error}");
    }
}

#[test]
fn non_finite_values_are_refused_by_name() {
    let file = open("dtypes-zip.pth");
    for (name, at) in [("not_a_number", 1), ("too_large", 0)] {
        match file.read_f32(name).unwrap_err() {
            WeightError::NonFinite {
                name: found, index, ..
            } => {
                assert_eq!((found.as_str(), index), (name, at));
            }
            other => panic!("{other}"),
        }
    }
}

#[test]
fn digest_does_not_depend_on_the_container() {
    let digest = |name: &str| {
        let file = open(name);
        let tensors: Vec<_> = file
            .names()
            .map(|name| {
                (
                    name,
                    &*file.info(name).unwrap().shape,
                    file.read_f32(name).unwrap(),
                )
            })
            .collect();
        tensor_digest(
            tensors
                .iter()
                .map(|(name, shape, values)| (*name, *shape, &**values)),
        )
    };
    assert_eq!(digest("plain-zip.pth"), digest("plain-legacy.pth"));
    assert_ne!(digest("plain-zip.pth"), digest("views-zip.pth"));
}

#[test]
fn call_of_system_is_refused_by_name_and_not_run() {
    for container in CONTAINERS {
        match fixture_refusal(&format!("calls-system-{container}.pth")) {
            TorchError::RefusedName { module, name } => {
                assert_eq!((module.as_str(), name.as_str()), ("posix", "system"));
            }
            other => panic!("{other}"),
        }
    }
    assert!(!PathBuf::from("unpickled-by-mistake").exists());
}

#[test]
fn whole_model_is_refused_with_the_remedy() {
    let message = fixture_refusal("whole-model-zip.pth").to_string();
    assert!(
        message.contains("`torch.nn.modules.linear.Linear`"),
        "{message}"
    );
    assert!(message.contains("model.state_dict()"), "{message}");
}

#[test]
fn truncated_legacy_storage_is_named() {
    let mut bytes = std::fs::read(path("plain-legacy.pth")).unwrap();
    bytes.truncate(bytes.len() - 4);
    match refusal(bytes) {
        TorchError::TruncatedStorage {
            expected, found, ..
        } => assert_eq!(expected, found + 4),
        other => panic!("{other}"),
    }
}

#[test]
fn legacy_storage_of_another_length_than_described_is_refused() {
    let mut bytes = std::fs::read(path("plain-legacy.pth")).unwrap();
    // The last storage may be any of the three; its count sits before its data.
    let counts: [usize; 3] = [8 + 8, 8 + 8, 24 + 8];
    let at = counts
        .iter()
        .map(|from_end| bytes.len() - from_end)
        .find(|&at| matches!(bytes[at..at + 8], [1 | 2 | 6, 0, 0, 0, 0, 0, 0, 0]))
        .unwrap();
    bytes[at] = 200;
    assert!(matches!(
        refusal(bytes),
        TorchError::MalformedStorage { .. }
    ));
}

#[test]
fn every_truncation_is_an_error() {
    for name in ["plain-legacy.pth", "plain-zip.pth", "checkpoint-legacy.pth"] {
        let bytes = std::fs::read(path(name)).unwrap();
        for length in 0..bytes.len() {
            let cut = bytes[..length].to_vec();
            assert!(
                WeightFile::from_bytes(cut, name).is_err(),
                "{name} cut to {length}"
            );
        }
    }
}

#[test]
fn no_single_changed_byte_makes_reading_panic() {
    for name in ["plain-legacy.pth", "plain-zip.pth", "views-legacy.pth"] {
        let bytes = std::fs::read(path(name)).unwrap();
        for at in 0..bytes.len() {
            for change in [0x01, 0x80, 0xff] {
                let mut changed = bytes.clone();
                changed[at] ^= change;
                if let Ok(file) = WeightFile::from_bytes(changed, name) {
                    for tensor in file.names() {
                        let _ = file.read_f32(tensor);
                    }
                }
            }
        }
    }
}

/// `{'w': _rebuild_tensor_v2(storage of `elements` f32, offset, shape, strides)}`,
/// all numbers below 256.
fn pickle_of_view(elements: u8, offset: u8, shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let tuple = |items: &[u8]| {
        let numbers = items.iter().flat_map(|&item| [b'K', item]);
        [b'(']
            .into_iter()
            .chain(numbers)
            .chain([b't'])
            .collect::<Vec<u8>>()
    };
    let mut pickle = b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n(".to_vec();
    pickle.extend(b"(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK");
    pickle.extend([elements, b't', b'Q', b'K', offset]);
    pickle.extend(tuple(shape));
    pickle.extend(tuple(strides));
    pickle.extend(b"\x89NtRs.");
    pickle
}

fn archive_of_view(elements: u8, offset: u8, shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let pickle = pickle_of_view(elements, offset, shape, strides);
    archive(&[("w/data.pkl", &pickle), ("w/data/0", &[0; 4 * 4])])
}

#[test]
fn view_beyond_its_storage_is_refused() {
    assert!(WeightFile::from_bytes(archive_of_view(4, 0, &[2, 2], &[2, 1]), "x").is_ok());
    for (offset, shape, strides) in [
        (1, [2, 2], [2, 1]),
        (0, [2, 2], [3, 1]),
        (0, [5, 1], [1, 1]),
        (4, [1, 1], [1, 1]),
        // A view that repeats elements would be larger than its storage.
        (0, [255, 255], [0, 0]),
    ] {
        let error = refusal(archive_of_view(4, offset, &shape, &strides));
        assert!(matches!(error, TorchError::OutOfBounds { .. }), "{error}");
    }
    let error = refusal(archive_of_view(4, 0, &[2, 2], &[1]));
    assert!(matches!(error, TorchError::OutOfBounds { .. }), "{error}");
}

#[test]
fn zip_storage_that_is_short_or_absent_is_named() {
    let error = refusal(archive_of_view(5, 0, &[5], &[1]));
    assert_eq!(
        error.to_string(),
        "storage `0`: expected 20 bytes, found 16 (the file is cut short; fetch it again)"
    );
    let pickle = pickle_of_view(1, 0, &[1], &[1]);
    let error = refusal(archive(&[("w/data.pkl", &pickle)]));
    assert!(
        matches!(error, TorchError::TruncatedStorage { found: 0, .. }),
        "{error}"
    );
}

#[test]
fn other_zip_archives_are_told_apart() {
    let script = archive(&[("m/data.pkl", b"\x80\x02}."), ("m/constants.pkl", b"")]);
    assert!(
        refusal(script)
            .to_string()
            .starts_with("a TorchScript archive")
    );
    let document = archive(&[("word/document.xml", b"<xml/>")]);
    assert!(refusal(document).to_string().contains("no `data.pkl`"));
    let big = archive(&[("m/data.pkl", b"\x80\x02}."), ("m/byteorder", b"big")]);
    assert!(refusal(big).to_string().contains("big-endian"));
    let empty = archive(&[("m/data.pkl", b"\x80\x02}.")]);
    assert!(matches!(refusal(empty), TorchError::NoTensors { .. }));
}

fn pickle_error(bytes: &[u8]) -> TorchError {
    match Pickle::read(bytes) {
        Err(error) => error,
        Ok(_) => panic!("the pickle was accepted"),
    }
}

#[test]
fn memo_bomb_costs_no_memory() {
    // Forty times "a pair of the last pair twice": 2^40 values if copied.
    let mut bomb = b"\x80\x02)q\0".to_vec();
    for level in 0..40 {
        bomb.extend([b'h', level, 0x86, b'q', level + 1]);
    }
    bomb.push(b'.');
    assert!(Pickle::read(&bomb).is_ok());
}

#[test]
fn deep_nesting_neither_recurses_nor_overflows_the_stack() {
    let mut bytes = b"\x80\x02)".to_vec();
    bytes.extend(vec![0x85; 500_000]);
    bytes.push(b'.');
    assert!(Pickle::read(&bytes).is_ok());
}

#[test]
fn endless_pickles_hit_the_caps() {
    let error = pickle_error(&vec![b')'; MAX_VALUES + 1]);
    assert!(
        matches!(
            error,
            TorchError::TooLarge {
                limit: MAX_VALUES,
                ..
            }
        ),
        "{error}"
    );
    let mut long = b"\x80\x02X\xff\xff\xff\xff".to_vec();
    long.resize(MAX_PICKLE_BYTES + 1, b'x');
    let error = pickle_error(&long);
    assert!(
        matches!(
            error,
            TorchError::TooLarge {
                limit: MAX_PICKLE_BYTES,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn claimed_length_beyond_the_pickle_is_not_allocated() {
    let error = pickle_error(b"\x80\x02X\xff\xff\xff\xffshort");
    assert!(
        matches!(error, TorchError::TruncatedPickle { .. }),
        "{error}"
    );
}

#[test]
fn nonsense_instructions_are_refused() {
    for pickle in [
        &b"\x80\x02R."[..],
        b"\x80\x02)(R.",
        b"\x80\x02K\x01K\x02R.",
        b"\x80\x02h\x07.",
        b"\x80\x02t.",
        b"\x80\x02}(K\x01u.",
        b"\x80\x02)K\x01a.",
        b"\x80\x02q\0.",
        b".",
    ] {
        let error = pickle_error(pickle);
        assert!(
            matches!(error, TorchError::MalformedPickle { .. }),
            "{pickle:?}: {error}"
        );
    }
    // The old instruction that names and calls in one.
    let error = pickle_error(b"(S'true'\nios\nsystem\n.");
    assert!(
        matches!(error, TorchError::UnsupportedOpcode { code: b'S', at: 1 }),
        "{error}"
    );
}
