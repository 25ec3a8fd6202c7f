//! Numbers as people write them in a curriculum, read exactly: `1.5T`, `26.5%`, `2x`, `64MiB`.
//!
//! Nothing passes through a float: a decimal is a rational, a count of tokens an integer.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

use super::checked::Weight;

/// Largest number of tokens that can be asked for: a million times a trillion.
pub const MAX_TOKENS: u64 = 1_000_000_000_000_000_000;

/// Most epochs that can be asked for: a fragment's epoch is a number of 32 bits.
pub const MAX_EPOCHS: u32 = u32::MAX;

/// Longest spelling of a number: what is longer is a mistake, and need not cost time.
const MAX_DIGITS: usize = 40;

/// Units of token counts, large to small.
const TOKEN_UNITS: [(&str, u64); 4] = [("T", 1_000_000_000_000), ("B", 1_000_000_000), ("M", 1_000_000), ("k", 1_000)];

/// Units of sizes in bytes, large to small.
const SIZE_UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// Why a spelling is no number of its kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What is wrong.
    pub message: String,
    /// What to write.
    pub hint: Option<String>,
}

impl Problem {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The number a text begins with, as written, and what follows it.
fn split(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(|byte| byte.is_ascii_digit());
    let mut end = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    while bytes.get(end).is_some_and(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'_')) {
        end += 1;
    }
    if matches!(bytes.get(end), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
        if is_digit(end + 1 + sign) {
            end += 1 + sign;
            while is_digit(end) {
                end += 1;
            }
        }
    }
    text.split_at(end)
}

/// NaN and infinity are told as such, whatever number was expected.
fn finite(text: &str) -> Result<(), Problem> {
    let lower = text.to_ascii_lowercase();
    if matches!(lower.trim_start_matches(['+', '-', '.']), "nan" | "inf" | "infinity") {
        return Err(Problem::new(format!("`{text}` is not a finite number")));
    }
    Ok(())
}

/// Reads a decimal such as `11.9`, `1_000` or `1.5e12`, exactly.
pub fn decimal(text: &str) -> Result<BigRational, Problem> {
    let wrong = || Problem::new(format!("`{text}` is not a number"));
    finite(text)?;
    if text.len() > MAX_DIGITS {
        return Err(Problem::new(format!("a number of {} characters is too long (at most {MAX_DIGITS})", text.len())));
    }
    let (sign, unsigned) = match text.as_bytes().first() {
        Some(b'-') => (-1, text.get(1..).unwrap_or("")),
        Some(b'+') => (1, text.get(1..).unwrap_or("")),
        _ => (1, text),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().map_err(|_| wrong())?),
        None => (unsigned, 0),
    };
    if exponent.abs() > 40 {
        return Err(Problem::new(format!("the exponent of `{text}` is too large (at most 40)")));
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    if !digits(whole)
        || !digits(fraction)
        || !fraction.starts_with(|c: char| c.is_ascii_digit())
        || whole.starts_with('_')
    {
        return Err(wrong());
    }
    let fraction = fraction.replace('_', "");
    let joined = format!("{}{fraction}", whole.replace('_', ""));
    let numerator: BigInt = joined.parse().map_err(|_| wrong())?;
    let places = i32::try_from(fraction.len()).map_err(|_| wrong())? - exponent;
    let ten = BigInt::from(10);
    let scale = num_traits::pow(ten, usize::try_from(places.unsigned_abs()).map_err(|_| wrong())?);
    let value = BigRational::from_integer(numerator * sign);
    Ok(if places >= 0 { value / BigRational::from_integer(scale) } else { value * BigRational::from_integer(scale) })
}

/// A number that is not negative.
fn amount(text: &str) -> Result<BigRational, Problem> {
    let value = decimal(text)?;
    if value.is_negative() {
        return Err(Problem::new(format!("`{text}` is negative")));
    }
    Ok(value)
}

/// A number with a suffix of `units`, as a whole count.
fn counted(text: &str, units: &[(&str, u64)], what: &str, examples: &str) -> Result<u64, Problem> {
    finite(text)?;
    let (number, suffix) = split(text);
    let factor = if suffix.is_empty() {
        1
    } else if let Some((_, factor)) = units.iter().find(|(unit, _)| *unit == suffix) {
        *factor
    } else {
        return Err(strange_suffix(text, number, suffix, units, what, examples));
    };
    let value = amount(number)? * BigRational::from_integer(factor.into());
    if !value.is_integer() {
        return Err(Problem::new(format!("`{text}` is not a whole number of {what}")));
    }
    match value.to_integer().to_u64() {
        Some(count) if count <= MAX_TOKENS => Ok(count),
        _ => Err(Problem::new(format!("`{text}` is more than a curriculum can hold (at most 10^18 {what})"))),
    }
}

