//! The list of providers: as text for a terminal, and as docs/providers.md.

use super::{facts, uses};
use crate::cli::check::tolerance;
use crate::cli::output::table;
use crate::config::presets::{Preset, Unsupported};
use crate::config::units::written_duration;
use crate::wire::head::FieldName;

/// The list for a terminal. Providers without a preset come last, with the reason.
pub(super) fn list(presets: &[&Preset], others: &[&Unsupported]) -> String {
    let mut parts = Vec::new();
    if !presets.is_empty() {
        // The names come last, since some are long.
        let titles = [
            "provider",
            "family",
            "tolerance",
            "replay key",
            "handshake",
            "basis",
            "vectors",
            "name",
        ];
        let mut rows = vec![titles.map(str::to_owned)];
        rows.extend(presets.iter().map(|preset| {
            let scheme = &preset.scheme;
            [
                preset.name.clone(),
                preset.family.name().to_owned(),
                tolerance(scheme, scheme.tolerance, scheme.future_tolerance),
                facts::replay_name(scheme).to_owned(),
                scheme.handshake.map_or("-", |_| "yes").to_owned(),
                facts::basis(preset).to_owned(),
                facts::vectors(preset).to_owned(),
                preset.title.clone(),
            ]
        }));
        parts.push(table(&rows));
    }
    if !others.is_empty() {
        let width = others.iter().map(|other| other.name.chars().count()).max();
        let width = width.unwrap_or_default();
        let mut lines = vec!["not supported, and why:".to_owned()];
        for other in others {
            let words = format!("{}: {}", other.title, why(other));
            let mut name = other.name.as_str();
            for line in wrapped(&words, COLUMNS.saturating_sub(width + 2)) {
                lines.push(format!("{name:width$}  {line}"));
                name = "";
            }
        }
        parts.push(lines.join("\n"));
    }
    parts.join("\n\n")
}

/// The columns that a text is wrapped at.
const COLUMNS: usize = 100;

