//! A key whose value is a number of bytes (contract: Configuration).

use super::reader::{Findings, Table};
use super::units;

/// A size within `range`, or `default`. A whole number without a unit is a number of bytes.
pub(super) fn size(
    table: &mut Table<'_>,
    findings: &mut Findings,
    key: &'static str,
    range: std::ops::RangeInclusive<u64>,
    default: u64,
) -> u64 {
    let Some(item) = table.item(key) else {
        return default;
    };
    let read = if matches!(item.value.get_ref(), toml::de::DeValue::Integer(_)) {
        item.integer(findings, 0..=1 << 50)
    } else {
        item.unit(findings, "\"1MiB\"", units::size)
    };
    let Some(bytes) = read else { return default };
    if range.contains(&bytes) {
        return bytes;
    }
    let (from, to) = (
        units::written_size(*range.start()),
        units::written_size(*range.end()),
    );
    match bytes {
        0 => item.refuse(findings, "is zero", "write a size above zero, as in `1MiB`"),
        _ => item.refuse(
            findings,
            "is out of range",
            format!("write a size from {from} to {to}"),
        ),
    }
    default
}
