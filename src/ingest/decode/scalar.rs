//! Values that tables store as integers and that a condition sees as texts or numbers: dates, instants, decimals.

use std::borrow::Cow;

use super::value::Value;
use crate::curriculum::filter::Number;

const SECONDS_A_DAY: i64 = 86_400;

/// Year, month and day of a day counted from 1970-01-01, in the proleptic Gregorian calendar.
///
/// The calendar repeats every 400 years of 146,097 days. Counting years from 1 March puts the leap day last, so that the
/// day of the year gives the month by one division (Hinnant, "chrono-compatible low-level date algorithms").
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// A day as `YYYY-MM-DD`.
pub fn date<'a>(days: i64) -> Value<'a> {
    // The bounds keep the sums far from overflow.
    if !(-1_000_000..=4_000_000).contains(&days) {
        return Value::Other("a date outside the years 0 to 9999");
    }
    let (year, month, day) = civil(days);
    if !(0..=9999).contains(&year) {
        return Value::Other("a date outside the years 0 to 9999");
    }
    Value::Text(Cow::Owned(format!("{year:04}-{month:02}-{day:02}")))
}

/// An instant, counted in `per_second`ths of a second from 1970-01-01, as `YYYY-MM-DDTHH:MM:SS` with a fraction where
/// there is one. Such texts sort as the instants do.
pub fn instant<'a>(ticks: i64, per_second: i64) -> Value<'a> {
    let seconds = ticks.div_euclid(per_second);
    let fraction = ticks.rem_euclid(per_second);
    let Value::Text(day) = date(seconds.div_euclid(SECONDS_A_DAY)) else {
        return Value::Other("an instant outside the years 0 to 9999");
    };
    let second = seconds.rem_euclid(SECONDS_A_DAY);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut text = format!("{day}T{hour:02}:{minute:02}:{second:02}");
    if fraction > 0 {
        let nanos = fraction * (1_000_000_000 / per_second);
        let digits = format!("{nanos:09}");
        text.push('.');
        text.push_str(digits.trim_end_matches('0'));
    }
    Value::Text(Cow::Owned(text))
}

/// `unscaled` divided by 10 to the power `scale`.
pub fn decimal<'a>(unscaled: i128, scale: i32) -> Value<'a> {
    if scale == 0 {
        return Value::whole(unscaled);
    }
    if let Ok(scale) = u32::try_from(scale)
        && let Some(power) = 10_i128.checked_pow(scale)
        && unscaled % power == 0
    {
        return Value::whole(unscaled / power);
    }
    // Rust reads decimal text to the nearest double, which a division of doubles would not always give.
    match Number::parse(&format!("{unscaled}e{}", i64::from(scale).saturating_neg())) {
        Some(number) => Value::Number(number),
        None => Value::Other("a decimal that no number holds"),
    }
}

/// A decimal as its big-endian two's complement bytes.
pub fn decimal_bytes<'a>(bytes: &[u8], scale: i32) -> Value<'a> {
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let fill = if negative { 0xFF } else { 0 };
    let extra = bytes.len().saturating_sub(16);
    let (high, low) = bytes.split_at(extra);
    let sign_kept = extra == 0 || low.first().is_some_and(|first| (first & 0x80 != 0) == negative);
    if !high.iter().all(|&byte| byte == fill) || !sign_kept {
        return Value::Other("a decimal beyond 38 digits");
    }
    let mut whole = [fill; 16];
    for (to, from) in whole.iter_mut().rev().zip(low.iter().rev()) {
        *to = *from;
    }
    decimal(i128::from_be_bytes(whole), scale)
}

/// A half-precision number.
pub fn half<'a>(bits: u16) -> Value<'a> {
    let exponent = i32::from((bits >> 10) & 0x1F);
    let fraction = f64::from(bits & 0x3FF) / 1024.0;
    let size = match exponent {
        0 => fraction * 2.0_f64.powi(-14),
        31 if fraction > 0.0 => f64::NAN,
        31 => f64::INFINITY,
        _ => (1.0 + fraction) * 2.0_f64.powi(exponent - 15),
    };
    Value::real(if bits & 0x8000 == 0 { size } else { -size })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(value: &Value<'_>) -> String {
        value.text().unwrap().unwrap().into_owned()
    }

    #[test]
    fn days_and_instants_are_those_of_the_calendar() {
        // Every day for 800 years, counted by hand.
        let (mut year, mut month, mut day) = (1600, 1, 1);
        for days in -135_140..160_000_i64 {
            assert_eq!(text(&date(days)), format!("{year:04}-{month:02}-{day:02}"));
            let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 if leap => 29,
                2 => 28,
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            day += 1;
            if day > last {
                (day, month) = (1, month + 1);
            }
            if month > 12 {
                (month, year) = (1, year + 1);
            }
        }
        assert_eq!(text(&instant(0, 1)), "1970-01-01T00:00:00");
        assert_eq!(text(&instant(-1, 1000)), "1969-12-31T23:59:59.999");
        assert_eq!(text(&instant(1_700_000_000_500_000, 1_000_000)), "2023-11-14T22:13:20.5");
        for odd in [i64::MIN, i64::MAX] {
            assert!(matches!(instant(odd, 1), Value::Other(_)) && matches!(date(odd), Value::Other(_)));
        }
    }

    #[test]
    fn decimals_and_halves_have_their_values() {
        assert_eq!(decimal(12300, 2), Value::whole(123));
        assert_eq!(decimal(-15, 1), Value::real(-1.5));
        assert_eq!(decimal(1, -2), Value::real(100.0));
        assert_eq!(decimal_bytes(&[0xFF, 0x85], 0), Value::whole(-123));
        assert_eq!(decimal_bytes(&[], 0), Value::whole(0));
        assert_eq!(decimal_bytes(&[0xFF; 20], 0), Value::whole(-1));
        assert!(matches!(decimal_bytes(&[0x7F; 20], 0), Value::Other(_)));
        assert_eq!(half(0x3C00), Value::real(1.0));
        assert_eq!(half(0xC000), Value::real(-2.0));
        assert_eq!(half(0x0001), Value::real(2.0_f64.powi(-24)));
        assert_eq!(half(0x7E00), Value::Null);
    }
}
