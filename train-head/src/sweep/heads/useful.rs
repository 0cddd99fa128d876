//! What of a space trials have a use for, given what they have in common: their task above all.

use std::path::Path;

use common::{exit::Exit, head::TaskKind};

use super::super::{
    name::Name,
    space::{Dimension, Domain, Space, Value},
};
use crate::{
    failure::Failure,
    plan::{LBFGS, RIDGE, Settings, solver_refusal, task_refusal},
};

/// Why no trial with the settings `base` can have `value` for `name`; `None` where one can.
fn refusal(base: &Settings, name: Name, value: &Value) -> Option<String> {
    match (name, value) {
        (Name::Solver, Value::Word(solver)) => solver_refusal(solver, base),
        (Name::C, _) => solver_refusal(LBFGS, base),
        (Name::Lambda, _) => solver_refusal(RIDGE, base),
        (Name::LabelSmoothing, Value::Number(share)) => task_refusal(&Settings {
            label_smoothing: *share as f32,
            ..base.clone()
        }),
        _ => None,
    }
}

/// What [`refusal`] says of the first value of `dimension` that has no use.
fn useless(dimension: &Dimension, base: &Settings) -> Option<String> {
    match &dimension.domain {
        // All of a range, or none.
        Domain::Range(range) => refusal(base, dimension.name, &Value::Number(range.high)),
        Domain::Choices(choices) => choices
            .iter()
            .find_map(|value| refusal(base, dimension.name, value)),
    }
}

/// `space` without what trials with the settings `base` have no use for.
pub(crate) fn fitted(space: Space, base: &Settings) -> Space {
    let dimensions = space.0.into_iter().filter_map(|mut dimension| {
        if let Domain::Choices(choices) = &mut dimension.domain {
            choices.retain(|value| refusal(base, dimension.name, value).is_none());
            return (!choices.is_empty()).then_some(dimension);
        }
        useless(&dimension, base).is_none().then_some(dimension)
    });
    Space(dimensions.collect())
}

/// Refuses a space from `path` with values that trials with the settings `base` have no use for.
pub(crate) fn check(space: &Space, base: &Settings, path: &Path) -> Result<(), Failure> {
    let mut dimensions = space.0.iter();
    let found = dimensions.find_map(|dimension| Some((dimension.name, useless(dimension, base)?)));
    let Some((name, refusal)) = found else {
        return Ok(());
    };
    let task = match base.loss.task() {
        TaskKind::SingleLabel => String::new(),
        task => format!(" with --task {task}"),
    };
    let message = format!(
        "space `{}`: `{name}` has values of no use{task}: {refusal}",
        path.display()
    );
    Err(Failure::new(Exit::Input, message))
}

#[cfg(test)]
mod tests {
    use common::head::Loss;

    use super::{
        super::super::{file, trained::Trained},
        *,
    };
    use crate::plan::{ClassWeights, Sampling};

    const ALL: &str = "solver = [\"adam\", \"lbfgs\", \"ridge\"]\nc = 1.0\nlambda = { low = 0.1, high = 1.0 }\nlabel_smoothing = [0.0, 0.1]";

    /// What is left of the space, as `name=choices`.
    fn left(base: &Settings) -> Vec<String> {
        let space = file::parse(ALL, Trained::Heads).unwrap();
        let fitted = fitted(space.clone(), base);
        let path = Path::new("space.toml");
        assert_eq!(check(&space, base, path).is_ok(), space == fitted);
        assert!(check(&fitted, base, path).is_ok());
        let counted = |dimension: &Dimension| match &dimension.domain {
            Domain::Choices(choices) => format!("{}={}", dimension.name, choices.len()),
            Domain::Range(_) => format!("{}=range", dimension.name),
        };
        fitted.0.iter().map(counted).collect()
    }

    #[test]
    fn space_keeps_what_trials_can_use() {
        let plain = Settings::default();
        let everything = ["solver=3", "c=1", "lambda=range", "label_smoothing=2"];
        assert_eq!(left(&plain), everything);
        for (loss, smoothing) in [
            (Loss::BinaryCrossEntropy, "label_smoothing=2"),
            (Loss::Mse, "label_smoothing=1"),
            (Loss::Huber, "label_smoothing=1"),
        ] {
            let base = Settings {
                loss,
                ..Settings::default()
            };
            assert_eq!(left(&base), ["solver=1", smoothing]);
        }
        let balanced = Settings {
            sampling: Sampling::Balanced,
            ..Settings::default()
        };
        assert_eq!(left(&balanced), ["solver=1", "label_smoothing=2"]);
        let weighted = Settings {
            class_weights: ClassWeights::Balanced,
            ..Settings::default()
        };
        assert_eq!(left(&weighted), ["solver=2", "c=1", "label_smoothing=2"]);
    }
}
