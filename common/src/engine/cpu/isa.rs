//! Which instruction set runs, and the one place where code is compiled for it.
//!
//! A plain `cargo build` targets the oldest x86-64; the functions here enable
//! newer instructions for the loop they are given, and detection at run time
//! decides which of them is called.

use std::fmt;

#[cfg(target_arch = "x86_64")]
use super::vector::{Avx2, Avx512};
use super::{
    int8::Integers,
    vector::{Portable, Simd},
};
use crate::instructions::ISA_VARIABLE;

/// An instruction set that this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Isa(Kind);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx512Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx512,
    #[cfg(target_arch = "x86_64")]
    Avx2Vnni,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Portable,
}

/// An instruction set that the machine lacks or that does not exist.
#[derive(Debug, thiserror::Error)]
#[error(
    "{ISA_VARIABLE}=`{name}` is not available (this machine has {})",
    available_names()
)]
pub struct UnknownIsa {
    name: String,
}

fn available_names() -> String {
    let names: Vec<_> = Isa::available().iter().map(Isa::to_string).collect();
    names.join(", ")
}

impl Isa {
    /// What this machine has, the fastest first.
    pub fn available() -> Vec<Self> {
        let mut all = Vec::new();
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 =
                avx2 && is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512bw");
            let sets = [
                (
                    avx512 && is_x86_feature_detected!("avx512vnni"),
                    Kind::Avx512Vnni,
                ),
                (avx512, Kind::Avx512),
                (avx2 && is_x86_feature_detected!("avxvnni"), Kind::Avx2Vnni),
                (avx2, Kind::Avx2),
            ];
            all.extend(sets.iter().filter(|set| set.0).map(|set| Self(set.1)));
        }
        all.push(Self(Kind::Portable));
        all
    }

    /// The set called `name`.
    ///
    /// # Errors
    /// [`UnknownIsa`], which lists the ones there are.
    pub fn named(name: &str) -> Result<Self, UnknownIsa> {
        Self::available()
            .into_iter()
            .find(|isa| isa.to_string() == name)
            .ok_or_else(|| UnknownIsa {
                name: name.to_owned(),
            })
    }

    /// What [`ISA_VARIABLE`] asks for, else the fastest.
    ///
    /// # Errors
    /// [`UnknownIsa`] when the variable names a set that the machine lacks.
    pub fn from_environment() -> Result<Self, UnknownIsa> {
        match std::env::var(ISA_VARIABLE) {
            Ok(name) if !name.is_empty() => Self::named(&name),
            _ => Ok(Self::available()[0]),
        }
    }

    /// Floats in a vector.
    pub(crate) fn lanes(self) -> usize {
        match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni | Kind::Avx512 => Avx512::<false>::LANES,
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2Vnni | Kind::Avx2 => Avx2::<false>::LANES,
            Kind::Portable => Portable::LANES,
        }
    }

    /// Rows of the micro-kernel for a panel of `vectors` vectors: what the
    /// register file holds as accumulators.
    pub(super) fn tile_rows(self, vectors: usize) -> usize {
        match (self.0, vectors) {
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx512Vnni | Kind::Avx512, _) => 14,
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx2Vnni | Kind::Avx2, 1) => 12,
            #[cfg(target_arch = "x86_64")]
            (Kind::Avx2Vnni | Kind::Avx2, _) => 6,
            (Kind::Portable, 1) => 12,
            (Kind::Portable, _) if cfg!(target_arch = "aarch64") => 12,
            (Kind::Portable, _) => 6,
        }
    }

    /// Runs `task` compiled for this set.
    pub(crate) fn run<T: Task>(self, task: T) {
        match self.0 {
            // SAFETY: an `Isa` of this kind exists only where the features
            // were detected.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni | Kind::Avx512 => unsafe { run_avx512(task) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2Vnni | Kind::Avx2 => unsafe { run_avx2(task) },
            Kind::Portable => run_portable(task),
        }
    }

    /// Runs `task` compiled for this set, its products of bytes included.
    pub(super) fn run_integers<T: IntegerTask>(self, task: T) {
        match self.0 {
            // SAFETY: an `Isa` of this kind exists only where the features
            // were detected.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni => unsafe { run_integers_avx512_vnni(task) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => unsafe { run_integers_avx512(task) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2Vnni => unsafe { run_integers_avx2_vnni(task) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => unsafe { run_integers_avx2(task) },
            Kind::Portable => run_integers_portable(task),
        }
    }

    /// Whether products of bytes are faster than products of 16-bit integers.
    pub(super) fn has_byte_products(self) -> bool {
        self.0 != Kind::Portable
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512Vnni => "avx512-vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx512 => "avx512",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2Vnni => "avx2-vnni",
            #[cfg(target_arch = "x86_64")]
            Kind::Avx2 => "avx2",
            Kind::Portable => "portable",
        })
    }
}

/// A loop over vectors. `run` must be `#[inline(always)]`.
pub(crate) trait Task {
    fn run<S: Simd>(self, simd: S);
}

/// A [`Task`] on integers.
pub(super) trait IntegerTask {
    fn run<S: Integers>(self, simd: S);
}

// Never inlined: merged into a larger function, the micro-kernel's
// accumulators are spilled to the stack.

macro_rules! compiled {
    ($($name:ident: $task:ident, $features:literal, $token:ty;)*) => {$(
        #[cfg(target_arch = "x86_64")]
        #[inline(never)]
        #[target_feature(enable = $features)]
        unsafe fn $name<T: $task>(task: T) {
            // SAFETY: this function's features include the token's.
            task.run(unsafe { <$token>::new() });
        }
    )*};
}

compiled! {
    run_avx512: Task, "avx512f,avx512bw,avx2,fma", Avx512<false>;
    run_avx2: Task, "avx2,fma", Avx2<false>;
    run_integers_avx512_vnni: IntegerTask, "avx512f,avx512bw,avx512vnni,avx2,fma", Avx512<true>;
    run_integers_avx512: IntegerTask, "avx512f,avx512bw,avx2,fma", Avx512<false>;
    run_integers_avx2_vnni: IntegerTask, "avx2,avxvnni,fma", Avx2<true>;
    run_integers_avx2: IntegerTask, "avx2,fma", Avx2<false>;
}

#[inline(never)]
fn run_portable<T: Task>(task: T) {
    task.run(Portable);
}

#[inline(never)]
fn run_integers_portable<T: IntegerTask>(task: T) {
    task.run(Portable);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_the_machine_lacks_is_refused_with_the_choices() {
        let error = Isa::named("avx9000").unwrap_err().to_string();
        assert!(error.contains("avx9000") && error.contains("portable"));
        assert_eq!(Isa::named("portable").unwrap().to_string(), "portable");
    }
}
