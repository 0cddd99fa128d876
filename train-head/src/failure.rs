//! An error together with the exit code it ends the program with.

use std::{error::Error, fmt};

use common::exit::{Exit, report};

/// Why a command did not do its work.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What the shell is told.
    pub(crate) exit: Exit,
    error: anyhow::Error,
}

impl Failure {
    /// `message` is one line: what is wrong with what, and the remedy.
    pub(crate) fn new(
        exit: Exit,
        message: impl fmt::Display + fmt::Debug + Send + Sync + 'static,
    ) -> Self {
        Self {
            exit,
            error: anyhow::Error::msg(message),
        }
    }

    /// An error whose exit code the common table decides.
    pub(crate) fn of(error: impl Error + Send + Sync + 'static) -> Self {
        let (message, exit) = report(&error, |_| None);
        Self::new(exit, message)
    }

    /// The same failure, saying first where it happened.
    pub(crate) fn within(self, place: &str) -> Self {
        Self {
            exit: self.exit,
            error: self.error.context(place.to_owned()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

/// Gives the errors of a step their exit code.
pub(crate) trait OrExit<T> {
    /// The value, or a failure that ends the program with `exit`.
    fn or_exit(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Into<anyhow::Error>> OrExit<T> for Result<T, E> {
    fn or_exit(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure {
            exit,
            error: error.into(),
        })
    }
}
