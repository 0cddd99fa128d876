//! stub
/// stub
pub fn digest<'a>(tensors: impl Iterator<Item = (&'a str, &'a [usize], &'a [f32])>) -> String {
    let mut hasher = crate::digest::Hasher::default();
    for (name, shape, values) in tensors {
        hasher.update(name.as_bytes());
        for d in shape {
            hasher.update(&(*d as u64).to_le_bytes());
        }
        for v in values {
            hasher.update(&v.to_le_bytes());
        }
    }
    hasher.finish()
}
