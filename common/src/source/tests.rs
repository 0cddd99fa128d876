use std::{
    ffi::OsStr,
    os::unix::{ffi::OsStrExt, fs::symlink},
};

use tempfile::TempDir;

use super::*;
use crate::exit::Exit;

fn folder(files: &[&str]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for file in files {
        let path = root.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, file).unwrap();
    }
    root
}

fn list(root: &TempDir) -> Result<Listing, SourceError> {
    Source::open(root.path())
        .unwrap()
        .list(&Interrupt::default())
}

fn table(text: &str, files: &[&str]) -> Result<Listing, SourceError> {
    let root = folder(files);
    let path = root.path().join("table.csv");
    fs::write(&path, text).unwrap();
    Source::open(&path).unwrap().list(&Interrupt::default())
}

fn shown(listing: &Listing) -> Vec<(&str, i32, Split)> {
    let samples = listing.samples.iter();
    samples
        .map(|sample| (sample.uri.as_str(), sample.label, sample.split))
        .collect()
}

#[test]
fn class_folders_are_sorted_by_bytes_and_read_recursively() {
    let root = folder(&[
        "b/2.JPG",
        "B/1.png",
        "é/x.webp",
        "b/deep/er/3.jpeg",
        "b/notes.txt",
        "README.md",
        ".hidden/x.jpg",
        "b/.DS_Store",
        "b/._2.jpg",
        "__MACOSX/b/1.jpg",
    ]);
    let listing = list(&root).unwrap();
    assert_eq!(listing.classes, ["B", "b", "é"]);
    assert_eq!(
        shown(&listing),
        [
            ("B/1.png", 0, Split::None),
            ("b/2.JPG", 1, Split::None),
            ("b/deep/er/3.jpeg", 1, Split::None),
            ("é/x.webp", 2, Split::None),
        ]
    );
    assert_eq!(listing.samples[0].bytes, 7);
}

#[test]
fn split_folders_are_recognised_by_every_alias_and_classes_are_their_union() {
    let root = folder(&[
        "Training/cat/1.jpg",
        "valid/dog/1.jpg",
        "test/cat/1.jpg",
        "test/eel/1.jpg",
    ]);
    let listing = list(&root).unwrap();
    assert_eq!(listing.classes, ["cat", "dog", "eel"]);
    assert_eq!(
        shown(&listing),
        [
            ("Training/cat/1.jpg", 0, Split::Train),
            ("test/cat/1.jpg", 0, Split::Test),
            ("test/eel/1.jpg", 2, Split::Test),
            ("valid/dog/1.jpg", 1, Split::Val),
        ]
    );
}

#[test]
fn a_split_name_among_class_names_is_a_class() {
    let listing = list(&folder(&["bus/1.jpg", "train/1.jpg"])).unwrap();
    assert_eq!(listing.classes, ["bus", "train"]);
    let error = list(&folder(&["extra/1.jpg", "train/cat/1.jpg"])).unwrap_err();
    assert!(matches!(error, SourceError::MixedSplits { .. }), "{error}");
}

#[test]
fn flat_folders_are_unlabelled_also_below_a_split() {
    let listing = list(&folder(&["2.jpg", "1.jpg"])).unwrap();
    assert!(listing.classes.is_empty());
    assert_eq!(
        shown(&listing),
        [("1.jpg", -1, Split::None), ("2.jpg", -1, Split::None)]
    );

    let listing = list(&folder(&["train/cat/1.jpg", "test/1.jpg"])).unwrap();
    assert_eq!(
        shown(&listing),
        [
            ("test/1.jpg", -1, Split::Test),
            ("train/cat/1.jpg", 0, Split::Train)
        ]
    );
}

