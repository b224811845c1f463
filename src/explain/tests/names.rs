//! The names of all mistakes, read from the sources: each is said in a single file, and made by a
//! test.

use std::collections::BTreeMap;

/// The files of the room that may say mistakes.
const SOURCES: [(&str, &str); 37] = [
    ("absent", include_str!("../absent.rs")),
    ("codes", include_str!("../codes.rs")),
    ("contents", include_str!("../contents.rs")),
    ("look", include_str!("../look.rs")),
    ("messages", include_str!("../messages.rs")),
    ("params", include_str!("../params.rs")),
    ("body", include_str!("../body.rs")),
    ("candidates", include_str!("../candidates.rs")),
    ("case", include_str!("../case.rs")),
    ("clock", include_str!("../clock.rs")),
    ("content", include_str!("../content.rs")),
    ("documents", include_str!("../documents.rs")),
    ("envelopes", include_str!("../envelopes.rs")),
    ("form", include_str!("../form.rs")),
    ("headers", include_str!("../headers.rs")),
    ("json", include_str!("../json.rs")),
    ("jwt", include_str!("../jwt.rs")),
    ("lists", include_str!("../lists.rs")),
    ("literal", include_str!("../literal.rs")),
    ("mistake", include_str!("../mistake.rs")),
    ("mixups", include_str!("../mixups.rs")),
    ("nulls", include_str!("../nulls.rs")),
    ("older", include_str!("../older.rs")),
    ("printed", include_str!("../printed.rs")),
    ("providers", include_str!("../providers.rs")),
    ("proxy", include_str!("../proxy.rs")),
    ("secrets", include_str!("../secrets.rs")),
    ("shape", include_str!("../shape.rs")),
    ("signature", include_str!("../signature.rs")),
    ("spelling", include_str!("../spelling.rs")),
    ("times", include_str!("../times.rs")),
    ("timestamp", include_str!("../timestamp.rs")),
    ("tokens", include_str!("../tokens.rs")),
    ("tree", include_str!("../tree.rs")),
    ("trials", include_str!("../trials.rs")),
    ("url", include_str!("../url.rs")),
    ("wrapped", include_str!("../wrapped.rs")),
];

/// The tests that make the mistakes.
const TESTS: [&str; 13] = [
    include_str!("codes.rs"),
    include_str!("content.rs"),
    include_str!("headers.rs"),
    include_str!("jwt.rs"),
    include_str!("keys.rs"),
    include_str!("lists.rs"),
    include_str!("mod.rs"),
    include_str!("places.rs"),
    include_str!("secrets.rs"),
    include_str!("../../cli/tests/shapes/kinds.rs"),
    include_str!("../../cli/tests/shapes/nulls.rs"),
    include_str!("../../cli/tests/shapes/bodies.rs"),
    include_str!("../../cli/tests/shapes/secrets.rs"),
];

/// The names of all mistakes, each with the files that say it.
fn names() -> BTreeMap<&'static str, Vec<&'static str>> {
    let mut names: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for (file, source) in SOURCES {
        let product = source.split("#[cfg(test)]").next().unwrap_or_default();
        // A name is the first argument of a call, or a field of a row in a table.
        let calls = product.split("Mistake::new(").skip(1);
        let rows = product
            .split("name: \"")
            .skip(1)
            .map(|rest| rest.split('"').next());
        let literals = calls.filter_map(|call| {
            let call = call.trim_start();
            let is_of_table = call.starts_with("spelling.")
                || call.starts_with("mixup.")
                || call.starts_with("wrapping.");
            let name = call
                .strip_prefix('"')
                .and_then(|rest| rest.split('"').next());
            (!is_of_table).then_some(name)
        });
        for name in literals.chain(rows) {
            let files = names
                .entry(name.expect("a mistake's name is a literal"))
                .or_default();
            if !files.contains(&file) {
                files.push(file);
            }
        }
    }
    names
}

#[test]
fn every_name_is_said_in_a_single_file() {
    let names = names();
    let is_plain = |name: &str| {
        name.bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    let wrong: Vec<_> = names
        .iter()
        .filter(|(name, files)| files.len() > 1 || !is_plain(name))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    assert!(names.len() >= 190, "{} mistakes", names.len());
}

#[test]
fn every_mistake_is_made_by_a_test() {
    let is_made = |name: &&str| {
        TESTS.iter().any(|test| {
            test.contains(&format!("\"{name}\"")) || test.contains(&format!("\"{name}: "))
        })
    };
    let missing: Vec<_> = names().into_keys().filter(|name| !is_made(name)).collect();
    assert!(missing.is_empty(), "no test makes {missing:?}");
}

#[test]
fn every_file_of_the_room_is_searched_for_names() {
    let modules = include_str!("../mod.rs")
        .lines()
        .filter_map(|line| line.strip_prefix("mod ")?.strip_suffix(';'));
    let missing: Vec<_> = modules
        .filter(|module| SOURCES.iter().all(|(file, _)| file != module))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}
