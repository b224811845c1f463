//! The key `repeats` of a scheme and of a route: how often a request that wants an answer may come
//! again (contract: Repeats).

use std::time::Duration;

use super::super::reader::{Findings, Item};
use super::super::units;
use crate::scheme::Repeats;

const EXAMPLE: &str = "{ most = 20, within = \"4h\" }";

/// The value of the key.
#[derive(Clone, Copy, Debug)]
pub(in crate::config) enum Written {
    /// `"off"`: no request is repeated, whatever the preset says.
    Off,
    /// A table.
    On(Repeats),
}

impl Written {
    /// The repeats that are taken, if any.
    pub(in crate::config) fn repeats(self) -> Option<Repeats> {
        match self {
            Self::Off => None,
            Self::On(repeats) => Some(repeats),
        }
    }
}

/// Reads the value. `None` where it is wrong.
pub(in crate::config) fn read(item: &Item<'_>, findings: &mut Findings) -> Option<Written> {
    if item.value.get_ref().as_str() == Some("off") {
        return Some(Written::Off);
    }
    if item.value.get_ref().as_str().is_some() {
        let help = format!("write `\"off\"` or `{EXAMPLE}`");
        item.refuse(findings, "is neither `\"off\"` nor a table", help);
        return None;
    }
    let mut table = item.table(findings, EXAMPLE)?;
    let most = table
        .required(findings, "most", "20")
        .and_then(|item| item.integer(findings, 1..=1000))
        .and_then(|most| u16::try_from(most).ok());
    let within: Option<Duration> = table
        .required(findings, "within", "\"4h\"")
        .and_then(|item| item.unit(findings, "\"4h\"", units::timeout));
    table.finish(findings);
    Some(Written::On(Repeats {
        most: most?,
        within: within?,
    }))
}
