//! `train-head finetune` from images to a backbone that `extract` takes.

use std::fs;

use common::tail::Tensors;
use end_to_end::{Ended, Workbench};

use crate::{extract_small, on_a_disk, small_set};

/// Two epochs of the last block and the head.
const LAST: &str = "--unfreeze stage7,head --epochs 2 --batch-size 4 --seed 3";

fn finetune(bench: &Workbench, run: &str, options: &str) -> Ended {
    let arguments = format!("finetune cache --out {run} {options}");
    let arguments: Vec<&str> = arguments.split(' ').collect();
    bench.train_head(&arguments)
}

fn model(bench: &Workbench, run: &str) -> Vec<u8> {
    fs::read(bench.path(run).join("model.safetensors")).unwrap()
}

fn tensors(bench: &Workbench, run: &str) -> Tensors {
    Tensors::from_safetensors(&model(bench, run)).unwrap().0
}

#[test]
fn images_give_the_model_that_their_activations_give() {
    let bench = Workbench::new();
    small_set(&bench, 2, 4);
    let layers = ["--layer", "stage6,avgpool", "--dtype", "f32"];
    extract_small(&bench, "cache", &layers).exited(0);
    finetune(&bench, "cached", LAST).exited(0);
    let on_the_fly = format!("{LAST} --source images");
    finetune(&bench, "fresh", &on_the_fly).exited(0);
    assert!(model(&bench, "cached") == model(&bench, "fresh"));

    let augmented = format!("{on_the_fly} --augment crop-flip");
    finetune(&bench, "augmented", &augmented).exited(0);
    finetune(&bench, "again", &augmented).exited(0);
    assert!(model(&bench, "augmented") != model(&bench, "fresh"));
    assert!(model(&bench, "augmented") == model(&bench, "again"));

    extract_small(&bench, "tuned", &["--weights", "augmented"]).exited(0);
    let eval = ["eval", "augmented", "cache", "--split", "test", "--json"];
    bench.train_head(&eval).exited(0);
    let linear = ["linear", "tuned", "--out", "linear", "--epochs", "2"];
    bench.train_head(&linear).exited(0);
    let predict = ["predict", "augmented", "images/test/ankle-boot", "--json"];
    bench.train_head(&predict).exited(0);
}

#[test]
fn everything_trains_from_images_on() {
    let bench = Workbench::new();
    small_set(&bench, 2, 2);
    extract_small(&bench, "cache", &[]).exited(0);
    let options = "--unfreeze all --epochs 2 --batch-size 4 --bn train";
    finetune(&bench, "none", options)
        .exited(3)
        .saying(&["--source"]);
    let options = format!("{options} --source images --lr 0.001");
    finetune(&bench, "run", &options).exited(0);
    finetune(&bench, "head", "--unfreeze fc --epochs 1 --source images").exited(0);
    let (tuned, before) = (tensors(&bench, "run"), tensors(&bench, "head"));
    for name in [
        "_conv_stem.weight",
        "_bn0.running_mean",
        "_blocks.7._bn2.bias",
    ] {
        let values = |tensors: &Tensors| tensors.get(name).unwrap().values.clone();
        assert!(values(&tuned) != values(&before), "{name}");
    }
}

#[test]
fn a_head_that_was_tuned_alone_is_judged_on_its_cache() {
    let bench = Workbench::new();
    small_set(&bench, 2, 3);
    let layers = ["--layer", "stage6,avgpool", "--dtype", "f16"];
    extract_small(&bench, "cache", &layers).exited(0);
    finetune(&bench, "run", "--unfreeze fc --epochs 2").exited(0);
    let eval = ["eval", "run", "cache", "--split", "test", "--json"];
    bench.train_head(&eval).exited(0);
}

#[test]
fn images_that_have_changed_are_refused() {
    let bench = Workbench::new();
    small_set(&bench, 2, 3);
    extract_small(&bench, "cache", &[]).exited(0);
    let folder = bench.path("images/train/bag");
    let first = folder.join(&crate::sorted_names(&folder)[0]);
    fs::write(&first, [&fs::read(&first).unwrap()[..], b"more"].concat()).unwrap();
    finetune(&bench, "run", &format!("{LAST} --source images"))
        .exited(3)
        .saying(&["images/train/bag", "bytes, not", "extract again"]);
}

#[test]
fn a_full_disk_leaves_the_checkpoint_before_to_go_on_from() {
    let bench = Workbench::new();
    small_set(&bench, 2, 4);
    extract_small(&bench, "cache", &["--layer", "stage6"]).exited(0);
    let program = bench.command("train-head", &[]).get_program().to_owned();
    let program = program.to_str().unwrap();
    let options = format!("{LAST} --checkpoint-seconds 0");
    // A checkpoint takes 12 MB: one has room, but not another beside.
    let script = format!(
        "{program} finetune cache --out disk/run {options}
         code=$?
         ls disk/run
         mount -o remount,size=200m disk || exit 98
         {program} finetune cache --out disk/run {options} || exit 97
         cp disk/run/model.safetensors resumed.safetensors
         exit $code"
    );
    let ended = on_a_disk(&bench, "18m", &script).exited(1).saying(&[
        "No space left",
        "make room",
        "goes on from a checkpoint",
    ]);
    assert!(ended.stdout.contains("checkpoint.safetensors"));
    finetune(&bench, "unbroken", LAST).exited(0);
    let resumed = fs::read(bench.path("resumed.safetensors")).unwrap();
    assert!(resumed == model(&bench, "unbroken"));
}