/// The words of a text in lines of at most `columns` characters; a longer word has a line of its
/// own.
fn wrapped(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The providers that read these headers, with what each reads from them.
pub(super) fn header_uses(presets: &[&Preset], headers: &[FieldName]) -> String {
    let titles = ["provider", "header", "part", "basis", "read from it"];
    let mut rows = vec![titles.map(str::to_owned)];
    for preset in presets {
        let uses = headers
            .iter()
            .flat_map(|name| uses::of_header(&preset.scheme, name));
        rows.extend(uses.map(|one| {
            [
                preset.name.clone(),
                one.place(),
                one.part.to_owned(),
                facts::basis(preset).to_owned(),
                one.words,
            ]
        }));
    }
    table(&rows)
}

fn why(other: &Unsupported) -> String {
    let instead = other.instead.as_ref().map(|instead| format!("; {instead}"));
    format!("{}{}", other.reason, instead.unwrap_or_default())
}

/// The text of docs/providers.md above its first table.
const ABOVE: &str = "\
# Providers

<!-- Printed by `verigate providers --markdown`; a test compares it. -->

`provider = \"NAME\"` on a route takes everything from a preset: what is signed and how, where the signature, the
timestamp and the event's id and type are, the tolerance, and the handshake. `verigate providers NAME` prints all that is
known of a provider (its secret, headers, retries, handshake and caveats) and a route to copy. `verigate providers`
without a name lists them; `--search`, `--header`, `--family`, `--algorithm`, `--unconfirmed`, `--handshake` and
`--unsigned-body` narrow the list. `--header X-Hook-Signature` lists all that read this header, with what each reads
from it; `--search` finds the names of query parameters and body fields as well.

- **id** is the name to write; some providers have other names too, which `verigate providers NAME` shows.
- **signed** is the content that the signature covers, in the notation of [schemes](schemes.md#signed-content).
- **tolerance** is how far the signed timestamp may be off, both ways or `-PAST +FUTURE`. `no timestamp`: nothing signed
  says when a delivery was made, so only the replay window knows an old one. `OFF`: the timestamp is the event's own, or
  may be of any age. `by its token`: a JSON Web Token says how long it holds.
- **replay key** is how the same event is known again; `off`: two events may be alike, so replay protection is off unless
  the route asks for it. A copy of a delivery that is done never reaches the app. It is answered 409 where the signature
  covers the time of the attempt, and 200, as a duplicate, where an honest retry looks the same: with `no timestamp`, or
  with the time of the event. `verigate providers NAME` says which (`seen again`), and
  [the contract](contract.md#seen-again) has all cases. Where the key is not the signed id, the same content signed
  again with another timestamp counts as a new delivery.
- **key of** says whose key signs: of this `endpoint`, of your `account` or `app`, or of the `provider` for all of its
  customers, where a route needs [`accounts`](contract.md#accounts).
- **waits** is how long the provider waits for an answer, and **after a 4xx** what a refusal costs: the delivery is
  `retried` or `dropped`; after several the endpoint is `disabled` or the subscription `deleted`. Empty: not known.
- **handshake**: `yes` if the provider asks the endpoint for an answer before it delivers.
- **status**: `documented` if the facts are the provider's own; `unconfirmed` if they come from others, so try the route
  in [shadow mode](operating.md#moving-in) first; `no vector` if nothing that was made outside of this
  program proves the scheme, so see one real delivery verified before you rely on it.

Where you choose headers or fields yourself, a recipe says what to write: [Convoy](providers/convoy.md),
[Frappe](providers/frappe.md), [Grafana](providers/grafana.md), [Harness](providers/harness.md),
[NetBox](providers/netbox.md), [OpnForm and Sim](providers/opnform.md), and
[a header of your own](providers/own-header.md) (Datadog, New Relic, Zapier, Fillout and others).
";

/// The text between the two tables.
const BETWEEN: &str = "\
## Not supported

These have no preset, each for a reason. Some can be spelled out in [`[route.scheme]`](schemes.md).
";

/// The text of docs/providers.md: the presets, and the providers that have none.
pub(super) fn markdown(presets: &[&Preset], others: &[&Unsupported]) -> String {
    let titles = [
        "id",
        "provider",
        "signed",
        "tolerance",
        "replay key",
        "key of",
        "waits",
        "after a 4xx",
        "handshake",
        "status",
    ];
    let rows = presets.iter().map(|preset| {
        let scheme = &preset.scheme;
        [
            format!("`{}`", preset.name),
            preset.title.clone(),
            facts::signed(scheme),
            tolerance(scheme, scheme.tolerance, scheme.future_tolerance),
            facts::replay_name(scheme).to_owned(),
            preset.key_owner.name().to_owned(),
            preset.time_limit.map_or_else(String::new, written_duration),
            facts::after_4xx_names(preset),
            scheme.handshake.map_or("", |_| "yes").to_owned(),
            facts::status(preset),
        ]
    });
    let known = markdown_table(titles, rows);
    let rows = others.iter().map(|other| {
        let instead = other.instead.clone().unwrap_or_default();
        [
            format!("`{}`", other.name),
            other.title.clone(),
            other.reason.clone(),
            instead,
        ]
    });
    let unknown = markdown_table(["id", "provider", "why not", "instead"], rows);
    [ABOVE, &known, "", BETWEEN, &unknown].join("\n")
}

fn markdown_table<const N: usize>(
    titles: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
) -> String {
    let line = |cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |", cells.join(" | ")).replace("|  |", "| |")
    };
    let mut lines = vec![
        format!("| {} |", titles.join(" | ")),
        format!("|{}", " --- |".repeat(N)),
    ];
    lines.extend(rows.map(|row| line(&row)));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::presets::{all, find, unsupported};

    #[test]
    fn a_preset_is_listed_with_what_decides_about_it() {
        let listed = list(&[find("itellico").unwrap()], &[]);
        let line = listed.lines().nth(1).unwrap();
        let cells: Vec<&str> = line
            .split("  ")
            .filter(|cell| !cell.is_empty())
            .map(str::trim)
            .collect();
        assert_eq!(
            cells,
            [
                "itellico",
                "timestamped-hmac",
                "5m",
                "signed id",
                "-",
                "documented",
                "yes",
                "itellicoAI"
            ]
        );
    }

    #[test]
    fn those_that_are_none_stand_below_with_the_reason() {
        let others: Vec<_> = unsupported().iter().collect();
        let listed = list(&[find("stripe").unwrap()], &others);
        let (above, below) = listed.split_once("\n\n").unwrap();
        assert!(
            above.contains("stripe") && !above.contains("paypal"),
            "{listed}"
        );
        assert!(
            below.lines().count() > others.len() && below.contains("CRC-32"),
            "{listed}"
        );
        let names: Vec<_> = below
            .lines()
            .filter_map(|line| line.split(' ').next())
            .collect();
        assert!(
            others
                .iter()
                .all(|other| names.contains(&other.name.as_str()))
        );
        assert!(
            below.lines().all(|line| line.chars().count() <= COLUMNS),
            "{below}"
        );
        let rows = above.lines().map(|line| line.chars().count());
        assert!(rows.max() < Some(160), "{above}");
    }

    #[test]
    fn every_row_of_the_markdown_tables_has_its_cells() {
        let (all, others): (Vec<_>, Vec<_>) =
            (all().iter().collect(), unsupported().iter().collect());
        let text = markdown(&all, &others);
        let rows = |part: &str, bars: usize| {
            let rows: Vec<_> = part
                .lines()
                .filter(|line| line.starts_with('|'))
                .map(str::to_owned)
                .collect();
            for line in &rows {
                assert_eq!(line.replace("\\|", "").matches('|').count(), bars, "{line}");
            }
            rows.len()
        };
        let (known, unknown) = text.split_once("\n## ").unwrap();
        assert_eq!(
            (rows(known, 11), rows(unknown, 5)),
            (all.len() + 2, others.len() + 2)
        );
        assert!(
            text.contains("| `telnyx` | Telnyx | `{timestamp}\\|{body}` | 5m |"),
            "{text}"
        );
        assert!(
            text.contains("| `slack` | Slack |") && text.contains("| yes | documented |"),
            "{text}"
        );
    }
}
