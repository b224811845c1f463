//! Timestamps that were written in another form after they were signed: another unit, a fraction,
//! a date; and timestamps that are no time at all.

use super::mistake::{Finding, Mistake, found};
use super::trials::Trials;
use crate::clock::UnixMillis;
use crate::notation::timestamp::Unit;
use crate::scheme::TimestampAt;
use crate::wire::head::Found;

const SEND_WHAT_WAS_SIGNED: &str = "Pass the timestamp's text on exactly as it was sent; a script, a \
                                    database or a workflow tool that reads it as a time writes it \
                                    in another form.";

/// The forms in which a time is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Number(&'static str),
    Fraction,
    Exponent,
    Iso,
    Http,
    Quoted,
    Hex,
}

impl Form {
    const fn words(self) -> &'static str {
        match self {
            Self::Number(unit) => unit,
            Self::Fraction => "a number with a fraction",
            Self::Exponent => "a number with an exponent (`1.75E+09`)",
            Self::Iso => "an ISO 8601 time",
            Self::Http => "a date in words",
            Self::Quoted => "a number in quotation marks",
            Self::Hex => "a hexadecimal number",
        }
    }
}

/// The moments that a text may mean, in milliseconds, and its form.
fn read(text: &str) -> Option<(Vec<i64>, Form)> {
    let bare = text.trim().trim_matches(['"', '\'', '`']);
    let quoted = bare.len() < text.trim().len();
    if !bare.is_empty() && bare.bytes().all(|b| b.is_ascii_digit()) {
        let number: i128 = bare.parse().ok()?;
        let (per_ms, unit) = scale(number);
        let ms = if per_ms == 0 {
            number * 1000
        } else {
            number / per_ms
        };
        let form = if quoted {
            Form::Quoted
        } else {
            Form::Number(unit)
        };
        return Some((vec![i64::try_from(ms).ok()?], form));
    }
    if let Some(digits) = bare.strip_prefix("0x") {
        let number = i64::from_str_radix(digits, 16).ok()?;
        return Some((vec![number.checked_mul(1000)?], Form::Hex));
    }
    if let Some((whole, rest)) = bare.split_once(['.', ','])
        && let Ok(seconds) = whole.parse::<i64>()
        && !rest.is_empty()
        && rest.bytes().all(|b| b.is_ascii_digit())
    {
        let thousandths: String = rest.chars().chain("000".chars()).take(3).collect();
        let per_ms = scale(i128::from(seconds)).0;
        let ms = if per_ms == 0 {
            seconds
                .checked_mul(1000)?
                .checked_add(thousandths.parse().ok()?)?
        } else {
            seconds
        };
        return Some((vec![ms], Form::Fraction));
    }
    if bare.contains(['e', 'E'])
        && let Ok(number) = bare.parse::<f64>()
        && number > 1e8
        && number < 1e19
    {
        // An exponent has few digits; a whole number of them is exact below 2^53.
        let whole: i128 = format!("{number:.0}").parse().ok()?;
        let per_ms = scale(whole).0;
        let ms = if per_ms == 0 {
            whole * 1000
        } else {
            whole / per_ms
        };
        return Some((vec![i64::try_from(ms).ok()?], Form::Exponent));
    }
    if let Some(at) = Unit::HttpDate.parse(bare.as_bytes()) {
        return Some((vec![at.0], Form::Http));
    }
    iso(bare).map(|moments| (moments, Form::Iso))
}

/// How many of a number's unit are a millisecond, with 0 for seconds; and the unit's name. The
/// length of the number decides.
fn scale(number: i128) -> (i128, &'static str) {
    match number {
        ..=99_999_999_999 => (0, "Unix seconds"),
        100_000_000_000..=99_999_999_999_999 => (1, "Unix milliseconds"),
        100_000_000_000_000..=99_999_999_999_999_999 => (1000, "Unix microseconds"),
        _ => (1_000_000, "Unix nanoseconds"),
    }
}

/// A time of ISO 8601 or RFC 3339, with or without a fraction and an offset. Without an offset it
/// is read in every zone.
fn iso(text: &str) -> Option<Vec<i64>> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let mut date = date.split('-');
    let mut number = |digits: usize| -> Option<i64> {
        let part = date.next().filter(|part| part.len() == digits)?;
        part.parse().ok()
    };
    let (year, month, day) = (number(4)?, number(2)?, number(2)?);
    let zone_at = time.find(['Z', 'z', '+', '-', ' ']).unwrap_or(time.len());
    let (clock, zone) = time.split_at_checked(zone_at)?;
    let (clock, fraction) = clock.split_once(['.', ',']).unwrap_or((clock, ""));
    let mut parts = clock.split(':').map(str::parse::<i64>);
    let (hours, minutes) = (parts.next()?.ok()?, parts.next()?.ok()?);
    let seconds = parts.next().map_or(Some(0), Result::ok)?;
    let thousandths: String = fraction.chars().chain("000".chars()).take(3).collect();
    let thousandths: i64 = thousandths.parse().ok()?;
    let local = days(year, month, day)?
        .checked_mul(86_400)?
        .checked_add(hours * 3600 + minutes * 60 + seconds)?
        .checked_mul(1000)?
        .checked_add(thousandths)?;
    let offset = match zone.trim() {
        "Z" | "z" | "UTC" | "GMT" => Some(0),
        "" => None,
        zone => {
            let digits: String = zone.chars().filter(char::is_ascii_digit).collect();
            let (hours, minutes) = digits.split_at_checked(2)?;
            let hours: i64 = hours.parse().ok()?;
            let minutes: i64 = minutes.parse().unwrap_or(0);
            let sign = if zone.starts_with('-') { -1 } else { 1 };
            Some(sign * (hours * 60 + minutes))
        }
    };
    Some(match offset {
        Some(minutes) => vec![local - minutes * 60_000],
        None => std::iter::once(0)
            .chain(-12..=14)
            .map(|hours| local - hours * 3_600_000)
            .collect(),
    })
}

