//! Weights on the Hugging Face Hub, written `hf:OWNER/NAME[@REVISION]/FILE`.
//!
//! Files are kept in the Hub's own cache (`HF_HOME`, else
//! `~/.cache/huggingface`), shared with its other clients; a file that is
//! there is used without any network.

use std::{
    fmt,
    path::PathBuf,
    str::FromStr,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

use hf_hub::{
    Cache, Repo, RepoType,
    api::sync::{Api, ApiBuilder, ApiError},
};

/// Beginning of an address on the Hub.
pub const SCHEME: &str = "hf:";

/// Branch that is used when the address names none.
pub const DEFAULT_REVISION: &str = "main";

/// Longest wait for the Hub's first answer. The client itself waits for ever.
pub const FIRST_ANSWER_TIMEOUT: Duration = Duration::from_secs(20);

/// Set to anything but `0`, no network is used, as in the Hub's own clients.
pub const OFFLINE_VARIABLE: &str = "HF_HUB_OFFLINE";

/// Folder of the Hub's cache.
pub const CACHE_VARIABLE: &str = "HF_HOME";

/// A file in a repository of the Hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubFile {
    /// `OWNER/NAME`.
    pub repo: String,
    /// Branch, tag or commit.
    pub revision: String,
    /// Path within the repository; may contain `/`.
    pub file: String,
}

/// Whether a download draws a progress bar on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A bar, if standard error is a terminal.
    Bar,
    /// Nothing.
    Silent,
}

/// Why a file of the Hub is not available.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The address is not of the documented form.
    #[error(
        "`{address}`: {reason} (expected `hf:OWNER/NAME/FILE` or `hf:OWNER/NAME@REVISION/FILE`)"
    )]
    Address {
        /// What was given.
        address: String,
        /// What is wrong.
        reason: &'static str,
    },

    /// There is no place for the cache.
    #[error("`{address}`: no home directory for the Hub's cache (set `{CACHE_VARIABLE}`)")]
    NoCache {
        /// The file.
        address: HubFile,
    },

    /// The Hub does not answer.
    #[error("`{address}`: the Hub cannot be reached (offline: download `{}` elsewhere and pass its path)", address.file)]
    Offline {
        /// The file.
        address: HubFile,
        /// What the client said, if it said anything in time.
        source: Option<ApiError>,
    },

    /// The Hub answered, and refused.
    #[error("`{address}`: the Hub refuses it (is the name right, and the repository public? otherwise download `{}` elsewhere and pass its path)", address.file)]
    Refused {
        /// The file.
        address: HubFile,
        /// The answer.
        source: ApiError,
    },

    /// The download began and broke off; it is resumed next time.
    #[error("`{address}`: the download broke off (run again to resume it)")]
    Interrupted {
        /// The file.
        address: HubFile,
        /// What the client said.
        source: ApiError,
    },

    /// The client itself failed.
    #[error("`{address}`: the Hub's client failed (download `{}` elsewhere and pass its path)", address.file)]
    Client {
        /// The file.
        address: HubFile,
    },
}

impl fmt::Display for HubFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{SCHEME}{}", self.repo)?;
        if self.revision != DEFAULT_REVISION {
            write!(formatter, "@{}", self.revision)?;
        }
        write!(formatter, "/{}", self.file)
    }
}

impl FromStr for HubFile {
    type Err = HubError;

    fn from_str(address: &str) -> Result<Self, HubError> {
        let wrong = |reason| HubError::Address {
            address: address.to_owned(),
            reason,
        };
        let path = address
            .strip_prefix(SCHEME)
            .ok_or_else(|| wrong("it does not begin with `hf:`"))?;
        let mut parts = path.splitn(3, '/');
        let (Some(owner), Some(name), Some(file)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(wrong("it has fewer than three parts"));
        };
        let (name, revision) = name.split_once('@').unwrap_or((name, DEFAULT_REVISION));
        if ![owner, name, revision]
            .into_iter()
            .chain(file.split('/'))
            .all(is_plain)
        {
            return Err(wrong(
                "a part is empty, is `.` or `..`, or has other characters than letters, digits, `-`, `_` and `.`",
            ));
        }
        Ok(Self {
            repo: format!("{owner}/{name}"),
            revision: revision.to_owned(),
            file: file.to_owned(),
        })
    }
}

