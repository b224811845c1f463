//! A scheme in a file of its own, for `verify --scheme` (contract: Command line): the keys of
//! `[route.scheme]`, at the top of the file or under `[scheme]` or `[route.scheme]`.
//!
//! The same code reads it as reads a route's scheme, and it is refused for the same faults
//! (schemes: What is refused).

use std::path::Path;

use toml::de::{DeTable, DeValue};

use super::problem::Problems;
use super::reader::{Findings, Table};
use super::scheme::CUSTOM;
use super::{Files, read_text, scheme};
use crate::scheme::{Scheme, Settings};

/// Reads and checks the scheme in the file at `path`.
///
/// # Errors
/// Every problem of the file at once, ready to print.
pub fn load_scheme(path: &Path) -> Result<Scheme, Problems> {
    let shown = path.display().to_string();
    let text = read_text(path, &shown, &Files::default())?;
    parse_scheme(&shown, &text)
}

/// Reads and checks the scheme in `text`, which messages call `path`.
///
/// # Errors
/// Every problem of the text at once.
pub fn parse_scheme(path: &str, text: &str) -> Result<Scheme, Problems> {
    let mut findings = Findings::default();
    let (tree, errors) = DeTable::parse_recoverable(text);
    findings.syntax(text, &errors);
    let mut entries = tree.get_ref();
    for key in ["route", "scheme"] {
        if let Some(DeValue::Table(inner)) = entries.get(key).map(toml::Spanned::get_ref)
            && entries.len() == 1
        {
            entries = inner;
        }
    }
    let mut table = Table::new("", 0..0, entries);
    let scheme = scheme::read(&mut table, &mut findings, CUSTOM, false);
    if let Some(scheme) = &scheme {
        // The signed URL is given with each delivery. Any URL will do here, so that a scheme that
        // signs the URL is not refused for its absence.
        let settings = Settings {
            tolerance: scheme.tolerance,
            future_tolerance: scheme.future_tolerance,
            public_url: Some("https://hooks.example.com".to_owned()),
            max_body: usize::MAX,
        };
        // So are its params.
        let scheme = scheme.clone().with_params(|_| Some("param"));
        for fault in scheme.faults(&settings) {
            findings.problem(table.span_of(fault.key), fault.message, fault.help);
        }
    }
    findings.finish(path, text, &[])?;
    let missing = || {
        Problems::whole_file(
            path,
            "the file holds no scheme",
            "write the keys of `[route.scheme]` in it",
        )
    };
    scheme.ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: &str = "algorithm = \"hmac-sha256\"\nsigned = \"{timestamp}.{body}\"\n\
        signature = { header = \"X-Signature\" }\ntimestamp = { header = \"X-Timestamp\" }\n";

    #[test]
    fn the_keys_may_stand_at_the_top_or_under_their_table() {
        for header in ["", "[scheme]\n", "[route.scheme]\n"] {
            let scheme = parse_scheme("s.toml", &format!("{header}{KEYS}"))
                .unwrap_or_else(|p| panic!("{header}: {p}"));
            assert_eq!(
                scheme.template().unwrap().signed.text(),
                "{timestamp}.{body}"
            );
            assert_eq!((scheme.provider.as_str(), scheme.preset), ("custom", false));
        }
    }

    #[test]
    fn every_problem_is_told_with_its_place() {
        let text = "[scheme]\nalgorithm = \"md5\"\nsigned = \"{bdy}\"\nx = 1\n";
        let problems = parse_scheme("s.toml", text).unwrap_err();
        let lines: Vec<_> = problems
            .list
            .iter()
            .filter_map(|p| p.position.map(|at| at.line))
            .collect();
        assert!(
            [2, 3, 4].iter().all(|line| lines.contains(line)),
            "{problems}"
        );
        let unsafe_one = KEYS.replace("{timestamp}.{body}", "{timestamp}");
        assert!(
            parse_scheme("s.toml", &unsafe_one)
                .unwrap_err()
                .to_string()
                .contains("{body}")
        );
    }
}
