//! Where the winner lies on the edge of the space, a better one may lie beyond it.

use super::{
    name::{Kind, Upper},
    space::{Dimension, Domain, Point, Scale, Space, Value},
};

/// Share of a range that counts as its edge.
pub(crate) const EDGE: f64 = 0.05;

/// One sentence for every dimension whose edge `point` lies on.
pub(crate) fn edges(space: &Space, point: &Point) -> Vec<String> {
    let pairs = space.0.iter().zip(point);
    pairs
        .filter_map(|(dimension, value)| edge(dimension, value.as_ref()?))
        .collect()
}

fn edge(dimension: &Dimension, value: &Value) -> Option<String> {
    let Value::Number(number) = value else {
        return None;
    };
    let (low, high, at_low, at_high) = match &dimension.domain {
        Domain::Range(range) => {
            let position = dimension.domain.position(value)?;
            (
                range.low,
                range.high,
                position <= EDGE,
                position >= 1.0 - EDGE,
            )
        }
        Domain::Choices(choices) => {
            let numbers = choices.iter().filter_map(|choice| match choice {
                Value::Number(number) => Some(*number),
                Value::Word(_) => None,
            });
            // Of two values one is always the first and one the last.
            if choices.len() < 3 {
                return None;
            }
            let (low, high) = numbers
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), number| {
                    (low.min(number), high.max(number))
                });
            (low, high, *number == low, *number == high)
        }
    };
    // Nothing lies below 0, or above a share of 1.
    let is_most = matches!(dimension.name.kind(), Kind::Real { to: Upper::One, .. }) && high == 1.0;
    let end = match (at_low && low > 0.0, at_high && !is_most) {
        (true, _) => "lower",
        (_, true) => "upper",
        _ => return None,
    };
    let scale = match &dimension.domain {
        Domain::Range(range) if range.scale == Scale::Log => ", log",
        _ => "",
    };
    Some(format!(
        "the best {} {value} lies at the {end} end of what was searched ({} to {}{scale}): values beyond it may do better",
        dimension.name,
        Value::Number(low),
        Value::Number(high),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sweep::{Trained, file};

    #[test]
    fn winner_at_an_end_is_told_and_natural_ends_are_not() {
        let space = file::parse(
            "learning_rate = { low = 1e-4, high = 1, scale = \"log\" }\nbatch_size = [64, 128, 256]\ndropout = [0.0, 0.2, 0.5]\nhidden = [0, 512]", Trained::Heads,
        )
        .unwrap();
        let found = |numbers: [f64; 4]| {
            let mut point: Point = numbers.map(Value::Number).map(Some).to_vec();
            // The order of names, not of the file.
            point.truncate(space.0.len());
            edges(&space, &point)
        };
        // learning_rate, batch_size, dropout, hidden
        assert!(found([0.01, 128.0, 0.2, 512.0]).is_empty());
        assert!(found([0.01, 128.0, 0.0, 0.0]).is_empty());
        let notes = found([0.9, 64.0, 0.5, 0.0]);
        assert_eq!(notes.len(), 3, "{notes:?}");
        assert!(
            notes[0].contains("learning_rate 0.9 lies at the upper end"),
            "{}",
            notes[0]
        );
        assert!(
            notes[1].contains("batch_size 64 lies at the lower end"),
            "{}",
            notes[1]
        );

        let space = file::parse("layer_decay = [0.5, 0.7, 1.0]", Trained::Tails).unwrap();
        let notes = |decay| edges(&space, &vec![Some(Value::Number(decay))]).len();
        assert_eq!([0.5, 0.7, 1.0].map(notes), [1, 0, 0]);
    }
}
