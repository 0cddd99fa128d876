//! Every kind of bad input: the message names the file and the remedy, the
//! exit code is the documented one, good work stays.

use std::{
    ffi::OsStr,
    fs,
    os::unix::{
        ffi::OsStrExt,
        fs::{MetadataExt, PermissionsExt},
        process::CommandExt,
    },
};

use common::cache::CacheReader;
use end_to_end::{Run, Workbench};

use crate::{SMALL, extract_small, on_a_disk, small_set};

/// A PNG whose header says 13000×13000 (169 megapixels) and whose data ends
/// after a few bytes.
const HUGE_PNG: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\x0dIHDR\0\0\x32\xc8\0\0\x32\xc8\x08\x02\0\0\0\
\x6d\xc0\x7f\x6f\0\0\0\x0cIDAT\x78\x9c\x63\x60\xa0\x3d\0\0\0\x64\0\x01\x86\x64\x3c\x35\
\0\0\0\0IEND\xae\x42\x60\x82";

/// An account without rights, to whom permissions apply even where the tests
/// run as root.
const NOBODY: u32 = 65534;

#[test]
fn empty_folder_is_refused() {
    let bench = Workbench::new();
    fs::create_dir(bench.path("images")).unwrap();
    extract_small(&bench, "cache", &[])
        .exited(3)
        .saying(&["images"]);
    assert!(!bench.path("cache").exists());
}

#[test]
fn folder_without_images_is_refused() {
    let bench = Workbench::new();
    fs::create_dir_all(bench.path("images/cats")).unwrap();
    fs::write(bench.path("images/cats/notes.txt"), "none yet").unwrap();
    extract_small(&bench, "cache", &[])
        .exited(3)
        .saying(&["images", "jpg", "1 .txt"]);
}

#[test]
fn missing_source_is_refused() {
    let bench = Workbench::new();
    extract_small(&bench, "cache", &[])
        .exited(3)
        .saying(&["images"]);
}

#[test]
fn unusable_files_are_rejects_that_shift_no_row() {
    let bench = Workbench::new();
    small_set(&bench, 2, 3);
    let folder = bench.path("images/train/bag");
    fs::copy(
        end_to_end::data_path("fixtures/broken-truncated.jpg"),
        folder.join("00-cut.jpg"),
    )
    .unwrap();
    fs::write(folder.join("01-text.jpg"), "this is no picture").unwrap();
    fs::write(folder.join("02-empty.jpg"), "").unwrap();
    fs::write(folder.join("03-huge.png"), HUGE_PNG).unwrap();

    let options = ["--part-rows", "5", "--max-rejects", "4"];
    extract_small(&bench, "cache", &options).exited(0).saying(&[
        "00-cut.jpg",
        "01-text.jpg",
        "02-empty.jpg",
        "03-huge.png",
        "--max-pixels",
    ]);

    let reader = CacheReader::open(&bench.path("cache")).unwrap();
    let rejects: Vec<_> = reader.rejects().map(|reject| reject.uri.as_str()).collect();
    assert_eq!(rejects.len(), 4);
    let mut rows = 0;
    for batch in reader.batches("avgpool").unwrap() {
        let batch = batch.unwrap();
        for row in 0..batch.rows() {
            let sample = reader.plan().get(batch.ids()[row]).unwrap();
            assert_eq!(sample.uri, batch.uri(row));
            assert!(!rejects.contains(&batch.uri(row)));
            rows += 1;
        }
    }
    assert_eq!(rows, 18);
    let status = bench.extract(&["status", "cache"]).exited(0).stdout;
    for said in ["01-text.jpg", "inputs       22 of 22", "images       18"] {
        assert!(status.contains(said), "no `{said}` in {status}");
    }
}

#[test]
fn too_many_rejects_stop_the_run_and_keep_finished_parts() {
    let bench = Workbench::new();
    small_set(&bench, 2, 3);
    for name in ["zz-1.jpg", "zz-2.jpg"] {
        fs::write(bench.path("images/val/bag").join(name), "no picture").unwrap();
    }
    let options = ["--part-rows", "4", "--threads", "1"];
    extract_small(&bench, "cache", &options).exited(5).saying(&[
        "zz-2.jpg",
        "--max-rejects",
        "resumes",
    ]);
    assert!(bench.path("cache/parts/00000.json").exists());
    extract_small(&bench, "cache", &["--part-rows", "4", "--max-rejects", "2"])
        .exited(0)
        .saying(&["resuming"]);
}

