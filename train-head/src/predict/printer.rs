//! Predictions on standard output, as they come.

use common::output::{self, OutputError, Reader};

use super::classifier::{Answer, Prediction};
use crate::{plan::ResultFormat, report::significant};

/// Prints predictions a batch at a time. The pieces make one text, or one JSON
/// array.
pub(super) struct Printer {
    format: ResultFormat,
    /// Whether the array has an item already.
    begun: bool,
}

impl Printer {
    /// Nothing is printed yet.
    pub(super) fn new(format: ResultFormat) -> Self {
        Self {
            format,
            begun: false,
        }
    }

    /// Prints `predictions` behind those before.
    ///
    /// # Errors
    /// See [`output::print()`].
    pub(super) fn print(&mut self, predictions: &[Prediction]) -> Result<Reader, OutputError> {
        let text = self.piece(predictions);
        output::print(|output| output.write_all(text.as_bytes()))
    }

    /// Ends the document.
    ///
    /// # Errors
    /// See [`output::print()`].
    pub(super) fn finish(&mut self) -> Result<Reader, OutputError> {
        let text = self.end();
        output::print(|output| output.write_all(text.as_bytes()))
    }

    fn piece(&mut self, predictions: &[Prediction]) -> String {
        match self.format {
            ResultFormat::Text => predictions.iter().map(line).collect(),
            ResultFormat::Json => predictions.iter().map(|one| self.item(one)).collect(),
            ResultFormat::Nothing => String::new(),
        }
    }

    fn item(&mut self, prediction: &Prediction) -> String {
        let before = if self.begun { "," } else { "[" };
        self.begun = true;
        // Cannot fail: there is no map. A line break is always the layout's own,
        // in a string it is escaped.
        let json = serde_json::to_string_pretty(prediction).unwrap_or_default();
        format!("{before}\n  {}", json.replace('\n', "\n  "))
    }

    fn end(&self) -> &'static str {
        match (self.format, self.begun) {
            (ResultFormat::Json, true) => "\n]\n",
            (ResultFormat::Json, false) => "[]\n",
            (ResultFormat::Text | ResultFormat::Nothing, _) => "",
        }
    }
}

/// An image that could not be classified has a warning instead.
fn line(prediction: &Prediction) -> String {
    let answers: Vec<String> = match &prediction.answer {
        None => return String::new(),
        Some(Answer::Labels(labels)) if labels.is_empty() => vec!["no class".to_owned()],
        Some(Answer::Top(guesses) | Answer::Labels(guesses)) => guesses
            .iter()
            .map(|guess| format!("{} {:.1}%", guess.class, guess.probability * 100.0))
            .collect(),
        Some(Answer::Values(values)) => values
            .iter()
            .map(|one| format!("{} {}", one.target, significant(f64::from(one.value))))
            .collect(),
    };
    format!("{}: {}\n", prediction.image, answers.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{super::classifier::Guess, *};

    #[test]
    fn pieces_make_the_array_that_serde_would() {
        let prediction = |image: &str| Prediction {
            image: image.to_owned(),
            answer: Some(Answer::Top(vec![Guess {
                class: "a\nb".to_owned(),
                probability: 0.25,
                logit: -1.5,
            }])),
            error: None,
        };
        let bad = Prediction {
            answer: None,
            error: Some("bad".to_owned()),
            ..prediction("bad.jpg")
        };
        let all = [prediction("1.jpg"), prediction("2.jpg"), bad];
        for cut in 0..=all.len() {
            let mut printer = Printer::new(ResultFormat::Json);
            let text = printer.piece(&all[..cut]) + &printer.piece(&all[cut..]) + printer.end();
            assert_eq!(text, serde_json::to_string_pretty(&all).unwrap() + "\n");
        }
        assert_eq!(Printer::new(ResultFormat::Json).end(), "[]\n");
    }
}
