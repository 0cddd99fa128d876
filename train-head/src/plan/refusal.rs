//! What tasks and solvers have no use for: the one list for `linear`, `mlp` and `sweep`. An option
//! that would have no effect is a misunderstanding.

use common::head::TaskKind;

use super::{ClassWeights, LBFGS, RIDGE, Sampling, Settings};

/// Why heads of the task of `settings` cannot be trained with them; `None` where they can.
pub(crate) fn task_refusal(settings: &Settings) -> Option<String> {
    let task = settings.loss.task();
    let balanced = settings.sampling == Sampling::Balanced;
    if balanced && task != TaskKind::SingleLabel {
        return Some(format!(
            "--sampling: balanced given, shuffle expected (with --task {task} a row has no single class)"
        ));
    }
    if task != TaskKind::Regression {
        return None;
    }
    let weighted = settings.class_weights != ClassWeights::None;
    let given = [
        ("--label-smoothing", settings.label_smoothing != 0.0),
        ("--class-weights", weighted),
    ];
    let (option, _) = given.into_iter().find(|(_, given)| *given)?;
    Some(format!(
        "{option}: regression has no classes (leave it out)"
    ))
}

/// Why `solver` does not find heads of the task of `settings` with them; `None` where it does.
pub(crate) fn solver_refusal(solver: &str, settings: &Settings) -> Option<String> {
    let convex = [LBFGS, RIDGE].contains(&solver);
    if convex && settings.loss.task() != TaskKind::SingleLabel {
        return Some(
            "--solver: lbfgs and ridge find heads of one label only (use adam, adamw or sgd with this --task)"
                .to_owned(),
        );
    }
    let balanced = settings.sampling == Sampling::Balanced;
    let weighted = settings.class_weights != ClassWeights::None;
    let given = [
        ("--sampling", convex && balanced),
        ("--class-weights", solver == RIDGE && weighted),
    ];
    match given.into_iter().find(|(_, given)| *given) {
        Some((option, _)) => Some(format!(
            "{option}: {solver} has no use for it (leave it out, or use another solver)"
        )),
        None => task_refusal(settings),
    }
}
