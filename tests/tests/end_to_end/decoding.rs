//! `--decode fast`: other features, which no program mixes with exact ones.

use std::fs;

use end_to_end::{Ended, Workbench};

/// JPEGs of 45×31 pixels by class: more than twice as large as what they are
/// resized to.
const CLASSES: [(&str, [&str; 2]); 2] = [
    ("colour", ["jpeg-420.jpg", "jpeg-444.jpg"]),
    ("grey", ["jpeg-grey.jpg", "jpeg-grey-progressive.jpg"]),
];

fn bench_with_jpegs() -> Workbench {
    let bench = Workbench::new();
    for (class, files) in CLASSES {
        let folder = bench.path("images").join(class);
        fs::create_dir_all(&folder).unwrap();
        for file in files {
            let source = end_to_end::data_path("fixtures").join(file);
            fs::copy(source, folder.join(file)).unwrap();
        }
    }
    bench
}

fn extract(bench: &Workbench, out: &str, options: &[&str]) -> Ended {
    let run = [
        "run", "images", "--out", out, "--resize", "7", "--crop", "32",
    ];
    bench.extract(&[&run[..], options].concat())
}

#[test]
fn fast_and_exact_features_differ_and_are_kept_apart() {
    let bench = bench_with_jpegs();
    extract(&bench, "fast", &["--decode", "fast"]).exited(0);
    extract(&bench, "exact", &[]).exited(0);
    let part = |cache: &str| fs::read(bench.path(cache).join("avgpool/00000.arrow")).unwrap();
    assert_ne!(part("fast"), part("exact"));
    extract(&bench, "fast", &[])
        .exited(4)
        .saying(&["decode", "fast"]);
    extract(&bench, "exact", &["--decode", "quick"])
        .exited(2)
        .saying(&["exact or fast"]);
}

#[test]
fn a_head_on_fast_features_predicts_with_fast_decoding() {
    let bench = bench_with_jpegs();
    extract(&bench, "fast", &["--decode", "fast"]).exited(0);
    extract(&bench, "exact", &[]).exited(0);
    bench
        .train_head(&["linear", "fast", "--out", "run"])
        .exited(0);
    // A prediction whose features had another identity would be refused.
    bench
        .train_head(&["predict", "run", "images/colour/jpeg-420.jpg"])
        .exited(0);
    bench
        .train_head(&["eval", "run", "exact"])
        .exited(4)
        .saying(&["decode"]);
}
