//! Which vector instructions the loops over pixels use.

use crate::instructions::ISA_VARIABLE;

/// AVX2, or plain Rust. One that says AVX2 exists only where the machine has it:
/// that is what calls of the `avx2` modules rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Vectors(Kind);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    #[cfg(target_arch = "x86_64")]
    Avx2,
    Plain,
}

impl Vectors {
    /// Plain Rust, on every machine.
    pub(crate) const PLAIN: Self = Self(Kind::Plain);

    /// The fastest that this machine has and [`ISA_VARIABLE`] allows. All give the
    /// same bytes, so a name that does not exist is left for the engine to refuse.
    pub(crate) fn from_environment() -> Self {
        match std::env::var_os(ISA_VARIABLE) {
            Some(name) if name == "portable" => Self::PLAIN,
            _ => Self::fastest(),
        }
    }

    fn fastest() -> Self {
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            return Self(Kind::Avx2);
        }
        Self::PLAIN
    }

    /// Everything that this machine has.
    #[cfg(test)]
    pub(crate) fn available() -> Vec<Self> {
        let mut all = vec![Self::PLAIN, Self::fastest()];
        all.dedup();
        all
    }

    /// Whether the machine has AVX2 and it is to be used.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn has_avx2(self) -> bool {
        self == Self(Kind::Avx2)
    }
}
