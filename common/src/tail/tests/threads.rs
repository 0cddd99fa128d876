//! Processes that are threads of one.

use std::sync::{
    Mutex,
    mpsc::{Receiver, Sender, channel},
};

use crate::tail::{Collective, CollectiveError};

/// One of several threads that train together. A thread that ends early fails the others' sums.
pub(super) struct Rank {
    rank: usize,
    /// To every thread, itself included.
    to: Vec<Sender<Vec<f32>>>,
    /// From every thread.
    from: Mutex<Vec<Receiver<Vec<f32>>>>,
}

/// `size` of them.
pub(super) fn ranks(size: usize) -> Vec<Rank> {
    let mut to: Vec<Vec<_>> = (0..size).map(|_| Vec::new()).collect();
    let mut from: Vec<Vec<_>> = (0..size).map(|_| Vec::new()).collect();
    for to in &mut to {
        for from in &mut from {
            let (sender, receiver) = channel();
            to.push(sender);
            from.push(receiver);
        }
    }
    let pairs = to.into_iter().zip(from).enumerate();
    pairs
        .map(|(rank, (to, from))| Rank {
            rank,
            to,
            from: Mutex::new(from),
        })
        .collect()
}

impl Collective for Rank {
    fn rank(&self) -> usize {
        self.rank
    }

    fn size(&self) -> usize {
        self.to.len()
    }

    fn sum(&self, values: &mut [f32]) -> Result<(), CollectiveError> {
        let lost = || CollectiveError("a thread has ended".to_owned());
        for to in &self.to {
            to.send(values.to_vec()).map_err(|_| lost())?;
        }
        values.fill(0.0);
        for from in self.from.lock().unwrap().iter() {
            let part = from.recv().map_err(|_| lost())?;
            assert_eq!(part.len(), values.len(), "all sum equally many values");
            values.iter_mut().zip(part).for_each(|(sum, v)| *sum += v);
        }
        Ok(())
    }
}
