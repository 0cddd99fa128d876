//! SIGINT and SIGTERM as a flag that work looks at between two steps.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

use crate::exit::Exit;

/// A signal has come; what was at hand is not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stopped by a signal")]
pub struct Stopped(
    /// How the process is to exit.
    pub Exit,
);

/// Set by the first SIGINT or SIGTERM. A second one ends the process at once,
/// as if nothing had been registered.
#[derive(Clone, Default)]
pub struct Interrupt {
    signal: Arc<AtomicUsize>,
}

impl Interrupt {
    /// Starts to listen for both signals.
    ///
    /// # Errors
    /// When the system refuses a signal handler.
    pub fn listen() -> io::Result<Self> {
        let interrupt = Self::default();
        let second = Arc::new(std::sync::atomic::AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // Registered first, so that it does not see the signal that sets it.
            flag::register_conditional_default(signal, Arc::clone(&second))?;
            flag::register(signal, Arc::clone(&second))?;
            let number = signal.unsigned_abs() as usize;
            flag::register_usize(signal, Arc::clone(&interrupt.signal), number)?;
        }
        Ok(interrupt)
    }

    /// Ends the work at hand once a signal has come.
    ///
    /// # Errors
    /// [`Stopped`], then.
    pub fn check(&self) -> Result<(), Stopped> {
        self.received().map_or(Ok(()), |exit| Err(Stopped(exit)))
    }

    /// How the process is to exit, once a signal has come.
    pub fn received(&self) -> Option<Exit> {
        match self.signal.load(Ordering::Relaxed) {
            0 => None,
            signal if signal == SIGTERM.unsigned_abs() as usize => Some(Exit::Terminated),
            _ => Some(Exit::Interrupted),
        }
    }
    /// As if the signal had come that ends a process with `exit`.
    #[cfg(test)]
    pub(crate) fn pretend(&self, exit: Exit) {
        let signal = if exit == Exit::Terminated {
            SIGTERM
        } else {
            SIGINT
        };
        self.signal
            .store(signal.unsigned_abs() as usize, Ordering::Relaxed);
    }
}
