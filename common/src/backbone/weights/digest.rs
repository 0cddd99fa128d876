//! The identity of a set of weights.

use crate::digest::Hasher;

/// SHA-256 over the tensors in the given order: for each, the length of its
/// name, the name, the number of dimensions, the dimensions (all as u64,
/// little endian) and its row-major f32 values (little endian).
///
/// It depends on names, shapes and values only, so the same weights have the
/// same digest whichever container and element type they were read from.
pub fn tensor_digest<'a>(
    tensors: impl IntoIterator<Item = (&'a str, &'a [usize], &'a [f32])>,
) -> String {
    const BLOCK: usize = 4096;
    let mut hasher = Hasher::default();
    let mut block = Vec::with_capacity(BLOCK * size_of::<f32>());
    for (name, shape, values) in tensors {
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(&(shape.len() as u64).to_le_bytes());
        for &extent in shape {
            hasher.update(&(extent as u64).to_le_bytes());
        }
        for values in values.chunks(BLOCK) {
            block.clear();
            block.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            hasher.update(&block);
        }
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_tells_names_shapes_values_and_order_apart() {
        let values = [1.0, 2.0, 3.0, 4.0];
        let a: (&str, &[usize], &[f32]) = ("a", &[2, 2], &values);
        let base = tensor_digest([a, ("b", &[4], &values)]);
        assert_eq!(base, tensor_digest([a, ("b", &[4], &values)]));
        for other in [
            tensor_digest([("b", &[4][..], &values[..]), a]),
            tensor_digest([a, ("c", &[4], &values)]),
            tensor_digest([a, ("b", &[4, 1], &values)]),
            tensor_digest([a, ("b", &[4], &[1.0, 2.0, 3.0, 5.0])]),
            tensor_digest([a]),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn digest_of_a_small_tensor_is_the_documented_one() {
        // python3: hashlib.sha256(struct.pack('<Q1sQQQ2f', 1, b'w', 2, 1, 2, 0.5, -1)).hexdigest()
        assert_eq!(
            tensor_digest([("w", &[1, 2][..], &[0.5, -1.0][..])]),
            "3a9b2264493cbad79bdbae1ab4c663068505730a01a1449943e815c2f2b03beb"
        );
    }
}
