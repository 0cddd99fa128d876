//! Space files: TOML with a range, a list of choices or one value for every name.

use std::path::Path;

use common::{exit::Exit, read::read_at_most};
use toml::{Table, Value as Toml};

use super::{
    name::{Kind, Lower, Name, Upper},
    space::{Dimension, Domain, Range, Scale, Space, Value},
    trained::Trained,
};
use crate::failure::{Failure, OrExit};

/// Values that a grid takes of a range.
pub(crate) const DEFAULT_POINTS: u32 = 5;

/// Largest space file that is read.
const MAX_SPACE_BYTES: u64 = 1 << 20;

/// Reads a space file of trials that train `trained`.
pub(crate) fn read(path: &Path, trained: Trained) -> Result<Space, Failure> {
    let place = format!("space `{}`", path.display());
    let text = read_at_most(path, MAX_SPACE_BYTES)
        .or_exit(Exit::Input)
        .and_then(|bytes| String::from_utf8(bytes).or_exit(Exit::Input))
        .map_err(|failure| failure.within(&place))?;
    parse(&text, trained)
        .map_err(|problem| Failure::new(Exit::Input, format!("{place}: {problem}")))
}

/// The space that `text` describes, in the order of [`Trained::names`].
pub(crate) fn parse(text: &str, trained: Trained) -> Result<Space, String> {
    let table: Table = text.parse().map_err(|error| syntax_error(text, &error))?;
    let searchable = trained.names();
    for name in table.keys() {
        let mut of_options = Name::OF_OPTIONS.iter();
        if of_options.any(|other| other.as_str() == name) {
            return Err(format!(
                "`{name}` is chosen on the command line (give --{name} several times)"
            ));
        }
        if !searchable.iter().any(|known| known.as_str() == name) {
            let known: Vec<&str> = searchable.iter().map(|name| name.as_str()).collect();
            return Err(format!(
                "unknown name `{name}` (known are {})",
                known.join(", ")
            ));
        }
    }
    let mut space = Vec::new();
    for name in searchable {
        if let Some(value) = table.get(name.as_str()) {
            let domain = domain(*name, value).map_err(|problem| format!("`{name}`: {problem}"))?;
            space.push(Dimension {
                name: *name,
                domain,
            });
        }
    }
    let space = Space(space);
    let useless = space.0.iter().find(|dimension| {
        let mut solvers = space.solvers().into_iter();
        !solvers.any(|solver| dimension.name.is_used_by(solver))
    });
    match useless {
        None => Ok(space),
        Some(Dimension { name, .. }) => Err(format!(
            "`{name}`: none of the solvers has it ({}; leave it out, or search another `solver`)",
            space.solvers().join(", ")
        )),
    }
}