/// Whether a part can neither leave the cache's folder nor change the URL.
fn is_plain(part: &str) -> bool {
    !matches!(part, "" | "." | "..")
        && part
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

impl HubFile {
    /// The path of the file in the local cache, downloading it first if it is
    /// not there. `HF_HOME`, `HF_ENDPOINT` and `HF_HUB_OFFLINE` are respected.
    ///
    /// # Errors
    /// When the file is not cached and the Hub cannot be reached within
    /// [`FIRST_ANSWER_TIMEOUT`], refuses it, or the download breaks off.
    pub fn fetch(&self, progress: Progress) -> Result<PathBuf, HubError> {
        let is_offline = std::env::var(OFFLINE_VARIABLE).is_ok_and(|v| !matches!(&*v, "" | "0"));
        // Without either, the client panics.
        if std::env::var_os(CACHE_VARIABLE).is_none() && std::env::home_dir().is_none() {
            return Err(HubError::NoCache {
                address: self.clone(),
            });
        }
        let builder = (!is_offline).then(ApiBuilder::from_env);
        self.fetch_with(&Cache::from_env(), builder, progress)
    }

    fn fetch_with(
        &self,
        cache: &Cache,
        builder: Option<ApiBuilder>,
        progress: Progress,
    ) -> Result<PathBuf, HubError> {
        if let Some(path) = cache.repo(self.repository()).get(&self.file) {
            return Ok(path);
        }
        let offline = |source| HubError::Offline {
            address: self.clone(),
            source,
        };
        let api = builder
            .ok_or_else(|| offline(None))?
            .with_progress(progress == Progress::Bar)
            .build()
            .map_err(|error| offline(Some(error)))?;
        self.download(api)
    }

    /// Runs the client in a thread: it has no time limits of its own, and its
    /// panics on odd answers end with the thread.
    fn download(&self, api: Api) -> Result<PathBuf, HubError> {
        let (answered, answer) = mpsc::channel();
        let (repository, file) = (api.repo(self.repository()), self.file.clone());
        let worker = thread::spawn(move || {
            let first = api.metadata(&repository.url(&file)).map(drop);
            let is_there = first.is_ok();
            // A receiver that is gone has stopped waiting: no download then.
            (answered.send(first).is_ok() && is_there).then(|| repository.download(&file))
        });
        let address = self.clone();
        match answer.recv_timeout(FIRST_ANSWER_TIMEOUT) {
            Ok(Ok(())) => {}
            Ok(Err(source)) if is_answer(&source) => {
                return Err(HubError::Refused { address, source });
            }
            Ok(Err(source)) => {
                let source = Some(source);
                return Err(HubError::Offline { address, source });
            }
            Err(RecvTimeoutError::Timeout) => {
                let source = None;
                return Err(HubError::Offline { address, source });
            }
            Err(RecvTimeoutError::Disconnected) => return Err(HubError::Client { address }),
        }
        match worker.join() {
            Ok(Some(Ok(path))) => Ok(path),
            Ok(Some(Err(source))) => Err(HubError::Interrupted { address, source }),
            Ok(None) | Err(_) => Err(HubError::Client { address }),
        }
    }

    fn repository(&self) -> Repo {
        Repo::with_revision(self.repo.clone(), RepoType::Model, self.revision.clone())
    }
}

/// Whether the error came from the Hub and not from the way to it.
fn is_answer(error: &ApiError) -> bool {
    match error {
        // The HTTP client's error type is not re-exported; this is how it
        // words a status code.
        ApiError::RequestError(error) => error.to_string().starts_with("http status"),
        ApiError::MissingHeader(_) | ApiError::InvalidHeader(_) | ApiError::ParseIntError(_) => {
            true
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
