//! The notations of the configuration file: durations, sizes, addresses, networks and moments
//! (contract: Configuration).
//!
//! Each parser takes the text as written and returns a checked value or a [`UnitFault`], which
//! completes a sentence about the text. No parser resolves a name or opens a file.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ipnet::IpNet;

use crate::clock::UnixMillis;
use crate::notation::timestamp::Tolerance;

/// The longest duration that is accepted: timers and clocks of every kind can still add it.
const MAX_DURATION: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Why a text is not in the notation that its key needs. It becomes a problem once the reader adds
/// the key and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitFault {
    /// The end of the sentence that begins with the key: "is no duration".
    pub message: String,
    /// The correction: a sentence for the operator.
    pub help: String,
}

impl UnitFault {
    pub(super) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            help: help.into(),
        }
    }
}

/// `500ms`, `10s`, `5m`, `72h`, `1d`: digits and a unit, up to ten years. Zero is allowed.
///
/// # Errors
/// A sentence about the text.
pub fn duration(text: &str) -> Result<Duration, UnitFault> {
    let help = "write digits and one of ms, s, m, h, d, as in `10s` or `72h`";
    let fault = || UnitFault::new("is no duration", help);
    let (digits, unit) = split_number(text).ok_or_else(fault)?;
    let number: u64 = digits.parse().map_err(|_| fault())?;
    let duration = match unit {
        "ms" => Some(Duration::from_millis(number)),
        "s" => Some(Duration::from_secs(number)),
        "m" => number.checked_mul(60).map(Duration::from_secs),
        "h" => number.checked_mul(3600).map(Duration::from_secs),
        "d" => number.checked_mul(86_400).map(Duration::from_secs),
        "" => return Err(UnitFault::new("has no unit", help)),
        _ => return Err(fault()),
    };
    duration
        .filter(|duration| *duration <= MAX_DURATION)
        .ok_or_else(|| UnitFault::new("is longer than ten years", "write a shorter time"))
}

/// A duration above zero.
///
/// # Errors
/// A sentence about the text.
pub fn timeout(text: &str) -> Result<Duration, UnitFault> {
    let timeout = duration(text)?;
    if timeout.is_zero() {
        Err(UnitFault::new(
            "is zero",
            "write a time above zero, as in `10s`",
        ))
    } else {
        Ok(timeout)
    }
}

/// A duration above zero, or `off`.
///
/// # Errors
/// A sentence about the text.
pub fn tolerance(text: &str) -> Result<Tolerance, UnitFault> {
    if text == "off" {
        return Ok(Tolerance::Off);
    }
    let within = duration(text).map_err(|fault| UnitFault {
        help: "write a time, as in `5m`, or `off`".to_owned(),
        ..fault
    })?;
    if within.is_zero() {
        let help = "write a time above zero, as in `5m`, or `off` to accept timestamps of any age";
        return Err(UnitFault::new(
            "is zero: no delivery could be in time",
            help,
        ));
    }
    Ok(Tolerance::Within(within))
}

/// The number of bytes of `64KiB`, `1MB` or `4096`: digits and at most one unit.
///
/// # Errors
/// A sentence about the text.
pub fn size(text: &str) -> Result<u64, UnitFault> {
    let help = "write digits and one of B, KB, KiB, MB, MiB, GB, GiB, as in `1MiB`";
    let fault = || UnitFault::new("is no size", help);
    let (digits, unit) = split_number(text).ok_or_else(fault)?;
    let factor = match unit {
        "" | "B" => 1,
        "KB" | "kB" => 1_000,
        "KiB" => 1 << 10,
        "MB" => 1_000_000,
        "MiB" => 1 << 20,
        "GB" => 1_000_000_000,
        "GiB" => 1 << 30,
        _ => return Err(fault()),
    };
    let number: u64 = digits.parse().map_err(|_| fault())?;
    number
        .checked_mul(factor)
        .filter(|bytes| *bytes <= 1 << 50)
        .ok_or_else(|| {
            UnitFault::new(
                "is larger than any machine can hold",
                "write a smaller size",
            )
        })
}

