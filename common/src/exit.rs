//! Exit codes of both binaries, in one place.

/// Why a run ended, as the shell sees it.
///
/// | code | meaning |
/// |---|---|
/// | 0 | success |
/// | 1 | the machine failed: disk full, file not writable, internal error |
/// | 2 | the command line is wrong |
/// | 3 | the input is unusable: source, image, weights, cache or run |
/// | 4 | identity mismatch: the cache, backbone and head do not belong together |
/// | 5 | more inputs were rejected than `--max-rejects` allows |
/// | 6 | `verify` found missing or damaged files |
/// | 7 | the device asked for is not available |
/// | 130, 143 | stopped by SIGINT or SIGTERM; the same command resumes |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Success.
    Success = 0,
    /// The machine failed: disk full, file not writable, internal error.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// The input is unusable.
    Input = 3,
    /// Cache, backbone and head do not belong together.
    Mismatch = 4,
    /// More rejects than allowed.
    Rejects = 5,
    /// `verify` found damage.
    Damage = 6,
    /// The device asked for is not available.
    Device = 7,
    /// Stopped by SIGINT.
    Interrupted = 130,
    /// Stopped by SIGTERM.
    Terminated = 143,
}

impl From<Exit> for std::process::ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
