//! The same source and options give the same bytes, however the work is cut,
//! killed, or ordered.

use std::{
    fs,
    path::PathBuf,
    process::{Child, Stdio},
};

use end_to_end::{Workbench, files_below};

use crate::{SMALL, extract_small, small_set};

pub(crate) type Files = Vec<(PathBuf, Vec<u8>)>;

fn expected(bench: &Workbench) -> Files {
    extract_small(bench, "expected", &["--part-rows", "4", "--threads", "1"]).exited(0);
    files_below(&bench.path("expected"))
}

#[track_caller]
pub(crate) fn assert_same(bench: &Workbench, cache: &str, expected: &Files) {
    let found = files_below(&bench.path(cache));
    let names = |files: &Files| files.iter().map(|file| file.0.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found), names(expected));
    for ((name, found), (_, expected)) in found.iter().zip(expected) {
        assert!(found == expected, "{} differs", name.display());
    }
}

#[test]
fn threads_leave_no_trace() {
    let bench = Workbench::new();
    small_set(&bench, 3, 3);
    let expected = expected(&bench);
    extract_small(&bench, "cache", &["--part-rows", "4", "--threads", "5"]).exited(0);
    assert_same(&bench, "cache", &expected);
}

#[test]
fn three_shards_in_any_order_make_the_same_cache() {
    let bench = Workbench::new();
    small_set(&bench, 3, 3);
    let expected = expected(&bench);
    for shard in ["2/3", "0/3", "1/3"] {
        extract_small(&bench, "cache", &["--part-rows", "4", "--shard", shard]).exited(0);
    }
    assert_same(&bench, "cache", &expected);
}

#[test]
fn three_shards_at_once_make_the_same_cache() {
    let bench = Workbench::new();
    small_set(&bench, 3, 3);
    let expected = expected(&bench);
    std::thread::scope(|scope| {
        for shard in ["0/3", "1/3", "2/3"] {
            let bench = &bench;
            scope.spawn(move || {
                extract_small(bench, "cache", &["--part-rows", "4", "--shard", shard]).exited(0);
            });
        }
    });
    assert_same(&bench, "cache", &expected);
}

#[test]
fn array_variables_of_slurm_choose_the_shard() {
    let bench = Workbench::new();
    small_set(&bench, 3, 3);
    let expected = expected(&bench);
    for task in ["1", "2"] {
        let arguments = [
            &["run", "images", "--out", "cache", "--part-rows", "4"],
            &SMALL[..],
        ]
        .concat();
        let ended = bench
            .command("extract", &arguments)
            .env("SLURM_ARRAY_TASK_ID", task)
            .env("SLURM_ARRAY_TASK_MIN", "1")
            .env("SLURM_ARRAY_TASK_MAX", "2")
            .env("SLURM_ARRAY_TASK_COUNT", "2")
            .output()
            .unwrap();
        assert!(ended.status.success());
        let stderr = String::from_utf8(ended.stderr).unwrap();
        assert!(stderr.contains("Slurm"), "{stderr}");
    }
    assert_same(&bench, "cache", &expected);
}

/// Starts a run of 150 parts that is still at work when its first part is there.
pub(crate) fn start_and_wait_for_a_part(bench: &Workbench, options: &[&str]) -> Child {
    small_set(bench, 10, 20);
    let options = [&["run", "images", "--out", "cache"], &SMALL[..], options].concat();
    let mut run = bench
        .command("extract", &options)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let first_part = bench.path("cache/parts/00000.json");
    while !first_part.exists() && run.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    assert!(first_part.exists(), "the run ended before its first part");
    run
}

/// Kills a run after its first part, as a cluster does, and runs it again.
#[test]
fn killed_extraction_resumes_without_loss() {
    let bench = Workbench::new();
    let mut run = start_and_wait_for_a_part(&bench, &["--part-rows", "4"]);
    run.kill().unwrap();
    run.wait().unwrap();
    let committed = crate::sorted_names(&bench.path("cache/parts"));
    assert!(committed.len() < 150, "the run was killed before its end");
    let committed = fs::read(bench.path("cache/avgpool/00000.arrow")).unwrap();

    let resumed = extract_small(&bench, "cache", &["--part-rows", "4"]).exited(0);
    resumed.saying(&["resuming"]);
    assert_eq!(
        fs::read(bench.path("cache/avgpool/00000.arrow")).unwrap(),
        committed
    );
    let expected = expected(&bench);
    assert_same(&bench, "cache", &expected);
}

/// SIGTERM is how a cluster announces the end of a time limit.
#[test]
fn terminated_extraction_says_how_to_resume() {
    let bench = Workbench::new();
    let run = start_and_wait_for_a_part(&bench, &["--part-rows", "4"]);
    crate::terminate(&run);
    let output = run.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(143));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("the same command resumes"), "{stderr}");
    let leftovers = files_below(&bench.path("cache"));
    let temporary = leftovers
        .iter()
        .filter(|file| file.0.to_string_lossy().ends_with(".tmp"));
    assert_eq!(temporary.count(), 0);

    extract_small(&bench, "cache", &["--part-rows", "4"]).exited(0);
    let expected = expected(&bench);
    assert_same(&bench, "cache", &expected);
}

/// Neighbours in a batch must not change an image's features.
#[test]
fn an_image_embeds_alike_alone_and_among_others() {
    let bench = Workbench::new();
    small_set(&bench, 2, 3);
    extract_small(&bench, "all", &[]).exited(0);
    let image = crate::sorted_names(&bench.path("images/val/bag")).remove(1);
    let uri = format!("val/bag/{image}");
    fs::create_dir_all(bench.path("alone/val/bag")).unwrap();
    fs::copy(
        bench.path("images").join(&uri),
        bench.path("alone").join(&uri),
    )
    .unwrap();
    let arguments = [&["run", "alone", "--out", "one"], &SMALL[..]].concat();
    bench.extract(&arguments).exited(0);
    assert_eq!(
        features_of(&bench, "all", &uri),
        features_of(&bench, "one", &uri)
    );
}

fn features_of(bench: &Workbench, cache: &str, uri: &str) -> Vec<f32> {
    let reader = common::cache::CacheReader::open(&bench.path(cache)).unwrap();
    for batch in reader.batches("avgpool").unwrap() {
        let batch = batch.unwrap();
        for row in 0..batch.rows() {
            if batch.uri(row) == uri {
                let mut values = vec![0.0; batch.dim()];
                batch.copy_row(row, &mut values);
                return values;
            }
        }
    }
    panic!("no {uri} in {cache}");
}