fn split_number(text: &str) -> Option<(&str, &str)> {
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    (!digits.is_empty()).then_some((digits, unit))
}

/// An IP address and a port to listen on.
///
/// # Errors
/// A sentence about the text.
pub fn listen_address(text: &str) -> Result<SocketAddr, UnitFault> {
    let help = "write an IP address and a port, as in `127.0.0.1:8080` or `[::1]:8080`; `0.0.0.0:8080` is every interface";
    text.parse()
        .map_err(|_| UnitFault::new("is no address to listen on", help))
}

/// A network in CIDR notation, or a single address.
///
/// # Errors
/// A sentence about the text.
pub fn network(text: &str) -> Result<IpNet, UnitFault> {
    let single = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>().or_else(|_| single()).map_err(|_| {
        UnitFault::new(
            "is no network",
            "write it as in `10.0.0.0/8`, or a single address",
        )
    })
}

/// An RFC 3339 moment with its zone.
///
/// # Errors
/// A sentence about the text.
pub fn moment(text: &str) -> Result<UnixMillis, UnitFault> {
    text.parse::<jiff::Timestamp>()
        .map(|moment| UnixMillis(moment.as_millisecond()))
        .map_err(|_| {
            UnitFault::new(
                "is no moment",
                "write date, time and zone, as in `2026-12-31T00:00:00Z`",
            )
        })
}

/// The day of a moment in UTC, as in `2026-04-02`.
pub(crate) fn written_day(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| format!("{} ms", at.0), |at| format!("{at:.0}"))
        .split('T')
        .next()
        .unwrap_or_default()
        .to_owned()
}

/// A moment in UTC as RFC 3339 writes it, with milliseconds: `2026-04-02T09:30:00.000Z`.
pub(crate) fn written_moment(at: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(at.0)
        .map_or_else(|_| format!("{} ms", at.0), |at| format!("{at:.3}"))
}

/// A number of bytes for messages, in the largest unit that divides it.
pub(crate) fn written_size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let exact = units
        .into_iter()
        .find(|(unit, _)| bytes != 0 && bytes.is_multiple_of(*unit));
    exact.map_or_else(
        || bytes.to_string(),
        |(unit, name)| format!("{}{name}", bytes / unit),
    )
}

/// A size for messages where a part of it is enough to know: in the largest unit of which it has one, with
/// a digit behind the point, rounded down.
pub(crate) fn rounded_size(bytes: u64) -> String {
    let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit, name)) = units.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return format!("{bytes} bytes");
    };
    match bytes % unit * 10 / unit {
        0 => format!("{}{name}", bytes / unit),
        tenth => format!("{}.{tenth}{name}", bytes / unit),
    }
}

