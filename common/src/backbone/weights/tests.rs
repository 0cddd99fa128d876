//! Containers told by content, and damaged safetensors files: one test per
//! kind of damage.

use std::{fs, path::Path};

use safetensors::SafeTensorError;

use super::{Dtype, WeightError, WeightFile};

/// Two tensors: `a` f32 [2] = 1, 2 and `b` f16 [1, 2] = 0.5, -1.
const HEADER: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F16","shape":[1,2],"data_offsets":[8,12]}}"#;
const DATA: [u8; 12] = [0, 0, 0x80, 0x3f, 0, 0, 0, 0x40, 0, 0x38, 0, 0xbc];

fn file(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn open(bytes: &[u8]) -> Result<WeightFile, WeightError> {
    let folder = tempfile::tempdir().unwrap();
    // The name says nothing about the content.
    let path = folder.path().join("weights.bin");
    fs::write(&path, bytes).unwrap();
    WeightFile::open(&path)
}

fn damage(bytes: &[u8]) -> SafeTensorError {
    match open(bytes) {
        Err(WeightError::Safetensors { source, .. }) => source,
        other => panic!("expected a safetensors error, got {other:?}"),
    }
}

fn foreign(bytes: &[u8]) -> &'static str {
    match open(bytes) {
        Err(WeightError::Foreign { found, .. }) => found,
        other => panic!("expected a foreign file, got {other:?}"),
    }
}

#[test]
fn safetensors_are_read_whatever_their_name() {
    let file = open(&file(HEADER, &DATA)).unwrap();
    assert_eq!(file.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(file.read_f32("a").unwrap(), [1.0, 2.0]);
    assert_eq!(file.read_f32("b").unwrap(), [0.5, -1.0]);
    let info = file.info("b").unwrap();
    assert_eq!(
        (info.shape.as_slice(), &info.dtype),
        (&[1, 2][..], &Dtype::F16)
    );
    assert!(file.info("c").is_none());
    let error = file.read_f32("c").unwrap_err();
    assert!(matches!(error, WeightError::NoSuchTensor { .. }));
}

#[test]
fn embedded_bytes_are_read_in_place() {
    static BYTES: [u8; 0] = [];
    assert!(matches!(
        WeightFile::from_bytes(&BYTES[..], "embedded"),
        Err(WeightError::Empty { .. })
    ));
    let file = WeightFile::from_bytes(file(HEADER, &DATA), "embedded").unwrap();
    assert_eq!(file.path(), Path::new("embedded"));
    assert_eq!(file.read_f32("a").unwrap(), [1.0, 2.0]);
}

#[test]
fn non_finite_value_is_refused_with_file_tensor_and_position() {
    let mut data = DATA;
    data[4..8].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let error = open(&file(HEADER, &data))
        .unwrap()
        .read_f32("a")
        .unwrap_err();
    let message = error.to_string();
    assert!(message.contains("weights.bin`: tensor `a`"), "{message}");
    assert!(message.contains("at element 1"), "{message}");
}

#[test]
fn unsupported_type_is_refused_when_read_and_named() {
    let header = HEADER.replace("F16", "I16");
    let file = open(&file(&header, &DATA)).unwrap();
    assert!(file.read_f32("a").is_ok());
    let message = file.read_f32("b").unwrap_err().to_string();
    assert!(message.contains("`b` is i16"), "{message}");
}

#[test]
fn truncated_header_is_rejected() {
    let bytes = file(HEADER, &DATA);
    let error = damage(&bytes[..40]);
    assert!(
        matches!(error, SafeTensorError::InvalidHeaderLength),
        "{error}"
    );
}

#[test]
fn header_length_beyond_the_file_is_rejected() {
    let mut bytes = file(HEADER, &DATA);
    bytes[..8].copy_from_slice(&1_000_000_u64.to_le_bytes());
    assert!(matches!(
        damage(&bytes),
        SafeTensorError::InvalidHeaderLength
    ));
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    assert!(matches!(damage(&bytes), SafeTensorError::HeaderTooLarge));
}

#[test]
fn truncated_data_is_rejected() {
    let error = damage(&file(HEADER, &DATA[..11]));
    assert!(
        matches!(error, SafeTensorError::MetadataIncompleteBuffer),
        "{error}"
    );
}

#[test]
fn bytes_behind_the_last_tensor_are_rejected() {
    let mut data = DATA.to_vec();
    data.push(0);
    let error = damage(&file(HEADER, &data));
    assert!(
        matches!(error, SafeTensorError::MetadataIncompleteBuffer),
        "{error}"
    );
}

#[test]
fn offsets_out_of_bounds_are_rejected() {
    let header = HEADER.replace("[8,12]", "[8,1200]");
    let error = damage(&file(&header, &DATA));
    assert!(
        matches!(error, SafeTensorError::TensorInvalidInfo),
        "{error}"
    );
}

#[test]
fn overlapping_tensors_are_rejected() {
    let header = HEADER.replace("[8,12]", "[4,8]");
    match damage(&file(&header, &DATA)) {
        SafeTensorError::InvalidOffset(name) => assert_eq!(name, "b"),
        other => panic!("{other}"),
    }
}

#[test]
fn overflowing_shape_is_rejected() {
    let header = HEADER.replace("[1,2]", "[4294967296,4294967296,4]");
    let error = damage(&file(&header, &DATA));
    assert!(
        matches!(error, SafeTensorError::ValidationOverflow),
        "{error}"
    );
}

#[test]
fn header_that_is_not_json_is_rejected() {
    let error = damage(&file(&HEADER.replace(':', ";"), &DATA));
    assert!(
        matches!(error, SafeTensorError::InvalidHeaderDeserialization(_)),
        "{error}"
    );
}

#[test]
fn empty_file_is_rejected() {
    assert!(matches!(open(b""), Err(WeightError::Empty { .. })));
}

#[test]
fn text_file_is_foreign() {
    assert_eq!(foreign(b"label,path\n0,a.jpg\n"), "a text file");
    assert_eq!(foreign(b"weights {not really}"), "a text file");
    assert!(foreign(b"<!DOCTYPE html><html>").starts_with("a web page"));
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n";
    assert!(foreign(pointer).contains("git lfs pull"));
}

#[test]
fn foreign_binary_file_is_told_by_its_magic_number() {
    assert!(foreign(b"\x89HDF\r\n\x1a\n and so on").starts_with("an HDF5 file"));
    assert!(foreign(b"\x80\x04\x95\x05\0\0\0\0\0\0\0K\x01.").starts_with("a pickle"));
    assert_eq!(foreign(&[0, 1, 2, 3]), "an unknown binary file");
    let mut tar = vec![b'a'; 512];
    tar[257..262].copy_from_slice(b"ustar");
    assert!(foreign(&tar).starts_with("a tar archive"));
}

#[test]
fn path_that_is_no_file_is_an_error_that_names_it() {
    let folder = tempfile::tempdir().unwrap();
    for path in [folder.path().to_owned(), folder.path().join("absent")] {
        let error = WeightFile::open(&path).unwrap_err();
        assert!(matches!(error, WeightError::Io { .. }));
        assert!(error.to_string().contains(path.to_str().unwrap()));
    }
}
