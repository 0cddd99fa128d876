//! stub
/// s
#[derive(Clone, Debug, PartialEq)]
pub enum Resize {
    /// s
    ShortSide(u32),
}
/// s
#[derive(Clone, Debug, PartialEq)]
pub enum Interpolation {
    /// s
    Bilinear,
    /// s
    Bicubic,
}
/// s
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// s
    pub resize: Resize,
    /// s
    pub crop: u32,
    /// s
    pub interpolation: Interpolation,
    /// s
    pub mean: [f32; 3],
    /// s
    pub std: [f32; 3],
}
impl Preprocess {
    /// s
    pub fn imagenet() -> Self {
        Self {
            resize: Resize::ShortSide(256),
            crop: 224,
            interpolation: Interpolation::Bilinear,
            mean: [0.485, 0.456, 0.406],
            std: [0.229, 0.224, 0.225],
        }
    }
}
