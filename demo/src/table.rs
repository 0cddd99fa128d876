//! The demo's result: one row a step.

use std::fmt;

use crate::step::{Extracted, Trained};

/// Rate and time of the extraction, time and accuracies of each head.
pub(crate) struct Table<'a> {
    pub(crate) extracted: &'a Extracted,
    pub(crate) heads: &'a [Trained],
}

impl fmt::Display for Table<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<24}{:>10}{:>10}{:>12}{:>10}",
            "", "images/s", "seconds", "validation", "test"
        )?;
        writeln!(
            f,
            "{:<24}{:>10.1}{:>10.2}",
            format!("backbone, {} images", self.extracted.images),
            self.extracted.images_per_second,
            self.extracted.seconds
        )?;
        for head in self.heads {
            writeln!(
                f,
                "{:<24}{:>10}{:>10.2}{:>11.1}%{:>9.1}%",
                format!("{} head", head.kind),
                "",
                head.seconds,
                head.validation * 100.0,
                head.test * 100.0
            )?;
        }
        Ok(())
    }
}
