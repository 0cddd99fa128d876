//! What a sweep searches: a domain for every name, and points in them.
//!
//! A point is a list of values, one a dimension, none where the solver of the point has no use
//! for the name. Searching works on positions: a number in [0, 1] along a range, the index of
//! a choice. Positions are always computed from values, so that a sweep that reads its
//! trials back goes on as if it had never stopped.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::name::{Name, SOLVERS};

/// A value of a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Value {
    Number(f64),
    Word(String),
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Number(number) if *number != 0.0 && !(1e-3..1e6).contains(number) => {
                write!(f, "{number:.3e}")
            }
            Self::Number(number) => write!(f, "{}", (number * 1e6).round() / 1e6),
            Self::Word(word) => f.write_str(word),
        }
    }
}

/// How a range is walked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scale {
    Linear,
    Log,
}

/// Numbers from `low` to `high`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) scale: Scale,
    /// Values that a grid takes of it.
    pub(crate) points: u32,
    pub(crate) whole: bool,
}

/// What a name is chosen from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Domain {
    Range(Range),
    /// At least one.
    Choices(Vec<Value>),
}

impl Domain {
    /// The value at `position`.
    pub(crate) fn value(&self, position: f64) -> Value {
        match self {
            Self::Choices(choices) => {
                let index = (position as usize).min(choices.len() - 1);
                choices[index].clone()
            }
            Self::Range(range) => {
                let share = position.clamp(0.0, 1.0);
                let number = match range.scale {
                    Scale::Linear => range.low + share * (range.high - range.low),
                    Scale::Log => range.low * (range.high / range.low).powf(share),
                };
                let number = number.clamp(range.low, range.high);
                Value::Number(if range.whole { number.round() } else { number })
            }
        }
    }

    /// Where `value` is; `None` when it is not of the domain.
    pub(crate) fn position(&self, value: &Value) -> Option<f64> {
        match (self, value) {
            (Self::Choices(choices), _) => {
                let index = choices.iter().position(|choice| choice == value);
                index.map(|index| index as f64)
            }
            (Self::Range(range), Value::Number(number)) => {
                let inside = (range.low..=range.high).contains(number);
                let share = match range.scale {
                    Scale::Linear => (number - range.low) / (range.high - range.low),
                    Scale::Log => (number / range.low).ln() / (range.high / range.low).ln(),
                };
                inside.then_some(share.clamp(0.0, 1.0))
            }
            (Self::Range(_), Value::Word(_)) => None,
        }
    }

    /// The values that a grid takes.
    pub(crate) fn grid(&self) -> Vec<Value> {
        match self {
            Self::Choices(choices) => choices.clone(),
            Self::Range(range) => {
                let last = range.points - 1;
                let values = (0..=last).map(|point| self.value(f64::from(point) / f64::from(last)));
                let mut values: Vec<Value> = values.collect();
                values.dedup();
                values
            }
        }
    }
}

/// A name and what it is chosen from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Dimension {
    pub(crate) name: Name,
    pub(crate) domain: Domain,
}

impl Dimension {
    /// A choice of words.
    pub(crate) fn of_words(name: Name, words: impl Iterator<Item = String>) -> Self {
        Self {
            name,
            domain: Domain::Choices(words.map(Value::Word).collect()),
        }
    }
}

/// All that is searched; a name occurs once at most.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Space(pub(crate) Vec<Dimension>);

/// One value a dimension of a space; `None` where the point's solver has no use for it.
pub(crate) type Point = Vec<Option<Value>>;

/// As a [`Point`].
pub(crate) type Positions = Vec<Option<f64>>;

