//! Seeded random streams. Every random choice of the project comes from a
//! stream with a name, so that two uses of one seed never share numbers and
//! the same seed gives the same bytes on every machine.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

/// The stream `name` of `seed`: ChaCha8 keyed by SHA-256(seed ‖ name).
pub fn stream(seed: u64, name: &str) -> ChaCha8Rng {
    let mut hasher = Sha256::new();
    hasher.update(seed.to_le_bytes());
    hasher.update(name.as_bytes());
    ChaCha8Rng::from_seed(hasher.finalize().into())
}

#[cfg(test)]
mod tests {
    use rand::Rng;

    use super::*;

    #[test]
    fn streams_repeat_and_differ_by_name_and_seed() {
        let draw = |seed, name| stream(seed, name).random::<u64>();
        assert_eq!(draw(1, "shuffle"), draw(1, "shuffle"));
        assert_ne!(draw(1, "shuffle"), draw(1, "init"));
        assert_ne!(draw(1, "shuffle"), draw(2, "shuffle"));
    }
}
