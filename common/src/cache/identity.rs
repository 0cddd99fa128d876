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

/// Characters of a value that a message shows.
const SHOWN_CHARACTERS: usize = 80;

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
    /// `fast` where large pictures were decoded at a smaller scale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<String>,
    /// Number type the backbone computed in: `f32`, `f16`, `bf16`, `int8`.
    pub precision: String,
    /// Number type the features are stored in.
    pub dtype: FeatureDtype,
    /// Views of each training image, the plain one included; 1 without augmentation.
    pub views: u8,
    /// How the views but the first are made: [`Augment::recipe`](crate::image::Augment::recipe).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub augment: Option<String>,
    /// Seed of the augmentation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// What an int8 backbone was calibrated on, and the scales that came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calibration: Option<Value>,
}

/// A field in which two identities differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Name of the field; `preprocessing.crop` for a nested one.
    pub field: String,
    /// Value on the left side, as canonical JSON; `none` where it is absent.
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
    /// SHA-256 of the canonical JSON (keys sorted, no spaces, floats as f32): 64
    /// hexadecimal digits.
    pub fn fingerprint(&self) -> String {
        sha256_hex(canonical(&self.to_value()).as_bytes())
    }

    /// Compares the fingerprint with the one that a file `recorded` beside the
    /// identity; what is said of a difference fits behind the file's name.
    pub(crate) fn check_fingerprint(&self, recorded: &str) -> Result<(), String> {
        let expected = self.fingerprint();
        if recorded == expected {
            return Ok(());
        }
        Err(format!(
            "fingerprint is {recorded}, its identity's is {expected}"
        ))
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

/// JSON with sorted keys, no spaces, and floats in their shortest f32 form.
fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
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
        Value::Number(number) => match number.as_f64() {
            // Recipes are f32; JSON readers may be off in a double's last digit.
            Some(float) if number.is_f64() && (float as f32).is_finite() => {
                text.push_str(&format!("{:?}", float as f32));
            }
            _ => text.push_str(&number.to_string()),
        },
        scalar => text.push_str(&scalar.to_string()),
    }
}

fn compare(field: &str, ours: Option<&Value>, theirs: Option<&Value>, found: &mut Vec<Difference>) {
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
    let shown = |value: Option<&Value>| value.map_or_else(|| "none".to_owned(), canonical);
    let (ours, theirs) = (shown(ours), shown(theirs));
    if ours != theirs {
        found.push(Difference {
            field: field.to_owned(),
            ours: shortened(ours),
            theirs: shortened(theirs),
        });
    }
}

/// The beginning of a list that nobody would read.
fn shortened(text: String) -> String {
    if text.chars().count() <= SHOWN_CHARACTERS {
        return text;
    }
    text.chars().take(SHOWN_CHARACTERS).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity() -> Identity {
        Identity {
            backbone: "resnet18".to_owned(),
            weights: "00".repeat(32),
            layers: vec!["avgpool".to_owned()],
            preprocessing: json!({"crop": 224, "mean": [0.485_f32, 0.456_f32, 0.406_f32]}),
            exif: "ignore".to_owned(),
            decoder: "zune-jpeg 0.5".to_owned(),
            decode: None,
            precision: "f32".to_owned(),
            dtype: FeatureDtype::F32,
            views: 1,
            augment: None,
            seed: None,
            calibration: None,
        }
    }

    #[test]
    fn fingerprint_is_the_same_for_ever() {
        // A change here makes every existing cache foreign.
        assert_eq!(
            canonical(&identity().to_value()),
            format!(
                r#"{{"backbone":"resnet18","decoder":"zune-jpeg 0.5","dtype":"f32","exif":"ignore","layers":["avgpool"],"precision":"f32","preprocessing":{{"crop":224,"mean":[0.485,0.456,0.406]}},"views":1,"weights":"{}"}}"#,
                "00".repeat(32)
            )
        );
    }

    #[test]
    fn fingerprint_ignores_the_order_of_keys_and_survives_a_file() {
        let original = identity();
        let mut other = identity();
        other.preprocessing = json!({"mean": [0.485_f32, 0.456_f32, 0.406_f32], "crop": 224});
        assert_eq!(original.fingerprint(), other.fingerprint());
        assert_eq!(original.differences(&other), []);
        let text = serde_json::to_string_pretty(&original).unwrap();
        let back: Identity = serde_json::from_str(&text).unwrap();
        assert_eq!(back.fingerprint(), original.fingerprint());
    }

    #[test]
    fn differences_name_nested_and_absent_fields_with_both_values() {
        let mut other = identity();
        other.backbone = "resnet50".to_owned();
        other.preprocessing["crop"] = json!(256);
        other.seed = Some(3);
        let shown: Vec<_> = identity()
            .differences(&other)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            shown,
            [
                r#"backbone is "resnet18", not "resnet50""#,
                "preprocessing.crop is 224, not 256",
                "seed is none, not 3",
            ]
        );
        assert_ne!(identity().fingerprint(), other.fingerprint());
    }
}