/// What to say of a suffix that is none: the one that was meant, where that can be told.
fn strange_suffix(
    text: &str,
    number: &str,
    suffix: &str,
    units: &[(&str, u64)],
    what: &str,
    examples: &str,
) -> Problem {
    let problem = Problem::new(format!("`{text}` is not a number of {what}"));
    if number.is_empty() {
        return problem.hint(format!("write {examples}"));
    }
    let trimmed = suffix.trim();
    let meant = match (trimmed.to_ascii_lowercase().as_str(), what) {
        ("g" | "bn" | "billion", "tokens") => Some("B"),
        ("trillion" | "tn", "tokens") => Some("T"),
        ("million" | "mio", "tokens") => Some("M"),
        ("k" | "kb" | "kib", "bytes") => Some("KiB"),
        ("m" | "mb" | "mib", "bytes") => Some("MiB"),
        ("g" | "gb" | "gib", "bytes") => Some("GiB"),
        ("t" | "tb" | "tib", "bytes") => Some("TiB"),
        (lower, _) => units.iter().map(|(unit, _)| *unit).find(|unit| unit.eq_ignore_ascii_case(lower)),
    };
    let hint = match meant {
        Some(unit) => format!("write `{number}{unit}`"),
        None => format!("write {examples}"),
    };
    problem.hint(hint)
}

/// A number of tokens: `4096`, `50B`, `1.5T`. Zero is allowed here.
pub fn tokens(text: &str) -> Result<u64, Problem> {
    counted(text, &TOKEN_UNITS, "tokens", "`1T`, `1.5B`, `250M`, `64k` or a whole number")
}

/// A size in bytes: `65536`, `64MiB`.
pub fn size(text: &str) -> Result<u64, Problem> {
    counted(text, &SIZE_UNITS, "bytes", "`64MiB`, `1GiB`, `512KiB` or a whole number of bytes")
}

/// A whole number without a unit.
pub fn count(text: &str) -> Result<u64, Problem> {
    finite(text)?;
    let (number, suffix) = split(text);
    if number.is_empty() {
        return Err(Problem::new(format!("`{text}` is not a whole number")));
    }
    let value = amount(number)?;
    if suffix.is_empty()
        && value.is_integer()
        && let Some(count) = value.to_integer().to_u64()
    {
        return Ok(count);
    }
    let problem = Problem::new(format!("`{text}` is not a whole number"));
    match tokens(text) {
        Ok(spelt) if !suffix.is_empty() => Err(problem.hint(format!("write it out: `{spelt}`"))),
        _ => Err(problem),
    }
}

/// A whole number that may be negative.
pub fn integer(text: &str) -> Result<i64, Problem> {
    let value = decimal(text)?;
    if value.is_integer()
        && let Some(integer) = value.to_integer().to_i64()
    {
        return Ok(integer);
    }
    Err(Problem::new(format!("`{text}` is not a whole number (of 64 bits)")))
}

/// A share of a whole, between 0 and 1: `50%` or `0.5`.
pub fn share(text: &str) -> Result<BigRational, Problem> {
    let value = match text.strip_suffix('%') {
        Some(number) => amount(number.trim_end())? / hundred(),
        None => amount(text)?,
    };
    if value > BigRational::one() {
        let problem = Problem::new(format!("`{text}` is more than the whole"));
        let percent = decimal(text).is_ok_and(|number| number <= hundred());
        return Err(if percent { problem.hint(format!("write `{text}%`")) } else { problem });
    }
    Ok(value)
}

/// A factor: `5` or `5x`.
pub fn factor(text: &str) -> Result<BigRational, Problem> {
    amount(text.strip_suffix('x').unwrap_or(text))
}

