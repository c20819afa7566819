//! Durations, sizes and instants as they are written in a fleet file.
//!
//! Text in, number out; every overflow is an error. The bounds keep sums of such values far from
//! the end of `u64`.

/// Longest duration, in milliseconds: ten years, so that sums never overflow.
const MAX_MS: u64 = 3_650 * DAY_MS;
const DAY_MS: u64 = 86_400_000;
/// Largest size, in bytes: 1 PiB, for the same reason.
const MAX_BYTES: u64 = 1 << 50;

const DURATIONS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", DAY_MS)];
const SIZES: [(&str, u64); 7] = [
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Milliseconds of `"5s"`, `"100ms"`, `"2m"`, `"3h"`, `"1d"`, as every duration of a fleet file is written.
///
/// # Errors
/// What is wrong, in words for the writer.
pub fn duration(text: &str) -> Result<u64, String> {
    quantity(text, &DURATIONS, MAX_MS, "duration")
}

/// Bytes of `"512B"`, `"64KiB"`, `"32MiB"`, `"1GiB"`, `"10MB"`.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    quantity(text, &SIZES, MAX_BYTES, "size")
}

/// Largest amount of money, in millionths: a thousand million, so that sums never overflow.
pub(crate) const MAX_MONEY: u64 = 1_000_000_000 * 1_000_000;

/// Millionths of `"2.50"`: money in whatever currency all prices of a fleet file are in, with at most six decimals.
///
/// # Errors
/// What is wrong, in words for the writer.
pub fn money(text: &str) -> Result<u64, String> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    let digits =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit() || b == b'_');
    let plain = |part: &str| part.chars().filter(|c| *c != '_').collect::<String>();
    let (whole_digits, decimal_digits) = (plain(whole), plain(decimals));
    if !digits(whole) || !digits(decimals) || whole_digits.is_empty() || decimal_digits.is_empty() {
        return Err("money is written as \"2.50\", without a currency".to_owned());
    }
    if decimal_digits.len() > 6 {
        return Err("money has at most six decimals".to_owned());
    }
    let millionths = format!("{whole_digits}{decimal_digits:0<6}").parse::<u64>().ok();
    let bounded = millionths.filter(|amount| *amount <= MAX_MONEY);
    bounded.ok_or_else(|| "the amount of money is too large".to_owned())
}

fn quantity(text: &str, units: &[(&str, u64)], max: u64, what: &str) -> Result<u64, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '_').unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let names = || units.iter().map(|(n, _)| *n).collect::<Vec<_>>().join(", ");
    if text.starts_with('-') {
        return Err(format!("a {what} cannot be negative"));
    }
    let digits: String = digits.chars().filter(|c| *c != '_').collect();
    if digits.is_empty() {
        return Err(format!("a {what} begins with a whole number"));
    }
    let unit = unit.trim_start();
    if unit.is_empty() {
        return Err(format!("the {what} has no unit; one of {}", names()));
    }
    let Some((_, factor)) = units.iter().find(|(name, _)| *name == unit) else {
        return Err(format!("unknown unit of a {what}; one of {}", names()));
    };
    let number = digits.parse::<u64>().ok().and_then(|n| n.checked_mul(*factor));
    number.filter(|n| *n <= max).ok_or_else(|| format!("the {what} is too large"))
}

/// Unix milliseconds of `"2026-12-31T23:59:59Z"`; UTC only, whole seconds.
pub(crate) fn instant(text: &str) -> Result<u64, String> {
    parse_instant(text).ok_or_else(|| {
        "an instant is written as \"2026-12-31T23:59:59Z\", in UTC, from 1970 to 9999".to_owned()
    })
}

fn parse_instant(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    let form = b"dddd-dd-ddTdd:dd:ddZ";
    let fits = |(b, f): (&u8, &u8)| {
        if *f == b'd' { b.is_ascii_digit() } else { b == f }
    };
    if bytes.len() != form.len() || !bytes.iter().zip(form).all(fits) {
        return None;
    }
    let number = |from: usize, to: usize| text.get(from..to)?.parse::<u64>().ok();
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let leap = |y: u64| y.is_multiple_of(4) && (!y.is_multiple_of(100) || y.is_multiple_of(400));
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let length = *lengths.get(usize::try_from(month.checked_sub(1)?).ok()?)?;
    if year < 1970 || day == 0 || day > length || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let years: u64 = (1970..year).map(|y| if leap(y) { 366 } else { 365 }).sum();
    let months: u64 = lengths.iter().take(usize::try_from(month - 1).ok()?).sum();
    let days = years + months + day - 1;
    Some(days * DAY_MS + (hour * 3_600 + minute * 60 + second) * 1_000)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{duration, instant, money, size};

    #[test]
    fn durations_need_a_unit_and_stay_in_bounds() {
        assert_eq!(duration("100ms"), Ok(100));
        assert_eq!(duration("2m"), Ok(120_000));
        assert_eq!(duration("1d"), Ok(86_400_000));
        for bad in [
            "5",
            "",
            "s",
            "-5s",
            "5 weeks",
            "1.5s",
            "99999999999999999999s",
            "213503982335d",
            "9999999d",
        ] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn money_is_exact() {
        for (text, millionths) in
            [("2.50", 2_500_000), ("0.000001", 1), ("3", 3_000_000), ("1_000.5", 1_000_500_000)]
        {
            assert_eq!(money(text), Ok(millionths), "{text}");
        }
        for bad in [
            "",
            ".",
            "1.",
            ".5",
            "-1",
            "1e3",
            "$2",
            "2.50 EUR",
            "0.0000001",
            "1000000000.1",
            "_",
            "1.2.3",
        ] {
            assert!(money(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_and_instants() {
        assert_eq!(size("32MiB"), Ok(32 << 20));
        assert_eq!(size("1_000kB"), Ok(1_000_000));
        assert!(size("32mib").is_err());
        assert_eq!(instant("1970-01-02T00:00:01Z"), Ok(86_401_000));
        assert_eq!(instant("2024-02-29T00:00:00Z"), Ok(1_709_164_800_000));
        assert!(instant("2023-02-29T00:00:00Z").is_err());
        assert!(instant("2023-13-01T00:00:00Z").is_err());
    }
}
