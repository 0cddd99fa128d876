//! Running the real binaries in temporary directories.
//!
//! Each test makes a [`Workbench`], a directory of its own, and looks at exit
//! codes, output and files as a user would.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use tempfile::TempDir;

/// A temporary directory with the two programs at hand.
pub struct Workbench {
    directory: TempDir,
}

/// What a program left behind when it ended.
#[derive(Debug)]
pub struct Ended {
    /// Exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Workbench {
    /// An empty directory.
    ///
    /// # Panics
    /// When the system has no room for one.
    #[expect(
        clippy::expect_used,
        reason = "a test cannot go on without its directory"
    )]
    pub fn new() -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        Self { directory }
    }

    /// A path in the directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// `extract` with `arguments`, run in the directory.
    pub fn extract(&self, arguments: &[&str]) -> Ended {
        self.command("extract", arguments).run()
    }

    /// `train-head` with `arguments`, run in the directory.
    pub fn train_head(&self, arguments: &[&str]) -> Ended {
        self.command("train-head", arguments).run()
    }

    /// A program that is not run yet.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary(program));
        command.args(arguments).current_dir(self.directory.path());
        // A test that itself runs as an array task is not a shard.
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy();
            if name.starts_with("SLURM_") || name.starts_with("JOB_COMPLETION") {
                command.env_remove(&*name);
            }
        }
        command
    }
}

impl Default for Workbench {
    fn default() -> Self {
        Self::new()
    }
}

/// Runs a command to its end.
pub trait Run {
    /// Runs it and gathers what it said.
    fn run(&mut self) -> Ended;
}

impl Run for Command {
    #[expect(
        clippy::expect_used,
        reason = "a test cannot go on without the program"
    )]
    fn run(&mut self) -> Ended {
        self.output().expect("the program starts").into()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ended {
    /// Asserts the exit code and returns what was said, for more.
    ///
    /// # Panics
    /// When the program ended otherwise.
    #[track_caller]
    pub fn exited(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        self
    }

    /// Asserts that standard error holds every one of `words`.
    ///
    /// # Panics
    /// When one is missing.
    #[track_caller]
    pub fn saying(self, words: &[&str]) -> Self {
        for word in words {
            assert!(self.stderr.contains(word), "no `{word}` in {self:#?}");
        }
        self
    }
}

/// A path in the repository's `data/`.
pub fn data_path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../data")
        .join(name)
}

/// Every file below `folder`: path relative to it and content, sorted.
///
/// # Panics
/// When the folder cannot be read.
#[expect(clippy::expect_used, reason = "a test cannot go on without the files")]
pub fn files_below(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).expect("a readable folder") {
            let path = entry.expect("a readable entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("a path below").to_owned();
                files.push((name, fs::read(&path).expect("a readable file")));
            }
        }
    }
    files.sort();
    files
}

/// The program, built in the profile that the tests were built in.
fn binary(program: &str) -> PathBuf {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(build_binaries).join(program)
}

/// Builds the programs unless they are fresh. `cargo test --workspace` has
/// built them, since their packages have tests of their own; the same command
/// finds that out in a moment, while another would choose other features of
/// the dependencies and build those again.
#[expect(
    clippy::expect_used,
    reason = "a test cannot go on without the programs"
)]
fn build_binaries() -> PathBuf {
    // The test itself is `target/PROFILE/deps/NAME`.
    let test = std::env::current_exe().expect("the test has a path");
    let folder = test
        .ancestors()
        .nth(2)
        .expect("a profile folder")
        .to_owned();
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        Some("debug") | None => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(env!("CARGO"));
    // What cargo says of this package would make build scripts that look at it run again, and
    // all that depends on them.
    let own = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(own) {
            cargo.env_remove(name);
        }
    }
    let status = cargo
        .args([
            "test",
            "--quiet",
            "--workspace",
            "--no-run",
            "--profile",
            profile,
        ])
        .arg("--target-dir")
        .arg(folder.parent().expect("a target folder"))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .expect("cargo starts");
    assert!(status.success(), "the programs do not build");
    folder
}