/// The days since 1970 of a date in the Gregorian calendar.
fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Years that begin in March have their leap day at the end.
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_days = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    Some(era * 146_097 + of_days - 719_468)
}

/// The timestamp was signed in the scheme's form, and is written in another form now.
pub(super) fn rewritten_form(case: &Trials<'_>) -> Option<Finding> {
    let own = case.scheme.timestamp()?.unit;
    let form = std::cell::Cell::new(None);
    let secret = (0..28).find_map(|place| {
        (0..WRITINGS).find_map(|writing| {
            case.with_time(|text| {
                let (moments, seen) = read(std::str::from_utf8(text).ok()?)?;
                form.set(Some(seen));
                let written = own.write(UnixMillis(*moments.get(place)?))?;
                written_as(own, &written, writing).map(String::into_bytes)
            })
        })
    });
    let form = form.get()?;
    if form == Form::Iso && own == Unit::Rfc3339 {
        return found(secret, || {
            Mistake::new(
                "timestamp_other_form",
                "The timestamp is the signed time, but in another spelling: another zone, or with \
                 another number of decimals.",
                SEND_WHAT_WAS_SIGNED,
            )
        });
    }
    found(secret, || {
        Mistake::new(
            "timestamp_other_form",
            format!(
                "The timestamp is {} now, and it was signed as {}.",
                form.words(),
                of_unit(own)
            ),
            SEND_WHAT_WAS_SIGNED,
        )
    })
}

/// The ways in which senders write a time of RFC 3339.
const WRITINGS: usize = 4;

/// A time that was written with three decimals and `Z`, in the nth way of its sender; `None` where
/// the unit has no such way.
fn written_as(unit: Unit, written: &str, nth: usize) -> Option<String> {
    if nth == 0 {
        return Some(written.to_owned());
    }
    let whole = written
        .strip_suffix('Z')
        .filter(|_| unit == Unit::Rfc3339)?;
    match nth {
        1 => Some(format!("{}Z", whole.strip_suffix(".000")?)),
        2 => Some(format!("{}+00:00", whole.strip_suffix(".000")?)),
        _ => Some(format!("{whole}+00:00")),
    }
}

/// The words for a unit that a scheme takes.
fn of_unit(unit: Unit) -> String {
    match unit {
        Unit::Seconds => "Unix seconds in digits alone".to_owned(),
        Unit::Milliseconds => "Unix milliseconds in digits alone".to_owned(),
        other => format!("`{}`", other.name()),
    }
}

/// The timestamp is not of the scheme's form, and no signature says what it was.
pub(super) fn malformed(case: &Trials<'_>) -> Option<Mistake> {
    let place = case.scheme.timestamp()?;
    let TimestampAt::Headers(names) = &place.at else {
        return None;
    };
    let (name, value) = names.iter().find_map(|name| match case.head.find(name) {
        Found::One(value) if !value.is_empty() => Some((name, value)),
        _ => None,
    })?;
    let own = place.unit;
    let text = std::str::from_utf8(value).ok()?;
    let parsed = own.parse(value);
    let form = read(text).map(|(_, form)| form);
    let is_other = match form {
        Some(Form::Number(unit)) => {
            own.is_number() && !of_unit(own).starts_with(unit) || !own.is_number()
        }
        _ => parsed.is_none(),
    };
    is_other.then(|| {
        let seen = form.map_or("no time", Form::words);
        Mistake::new(
            "timestamp_malformed",
            format!(
                "The header `{}` holds {seen}, and this scheme takes {}.",
                name.as_str(),
                of_unit(own)
            ),
            SEND_WHAT_WAS_SIGNED,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_every_form() {
        let rows = [
            ("1750000000", Form::Number("Unix seconds")),
            ("1750000000000", Form::Number("Unix milliseconds")),
            ("1750000000000000", Form::Number("Unix microseconds")),
            ("1750000000000000000", Form::Number("Unix nanoseconds")),
            ("1750000000.0", Form::Fraction),
            ("1.75E+09", Form::Exponent),
            ("\"1750000000\"", Form::Quoted),
            ("2025-06-15T15:06:40Z", Form::Iso),
            ("2025-06-15T17:06:40.000+02:00", Form::Iso),
            ("2025-06-15 15:06:40", Form::Iso),
            ("Sun, 15 Jun 2025 15:06:40 GMT", Form::Http),
        ];
        for (text, form) in rows {
            let (moments, seen) = read(text).unwrap();
            assert_eq!(seen, form, "{text}");
            assert_eq!(moments.first(), Some(&1_750_000_000_000), "{text}");
        }
        for text in ["", "soon", "2025-13-01T00:00:00Z", "12:00", "-"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
