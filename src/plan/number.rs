//! Numbers as people read them: `1.5T`, `19.20 %`, `854,492,188`, `1.07 GiB`, `3 h 12 min`.

use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};

/// All digits, in threes: `854,492,188`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Tokens in three digits with the curriculum's suffixes: `1.5T`, `750B`, `12.3M`; below 10,000 all digits.
#[must_use]
pub fn tokens(number: u64) -> String {
    tokens_u128(number.into())
}

/// As [`tokens`], for sums that may pass 2^64.
#[must_use]
pub fn tokens_u128(number: u128) -> String {
    if number < 10_000 {
        return count(u64::try_from(number).unwrap_or(u64::MAX));
    }
    three_digits(number, 1000, &["", "k", "M", "B", "T", "Q"], "")
}

/// As [`tokens`], for an estimate.
#[must_use]
pub fn tokens_of(number: f64) -> String {
    BigRational::from_float(number)
        .and_then(|exact| exact.round().to_integer().to_u128())
        .map_or_else(|| "unbounded".to_owned(), tokens_u128)
}

/// Bytes in three digits: `1.07 GiB`.
#[must_use]
pub fn bytes(number: u128) -> String {
    three_digits(number, 1024, &["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"], " ")
}

/// `number` in the largest unit that leaves at least one, rounded half up to three digits, without needless zeros.
fn three_digits(number: u128, base: u128, units: &[&str], space: &str) -> String {
    let mut unit = 0;
    let mut size: u128 = 1;
    while unit + 1 < units.len() && number / size >= base {
        size *= base;
        unit += 1;
    }
    loop {
        let whole = number / size;
        let places = if whole >= 100 || size == 1 { 0 } else { if whole >= 10 { 1 } else { 2 } };
        let power = 10_u128.pow(places);
        let scaled = (number * power * 2 + size) / (size * 2);
        if scaled / power >= base && unit + 1 < units.len() {
            size *= base;
            unit += 1;
            continue;
        }
        let mut out = (scaled / power).to_string();
        if places > 0 {
            let fraction = format!("{:0width$}", scaled % power, width = places as usize);
            let fraction = fraction.trim_end_matches('0');
            if !fraction.is_empty() {
                out.push('.');
                out.push_str(fraction);
            }
        }
        return format!("{out}{space}{}", units[unit]);
    }
}

/// A share in per cent with two places: `19.20 %`; smaller ones keep two digits: `0.0042 %`.
#[must_use]
pub fn percent(share: f64) -> String {
    format!("{} %", percent_digits(share))
}

/// As [`percent`], without the sign.
#[must_use]
pub fn percent_digits(share: f64) -> String {
    let percent = share * 100.0;
    if percent == 0.0 {
        "0".to_owned()
    } else if percent.abs() >= 0.0995 {
        format!("{percent:.2}")
    } else if percent.abs() >= 0.000_095 {
        let mut places = 3;
        while places < 5 && percent.abs() < 0.95 * 10.0_f64.powi(1 - places) {
            places += 1;
        }
        format!("{percent:.*}", usize::try_from(places).unwrap_or(5))
    } else if percent > 0.0 {
        "<0.0001".to_owned()
    } else {
        ">-0.0001".to_owned()
    }
}

/// A small figure: two places, or two digits when it is below a tenth.
#[must_use]
pub fn decimal(number: f64) -> String {
    if number == 0.0 {
        "0".to_owned()
    } else if number.abs() >= 0.095 {
        format!("{number:.2}")
    } else if number.abs() >= 0.000_95 {
        format!("{number:.4}")
    } else {
        format!("{number:.1e}")
    }
}

/// Where an estimate may lie: `± 2.1 %`, or that nobody knows.
#[must_use]
pub fn spread(spread: f64) -> String {
    if spread.is_finite() { format!("± {:.1} %", spread * 100.0) } else { "of unknown spread".to_owned() }
}

/// A time: `45 s`, `12 min`, `3 h 12 min`, `5 d 4 h`.
#[must_use]
pub fn duration(seconds: f64) -> String {
    let Some(seconds) = seconds.round().to_u64() else { return "unknown".to_owned() };
    match seconds {
        0 => "under 1 s".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3_600 => format!("{} min", (seconds + 30) / 60),
        3_600..86_400 => format!("{} h {} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d {} h", count(seconds / 86_400), seconds % 86_400 / 3_600),
    }
}

/// A scale as it can be typed after `--scale`: exact when it has a short decimal form, else its fraction.
#[must_use]
pub fn scale(scale: &BigRational) -> String {
    if let Some(text) = exact_decimal(scale) { text } else { scale.to_string() }
}

