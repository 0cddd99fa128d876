//! The frame that both programs run in: from the command line to an exit code.

use std::ffi::OsString;

use clap::Parser;

use crate::{
    exit::{Exit, report},
    output::reader_after,
    progress::write_line,
};

/// Parses `arguments` (the first is the program's name), has `act` do what they
/// say, and returns how the process is to exit. An error of `act`, a message of
/// one line with its exit code, is printed on standard error.
pub fn run<C: Parser>(
    arguments: impl IntoIterator<Item = OsString>,
    act: impl FnOnce(C) -> Result<Exit, (String, Exit)>,
) -> Exit {
    let ended = match C::try_parse_from(arguments) {
        Ok(cli) => act(cli),
        Err(error) => explain(&error),
    };
    ended.unwrap_or_else(|(message, exit)| {
        write_line(&format!("error: {message}"));
        exit
    })
}

/// Prints what clap has to say: a mistake on standard error; on standard output
/// the help or the version.
fn explain(error: &clap::Error) -> Result<Exit, (String, Exit)> {
    let printed = error.print();
    if error.use_stderr() {
        return Ok(Exit::Usage);
    }
    match reader_after(printed) {
        Ok(_) => Ok(Exit::Success),
        Err(error) => Err(report(&error, |_| None)),
    }
}