#[test]
fn images_beside_class_folders_are_refused_by_name() {
    let error = list(&folder(&["cat/1.jpg", "stray.jpg"]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("`stray.jpg`") && error.contains("`cat`"),
        "{error}"
    );
}

#[test]
fn empty_folders_and_folders_without_images_say_what_was_looked_for() {
    assert!(matches!(list(&folder(&[])), Err(SourceError::Empty(_))));
    let error = list(&folder(&["cat/1.heic", "cat/2.heic", "a.txt"]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("jpg, jpeg") && error.contains("2 .heic") && error.contains("1 .txt"),
        "{error}"
    );
    let error = list(&folder(&["cat/1.jpg", "dog/1.heic"]))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("class `dog`") && error.contains("1 .heic"),
        "{error}"
    );
    let missing = Source::open(Path::new("no/such/place")).unwrap_err();
    assert!(matches!(missing, SourceError::NotFound(_)));
}

#[test]
fn names_that_are_not_utf8_become_samples_with_a_problem() {
    let root = folder(&["cat/1.jpg"]);
    let name = OsStr::from_bytes(b"caf\xe9.jpg");
    fs::write(root.path().join("cat").join(name), "x").unwrap();
    let listing = list(&root).unwrap();
    assert_eq!(listing.samples[1].uri, "cat/caf%E9.jpg");
    assert!(
        listing.samples[1]
            .problem
            .as_deref()
            .unwrap()
            .contains("rename")
    );
    assert_eq!(listing.samples[0].problem, None);
}

#[test]
fn links_are_followed_and_cycles_end() {
    let root = folder(&["cat/1.jpg"]);
    let outside = folder(&["far/2.jpg"]);
    symlink(outside.path().join("far"), root.path().join("dog")).unwrap();
    symlink(root.path().join("cat"), root.path().join("cat/again")).unwrap();
    symlink(root.path(), root.path().join("cat/up")).unwrap();
    symlink("nowhere.jpg", root.path().join("cat/broken.jpg")).unwrap();
    let listing = list(&root).unwrap();
    let uris: Vec<_> = listing
        .samples
        .iter()
        .map(|sample| sample.uri.as_str())
        .collect();
    assert_eq!(uris, ["cat/1.jpg", "cat/broken.jpg", "dog/2.jpg"]);
}

#[test]
fn a_link_to_a_folder_above_its_split_takes_no_image_of_another_split() {
    let root = folder(&["train/cat/1.jpg", "test/cat/2.jpg"]);
    symlink(root.path(), root.path().join("train/cat/up")).unwrap();
    symlink(
        root.path().join("train"),
        root.path().join("train/cat/side"),
    )
    .unwrap();
    let outside = folder(&["far/3.jpg"]);
    symlink(root.path(), outside.path().join("far/back")).unwrap();
    symlink(
        outside.path().join("far"),
        root.path().join("train/cat/out"),
    )
    .unwrap();
    let listing = list(&root).unwrap();
    assert_eq!(
        shown(&listing),
        [
            ("test/cat/2.jpg", 0, Split::Test),
            ("train/cat/1.jpg", 0, Split::Train),
            ("train/cat/out/3.jpg", 0, Split::Train),
        ]
    );
}

#[test]
fn listing_obeys_a_signal_and_says_how_to_exit() {
    let root = folder(&["cat/1.jpg"]);
    fs::write(root.path().join("table.csv"), "path,label\ncat/1.jpg,cat\n").unwrap();
    for source in [root.path().to_owned(), root.path().join("table.csv")] {
        let interrupt = Interrupt::default();
        interrupt.pretend(Exit::Terminated);
        let error = Source::open(&source).unwrap().list(&interrupt).unwrap_err();
        assert_eq!(error.exit(), Exit::Terminated);
        assert!(error.to_string().contains("stopped by a signal"), "{error}");
    }
}

#[test]
fn table_columns_come_in_any_order_and_text_labels_are_sorted() {
    let text = "\u{feff}Split,label,path,group,note\nvalid,dog,./b.jpg,g1,x\n,cat,a//a.jpg,,\ntest,,gone.jpg,,\n";
    let listing = table(text, &["b.jpg", "a/a.jpg"]).unwrap();
    assert_eq!(listing.classes, ["cat", "dog"]);
    assert_eq!(
        shown(&listing),
        [
            ("a/a.jpg", 0, Split::None),
            ("b.jpg", 1, Split::Val),
            ("gone.jpg", -1, Split::Test)
        ]
    );
    assert_eq!(listing.samples[1].group.as_deref(), Some("g1"));
    assert_eq!((listing.samples[1].bytes, listing.samples[2].bytes), (5, 0));
}

#[test]
fn number_labels_keep_the_order_of_numbers() {
    let listing = table("path,label\na,10\nb,9\nc,\n", &[]).unwrap();
    assert_eq!(listing.classes, ["9", "10"]);
    assert_eq!(
        shown(&listing)[..2],
        [("a", 1, Split::None), ("b", 0, Split::None)]
    );
    let listing = table("path,label\na,10\nb,9\nc,x\n", &[]).unwrap();
    assert_eq!(listing.classes, ["10", "9", "x"]);
}

#[test]
fn table_problems_name_the_line_and_the_remedy() {
    let cases = [
        ("file,label\na,1\n", "line 1: no column `path`"),
        ("path;label\na;1\n", "found `path;label`"),
        (
            "path,label,label\na,1,2\n",
            "line 1: column `label` is there twice",
        ),
        ("path,label\n", "line 1: no rows"),
        ("path,label\na,1\nb,2,3\n", "line 3: expected 2 fields"),
        (
            "path,label\na,1\nb,2\n./a,1\n",
            "line 4: path `a` is on line 2 already",
        ),
        (
            "path,label,split\na,1,train\nb,2,holdout\n",
            "line 3: unknown split `holdout`",
        ),
        ("path,label\n,1\n", "line 2: the path is empty"),
    ];
    for (text, expected) in cases {
        let error = table(text, &[]).unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn absolute_paths_below_the_table_are_the_same_as_relative_ones() {
    let root = folder(&["a.jpg"]);
    let path = root.path().join("table.csv");
    fs::write(
        &path,
        format!(
            "path,label\n{},1\n/elsewhere/b.jpg,1\n",
            root.path().join("a.jpg").display()
        ),
    )
    .unwrap();
    let source = Source::open(&path).unwrap();
    let listing = source.list(&Interrupt::default()).unwrap();
    assert_eq!(
        shown(&listing),
        [
            ("/elsewhere/b.jpg", 0, Split::None),
            ("a.jpg", 0, Split::None)
        ]
    );
    let mut bytes = vec![1, 2, 3];
    source.read("a.jpg", &mut bytes).unwrap();
    assert_eq!(bytes, b"a.jpg");
    assert!(source.read("/elsewhere/b.jpg", &mut bytes).is_err());
}

#[test]
fn reading_what_is_not_a_file_is_an_error() {
    let root = folder(&["cat/1.jpg"]);
    let source = Source::open(root.path()).unwrap();
    assert!(source.read("cat", &mut Vec::new()).is_err());
}
