//! The user's say in which vector instructions run.

/// Environment variable that forces an instruction set: `avx512-vnni`, `avx512`,
/// `avx2-vnni`, `avx2` or `portable`. One that the machine lacks is refused.
pub const ISA_VARIABLE: &str = "HEADSTART_ISA";