#[test]
fn a_source_of_which_nothing_is_usable_fails() {
    let bench = Workbench::new();
    fs::create_dir_all(bench.path("images/cats")).unwrap();
    fs::write(bench.path("images/cats/a.jpg"), "no picture").unwrap();
    extract_small(&bench, "cache", &[])
        .exited(5)
        .saying(&["a.jpg"]);
}

#[test]
fn rejects_are_retried_after_repair() {
    let bench = Workbench::new();
    small_set(&bench, 2, 3);
    let broken = bench.path("images/test/bag/zz.png");
    let good = fs::read(end_to_end::data_path("fixtures/png-rgb.png")).unwrap();
    fs::write(&broken, &good[..good.len() / 2]).unwrap();
    extract_small(&bench, "cache", &["--part-rows", "4"])
        .exited(0)
        .saying(&["zz.png"]);
    fs::write(&broken, &good).unwrap();
    extract_small(&bench, "cache", &[]).exited(0);
    extract_small(&bench, "cache", &["--retry-rejects"]).exited(0);
    let reader = CacheReader::open(&bench.path("cache")).unwrap();
    assert_eq!(reader.rejects().count(), 0);
}

#[test]
fn a_retry_that_fails_keeps_what_was_done() {
    let bench = Workbench::new();
    small_set(&bench, 2, 3);
    fs::write(bench.path("images/test/bag/zz.png"), "no picture").unwrap();
    extract_small(&bench, "cache", &[]).exited(0);
    let before = end_to_end::files_below(&bench.path("cache"));
    extract_small(&bench, "cache", &["--retry-rejects", "--max-rejects", "0"]).exited(5);
    assert!(before == end_to_end::files_below(&bench.path("cache")));
}

#[test]
fn cache_inside_the_source_is_refused_before_any_work() {
    let bench = Workbench::new();
    small_set(&bench, 1, 1);
    extract_small(&bench, "images/cache", &[])
        .exited(2)
        .saying(&["images/cache", "outside"]);
    assert!(!bench.path("images/cache").exists());
}

#[test]
fn a_table_with_an_open_quote_is_refused_with_its_line() {
    let bench = Workbench::new();
    fs::write(bench.path("table.csv"), "path,label\na.png,\"x\nb.png,y\n").unwrap();
    bench
        .extract(&["run", "table.csv", "--out", "cache"])
        .exited(3)
        .saying(&["table.csv", "2", "quote"]);
}

