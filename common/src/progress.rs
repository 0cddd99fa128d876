//! What a long run says on standard error: a bar with rate and time left on a
//! terminal, a plain line now and then elsewhere.
//!
//! The rate counts images alone: rejects cost next to nothing and would flatter it.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two plain lines.
pub const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// What is said on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Warnings and errors only.
    Quiet,
    /// Progress and a summary too.
    Normal,
}

/// Says a sentence while there is no progress to show.
pub fn say(verbosity: Verbosity, text: &str) {
    if verbosity == Verbosity::Normal {
        drop(writeln!(io::stderr(), "{text}"));
    }
}

/// A bar on a terminal, and sentences that do not tear it; elsewhere the sentences alone.
pub struct Bar {
    bar: ProgressBar,
    style: Style,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Silent,
    Bar,
    Lines,
}

impl Bar {
    /// At 0 of `total`, looking as indicatif's `template` says.
    pub fn start(total: u64, template: &str, verbosity: Verbosity) -> Self {
        let style = match verbosity {
            Verbosity::Quiet => Style::Silent,
            Verbosity::Normal if io::stderr().is_terminal() => Style::Bar,
            Verbosity::Normal => Style::Lines,
        };
        let target = match style {
            Style::Bar => ProgressDrawTarget::stderr(),
            _ => ProgressDrawTarget::hidden(),
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        // A template that does not parse is a mistake of ours: the default style serves.
        if let Ok(template) = ProgressStyle::with_template(template) {
            bar.set_style(template);
        }
        Self { bar, style }
    }

    /// Moves to `position`.
    pub fn set(&self, position: u64) {
        self.bar.set_position(position);
    }

    /// What the template's `{msg}` stands for.
    pub fn set_message(&self, message: impl Into<String>) {
        self.bar.set_message(message.into());
    }

    /// Says a sentence without tearing the bar.
    pub fn say(&self, text: &str) {
        match self.style {
            Style::Silent => {}
            Style::Bar => self.bar.println(text),
            Style::Lines => write_line(text),
        }
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Progress over a known number of inputs.
pub struct Progress {
    display: Bar,
    started: Instant,
    last_line: Instant,
    images: u64,
    rejects: u64,
    total: u64,
}

impl Progress {
    /// Starts counting up to `total` inputs.
    pub fn start(total: u64, verbosity: Verbosity) -> Self {
        let template = "{wide_bar} {pos}/{len} inputs  {msg}  {eta} left";
        let now = Instant::now();
        Self {
            display: Bar::start(total, template, verbosity),
            started: now,
            last_line: now,
            images: 0,
            rejects: 0,
            total,
        }
    }

    /// Counts inputs that are done: `images` of them usable, `rejects` not.
    pub fn advance(&mut self, images: u64, rejects: u64) {
        self.images += images;
        self.rejects += rejects;
        let rate = self.rate();
        if self.display.style == Style::Bar {
            self.display.set_message(format!("{rate:.1} images/s"));
            self.display.set(self.images + self.rejects);
        }
        if self.display.style == Style::Lines && self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            let done = self.images + self.rejects;
            self.say(&format!(
                "{done}/{} inputs, {rate:.1} images/s, {} left",
                self.total,
                HumanDuration(self.left(done))
            ));
        }
    }

    /// Time for what is left at the speed so far.
    fn left(&self, done: u64) -> Duration {
        let rest = self.total.saturating_sub(done) as f64;
        let seconds = self.elapsed().as_secs_f64() * rest / done.max(1) as f64;
        Duration::from_secs_f64(seconds.min(1e9))
    }

    /// Says a sentence without tearing the bar.
    pub fn say(&self, text: &str) {
        self.display.say(text);
    }

    /// Does `print`, which may write on the same terminal, without tearing the bar.
    pub fn suspend<T>(&self, print: impl FnOnce() -> T) -> T {
        self.display.bar.suspend(print)
    }

    /// Says something that the user should act on, also when quiet.
    pub fn warn(&self, text: &str) {
        match self.display.style {
            Style::Bar => self.display.say(&format!("warning: {text}")),
            Style::Silent | Style::Lines => warn(text),
        }
    }

    /// Images a second since the start, rejects not counted.
    pub fn rate(&self) -> f64 {
        self.images as f64 / self.elapsed().as_secs_f64().max(1e-9)
    }

    /// Time since the start.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Removes the bar.
    pub fn finish(&self) {
        self.display.finish();
    }
}

/// Says something that the user should act on, where there is no [`Progress`].
pub fn warn(text: &str) {
    write_line(&format!("warning: {text}"));
}

/// Writes a line on standard error.
pub fn write_line(text: &str) {
    // What nobody can read is no reason to stop.
    let _ = writeln!(io::stderr(), "{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rejects_do_not_raise_the_rate() {
        let mut progress = Progress::start(10, Verbosity::Quiet);
        progress.advance(0, 6);
        assert_eq!(progress.rate(), 0.0);
        progress.advance(4, 0);
        assert!(progress.rate() > 0.0);
    }
}
