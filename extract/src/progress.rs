//! What a run says on standard error: a bar with rate and time left on a
//! terminal, a plain line now and then elsewhere.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Time between two plain lines.
pub(crate) const LINE_INTERVAL: Duration = Duration::from_secs(10);

/// What is said on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verbosity {
    /// Errors only.
    Quiet,
    /// Progress, warnings and a summary.
    Normal,
}

/// Says a sentence while there is no progress to show.
pub(crate) fn say(verbosity: Verbosity, text: &str) {
    if verbosity == Verbosity::Normal {
        drop(writeln!(io::stderr(), "{text}"));
    }
}

/// Progress over a known number of images.
pub(crate) struct Progress {
    bar: ProgressBar,
    started: Instant,
    last_line: Instant,
    done: u64,
    total: u64,
    style: Style,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Silent,
    Bar,
    Lines,
}

impl Progress {
    /// Starts counting up to `total` images.
    pub(crate) fn start(total: u64, verbosity: Verbosity) -> Self {
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
        let template = "{wide_bar} {pos}/{len} images  {per_sec}  {eta} left";
        // A template that does not parse is a mistake of ours: the default style serves.
        if let Ok(template) = ProgressStyle::with_template(template) {
            bar.set_style(template);
        }
        let now = Instant::now();
        Self {
            bar,
            started: now,
            last_line: now,
            done: 0,
            total,
            style,
        }
    }

    /// Counts `images` more.
    pub(crate) fn advance(&mut self, images: u64) {
        self.done += images;
        self.bar.inc(images);
        if self.style == Style::Lines && self.last_line.elapsed() >= LINE_INTERVAL {
            self.last_line = Instant::now();
            let rate = self.rate();
            let left = (self.total - self.done.min(self.total)) as f64 / rate.max(1e-9);
            self.say(&format!(
                "{}/{} images, {rate:.1} images/s, {} left",
                self.done,
                self.total,
                HumanDuration(Duration::from_secs_f64(left.min(1e9)))
            ));
        }
    }

    /// Says a sentence without tearing the bar.
    pub(crate) fn say(&self, text: &str) {
        match self.style {
            Style::Silent => {}
            Style::Bar => self.bar.println(text),
            // Progress that nobody can read is no reason to stop.
            Style::Lines => drop(writeln!(io::stderr(), "{text}")),
        }
    }

    /// Images a second since the start.
    pub(crate) fn rate(&self) -> f64 {
        self.done as f64 / self.elapsed().as_secs_f64().max(1e-9)
    }

    /// Time since the start.
    pub(crate) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
