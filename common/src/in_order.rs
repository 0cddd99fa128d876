//! Numbered pieces of work on several threads, their results taken in order.
//!
//! Each thread does the next piece that nobody has; the caller gets the results
//! by number. Threads are at different points at any time, so reading,
//! computing, and what the caller does with results overlap; a window
//! bounds how far threads may run ahead, and with it the memory.

mod window;

use std::{
    collections::BTreeMap,
    sync::mpsc::{self, Receiver},
    thread,
};

use crate::{exit::Exit, interrupt::Interrupt};

use self::window::Window;

/// Pieces that threads may be ahead of the caller, for each thread.
pub const PIECES_AHEAD: u64 = 4;

/// The work as a whole.
pub struct Pieces<'a> {
    /// Pieces 0 … `count` − 1.
    pub count: u64,
    /// Threads at most.
    pub threads: usize,
    /// Looked at before each piece: no further one is begun once it is set.
    pub interrupt: &'a Interrupt,
}

/// Does the pieces. Each thread calls `start` once for what it works with and
/// the result of that for each of its pieces; `take` gets the results on the
/// calling thread, in order. Returns the signal that ended the work before its
/// last piece.
///
/// # Errors
/// The first error of `start`, a piece, or `take`; no further result is taken.
pub fn work<T, E, W>(
    pieces: &Pieces<'_>,
    start: impl Fn() -> Result<W, E> + Sync,
    take: impl FnMut(u64, T) -> Result<(), E>,
) -> Result<Option<Exit>, E>
where
    T: Send,
    E: Send,
    W: FnMut(u64) -> Result<T, E>,
{
    let threads = (pieces.threads.max(1) as u64).min(pieces.count.max(1));
    let window = Window::new(pieces.count, PIECES_AHEAD * threads);
    let (sender, receiver) = mpsc::sync_channel(threads as usize);
    thread::scope(|scope| {
        for _ in 0..threads {
            let sender = sender.clone();
            let (window, start) = (&window, &start);
            scope.spawn(move || {
                // A result is refused only once the caller has an error of its own.
                let mut step = match start() {
                    Ok(step) => step,
                    Err(error) => return drop(sender.send((0, Err(error)))),
                };
                while pieces.interrupt.received().is_none() {
                    let Some(piece) = window.claim() else {
                        return;
                    };
                    if sender.send((piece, step(piece))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let result = take_in_order(&receiver, &window, take);
        // Threads that wait for room, or to send, are let go.
        window.stop();
        drop(receiver);
        let is_whole = result? == pieces.count;
        Ok(pieces.interrupt.received().filter(|_| !is_whole))
    })
}

/// Takes what the threads send until they are all gone; says how much it was.
fn take_in_order<T, E>(
    results: &Receiver<(u64, Result<T, E>)>,
    window: &Window,
    mut take: impl FnMut(u64, T) -> Result<(), E>,
) -> Result<u64, E> {
    let mut early = BTreeMap::new();
    let mut next = 0;
    while let Ok((piece, result)) = results.recv() {
        early.insert(piece, result?);
        while let Some(result) = early.remove(&next) {
            take(next, result)?;
            window.taken();
            next += 1;
        }
    }
    Ok(next)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    fn pieces(interrupt: &Interrupt) -> Pieces<'_> {
        Pieces {
            count: 100,
            threads: 3,
            interrupt,
        }
    }

    #[test]
    fn results_come_in_order_and_never_further_ahead_than_allowed() {
        let interrupt = Interrupt::default();
        let (begun, done) = (AtomicU64::new(0), AtomicU64::new(0));
        let start = || {
            Ok::<_, String>(|piece| {
                begun.fetch_add(1, Ordering::SeqCst);
                Ok(piece * piece)
            })
        };
        let mut taken = Vec::new();
        let stopped = work(&pieces(&interrupt), start, |piece, square| {
            let ahead = begun.load(Ordering::SeqCst) - done.fetch_add(1, Ordering::SeqCst);
            assert!(ahead <= PIECES_AHEAD * 3, "{ahead}");
            taken.push((piece, square));
            Ok(())
        });
        assert_eq!(stopped, Ok(None));
        let expected: Vec<_> = (0..100).map(|piece| (piece, piece * piece)).collect();
        assert_eq!(taken, expected);
    }

    #[test]
    fn errors_of_every_kind_end_the_work() {
        let interrupt = Interrupt::default();
        let pieces = pieces(&interrupt);
        let fine = || Ok(Ok::<u64, &str>);
        let failed = work(
            &pieces,
            || Err::<fn(u64) -> Result<u64, _>, _>("start"),
            |_, _| Ok(()),
        );
        assert_eq!(failed, Err("start"));
        let odd = || Ok(|piece| if piece == 7 { Err("piece") } else { Ok(piece) });
        assert_eq!(work(&pieces, odd, |_, _| Ok(())), Err("piece"));
        let mut taken = 0;
        let failed = work(&pieces, fine, |piece, _| {
            taken += 1;
            if piece == 9 { Err("take") } else { Ok(()) }
        });
        assert_eq!((failed, taken), (Err("take"), 10));
    }

    #[test]
    fn a_signal_ends_the_work_after_the_pieces_that_were_begun() {
        let interrupt = Interrupt::default();
        let start = || {
            Ok::<_, String>(|piece| {
                if piece == 20 {
                    interrupt.pretend(Exit::Terminated);
                }
                Ok(piece)
            })
        };
        let mut taken = 0;
        let stopped = work(&pieces(&interrupt), start, |_, _| {
            taken += 1;
            Ok(())
        });
        assert_eq!(stopped, Ok(Some(Exit::Terminated)));
        assert!((21..=20 + PIECES_AHEAD * 3).contains(&taken), "{taken}");
    }
}
