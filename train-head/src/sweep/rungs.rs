//! Where the worse trials of a round are ended (successive halving; Jamieson and Talwalkar, 2016).

/// Shares of the epochs after which it is done.
const SHARES: [f64; 3] = [1.0 / 8.0, 1.0 / 4.0, 1.0 / 2.0];

/// The epochs after which it is done, of `epochs` in all; 0 where they are too few.
pub(super) fn rungs(epochs: u32) -> [u32; 3] {
    SHARES.map(|share| (f64::from(epochs) * share).floor() as u32)
}

/// How many of `trials` go on after rung `rung`, counted from 0, where `survivors` is their share.
pub(super) fn kept(trials: usize, survivors: f64, rung: usize) -> usize {
    let share = survivors.powi(rung as i32 + 1);
    (trials as f64 * share).ceil() as usize
}
