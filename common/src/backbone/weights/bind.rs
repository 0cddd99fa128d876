//! Matching a file's names to a network's parameters.

use std::{collections::HashSet, fmt};

use super::{error::WeightError, file::WeightFile};

/// What wrappers put before the names of the model they wrap:
/// `DataParallel`, `torch.compile`, and attributes of a larger model. They may
/// follow each other, as in `module.backbone.`.
pub const RECOGNISED_PREFIXES: [&str; 5] =
    ["module.", "_orig_mod.", "model.", "backbone.", "features."];

/// Longest chain of recognised prefixes.
const MAX_CHAIN: usize = 3;

/// Names shown in a message; the rest is counted.
const SHOWN: usize = 3;

/// Counters that BatchNorm keeps and inference never uses.
const COUNTER_SUFFIX: &str = "num_batches_tracked";

/// A parameter or buffer of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Name as the network's definition has it.
    pub name: String,
    /// Extent of each dimension.
    pub shape: Vec<usize>,
}

/// What a network wants from a file.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    /// Every one of these must be there, in its shape.
    pub required: &'a [Parameter],
    /// Beginnings of names that may be there in any shape, such as `fc.`.
    /// BatchNorm's `num_batches_tracked` may always be there.
    pub optional: &'a [&'a str],
}

/// A file whose tensors are those of a network.
#[derive(Clone, Debug)]
pub struct Binding<'f> {
    file: &'f WeightFile,
    prefix: String,
}

impl<'f> Binding<'f> {
    /// What the file's names have before the network's, for instance
    /// `module.`; usually empty.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The file.
    pub fn file(&self) -> &'f WeightFile {
        self.file
    }

    /// Reads a tensor by the network's name for it, as
    /// [`WeightFile::read_f32`] does.
    ///
    /// # Errors
    /// As [`WeightFile::read_f32`].
    pub fn read_f32(&self, name: &str) -> Result<Vec<f32>, WeightError> {
        self.file.read_f32(&format!("{}{name}", self.prefix))
    }
}

/// A tensor of the right name and the wrong shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrong {
    /// The file's name for it.
    pub name: String,
    /// The network's shape.
    pub expected: Vec<usize>,
    /// The file's shape.
    pub found: Vec<usize>,
}

/// How a file's tensors differ from the network's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mismatch {
    /// The prefix under which most names match.
    pub prefix: String,
    /// Required names that the file lacks, without the prefix.
    pub missing: Vec<String>,
    /// Names in the file that the network does not know.
    pub unexpected: Vec<String>,
    /// Tensors of another shape than the network's.
    pub misshapen: Vec<Wrong>,
    /// Number of required names that the file has.
    pub matched: usize,
}

impl fmt::Display for Mismatch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.matched == 0 {
            return write!(
                formatter,
                "none of its names belong to this network: expected {}, found {} (is it another architecture?)",
                named(&self.missing),
                named(&self.unexpected)
            );
        }
        let mut parts = Vec::new();
        if !self.misshapen.is_empty() {
            let shapes: Vec<String> = self.misshapen.iter().map(Wrong::to_string).collect();
            parts.push(format!("misshapen: {}", listed(&shapes)));
        }
        if !self.missing.is_empty() {
            parts.push(format!("missing: {}", named(&self.missing)));
        }
        if !self.unexpected.is_empty() {
            parts.push(format!("unexpected: {}", named(&self.unexpected)));
        }
        formatter.write_str(&parts.join("; "))?;
        if !self.prefix.is_empty() {
            write!(formatter, " (after the prefix `{}`)", self.prefix)?;
        }
        Ok(())
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "`{}` is {:?}, expected {:?}",
            self.name, self.found, self.expected
        )
    }
}

fn named(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    listed(&quoted)
}

fn listed(items: &[String]) -> String {
    let shown = items[..items.len().min(SHOWN)].join(", ");
    match items.len().saturating_sub(SHOWN) {
        0 if items.is_empty() => "nothing".to_owned(),
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

/// Checks that the file has every required tensor in its shape and nothing
/// that the network does not know, under the recognised prefix (or none) that
/// makes most names match.
///
/// # Errors
/// [`WeightError::Mismatch`] when a tensor is missing, unexpected or misshapen.
pub fn bind<'f>(file: &'f WeightFile, expected: &Expected<'_>) -> Result<Binding<'f>, WeightError> {
    let prefix = best_prefix(file, expected.required);
    let mismatch = compare(file, expected, &prefix);
    let fits = mismatch.missing.is_empty()
        && mismatch.unexpected.is_empty()
        && mismatch.misshapen.is_empty();
    if fits {
        return Ok(Binding { file, prefix });
    }
    Err(WeightError::Mismatch {
        path: file.path().to_owned(),
        mismatch: Box::new(mismatch),
    })
}

/// The shortest of the prefixes under which most required names are found. No
/// prefix wins a tie: MobileNetV2's own names begin with `features.`.
fn best_prefix(file: &WeightFile, required: &[Parameter]) -> String {
    let mut prefixes: Vec<&str> = file.names().flat_map(prefix_chain).collect();
    prefixes.sort_unstable_by_key(|prefix| (prefix.len(), *prefix));
    prefixes.dedup();
    let matches = |prefix: &str| {
        required
            .iter()
            .filter(|parameter| file.info(&format!("{prefix}{}", parameter.name)).is_some())
            .count()
    };
    let mut best = ("", matches(""));
    for prefix in prefixes {
        let count = matches(prefix);
        if count > best.1 {
            best = (prefix, count);
        }
    }
    best.0.to_owned()
}

/// Every chain of recognised prefixes that the name begins with.
fn prefix_chain(name: &str) -> impl Iterator<Item = &str> {
    let mut end = 0;
    (0..MAX_CHAIN).map_while(move |_| {
        let next = RECOGNISED_PREFIXES
            .iter()
            .find(|prefix| name[end..].starts_with(**prefix))?;
        end += next.len();
        Some(&name[..end])
    })
}

fn compare(file: &WeightFile, expected: &Expected<'_>, prefix: &str) -> Mismatch {
    let mut mismatch = Mismatch {
        prefix: prefix.to_owned(),
        ..Mismatch::default()
    };
    let mut known = HashSet::new();
    for parameter in expected.required {
        let name = format!("{prefix}{}", parameter.name);
        match file.info(&name) {
            None => mismatch.missing.push(parameter.name.clone()),
            Some(info) if info.shape != parameter.shape => mismatch.misshapen.push(Wrong {
                name: name.clone(),
                expected: parameter.shape.clone(),
                found: info.shape.clone(),
            }),
            Some(_) => {}
        }
        known.insert(name);
    }
    mismatch.matched = expected.required.len() - mismatch.missing.len();
    let is_optional = |name: &str| {
        let bare = name.strip_prefix(prefix).unwrap_or(name);
        bare.rsplit('.').next() == Some(COUNTER_SUFFIX)
            || expected
                .optional
                .iter()
                .any(|start| bare.starts_with(start) || name.starts_with(start))
    };
    mismatch.unexpected = file
        .names()
        .filter(|name| !known.contains(*name) && !is_optional(name))
        .map(str::to_owned)
        .collect();
    mismatch
}

#[cfg(test)]
mod tests;
