//! Names against networks, with files made of empty-handed tensors.

use safetensors::{Dtype, tensor::TensorView};

use super::*;

fn file(tensors: &[(&str, &[usize])]) -> WeightFile {
    let data = vec![0_u8; 4 * 4096];
    let views = tensors.iter().map(|&(name, shape)| {
        let bytes = 4 * shape.iter().product::<usize>();
        let view = TensorView::new(Dtype::F32, shape.to_vec(), &data[..bytes]).unwrap();
        (name.to_owned(), view)
    });
    let bytes = safetensors::serialize(views, None).unwrap();
    WeightFile::from_bytes(bytes, "small.safetensors").unwrap()
}

fn parameters(parameters: &[(&str, &[usize])]) -> Vec<Parameter> {
    parameters
        .iter()
        .map(|&(name, shape)| Parameter {
            name: name.to_owned(),
            shape: shape.to_vec(),
        })
        .collect()
}

const RESNET: [(&str, &[usize]); 3] = [
    ("conv1.weight", &[8, 3, 7, 7]),
    ("bn1.running_mean", &[8]),
    ("layer1.0.conv1.weight", &[8, 8, 3, 3]),
];

fn bind_prefix(file: &WeightFile, required: &[(&str, &[usize])]) -> Result<String, Mismatch> {
    let expected = Expected {
        required: &parameters(required),
        optional: &["fc.", "classifier."],
    };
    match bind(file, &expected) {
        Ok(binding) => Ok(binding.prefix().to_owned()),
        Err(WeightError::Mismatch { mismatch, .. }) => Err(*mismatch),
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn classifier_and_counters_are_optional() {
    let mut tensors = RESNET.to_vec();
    assert_eq!(bind_prefix(&file(&tensors), &RESNET), Ok(String::new()));
    tensors.extend([
        ("fc.weight", &[5, 8][..]),
        ("fc.bias", &[5]),
        ("bn1.num_batches_tracked", &[]),
    ]);
    assert_eq!(bind_prefix(&file(&tensors), &RESNET), Ok(String::new()));
}

#[test]
fn wrapper_prefixes_are_recognised_and_told() {
    for prefix in ["module.", "backbone.", "features.", "module.backbone."] {
        let names = RESNET.map(|(name, shape)| (format!("{prefix}{name}"), shape));
        let mut tensors: Vec<(&str, &[usize])> = names
            .iter()
            .map(|(name, shape)| (name.as_str(), *shape))
            .collect();
        tensors.push(("fc.weight", &[5, 8]));
        let file = file(&tensors);
        assert_eq!(bind_prefix(&file, &RESNET).as_deref(), Ok(prefix));
        let required = parameters(&RESNET);
        let expected = Expected {
            required: &required,
            optional: &["fc."],
        };
        let binding = bind(&file, &expected).unwrap();
        assert_eq!(binding.read_f32("bn1.running_mean").unwrap(), [0.0; 8]);
    }
}

#[test]
fn genuine_features_names_are_not_stripped() {
    const MOBILENET: [(&str, &[usize]); 2] = [
        ("features.0.0.weight", &[4, 3, 3, 3]),
        ("features.0.1.bias", &[4]),
    ];
    assert_eq!(
        bind_prefix(&file(&MOBILENET), &MOBILENET),
        Ok(String::new())
    );
    let wrapped = [
        ("module.features.0.0.weight", MOBILENET[0].1),
        ("module.features.0.1.bias", MOBILENET[1].1),
    ];
    assert_eq!(
        bind_prefix(&file(&wrapped), &MOBILENET).as_deref(),
        Ok("module.")
    );
}

#[test]
fn missing_tensor_is_named() {
    let mismatch = bind_prefix(&file(&RESNET[..2]), &RESNET).unwrap_err();
    assert_eq!(mismatch.missing, ["layer1.0.conv1.weight"]);
    assert_eq!(mismatch.to_string(), "missing: `layer1.0.conv1.weight`");
}

#[test]
fn unexpected_tensors_are_named_and_counted() {
    let mut tensors = RESNET.to_vec();
    tensors.extend([
        ("neck.0.bias", &[1][..]),
        ("neck.1.bias", &[1]),
        ("neck.2.bias", &[1]),
        ("neck.3.bias", &[1]),
    ]);
    let mismatch = bind_prefix(&file(&tensors), &RESNET).unwrap_err();
    assert_eq!(mismatch.unexpected.len(), 4);
    assert_eq!(
        mismatch.to_string(),
        "unexpected: `neck.0.bias`, `neck.1.bias`, `neck.2.bias` and 1 more"
    );
}

#[test]
fn misshapen_tensor_is_named_with_both_shapes() {
    let mut tensors = RESNET;
    tensors[0].1 = &[8, 1, 7, 7];
    let mismatch = bind_prefix(&file(&tensors), &RESNET).unwrap_err();
    assert_eq!(
        mismatch.to_string(),
        "misshapen: `conv1.weight` is [8, 1, 7, 7], expected [8, 3, 7, 7]"
    );
}

#[test]
fn another_architecture_is_told_by_its_names() {
    let other = file(&[
        ("blocks.0.attn.qkv.weight", &[12, 4]),
        ("cls_token", &[1, 1, 4]),
    ]);
    let expected = Expected {
        required: &parameters(&RESNET),
        optional: &["fc."],
    };
    let message = bind(&other, &expected).unwrap_err().to_string();
    assert!(
        message.starts_with("weights `small.safetensors`: none of its names"),
        "{message}"
    );
    assert!(
        message.contains("found `blocks.0.attn.qkv.weight`, `cls_token`"),
        "{message}"
    );
    assert!(message.contains("expected `conv1.weight`"), "{message}");
}
