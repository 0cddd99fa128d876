//! What makes two caches' features interchangeable.
//!
//! Everything that changes the numbers is a field here and nothing else is: the
//! number of threads, shards, or the batch size, a path, or a date would make
//! equal caches look different.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::FeatureDtype;
use crate::digest::sha256_hex;

/// What the features are made of.
///
/// A field added later is an `Option` that is skipped when `None`, so that the
/// fingerprints of existing caches stay.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// Architecture, for example `resnet18`.
    pub backbone: String,
    /// SHA-256 of the weights' content.
    pub weights: String,
    /// Names of the cached layers, in order.
    pub layers: Vec<String>,
    /// The preprocessing recipe.
    pub preprocessing: Value,
    /// EXIF policy: `ignore` or `apply`.
    pub exif: String,
    /// Names and versions of the image decoders.
    pub decoder: String,
    /// Number type the backbone computed in: `f32`, `f16`, `bf16`, `int8`.
    pub precision: String,
    /// Number type the features are stored in.
    pub dtype: FeatureDtype,
    /// Views of each image; 1 without augmentation.
    pub views: u8,
    /// Augmentation recipe of the views.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<String>,
    /// Seed of the augmentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
}

/// A field in which two identities differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Name of the field; `preprocessing.crop` for a nested one.
    pub field: String,
    /// Value on the left side, as JSON; `none` where it is absent.
    pub ours: String,
    /// Value on the right side.
    pub theirs: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} is {}, not {}",
            self.field, self.ours, self.theirs
        )
    }
}

impl Identity {
    /// SHA-256 of the canonical JSON (keys sorted, no spaces): 64 hexadecimal
    /// digits.
    pub fn fingerprint(&self) -> String {
        let mut text = String::new();
        write_canonical(&self.to_value(), &mut text);
        sha256_hex(text.as_bytes())
    }

    /// Every field in which `self` (ours) and `other` (theirs) differ, nested
    /// fields one by one; empty exactly when the fingerprints agree.
    pub fn differences(&self, other: &Self) -> Vec<Difference> {
        let mut found = Vec::new();
        compare(
            "",
            Some(&self.to_value()),
            Some(&other.to_value()),
            &mut found,
        );
        found
    }

    fn to_value(&self) -> Value {
        // Serialising can only fail on maps whose keys are not strings; the only
        // map here is a `Value`, whose keys are.
        serde_json::to_value(self).unwrap_or(Value::Null)
    }
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<_> = map.keys().collect();
            keys.sort_unstable();
            text.push('{');
            for (position, key) in keys.into_iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write_canonical(&Value::from(key.as_str()), text);
                text.push(':');
                write_canonical(&map[key], text);
            }
            text.push('}');
        }
        Value::Array(items) => {
            text.push('[');
            for (position, item) in items.iter().enumerate() {
                if position > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn compare(field: &str, ours: Option<&Value>, theirs: Option<&Value>, found: &mut Vec<Difference>) {
    if ours == theirs {
        return;
    }
    if let (Some(Value::Object(left)), Some(Value::Object(right))) = (ours, theirs) {
        let only_right = right.keys().filter(|key| !left.contains_key(*key));
        for key in left.keys().chain(only_right) {
            let nested = if field.is_empty() {
                key.clone()
            } else {
                format!("{field}.{key}")
            };
            compare(&nested, left.get(key), right.get(key), found);
        }
        return;
    }
    let shown = |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), Value::to_string);
    found.push(Difference {
        field: field.to_owned(),
        ours: shown(ours),
        theirs: shown(theirs),
    });
}