/// The next decimal of three digits that is not below `number`, as text for `--scale`.
#[must_use]
pub fn scale_up(number: &BigRational) -> String {
    let rounded = three_digit_decimal(number, true);
    scale(&rounded)
}

/// `number` cut to three significant digits: the next decimal not above it, or (`up`) not below.
#[must_use]
pub fn three_digit_decimal(number: &BigRational, up: bool) -> BigRational {
    if !number.is_positive() {
        return BigRational::zero();
    }
    let ten = BigRational::from_integer(10.into());
    let mut unit = BigRational::one();
    let hundred = BigRational::from_integer(100.into());
    while number / &unit < hundred {
        unit /= &ten;
    }
    while number / &unit >= &hundred * &ten {
        unit *= &ten;
    }
    let digits = number / &unit;
    (if up { digits.ceil() } else { digits.floor() }) * unit
}

/// The exact decimal of a fraction whose denominator divides a power of ten, when at most 12 digits are significant.
fn exact_decimal(number: &BigRational) -> Option<String> {
    let mut digits = number.numer().clone();
    let mut denominator = number.denom().clone();
    let mut places = 0_usize;
    while !denominator.is_one() {
        if places == 40 {
            return None;
        }
        digits *= 10;
        let common = num_integer::Integer::gcd(&digits, &denominator);
        digits /= &common;
        denominator /= &common;
        places += 1;
    }
    let significant = digits.abs().to_string();
    if significant.trim_end_matches('0').len() > 12 {
        return None;
    }
    if places > 5 && digits > BigInt::zero() {
        let exponent = (places + 1).saturating_sub(significant.len());
        if exponent > 4 {
            let (first, others) = significant.split_at(1);
            let others = others.trim_end_matches('0');
            let point = if others.is_empty() { "" } else { "." };
            return Some(format!("{first}{point}{others}e-{exponent}"));
        }
    }
    if places == 0 {
        return Some(digits.to_string());
    }
    let padded = format!("{significant:0>width$}", width = places + 1);
    let (whole, fraction) = padded.split_at(padded.len() - places);
    let sign = if digits.is_negative() { "-" } else { "" };
    Some(format!("{sign}{whole}.{fraction}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_have_three_digits() {
        for (number, text) in [
            (0, "0"),
            (9_999, "9,999"),
            (10_000, "10k"),
            (12_345, "12.3k"),
            (12_350, "12.4k"),
            (999_499, "999k"),
            (999_500, "1M"),
            (1_500_000_000_000, "1.5T"),
            (19_200_000_000, "19.2B"),
            (1_234_567, "1.23M"),
            (u64::MAX, "18447Q"),
        ] {
            assert_eq!(tokens(number), text);
        }
    }

    #[test]
    fn bytes_are_binary() {
        for (number, text) in
            [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (1 << 30, "1 GiB"), (1_152_921_504, "1.07 GiB")]
        {
            assert_eq!(bytes(number), text);
        }
    }

    #[test]
    fn shares_keep_what_is_small() {
        for (share, text) in [
            (0.0, "0 %"),
            (0.192, "19.20 %"),
            (1.0, "100.00 %"),
            (0.001, "0.10 %"),
            (0.000_921, "0.092 %"),
            (0.000_042, "0.0042 %"),
            (0.000_004_2, "0.00042 %"),
            (1e-9, "<0.0001 %"),
        ] {
            assert_eq!(percent(share), text);
        }
    }

    #[test]
    fn scales_can_be_typed() {
        for (numerator, denominator, text) in [
            (1, 1, "1"),
            (1, 1_000_000, "1e-6"),
            (837, 100_000_000, "8.37e-6"),
            (1, 4, "0.25"),
            (1, 3, "1/3"),
            (5, 2, "2.5"),
            (520, 1000, "0.52"),
            (1000, 1, "1000"),
        ] {
            assert_eq!(scale(&BigRational::new(numerator.into(), denominator.into())), text);
        }
    }

    #[test]
    fn three_digits_are_cut_towards_either_side() {
        let number = BigRational::new(2.into(), 3.into());
        assert_eq!(three_digit_decimal(&number, false), BigRational::new(666.into(), 1000.into()));
        assert_eq!(three_digit_decimal(&number, true), BigRational::new(667.into(), 1000.into()));
        let number = BigRational::from_integer(123_456.into());
        assert_eq!(three_digit_decimal(&number, false), BigRational::from_integer(123_000.into()));
    }

    #[test]
    fn times_are_short() {
        for (seconds, text) in
            [(0.2, "under 1 s"), (45.0, "45 s"), (720.0, "12 min"), (11_520.0, "3 h 12 min"), (187_200.0, "2 d 4 h")]
        {
            assert_eq!(duration(seconds), text);
        }
        assert_eq!(duration(f64::NAN), "unknown");
    }
}
