//! What of a space other tasks than that of one label have a use for.

use std::path::Path;

use common::{exit::Exit, head::TaskKind};

use super::{
    name::{LBFGS, Name},
    space::{Dimension, Domain, Space, Value},
};
use crate::failure::Failure;

/// Whether heads of `task` can have `value` for `name`.
fn allows(task: TaskKind, name: Name, value: &Value) -> bool {
    match (name, task) {
        (_, TaskKind::SingleLabel) => true,
        (Name::Solver, _) => *value != Value::Word(LBFGS.to_owned()),
        (Name::C, _) => false,
        (Name::LabelSmoothing, TaskKind::Regression) => *value == Value::Number(0.0),
        _ => true,
    }
}

/// The values of `dimension` that heads of `task` can have; of a range all or none.
fn allowed(dimension: &Dimension, task: TaskKind) -> Option<Domain> {
    match &dimension.domain {
        Domain::Range(range) => {
            let high = Value::Number(range.high);
            allows(task, dimension.name, &high).then(|| dimension.domain.clone())
        }
        Domain::Choices(choices) => {
            let choices = choices.iter();
            let choices: Vec<Value> = choices
                .filter(|value| allows(task, dimension.name, value))
                .cloned()
                .collect();
            (!choices.is_empty()).then_some(Domain::Choices(choices))
        }
    }
}

/// `space` without what heads of `task` have no use for.
pub(super) fn fitted(space: Space, task: TaskKind) -> Space {
    let dimensions = space.0.into_iter().filter_map(|dimension| {
        Some(Dimension {
            domain: allowed(&dimension, task)?,
            name: dimension.name,
        })
    });
    Space(dimensions.collect())
}

/// Refuses a space from `path` with values that heads of `task` cannot have.
pub(super) fn check(space: &Space, task: TaskKind, path: &Path) -> Result<(), Failure> {
    let refused =
        |dimension: &&Dimension| allowed(dimension, task).as_ref() != Some(&dimension.domain);
    let Some(dimension) = space.0.iter().find(refused) else {
        return Ok(());
    };
    let remedy = match dimension.name {
        Name::Solver => "it finds heads of one label only; leave it out of the list",
        _ => "leave it out",
    };
    let message = format!(
        "space `{}`: `{}` has values that --task {task} has no use for ({remedy})",
        path.display(),
        dimension.name
    );
    Err(Failure::new(Exit::Input, message))
}

#[cfg(test)]
mod tests {
    use super::{super::file, *};

    #[test]
    fn default_space_keeps_what_a_task_can_use() {
        let space = || file::parse(file::DEFAULT_SPACE).unwrap();
        let path = Path::new("space.toml");
        assert_eq!(fitted(space(), TaskKind::SingleLabel), space());
        for task in [TaskKind::MultiLabel, TaskKind::Regression] {
            assert!(check(&space(), task, path).is_err());
            let fitted = fitted(space(), task);
            assert!(check(&fitted, task, path).is_ok());
            let names: Vec<Name> = fitted.0.iter().map(|dimension| dimension.name).collect();
            assert!(names.contains(&Name::Solver) && !names.contains(&Name::C));
            let smoothing = fitted.0.iter().find(|one| one.name == Name::LabelSmoothing);
            let Some(Domain::Choices(choices)) = smoothing.map(|one| &one.domain) else {
                panic!("choices");
            };
            let kept = if task == TaskKind::Regression { 1 } else { 2 };
            assert_eq!(choices.len(), kept);
        }
    }
}
