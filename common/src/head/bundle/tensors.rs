//! The content of `head.safetensors`.

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::RunRecord;
use crate::head::Head;

/// The head's parameters and, as metadata, what a foreign reader must know to
/// apply them.
pub(super) fn to_bytes(head: &Head, record: &RunRecord) -> Result<Vec<u8>, String> {
    let values: Vec<_> = named(head)
        .map(|(name, shape, values)| {
            let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
            (name, shape, bytes)
        })
        .collect();
    let mut views = Vec::with_capacity(values.len());
    for (name, shape, bytes) in &values {
        let view = TensorView::new(Dtype::F32, shape.clone(), bytes)
            .map_err(|error| format!("tensor `{name}`: {error}"))?;
        views.push((name, view));
    }
    // One entry only: the header's map has no stable order, and the same seed
    // must give the same bytes.
    let metadata = HashMap::from([("headstart".to_owned(), metadata(record).to_string())]);
    safetensors::serialize(views, Some(metadata)).map_err(|error| error.to_string())
}

fn metadata(record: &RunRecord) -> serde_json::Value {
    let mut metadata = serde_json::json!({
        "format_version": record.format_version,
        "backbone": record.identity.backbone,
        "layer": record.layer,
        "fingerprint": record.fingerprint,
        "normalise_features": record.normalise_features,
        "temperature": record.temperature,
        "classes": record.classes,
    });
    if !record.task.is_single_label() {
        metadata["task"] = serde_json::json!(record.task);
    }
    metadata
}

/// Reads the parameters back; every tensor must be there, none may be left over.
pub(super) fn from_bytes(bytes: &[u8], record: &RunRecord) -> Result<Head, String> {
    let file = SafeTensors::deserialize(bytes)
        .map_err(|error| format!("not a safetensors file: {error}"))?;
    let mut head = Head::zeros(record.head, record.features, record.classes.len());
    let expected: Vec<_> = named(&head).map(|(name, shape, _)| (name, shape)).collect();
    for name in file.names() {
        if !expected.iter().any(|(known, _)| known == name) {
            return Err(format!("unexpected tensor `{name}`"));
        }
    }
    let layers = head.layers_mut().iter_mut();
    let targets = layers.flat_map(|layer| [&mut layer.weight, &mut layer.bias]);
    for ((name, shape), target) in expected.into_iter().zip(targets) {
        let tensor = file
            .tensor(&name)
            .map_err(|_| format!("tensor `{name}` is missing"))?;
        if tensor.dtype() != Dtype::F32 || tensor.shape() != shape {
            return Err(format!(
                "tensor `{name}` is {:?} {:?}, expected F32 {shape:?}",
                tensor.dtype(),
                tensor.shape()
            ));
        }
        for (value, bytes) in target.iter_mut().zip(tensor.data().chunks_exact(4)) {
            *value = f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
    }
    if head.is_finite() {
        Ok(head)
    } else {
        Err("a parameter is NaN or infinite".to_owned())
    }
}

/// Every parameter with torchvision's name and shape.
fn named(head: &Head) -> impl Iterator<Item = (String, Vec<usize>, &[f32])> {
    let layers = head.kind().layer_names().iter().zip(head.layers());
    layers.flat_map(|(name, layer)| {
        [
            (
                format!("{name}.weight"),
                vec![layer.outputs, layer.inputs],
                &layer.weight[..],
            ),
            (format!("{name}.bias"), vec![layer.outputs], &layer.bias[..]),
        ]
    })
}