impl Space {
    /// The value of `name` at `point`; `None` where the space does not have the name.
    pub(crate) fn value<'a>(&self, point: &'a Point, name: Name) -> Option<&'a Value> {
        let index = self.0.iter().position(|dimension| dimension.name == name)?;
        point.get(index)?.as_ref()
    }

    /// The number that `point` has for `name`, if it has one.
    pub(crate) fn number(&self, point: &Point, name: Name) -> Option<f64> {
        match self.value(point, name)? {
            Value::Number(number) => Some(*number),
            Value::Word(_) => None,
        }
    }

    /// The word that `point` has for `name`, if it has one.
    pub(crate) fn word<'a>(&self, point: &'a Point, name: Name) -> Option<&'a str> {
        match self.value(point, name)? {
            Value::Word(word) => Some(word),
            Value::Number(_) => None,
        }
    }

    /// Which of its choices `point` has for `name`; the first where the space does not have it.
    pub(crate) fn choice(&self, point: &Point, name: Name) -> usize {
        let dimension = self.0.iter().find(|dimension| dimension.name == name);
        let position =
            dimension.and_then(|dimension| dimension.domain.position(self.value(point, name)?));
        position.map_or(0, |position| position as usize)
    }

    /// The solver of a point that begins with `first`, its value of the first dimension.
    fn solver<'a>(&self, first: Option<&'a Value>) -> &'a str {
        match (self.0.first(), first) {
            (Some(dimension), Some(Value::Word(word))) if dimension.name == Name::Solver => word,
            _ => SOLVERS[0],
        }
    }

    /// The solvers that points may have.
    pub(crate) fn solvers(&self) -> Vec<&str> {
        match self.0.first() {
            Some(Dimension {
                name: Name::Solver,
                domain: Domain::Choices(choices),
            }) => choices
                .iter()
                .map(|choice| self.solver(Some(choice)))
                .collect(),
            _ => vec![SOLVERS[0]],
        }
    }

    /// `positions` without those that their solver has no use for.
    pub(crate) fn settle(&self, mut positions: Positions) -> Positions {
        let first = self.0.first().zip(positions.first().copied().flatten());
        let first = first.map(|(dimension, position)| dimension.domain.value(position));
        let solver = self.solver(first.as_ref());
        for (dimension, position) in self.0.iter().zip(&mut positions) {
            *position = position.filter(|_| dimension.name.is_used_by(solver));
        }
        positions
    }

    /// The point at `positions`.
    pub(crate) fn point(&self, positions: &Positions) -> Point {
        let pairs = self.0.iter().zip(positions);
        pairs
            .map(|(dimension, position)| position.map(|at| dimension.domain.value(at)))
            .collect()
    }

    /// The positions of `point`; `None` when it is not of the space.
    pub(crate) fn positions(&self, point: &Point) -> Option<Positions> {
        let solver = self.solver(point.first().and_then(Option::as_ref));
        let pairs = self.0.iter().zip(point);
        let position = |(dimension, value): (&Dimension, &Option<Value>)| match (
            dimension.name.is_used_by(solver),
            value,
        ) {
            (true, Some(value)) => dimension.domain.position(value).map(Some),
            (false, None) => Some(None),
            _ => None,
        };
        pairs.map(position).collect()
    }

    /// The points of a grid: the last dimension changes fastest.
    pub(crate) fn grid(&self) -> Vec<Point> {
        let mut points: Vec<Point> = vec![Vec::new()];
        for dimension in &self.0 {
            let values = dimension.domain.grid();
            let longer = |point: &Point| -> Vec<Point> {
                let first = point.first().and_then(Option::as_ref);
                let extended = |value| [&point[..], &[value]].concat();
                if dimension.name.is_used_by(self.solver(first)) {
                    values.iter().cloned().map(Some).map(extended).collect()
                } else {
                    vec![extended(None)]
                }
            };
            points = points.iter().flat_map(longer).collect();
        }
        points
    }

    /// How many points the grid has.
    pub(crate) fn grid_size(&self) -> usize {
        let of_solver = |solver: &str| {
            let used = self
                .0
                .iter()
                .filter(|dimension| dimension.name != Name::Solver)
                .filter(|dimension| dimension.name.is_used_by(solver));
            used.map(|dimension| dimension.domain.grid().len())
                .fold(1, usize::saturating_mul)
        };
        self.solvers()
            .into_iter()
            .map(of_solver)
            .fold(0, usize::saturating_add)
    }

    /// `point` in words, without what cannot be chosen.
    pub(crate) fn describe(&self, point: &Point) -> String {
        let chosen = |dimension: &Dimension| match &dimension.domain {
            Domain::Choices(choices) => choices.len() > 1,
            Domain::Range(_) => true,
        };
        let pairs = self
            .0
            .iter()
            .zip(point)
            .filter(|(dimension, _)| chosen(dimension));
        let words: Vec<String> = pairs
            .filter_map(|(dimension, value)| {
                Some(format!("{} {}", dimension.name, value.as_ref()?))
            })
            .collect();
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(scale: Scale, whole: bool) -> Domain {
        Domain::Range(Range {
            low: 1.0,
            high: 100.0,
            scale,
            points: 3,
            whole,
        })
    }

    #[test]
    fn grid_has_the_ends_and_even_steps_of_the_scale() {
        let numbers =
            |values: &[f64]| -> Vec<Value> { values.iter().map(|v| Value::Number(*v)).collect() };
        assert_eq!(
            range(Scale::Linear, false).grid(),
            numbers(&[1.0, 50.5, 100.0])
        );
        assert_eq!(
            range(Scale::Linear, true).grid(),
            numbers(&[1.0, 51.0, 100.0])
        );
        assert_eq!(range(Scale::Log, true).grid(), numbers(&[1.0, 10.0, 100.0]));
    }

    #[test]
    fn position_of_a_value_gives_the_value_back() {
        for domain in [range(Scale::Linear, false), range(Scale::Log, false)] {
            for position in [0.0, 0.1, 0.73, 1.0] {
                let value = domain.value(position);
                assert!((domain.position(&value).unwrap() - position).abs() < 1e-12);
            }
            assert_eq!(domain.position(&Value::Number(101.0)), None);
        }
    }
}
