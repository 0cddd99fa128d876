//! How far a tensor is from the head, in blocks: what discriminative learning rates go by.

/// The block that a tensor belongs to: its name up to the end of the first run of numbers
/// (`layer4.1`, `features.17`, `_blocks.15`), or up to its last dot.
pub(super) fn block(name: &str) -> &str {
    let is_number = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let (mut end, mut numbered) = (0, false);
    for part in name.split('.') {
        if numbered && !is_number(part) {
            return &name[..end];
        }
        numbered |= is_number(part);
        end += part.len() + usize::from(end > 0);
    }
    if numbered {
        return name;
    }
    name.rsplit_once('.').map_or(name, |(block, _)| block)
}

/// For each of `names`, which stand in execution order, the number of blocks between it and the head,
/// the last block being 1.
pub(super) fn depths<'a>(names: impl Iterator<Item = &'a str>) -> Vec<usize> {
    let mut blocks: Vec<&str> = Vec::new();
    let numbers: Vec<usize> = names
        .map(|name| {
            let block = block(name);
            blocks
                .iter()
                .position(|known| *known == block)
                .unwrap_or_else(|| {
                    blocks.push(block);
                    blocks.len() - 1
                })
        })
        .collect();
    numbers
        .into_iter()
        .map(|number| blocks.len() - number)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_end_behind_their_number() {
        for (name, expected) in [
            ("layer4.1.bn2.weight", "layer4.1"),
            ("layer4.0.downsample.0.weight", "layer4.0"),
            ("features.17.conv.0.0.weight", "features.17"),
            ("_blocks.15._bn0.bias", "_blocks.15"),
            ("_conv_head.weight", "_conv_head"),
            ("conv1.weight", "conv1"),
        ] {
            assert_eq!(block(name), expected);
        }
    }

    #[test]
    fn depth_counts_blocks_from_the_head() {
        let names = [
            "layer3.1.conv1.weight",
            "layer4.0.conv1.weight",
            "layer4.0.bn1.bias",
            "layer4.1.conv1.weight",
        ];
        assert_eq!(depths(names.into_iter()), [3, 2, 2, 1]);
    }
}