/// How much of a mix a line takes.
pub fn weight(text: &str) -> Result<Weight, Problem> {
    const EXAMPLES: &str =
        "write `26.5%` (of this level), `50B` (tokens), `2x` (epochs), `rest`, or a bare number (relative)";
    if text == "rest" {
        return Ok(Weight::Rest);
    }
    finite(text)?;
    let (number, suffix) = split(text);
    if number.is_empty() {
        return Err(Problem::new(format!("`{text}` is not a weight")).hint(EXAMPLES));
    }
    match suffix {
        "" => Ok(Weight::Relative(amount(number)?)),
        "%" => {
            let value = amount(number)?;
            if value > hundred() {
                return Err(Problem::new(format!("`{text}` is more than the whole")));
            }
            Ok(Weight::Percent(value / hundred()))
        }
        "x" => {
            let epochs = amount(number)?;
            if epochs > BigRational::from_integer(MAX_EPOCHS.into()) {
                return Err(Problem::new(format!(
                    "`{text}` is more epochs than can be counted (at most {MAX_EPOCHS})"
                )));
            }
            Ok(Weight::Epochs(epochs))
        }
        _ => match tokens(text) {
            Ok(tokens) => Ok(Weight::Tokens(tokens)),
            Err(problem) if TOKEN_UNITS.iter().any(|(unit, _)| *unit == suffix) => Err(problem),
            Err(problem) => Err(Problem {
                message: format!("`{text}` is not a weight"),
                // The suffix that was meant, where that is known; not examples of token counts alone.
                hint: problem
                    .hint
                    .filter(|hint| hint.starts_with(&format!("write `{number}")))
                    .or(Some(EXAMPLES.into())),
            }),
        },
    }
}

fn hundred() -> BigRational {
    BigRational::from_integer(100.into())
}

/// A number of tokens as a curriculum would say it: the shortest exact spelling.
#[must_use]
pub fn tokens_text(tokens: u64) -> String {
    let plain = tokens.to_string();
    for (unit, factor) in TOKEN_UNITS {
        if tokens >= factor && tokens.is_multiple_of(factor / 1000) {
            let thousandths = tokens / (factor / 1000);
            let text = format!("{}.{:03}", thousandths / 1000, thousandths % 1000);
            let text = format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'));
            if text.len() < plain.len() {
                return text;
            }
        }
    }
    plain
}

