//! SIGINT and SIGTERM end a run politely: the epoch in progress is finished, what
//! is good is kept. A second signal ends it at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
};

use common::exit::Exit;
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

/// Whether, and by which signal, the run was asked to stop.
#[derive(Clone, Default)]
pub(crate) struct Stop(Arc<AtomicUsize>);

impl Stop {
    /// Listens from now on.
    pub(crate) fn listen() -> io::Result<Self> {
        let stop = Self::default();
        for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
            let again = Arc::new(AtomicBool::new(false));
            flag::register_conditional_shutdown(signal, exit as i32, Arc::clone(&again))?;
            flag::register(signal, again)?;
            flag::register_usize(signal, Arc::clone(&stop.0), exit as usize)?;
        }
        Ok(stop)
    }

    /// The exit code of the signal that came, if one came.
    pub(crate) fn requested(&self) -> Option<Exit> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            code if code == Exit::Terminated as usize => Some(Exit::Terminated),
            _ => Some(Exit::Interrupted),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signal_decides_the_exit_code() {
        let stop = Stop::default();
        assert_eq!(stop.requested(), None);
        stop.0.store(Exit::Terminated as usize, Ordering::Relaxed);
        assert_eq!(stop.requested(), Some(Exit::Terminated));
    }
}