/// A duration for messages, in the largest unit that divides it.
pub(crate) fn written_duration(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [
        (86_400_000, "d"),
        (3_600_000, "h"),
        (60_000, "m"),
        (1_000, "s"),
    ];
    let exact = units
        .into_iter()
        .find(|(unit, _)| ms != 0 && ms.is_multiple_of(*unit));
    exact.map_or_else(
        || format!("{ms}ms"),
        |(unit, name)| format!("{}{name}", ms / unit),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Compares every row with the parser's result, and reports all that differ.
    fn compare<T: PartialEq + std::fmt::Debug>(
        rows: &[(&str, Option<T>)],
        parse: impl Fn(&str) -> Result<T, UnitFault>,
    ) {
        let wrong: Vec<_> = rows
            .iter()
            .map(|row| (row, parse(row.0).ok()))
            .filter(|(row, found)| row.1 != *found)
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn durations_are_digits_and_one_unit() {
        let secs = |s| Some(Duration::from_secs(s));
        let rows = [
            ("500ms", Some(Duration::from_millis(500))),
            ("10s", secs(10)),
            ("5m", secs(300)),
            ("72h", secs(259_200)),
            ("1d", secs(86_400)),
            ("0s", secs(0)),
            ("007s", secs(7)),
            ("10", None),
            ("", None),
            ("s", None),
            ("-1s", None),
            ("+1s", None),
            ("1.5s", None),
            ("1 s", None),
            (" 1s", None),
            ("1h30m", None),
            ("1S", None),
            ("1w", None),
            ("5000d", None),
            ("18446744073709551615d", None),
            ("18446744073709551616s", None),
            ("1\u{663}s", None),
        ];
        compare(&rows, duration);
    }

    #[test]
    fn zero_is_no_timeout_and_no_tolerance() {
        compare(
            &[("0s", None), ("1ms", Some(Duration::from_millis(1)))],
            timeout,
        );
        let five = Some(Tolerance::Within(Duration::from_secs(300)));
        compare(
            &[
                ("0s", None),
                ("off", Some(Tolerance::Off)),
                ("5m", five),
                ("Off", None),
                ("none", None),
            ],
            tolerance,
        );
    }

    #[test]
    fn sizes_are_digits_and_at_most_one_unit() {
        let rows = [
            ("0", Some(0)),
            ("1024", Some(1024)),
            ("1B", Some(1)),
            ("64KiB", Some(65_536)),
            ("1KB", Some(1000)),
            ("1kB", Some(1000)),
            ("1MB", Some(1_000_000)),
            ("256MiB", Some(268_435_456)),
            ("1GiB", Some(1 << 30)),
            ("1GB", Some(1_000_000_000)),
            ("", None),
            ("MiB", None),
            ("1 MiB", None),
            ("1M", None),
            ("1mib", None),
            ("1.5MiB", None),
            ("-1", None),
            ("99999999999GiB", None),
        ];
        compare(&rows, size);
    }

    #[test]
    fn addresses_networks_and_moments_are_read_strictly() {
        compare(
            &[
                ("127.0.0.1:8080", "127.0.0.1:8080".parse().ok()),
                ("[::]:0", "[::]:0".parse().ok()),
                (":8080", None),
                ("localhost:8080", None),
                ("127.0.0.1", None),
                ("8080", None),
            ],
            listen_address,
        );
        compare(
            &[
                ("10.0.0.0/8", "10.0.0.0/8".parse().ok()),
                ("10.1.2.3", "10.1.2.3/32".parse().ok()),
                ("::1", "::1/128".parse().ok()),
                ("10.0.0.0/33", None),
                ("all", None),
            ],
            network,
        );
        compare(
            &[
                ("1970-01-01T00:00:01Z", Some(UnixMillis(1000))),
                ("1970-01-01T01:00:01.5+01:00", Some(UnixMillis(1500))),
                ("1970-01-01T00:00:01", None),
                ("1970-01-01", None),
                ("1000", None),
            ],
            moment,
        );
    }

    #[test]
    fn what_is_written_can_be_read_again() {
        for bytes in [0, 1, 1023, 1024, 1536, 1 << 20, 3 << 30] {
            assert_eq!(size(&written_size(bytes)), Ok(bytes));
        }
        for (bytes, words) in [
            (0, "0 bytes"),
            (1023, "1023 bytes"),
            (1024, "1KiB"),
            (55_874_560, "53.2MiB"),
            ((1 << 30) - 1, "1023.9MiB"),
            (1 << 30, "1GiB"),
            (u64::MAX, "17179869183.9GiB"),
        ] {
            assert_eq!(rounded_size(bytes), words);
        }
        for ms in [
            0,
            1,
            1000,
            61_000,
            60_000,
            3_600_000,
            86_400_000,
            259_200_000,
        ] {
            let time = Duration::from_millis(ms);
            assert_eq!(duration(&written_duration(time)), Ok(time));
        }
    }
}
