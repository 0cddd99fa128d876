//! Which share of the parts a process does: `--shard K/N`, or what Slurm and
//! Kubernetes say of an array task.

use std::{fmt, str::FromStr};

use common::cache::Shard;

/// `--shard K/N`: share K (from 0) of N.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShardChoice(Shard);

impl FromStr for ShardChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.split_once('/')
            .and_then(|(index, count)| Shard::new(index.parse().ok()?, count.parse().ok()?))
            .map(Self)
            .ok_or_else(|| format!("`{text}` is not a shard (K/N with 0 ≤ K < N, such as 0/4)"))
    }
}

/// Where a shard came from, to be said to the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShardOrigin {
    /// `--shard`, or one process doing everything.
    CommandLine,
    /// Slurm's array variables.
    Slurm,
    /// Kubernetes' indexed job.
    Kubernetes,
}

impl fmt::Display for ShardOrigin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::CommandLine => "the command line",
            Self::Slurm => "the Slurm array task",
            Self::Kubernetes => "the Kubernetes indexed job",
        })
    }
}

/// Array variables that make no shard.
#[derive(Debug, thiserror::Error)]
#[error("{variables} make no shard: {problem} (give --shard K/N)")]
pub(crate) struct ShardError {
    variables: &'static str,
    problem: String,
}

/// Decides the shard: the command line first, then the variables of Slurm and
/// Kubernetes as `variable` returns them, else everything.
///
/// # Errors
/// Variables that are set and do not fit together.
pub(crate) fn resolve(
    choice: Option<ShardChoice>,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<(Shard, ShardOrigin), ShardError> {
    if let Some(ShardChoice(shard)) = choice {
        return Ok((shard, ShardOrigin::CommandLine));
    }
    if let Some(shard) = slurm(&variable)? {
        return Ok((shard, ShardOrigin::Slurm));
    }
    if let Some(shard) = kubernetes(&variable)? {
        return Ok((shard, ShardOrigin::Kubernetes));
    }
    Ok((Shard::WHOLE, ShardOrigin::CommandLine))
}

/// An array need not begin at 0 (`--array=1-8`) nor be dense (`--array=0-14:2`),
/// so the index is the task's position. A sparse list has no such position.
fn slurm(variable: &impl Fn(&str) -> Option<String>) -> Result<Option<Shard>, ShardError> {
    const TASK: &str = "SLURM_ARRAY_TASK_ID";
    if variable(TASK).is_none() {
        return Ok(None);
    }
    let error = |problem: String| ShardError {
        variables: "Slurm's array variables",
        problem,
    };
    let number = |name: &str| -> Result<u32, ShardError> {
        let text = variable(name).ok_or_else(|| error(format!("{name} is not set")))?;
        text.parse()
            .map_err(|_| error(format!("{name} is `{text}`, not a number")))
    };
    let (task, count) = (number(TASK)?, number("SLURM_ARRAY_TASK_COUNT")?);
    let (least, greatest) = (
        number("SLURM_ARRAY_TASK_MIN")?,
        number("SLURM_ARRAY_TASK_MAX")?,
    );
    let step = match variable("SLURM_ARRAY_TASK_STEP") {
        Some(_) => number("SLURM_ARRAY_TASK_STEP")?.max(1),
        None => 1,
    };
    let offset = task.saturating_sub(least);
    let is_regular = task >= least
        && offset.is_multiple_of(step)
        && greatest.saturating_sub(least) / step + 1 == count;
    match Shard::new(offset / step, count).filter(|_| is_regular) {
        Some(shard) => Ok(Some(shard)),
        None => Err(error(format!(
            "task {task} of {least}-{greatest}:{step} with {count} tasks is not evenly spaced"
        ))),
    }
}

/// Kubernetes tells a pod its index but not the number of completions, so the
/// job file repeats that in `JOB_COMPLETIONS`.
fn kubernetes(variable: &impl Fn(&str) -> Option<String>) -> Result<Option<Shard>, ShardError> {
    let Some(index) = variable("JOB_COMPLETION_INDEX") else {
        return Ok(None);
    };
    let error = |problem: String| ShardError {
        variables: "Kubernetes' job variables",
        problem,
    };
    let count = variable("JOB_COMPLETIONS")
        .ok_or_else(|| error("JOB_COMPLETIONS is not set".to_owned()))?;
    match format!("{index}/{count}").parse() {
        Ok(ShardChoice(shard)) => Ok(Some(shard)),
        Err(problem) => Err(error(problem)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve_with(variables: &[(&str, &str)]) -> Result<(Shard, ShardOrigin), ShardError> {
        resolve(None, |name| {
            let found = variables.iter().find(|(key, _)| *key == name)?;
            Some(found.1.to_owned())
        })
    }

    fn slurm_array<'a>(
        task: &'a str,
        range: [&'a str; 2],
        count: &'a str,
    ) -> [(&'a str, &'a str); 4] {
        [
            ("SLURM_ARRAY_TASK_ID", task),
            ("SLURM_ARRAY_TASK_MIN", range[0]),
            ("SLURM_ARRAY_TASK_MAX", range[1]),
            ("SLURM_ARRAY_TASK_COUNT", count),
        ]
    }

    #[test]
    fn without_variables_one_process_does_everything() {
        let (shard, _) = resolve_with(&[]).unwrap();
        assert_eq!(Some(shard), Shard::new(0, 1));
    }

    #[test]
    fn slurm_array_that_begins_at_one_is_shifted() {
        let (shard, origin) = resolve_with(&slurm_array("8", ["1", "8"], "8")).unwrap();
        assert_eq!(Some(shard), Shard::new(7, 8));
        assert_eq!(origin, ShardOrigin::Slurm);
    }

    #[test]
    fn sparse_slurm_array_is_refused() {
        let error = resolve_with(&slurm_array("7", ["1", "7"], "3")).unwrap_err();
        assert!(error.to_string().contains("--shard"));
    }

    #[test]
    fn slurm_array_with_a_step_counts_positions() {
        let mut variables = slurm_array("6", ["0", "14"], "8").to_vec();
        variables.push(("SLURM_ARRAY_TASK_STEP", "2"));
        let (shard, _) = resolve_with(&variables).unwrap();
        assert_eq!(Some(shard), Shard::new(3, 8));
    }

    #[test]
    fn kubernetes_index_needs_the_number_of_completions() {
        let index = ("JOB_COMPLETION_INDEX", "2");
        let (shard, _) = resolve_with(&[index, ("JOB_COMPLETIONS", "3")]).unwrap();
        assert_eq!(Some(shard), Shard::new(2, 3));
        let error = resolve_with(&[index]).unwrap_err().to_string();
        assert!(error.contains("JOB_COMPLETIONS"));
    }

    #[test]
    fn command_line_wins_and_bad_shards_are_refused() {
        let choice = "1/2".parse().unwrap();
        let (shard, _) = resolve(Some(choice), |_| Some("9".to_owned())).unwrap();
        assert_eq!(Some(shard), Shard::new(1, 2));
        for bad in ["2/2", "0/0", "1", "a/b", "-1/2"] {
            assert!(bad.parse::<ShardChoice>().is_err(), "{bad}");
        }
    }
}
