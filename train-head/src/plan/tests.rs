use clap::{CommandFactory, Parser};

use common::head::stack::Method;

use super::*;

fn plan(line: &str) -> Result<Plan, Failure> {
    Plan::try_from(Cli::try_parse_from(line.split_whitespace()).unwrap())
}

#[test]
fn command_line_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn defaults_are_the_documented_ones() {
    let Ok(Plan::Train(plan)) = plan("train-head linear cache --out run") else {
        panic!("a plan");
    };
    assert_eq!(plan.settings.optimizer, Method::Adam);
    assert_eq!(plan.settings.learning_rate, DEFAULT_ADAM_RATE);
    assert_eq!(plan.settings.batch_size, DEFAULT_BATCH_SIZE);
    assert_eq!(plan.settings.patience, Some(DEFAULT_PATIENCE));
}

#[test]
fn values_out_of_range_name_the_option() {
    for (options, named) in [
        ("--epochs 0", "--epochs"),
        ("--batch-size 0", "--batch-size"),
        ("--lr 0", "--learning-rate"),
        ("--lr nan", "--learning-rate"),
        ("--lr 1e-60", "--learning-rate"),
        ("--lr 1e60", "--learning-rate"),
        ("--weight-decay 1e-60", "--weight-decay"),
        ("--weight-decay=-1", "--weight-decay"),
        ("--dropout 1e-60", "--dropout"),
        ("--label-smoothing 1e-60", "--label-smoothing"),
        ("--optimizer sgd --momentum 1e-60", "--momentum"),
        ("--dropout 1", "--dropout"),
        ("--label-smoothing 1.5", "--label-smoothing"),
        ("--val-fraction 1", "--val-fraction"),
        ("--warmup-epochs 100", "--warmup-epochs"),
        ("--sampling balanced --class-weights balanced", "--sampling"),
        ("--sampling balanced --solver lbfgs", "--sampling"),
        ("--momentum 0.9", "--momentum"),
        ("--nesterov", "--nesterov"),
        ("--optimizer sgd --momentum 0 --nesterov", "--nesterov"),
    ] {
        let failure = plan(&format!("train-head linear cache --out run {options}")).unwrap_err();
        assert_eq!(failure.exit, Exit::Usage, "{options}");
        assert!(failure.to_string().starts_with(named), "{failure}");
    }
    let failure = plan("train-head mlp cache --out run --hidden 0").unwrap_err();
    assert!(failure.to_string().starts_with("--hidden"), "{failure}");
}