/// A rational as a decimal of at most six places; `about` stands before it where digits were dropped.
#[must_use]
pub fn decimal_text(value: &BigRational) -> String {
    const PLACES: usize = 6;
    let scale = BigRational::from_integer(num_traits::pow(BigInt::from(10), PLACES));
    let scaled = value * scale;
    let rounded = scaled.round().to_integer();
    let sign = if rounded.is_negative() { "-" } else { "" };
    let digits = format!("{:0>width$}", rounded.abs().to_string(), width = PLACES + 1);
    let (whole, fraction) = digits.split_at(digits.len() - PLACES);
    let fraction = fraction.trim_end_matches('0');
    let text = if fraction.is_empty() { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") };
    if (scaled - BigRational::from_integer(rounded)).is_zero() { text } else { format!("about {text}") }
}

/// A share as a percentage: `19.2 %`.
#[must_use]
pub fn percent_text(share: &BigRational) -> String {
    format!("{} %", decimal_text(&(share * hundred())))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ratio(numerator: i64, denominator: i64) -> BigRational {
        BigRational::new(numerator.into(), denominator.into())
    }

    #[test]
    fn every_token_suffix() {
        for (text, value) in [
            ("0", 0),
            ("4096", 4_096),
            ("1_000", 1_000),
            ("1k", 1_000),
            ("250M", 250_000_000),
            ("25.2B", 25_200_000_000),
            ("1.5T", 1_500_000_000_000),
            ("1e12", 1_000_000_000_000),
            ("1.5e12", 1_500_000_000_000),
            ("12e-1k", 1_200),
            (".5k", 500),
            ("+7", 7),
            ("1000000T", MAX_TOKENS),
        ] {
            assert_eq!(tokens(text), Ok(value), "{text}");
        }
        for (text, message, hint) in [
            ("1G", "`1G` is not a number of tokens", "write `1B`"),
            ("1t", "`1t` is not a number of tokens", "write `1T`"),
            ("1 B", "`1 B` is not a number of tokens", "write `1B`"),
            ("many", "`many` is not a number of tokens", "write `1T`, `1.5B`, `250M`, `64k` or a whole number"),
            ("-5", "`-5` is negative", ""),
            ("0.5", "`0.5` is not a whole number of tokens", ""),
            ("1.5", "`1.5` is not a whole number of tokens", ""),
            ("1e30", "`1e30` is more than a curriculum can hold (at most 10^18 tokens)", ""),
            ("1e99", "the exponent of `1e99` is too large (at most 40)", ""),
            (".nan", "`.nan` is not a finite number", ""),
            ("-.inf", "`-.inf` is not a finite number", ""),
            ("1.2.3", "`1.2.3` is not a number", ""),
            ("0x10", "`0x10` is not a number of tokens", "write `1T`, `1.5B`, `250M`, `64k` or a whole number"),
        ] {
            let problem = tokens(text).expect_err(text);
            assert_eq!(problem.message, message);
            assert_eq!(problem.hint.unwrap_or_default(), hint, "{text}");
        }
    }

    #[test]
    fn every_size_suffix() {
        for (text, value) in [("17", 17), ("2KiB", 2_048), ("64MiB", 64 << 20), ("1.5GiB", 3 << 29), ("1TiB", 1 << 40)]
        {
            assert_eq!(size(text), Ok(value), "{text}");
        }
        assert_eq!(size("1GB").expect_err("GB").hint.as_deref(), Some("write `1GiB`"));
        assert_eq!(size("64M").expect_err("M").hint.as_deref(), Some("write `64MiB`"));
    }

    #[test]
    fn weights() {
        assert_eq!(weight("rest"), Ok(Weight::Rest));
        assert_eq!(weight("11.9"), Ok(Weight::Relative(ratio(119, 10))));
        assert_eq!(weight("26.5%"), Ok(Weight::Percent(ratio(265, 1000))));
        assert_eq!(weight("0.5x"), Ok(Weight::Epochs(ratio(1, 2))));
        assert_eq!(weight("4294967295x"), Ok(Weight::Epochs(ratio(4_294_967_295, 1))));
        assert_eq!(weight("50B"), Ok(Weight::Tokens(50_000_000_000)));
        assert_eq!(weight("0"), Ok(Weight::Relative(ratio(0, 1))));
        for bad in [
            "-1",
            "-1%",
            "101%",
            "NaN",
            ".inf",
            "1.5.2",
            "2 x",
            "rests",
            "",
            "%",
            "x",
            "1e30B",
            "half",
            "1e20x",
            "4294967295.5x",
        ] {
            assert!(weight(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn shares_factors_counts() {
        assert_eq!(share("0.01%"), Ok(ratio(1, 10_000)));
        assert_eq!(share("0.8"), Ok(ratio(8, 10)));
        assert_eq!(share("50").expect_err("50").hint.as_deref(), Some("write `50%`"));
        assert_eq!(factor("5x"), Ok(ratio(5, 1)));
        assert_eq!(count("13"), Ok(13));
        assert_eq!(count("16k").expect_err("16k").hint.as_deref(), Some("write it out: `16000`"));
        assert!(count("1.5").is_err());
        assert!(count("18446744073709551616").is_err());
        assert_eq!(integer("-3"), Ok(-3));
        assert!(integer("9223372036854775808").is_err());
    }

    #[test]
    fn spelt_back() {
        assert_eq!(tokens_text(1_500_000_000_000), "1.5T");
        assert_eq!(tokens_text(25_200_000_000), "25.2B");
        assert_eq!(tokens_text(1_000_000_000_001), "1000000000001");
        assert_eq!(tokens_text(999), "999");
        assert_eq!(tokens_text(1_001), "1001");
        assert_eq!(tokens_text(1_500_500_000), "1500.5M");
        assert_eq!(percent_text(&ratio(192, 1000)), "19.2 %");
        assert_eq!(decimal_text(&ratio(1, 3)), "about 0.333333");
        assert_eq!(decimal_text(&ratio(-5, 2)), "-2.5");
    }

    proptest! {
        #[test]
        fn token_counts_are_read_back(tokens_in in 0..=MAX_TOKENS) {
            prop_assert_eq!(tokens(&tokens_text(tokens_in)), Ok(tokens_in));
        }

        #[test]
        fn decimals_are_exact(whole in 0u64..1_000_000_000, fraction in "[0-9]{1,9}") {
            let places = u32::try_from(fraction.len()).expect("few digits");
            let digits: u64 = fraction.parse().expect("digits");
            let expected = BigRational::from_integer(whole.into())
                + BigRational::new(digits.into(), 10u64.pow(places).into());
            prop_assert_eq!(decimal(&format!("{whole}.{fraction}")), Ok(expected));
        }

        #[test]
        fn any_text_is_a_number_or_a_problem(text in "\\PC{0,12}") {
            let _ = (tokens(&text), size(&text), count(&text), integer(&text), share(&text), factor(&text), weight(&text));
        }
    }
}