/// TOML's own message spans several lines.
fn syntax_error(text: &str, error: &toml::de::Error) -> String {
    let line = error.span().map_or(1, |span| {
        let before = &text.as_bytes()[..span.start.min(text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    });
    format!("line {line}: {}", error.message().replace('\n', " "))
}

fn domain(name: Name, value: &Toml) -> Result<Domain, String> {
    match value {
        Toml::Table(table) => range(name, table).map(Domain::Range),
        Toml::Array(items) if items.is_empty() => {
            Err("an empty list (give at least one value)".to_owned())
        }
        Toml::Array(items) => {
            let choices: Vec<Value> = items
                .iter()
                .map(|item| choice(name, item))
                .collect::<Result<_, _>>()?;
            let repeated =
                (1..choices.len()).find(|&index| choices[..index].contains(&choices[index]));
            match repeated {
                Some(index) => Err(format!("{} occurs twice", choices[index])),
                None => Ok(Domain::Choices(choices)),
            }
        }
        other => Ok(Domain::Choices(vec![choice(name, other)?])),
    }
}

fn choice(name: Name, value: &Toml) -> Result<Value, String> {
    match (name.kind(), value) {
        (Kind::Word(words), Toml::String(word)) if words.contains(&word.as_str()) => {
            Ok(Value::Word(word.clone()))
        }
        (Kind::Word(words), other) => Err(format!("{other} is none of {}", words.join(", "))),
        (_, other) => number(name, other).map(Value::Number),
    }
}

fn number(name: Name, value: &Toml) -> Result<f64, String> {
    let number = match value {
        Toml::Integer(number) => *number as f64,
        Toml::Float(number) => *number,
        other => return Err(format!("{other} is not a number")),
    };
    let (holds, expected) = match name.kind() {
        Kind::Whole { least, most } => (
            number.fract() == 0.0 && (f64::from(least)..=f64::from(most)).contains(&number),
            format!("whole numbers from {least} to {most}"),
        ),
        Kind::Real { from, to } => {
            let (above, from) = match from {
                Lower::Zero => (number >= 0.0, "0 or more"),
                Lower::AboveZero => (number > 0.0, "above 0"),
            };
            let (below, to) = match to {
                Upper::None => (number < f64::INFINITY, ""),
                Upper::BelowOne => (number < 1.0, ", below 1"),
                Upper::One => (number <= 1.0, ", at most 1"),
            };
            (above && below, format!("numbers {from}{to}"))
        }
        Kind::Word(_) => (false, "words".to_owned()),
    };
    // The settings of a training are f32: in it the number neither vanishes nor overflows.
    if holds && (number == 0.0 || (number as f32).is_normal()) {
        Ok(number)
    } else {
        Err(format!("{number} is out of range, {expected} are expected"))
    }
}

fn range(name: Name, table: &Table) -> Result<Range, String> {
    if let Kind::Word(words) = name.kind() {
        return Err(format!(
            "words have no range (list some of {})",
            words.join(", ")
        ));
    }
    let known = ["low", "high", "scale", "points"];
    if let Some(key) = table.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!(
            "unknown key `{key}` (known are {})",
            known.join(", ")
        ));
    }
    let end = |key: &str| {
        let value = table
            .get(key)
            .ok_or_else(|| format!("`{key}` is missing"))?;
        number(name, value)
    };
    let (low, high) = (end("low")?, end("high")?);
    if low >= high {
        return Err(format!(
            "low {low} is not below high {high} (exchange them, or give one value)"
        ));
    }
    let scale = match table
        .get("scale")
        .map(|value| value.as_str().unwrap_or_default())
    {
        None | Some("linear") => Scale::Linear,
        Some("log") => Scale::Log,
        Some(_) => return Err("scale is neither \"linear\" nor \"log\"".to_owned()),
    };
    if scale == Scale::Log && low <= 0.0 {
        return Err(
            "a log scale needs a low end above 0 (list 0 as a choice, or use \"linear\")"
                .to_owned(),
        );
    }
    let points = match table.get("points") {
        None => DEFAULT_POINTS,
        Some(Toml::Integer(points @ 2..=1000)) => *points as u32,
        Some(other) => return Err(format!("points {other}, 2 to 1000 are expected")),
    };
    Ok(Range {
        low,
        high,
        scale,
        points,
        whole: matches!(name.kind(), Kind::Whole { .. }),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_spaces_are_valid_and_name_all_that_can_be_searched() {
        let names = |text: &str, trained| -> Vec<Name> {
            let space = parse(text, trained).unwrap();
            space.0.iter().map(|dimension| dimension.name).collect()
        };
        let heads = Trained::Heads.default_space();
        let mut expected = Trained::Heads.names().to_vec();
        expected.retain(|name| *name != Name::Lambda);
        assert_eq!(names(heads, Trained::Heads), expected);
        let with_ridge = heads.replace("\"lbfgs\"]", "\"lbfgs\", \"ridge\"]")
            + "lambda = { low = 1e-6, high = 1e6, scale = \"log\" }\n";
        assert_eq!(names(&with_ridge, Trained::Heads), Trained::Heads.names());
        let tails = Trained::Tails.default_space();
        assert!(!names(tails, Trained::Tails).is_empty());
        for name in Trained::Tails.names() {
            assert!(tails.contains(name.as_str()), "{name}");
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (text, said) in [
            ("learning_rat = 1", "unknown name `learning_rat`"),
            ("cache = [\"a\"]", "give --cache several times"),
            (
                "dropout = { low = 0.5, high = 0.1 }",
                "low 0.5 is not below high 0.1",
            ),
            ("dropout = { low = 0.1 }", "`high` is missing"),
            ("dropout = { low = 0.1, hi = 0.2 }", "unknown key `hi`"),
            ("dropout = [0.1, 1.0]", "1 is out of range"),
            ("dropout = []", "an empty list"),
            ("dropout = [0.1, 0.1]", "0.1 occurs twice"),
            (
                "weight_decay = { low = 0, high = 1, scale = \"log\" }",
                "above 0",
            ),
            ("learning_rate = nan", "out of range"),
            ("learning_rate = 1e300", "out of range"),
            ("hidden = [10.5]", "whole numbers from 0"),
            (
                "solver = \"lion\"",
                "none of adam, adamw, sgd, lbfgs, ridge",
            ),
            ("solver = { low = 1, high = 2 }", "words have no range"),
            ("learning_rate = 1e-60", "out of range"),
            ("c = 1.0", "`c`: none of the solvers has it (adam;"),
            ("solver = \"lbfgs\"\ndropout = 0.1", "`dropout`: none"),
            ("solver = \"lbfgs\"\nlambda = 0.1", "`lambda`: none"),
            ("solver = \"ridge\"\nlambda = 0", "above 0"),
            ("dropout = 0.1\ndropout = ", "line 2"),
        ] {
            let problem = parse(text, Trained::Heads).unwrap_err();
            assert!(problem.contains(said), "{text}: {problem}");
            assert!(!problem.contains('\n'), "{problem}");
        }
    }

    #[test]
    fn names_of_heads_and_of_fine_tuning_are_told_apart() {
        for (text, said) in [
            (
                "c = 0.1",
                "unknown name `c` (known are optimizer, learning_rate",
            ),
            ("solver = \"adam\"", "unknown name `solver`"),
            ("unfreeze = [\"fc\"]", "give --unfreeze several times"),
            ("layer_decay = [0.5, 1.1]", "numbers above 0, at most 1"),
            ("bn = \"eval\"", "none of frozen, train"),
            ("optimizer = \"lbfgs\"", "none of adamw, adam, sgd"),
            ("ema = 1.0", "0 or more, below 1"),
        ] {
            let problem = parse(text, Trained::Tails).unwrap_err();
            assert!(problem.contains(said), "{text}: {problem}");
        }
        let problem = parse("mixup = 0.1", Trained::Heads).unwrap_err();
        assert!(problem.contains("unknown name `mixup`"), "{problem}");
        assert!(parse("layer_decay = 1.0", Trained::Tails).is_ok());
    }
}
