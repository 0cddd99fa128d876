//! Tensors as a safetensors file.

use std::collections::HashMap;

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::{Tensor, Tensors};

/// Name of the one entry of metadata: the header's map has no stable order, and the same
/// tensors must give the same bytes.
const METADATA: &str = "headstart";

impl Tensors {
    /// The bytes of a safetensors file with `metadata`, and whole numbers (`counters`) as `I64` scalars.
    ///
    /// # Errors
    /// When a tensor's values are not as many as its shape says.
    pub fn to_safetensors(
        &self,
        counters: &[(String, i64)],
        metadata: &str,
    ) -> Result<Vec<u8>, String> {
        let floats = self.iter().map(|tensor| {
            let bytes = tensor.values.iter().flat_map(|value| value.to_le_bytes());
            let bytes: Vec<u8> = bytes.collect();
            (&tensor.name, Dtype::F32, tensor.shape.clone(), bytes)
        });
        let counters = counters
            .iter()
            .map(|(name, count)| (name, Dtype::I64, Vec::new(), count.to_le_bytes().to_vec()));
        let contents: Vec<_> = floats.chain(counters).collect();
        let views = contents.iter().map(|(name, dtype, shape, bytes)| {
            let view = TensorView::new(*dtype, shape.clone(), bytes);
            view.map(|view| (*name, view))
                .map_err(|error| format!("tensor `{name}`: {error}"))
        });
        let views: Vec<_> = views.collect::<Result<_, _>>()?;
        let metadata = HashMap::from([(METADATA.to_owned(), metadata.to_owned())]);
        safetensors::serialize(views, Some(metadata)).map_err(|error| error.to_string())
    }

    /// The F32 tensors of a safetensors file in the order of their names, and its metadata.
    ///
    /// # Errors
    /// When the bytes are no safetensors file with our metadata.
    pub fn from_safetensors(bytes: &[u8]) -> Result<(Self, String), String> {
        let foreign = |error| format!("not a safetensors file: {error}");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(foreign)?;
        let metadata = header.metadata().as_ref().and_then(|map| map.get(METADATA));
        let metadata = metadata.ok_or("not written by this program")?.clone();
        let file = SafeTensors::deserialize(bytes).map_err(foreign)?;
        let mut tensors: Vec<Tensor> = Vec::new();
        for (name, view) in file.iter().filter(|(_, view)| view.dtype() == Dtype::F32) {
            let (values, _) = view.data().as_chunks::<4>();
            tensors.push(Tensor {
                name: name.to_owned(),
                shape: view.shape().to_vec(),
                values: values
                    .iter()
                    .map(|bytes| f32::from_le_bytes(*bytes))
                    .collect(),
            });
        }
        tensors.sort_by(|a, b| a.name.cmp(&b.name));
        Ok((tensors.into_iter().collect(), metadata))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_come_back_bit_for_bit_and_foreign_files_are_refused() {
        let tensor = |name: &str, values: &[f32]| Tensor {
            name: name.to_owned(),
            shape: vec![values.len()],
            values: values.to_vec(),
        };
        let tensors: Tensors = [tensor("a", &[1.5, -0.0]), tensor("b", &[f32::MIN_POSITIVE])]
            .into_iter()
            .collect();
        let bytes = tensors
            .to_safetensors(&[("n".to_owned(), 3)], "about")
            .unwrap();
        let (back, metadata) = Tensors::from_safetensors(&bytes).unwrap();
        assert_eq!((back, metadata.as_str()), (tensors, "about"));
        for cut in [0, 7, bytes.len() / 2, bytes.len() - 1] {
            assert!(Tensors::from_safetensors(&bytes[..cut]).is_err(), "{cut}");
        }
    }
}
