//! Values on the command line: the curriculum's own units, with its own messages.

use std::num::NonZero;
use std::ops::Range;

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, Zero};

use crate::curriculum::units;

/// `--scale`: a positive number, `1e-6`, or an exact fraction, `1/3`.
pub fn scale(text: &str) -> Result<BigRational, String> {
    let value = ratio(text)?;
    if value.is_positive() { Ok(value) } else { Err("must be above zero".to_owned()) }
}

/// `--thin`: a share above 0 and at most 1.
pub fn thin(text: &str) -> Result<BigRational, String> {
    let value = match text.strip_suffix('%') {
        Some(percent) => ratio(percent)? / BigRational::from_integer(100.into()),
        None => ratio(text)?,
    };
    if value.is_positive() && value <= BigRational::one() {
        Ok(value)
    } else {
        Err("must be above 0 and at most 1".to_owned())
    }
}

fn ratio(text: &str) -> Result<BigRational, String> {
    if let Some((above, below)) = text.split_once('/') {
        let number = |text: &str| text.trim().parse::<BigInt>().map_err(|_| format!("`{text}` is not a whole number"));
        let (above, below) = (number(above)?, number(below)?);
        return if below.is_zero() { Err("divides by zero".to_owned()) } else { Ok(BigRational::new(above, below)) };
    }
    units::decimal(text).map_err(words)
}

/// A size in bytes: `512MiB`, `4GiB`.
pub fn size(text: &str) -> Result<u64, String> {
    units::size(text).map_err(words)
}

fn words(problem: units::Problem) -> String {
    match problem.hint {
        Some(hint) => format!("{}; {hint}", problem.message),
        None => problem.message,
    }
}

/// A number of threads.
pub fn threads(text: &str) -> Result<usize, String> {
    match text.parse::<NonZero<u16>>() {
        Ok(threads) => Ok(usize::from(threads.get())),
        Err(_) => Err("must be a whole number from 1 to 65535".to_owned()),
    }
}

/// `A..B`, A included, B not.
pub fn range(text: &str) -> Result<Range<u64>, String> {
    let parsed = text.split_once("..").and_then(|(a, b)| Some(a.trim().parse::<u64>().ok()?..b.trim().parse().ok()?));
    match parsed {
        Some(range) if range.start < range.end => Ok(range),
        Some(_) => Err("A must be below B".to_owned()),
        None => Err("must be A..B, two window numbers".to_owned()),
    }
}

/// A document's key: 32 hex digits.
pub fn key(text: &str) -> Result<u128, String> {
    if text.len() != 32 {
        return Err(format!("a key has 32 hex digits, this has {} characters", text.chars().count()));
    }
    u128::from_str_radix(text, 16).map_err(|_| "a key has 32 hex digits".to_owned())
}

/// As many threads as there are cores.
pub fn all_cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_their_refusals() {
        assert_eq!(scale("1e-6").unwrap(), BigRational::new(1.into(), 1_000_000.into()));
        assert_eq!(scale("1/3").unwrap(), BigRational::new(1.into(), 3.into()));
        assert_eq!(thin("2.5%").unwrap(), BigRational::new(1.into(), 40.into()));
        assert!(scale("0").is_err() && scale("-1").is_err() && scale("1/0").is_err() && scale("x").is_err());
        assert!(thin("1.1").is_err() && thin("0").is_err());
        assert_eq!(range("3..7").unwrap(), 3..7);
        assert!(range("7..3").is_err() && range("7").is_err());
        assert_eq!(key("000102030405060708090a0b0c0d0e0f").unwrap(), 0x0001_0203_0405_0607_0809_0a0b_0c0d_0e0f);
        assert!(key("00").is_err() && threads("0").is_err());
        assert_eq!(size("512MiB").unwrap(), 512 << 20);
    }
}