#[test]
fn folder_without_read_permission_is_named() {
    let bench = Workbench::new();
    small_set(&bench, 1, 1);
    fs::set_permissions(bench.path(""), fs::Permissions::from_mode(0o755)).unwrap();
    let closed = bench.path("images/train/ankle-boot");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    // Root may read everything, so the program runs as somebody else. That one
    // may not be able to reach the build, hence the copy.
    let program = bench.path("extract");
    fs::copy(bench.command("extract", &[]).get_program(), &program).unwrap();
    let mut command = std::process::Command::new(&program);
    command
        .args(["run", "images", "--out", "cache"])
        .current_dir(bench.path(""));
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command.run().exited(3).saying(&["ankle-boot", "read"]);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn file_name_that_is_not_utf8_is_a_reject_with_the_remedy() {
    let bench = Workbench::new();
    small_set(&bench, 1, 2);
    let name = OsStr::from_bytes(b"caf\xe9.png");
    fs::copy(
        end_to_end::data_path("fixtures/png-rgb.png"),
        bench.path("images/test/ankle-boot").join(name),
    )
    .unwrap();
    extract_small(&bench, "cache", &[])
        .exited(0)
        .saying(&["caf%E9.png", "rename"]);
}

#[test]
fn corrupt_or_foreign_weights_are_refused_by_name() {
    let bench = Workbench::new();
    small_set(&bench, 1, 1);
    let weights = end_to_end::data_path("weights/efficientnet-lite0.safetensors");
    let whole = fs::read(&weights).unwrap();
    fs::write(bench.path("cut.safetensors"), &whole[..whole.len() / 2]).unwrap();
    fs::write(bench.path("page.pth"), "<!DOCTYPE html><p>404").unwrap();
    fs::write(bench.path("empty.pth"), "").unwrap();
    for name in ["cut.safetensors", "page.pth", "empty.pth", "absent.pth"] {
        extract_small(&bench, "cache", &["--weights", name])
            .exited(3)
            .saying(&[name]);
    }
    let foreign = weights.to_str().unwrap();
    extract_small(
        &bench,
        "cache",
        &["--backbone", "resnet18", "--weights", foreign],
    )
    .exited(3)
    .saying(&["resnet18", "conv1.weight"]);
    assert!(!bench.path("cache").exists());
}

#[test]
fn backbone_without_weights_says_where_they_come_from() {
    let bench = Workbench::new();
    small_set(&bench, 1, 1);
    extract_small(&bench, "cache", &["--backbone", "resnet18"])
        .exited(3)
        .saying(&["resnet18", "--weights", "torchvision"]);
}

#[test]
fn cache_of_other_features_is_refused_with_the_differing_fields() {
    let bench = Workbench::new();
    small_set(&bench, 1, 2);
    extract_small(&bench, "cache", &[]).exited(0);
    extract_small(&bench, "cache", &["--dtype", "f16", "--exif", "apply"])
        .exited(4)
        .saying(&["dtype", "exif", "--out"]);
    bench.extract(&["verify", "cache"]).exited(0);
}

#[test]
fn cache_without_its_plan_is_refused_with_the_remedy() {
    let bench = Workbench::new();
    small_set(&bench, 1, 1);
    extract_small(&bench, "cache", &[]).exited(0);
    fs::remove_file(bench.path("cache/plan.parquet")).unwrap();
    let remedy = ["plan.parquet", "missing", "into a new folder"];
    extract_small(&bench, "cache", &[])
        .exited(3)
        .saying(&remedy);
    bench
        .extract(&["status", "cache"])
        .exited(3)
        .saying(&remedy);
}

#[test]
fn folder_that_is_no_cache_is_left_alone() {
    let bench = Workbench::new();
    small_set(&bench, 1, 1);
    fs::create_dir(bench.path("thesis")).unwrap();
    fs::write(bench.path("thesis/chapter1.tex"), "words").unwrap();
    extract_small(&bench, "thesis", &[])
        .exited(3)
        .saying(&["chapter1.tex"]);
    assert_eq!(crate::sorted_names(&bench.path("thesis")), ["chapter1.tex"]);
}

#[test]
fn full_disk_ends_the_run_and_keeps_finished_parts() {
    let bench = Workbench::new();
    small_set(&bench, 10, 4);
    let program = bench.command("extract", &[]).get_program().to_owned();
    let program = program.to_str().unwrap();
    let options = SMALL.join(" ");
    // It holds some parts of 4 rows × 5 KiB, but not all.
    let script = format!(
        "{program} run images --out disk/cache --part-rows 4 {options}
         code=$?
         {program} status disk/cache
         {program} verify disk/cache
         exit $code"
    );
    let ended = on_a_disk(&bench, "128k", &script)
        .exited(1)
        .saying(&["No space left", "the same command resumes"]);
    let parts = ended.stdout.lines().find(|line| line.starts_with("parts"));
    assert!(!parts.unwrap().contains(" 0 of"), "{}", ended.stdout);
    assert!(!ended.stdout.contains("damaged"), "{}", ended.stdout);
}

#[test]
fn wrong_options_exit_with_the_usage_code() {
    let bench = Workbench::new();
    small_set(&bench, 1, 1);
    extract_small(&bench, "cache", &["--backbone", "resnet19"])
        .exited(2)
        .saying(&["resnet19", "resnet18"]);
    extract_small(&bench, "cache", &["--layer", "layer9"])
        .exited(2)
        .saying(&["layer9", "avgpool"]);
    extract_small(&bench, "cache", &["--shard", "3/3"])
        .exited(2)
        .saying(&["3/3"]);
    extract_small(&bench, "cache", &["--mean", "0.5,0.5"])
        .exited(2)
        .saying(&["--mean"]);
}

#[test]
fn device_that_is_not_there_is_said() {
    let bench = Workbench::new();
    small_set(&bench, 1, 1);
    extract_small(&bench, "cache", &["--device", "cuda:7"])
        .exited(7)
        .saying(&["cuda:7"]);
    extract_small(&bench, "cache", &["--device", "cpu", "--precision", "f16"])
        .exited(7)
        .saying(&["f16", "cpu"]);
}

fn is_root() -> bool {
    // The process' own entry belongs to the account it runs as.
    fs::metadata("/proc/self").unwrap().uid() == 0
}
