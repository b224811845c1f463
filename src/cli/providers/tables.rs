//! The list of providers: as text for a terminal, and as the table of README.

use std::fmt::Write as _;

use super::facts;
use crate::cli::check::{identity, tolerance};
use crate::cli::output::table;
use crate::config::presets::{Preset, Unsupported};
use crate::scheme::handshake::Handshake;

/// For a terminal, those that are no preset below with the reason.
pub(super) fn list(presets: &[&Preset], others: &[&Unsupported]) -> String {
    let mut parts = Vec::new();
    if !presets.is_empty() {
        let titles = ["provider", "name", "family", "tolerance", "replay key", "handshake", "basis", "vectors"];
        let mut rows = vec![titles.map(str::to_owned)];
        rows.extend(presets.iter().map(|preset| {
            let scheme = &preset.scheme;
            [
                preset.name.clone(),
                preset.title.clone(),
                preset.family.name().to_owned(),
                tolerance(scheme, scheme.tolerance, scheme.future_tolerance),
                identity(scheme).to_owned(),
                scheme.handshake.map_or("-", Handshake::name).to_owned(),
                facts::basis(preset).to_owned(),
                facts::vectors(preset).to_owned(),
            ]
        }));
        parts.push(table(&rows));
    }
    if !others.is_empty() {
        let titles = ["not supported", "name", "why, and what instead"];
        let mut rows = vec![titles.map(str::to_owned)];
        let row = |other: &&Unsupported| [other.name.clone(), other.title.clone(), why(other)];
        rows.extend(others.iter().map(row));
        parts.push(table(&rows));
    }
    parts.join("\n\n")
}

fn why(other: &Unsupported) -> String {
    let instead = other.instead.as_ref().map(|instead| format!("; {instead}"));
    format!("{}{}", other.reason, instead.unwrap_or_default())
}

/// For README.
pub(super) fn markdown(presets: &[&Preset]) -> String {
    let mut out = String::from(
        "| id | provider | signed | tolerance | replay key | handshake | status |\n\
         | --- | --- | --- | --- | --- | --- | --- |",
    );
    for preset in presets {
        let scheme = &preset.scheme;
        let cells = [
            format!("`{}`", preset.name),
            preset.title.clone(),
            facts::signed(scheme),
            tolerance(scheme, scheme.tolerance, scheme.future_tolerance),
            identity(scheme).to_owned(),
            scheme.handshake.map_or("", |_| "yes").to_owned(),
            facts::status(preset),
        ];
        // Writing to a String cannot fail.
        let _ = write!(out, "\n| {} |", cells.map(|cell| cell.replace('|', "\\|")).join(" | ").replace("|  |", "| |"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::{all, find, unsupported};

    #[test]
    fn a_preset_is_listed_with_what_decides_about_it() {
        let listed = list(&[find("itellico").unwrap()], &[]);
        let line = listed.lines().nth(1).unwrap();
        let cells: Vec<&str> = line.split("  ").filter(|cell| !cell.is_empty()).map(str::trim).collect();
        assert_eq!(cells, ["itellico", "itellicoAI", "timestamped-hmac", "5m", "signed id", "-", "documented", "yes"]);
    }

    #[test]
    fn those_that_are_none_stand_below_with_the_reason() {
        let others: Vec<_> = unsupported().iter().collect();
        let listed = list(&[find("stripe").unwrap()], &others);
        let (above, below) = listed.split_once("\n\n").unwrap();
        assert!(above.contains("stripe") && !above.contains("paypal"), "{listed}");
        assert!(below.lines().count() == others.len() + 1 && below.contains("CRC-32"), "{listed}");
    }

    #[test]
    fn every_row_of_the_markdown_table_has_its_seven_cells() {
        let all: Vec<_> = all().iter().collect();
        let text = markdown(&all);
        assert_eq!(text.lines().count(), all.len() + 2);
        for line in text.lines() {
            assert_eq!(line.replace("\\|", "").matches('|').count(), 8, "{line}");
        }
        assert!(text.contains("| `telnyx` | Telnyx | `{timestamp}\\|{body}` | 5m |"), "{text}");
        assert!(text.contains("| `slack` | Slack |") && text.contains("| yes | documented |"), "{text}");
    }
}
