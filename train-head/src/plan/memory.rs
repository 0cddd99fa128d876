//! Sizes as they are typed.

use crate::{cli::MemoryArgs, features::Allowance};

/// Bytes of `text`: a whole number, with K, M, G or T for powers of 1024.
pub(crate) fn parse_size(text: &str) -> Result<u64, String> {
    let expected = || "a size such as 512M or 4G is expected".to_owned();
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[number.len()..].to_ascii_uppercase().as_str() {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(expected()),
    };
    let number: u64 = number.parse().map_err(|_| expected())?;
    let bytes = number.checked_mul(1 << unit).ok_or_else(expected)?;
    if bytes > 0 {
        Ok(bytes)
    } else {
        Err(expected())
    }
}

pub(super) fn allowance(args: MemoryArgs) -> Allowance {
    Allowance(args.memory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_powers_of_1024_and_nonsense_is_refused() {
        assert_eq!(parse_size("1"), Ok(1));
        assert_eq!(parse_size("512M"), Ok(512 << 20));
        assert_eq!(parse_size("2g"), Ok(2 << 30));
        for text in ["", "0", "M", "1.5G", "-1", "1KB", "99999999T"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
