//! How far threads may run ahead of the one that takes their results.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// Hands out the numbers 0 … `total` − 1 in order, at most `ahead` more than
/// have been [taken](Window::taken).
pub(super) struct Window {
    state: Mutex<State>,
    room: Condvar,
    total: u64,
    ahead: u64,
}

struct State {
    next: u64,
    taken: u64,
    phase: Phase,
}

#[derive(PartialEq, Eq)]
enum Phase {
    Open,
    Stopped,
}

impl Window {
    pub(super) fn new(total: u64, ahead: u64) -> Self {
        Self {
            state: Mutex::new(State {
                next: 0,
                taken: 0,
                phase: Phase::Open,
            }),
            room: Condvar::new(),
            total,
            ahead,
        }
    }

    /// The next number, once there is room; `None` at the end or after
    /// [`Window::stop`].
    pub(super) fn claim(&self) -> Option<u64> {
        let mut state = self.lock();
        while state.phase == Phase::Open
            && state.next < self.total
            && state.next - state.taken >= self.ahead
        {
            state = self
                .room
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if state.phase == Phase::Stopped || state.next == self.total {
            return None;
        }
        state.next += 1;
        Some(state.next - 1)
    }

    /// One more number has been dealt with.
    pub(super) fn taken(&self) {
        self.lock().taken += 1;
        self.room.notify_all();
    }

    /// Ends all claims.
    pub(super) fn stop(&self) {
        self.lock().phase = Phase::Stopped;
        self.room.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is whole after every statement, so a poisoned lock is usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_in_order_and_end() {
        let window = Window::new(3, 2);
        assert_eq!((window.claim(), window.claim()), (Some(0), Some(1)));
        window.taken();
        assert_eq!(window.claim(), Some(2));
        assert_eq!(window.claim(), None);
    }

    #[test]
    fn a_waiting_claim_gets_room_or_is_let_go() {
        let window = Window::new(9, 1);
        assert_eq!(window.claim(), Some(0));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| window.claim());
            window.taken();
            assert_eq!(waiting.join().unwrap(), Some(1));
            let waiting = scope.spawn(|| window.claim());
            window.stop();
            assert_eq!(waiting.join().unwrap(), None);
        });
    }
}
