//! The catalogue of attacks, docs/attacks.md, held together with the tests: every row is named by a test or waits for a
//! later work, and every row that a test names is in the catalogue.
//!
//! A test names a row by the beginning of its function's name (`sm_01_…`, also `au_02_au_03_…`) or by a string that
//! begins with it (`"SM-10 a line feed"`), as tables of cases have. A comment names none, but must not name one that
//! does not exist.

use std::collections::{BTreeMap, BTreeSet};

use crate::reader::{code_of, comments, is_word, strings};
use crate::{nothing, read, rust_files};

/// Each place where a row may be held, as the last column calls it.
const PLACES: [&str; 4] = ["socket", "command line", "core", "repository"];

/// What the last column says in front of a work that must come first.
const WAITS: &str = "waits for: ";

/// The place of a test, by the path of its file.
fn place_of(path: &str) -> &'static str {
    let is_below = |folders: &[&str]| folders.iter().any(|folder| path.starts_with(folder));
    if is_below(&["src/", "tests/vectors", "tests/wycheproof"]) {
        "core"
    } else if is_below(&["tests/cli/"]) {
        "command line"
    } else if is_below(&["tests/architecture"]) {
        "repository"
    } else {
        "socket"
    }
}

/// The row's name that `text` begins with, as in `RP-10`.
fn row_at(text: &str) -> Option<&str> {
    let name = text.get(..5)?;
    let rest = text.get(5..)?;
    let is_row = match name.as_bytes() {
        [a, b, b'-', c, d] => {
            a.is_ascii_uppercase()
                && (b.is_ascii_uppercase() || b.is_ascii_digit())
                && c.is_ascii_digit()
                && d.is_ascii_digit()
        }
        _ => false,
    };
    (is_row && !rest.starts_with(is_word)).then_some(name)
}

/// The rows that a test function's name begins with.
fn rows_of_function(name: &str) -> Vec<String> {
    let mut parts = name.split('_');
    let mut rows = Vec::new();
    while let (Some(class), Some(number)) = (parts.next(), parts.next()) {
        let row = format!("{}-{number}", class.to_ascii_uppercase());
        if class.to_ascii_lowercase() != class || row_at(&row) != Some(row.as_str()) {
            break;
        }
        rows.push(row);
    }
    rows
}

/// The names of the functions in `code`.
fn functions(code: &str) -> impl Iterator<Item = &str> {
    code.split("fn ")
        .skip(1)
        .map(|rest| rest.split(|c| !is_word(c)).next().unwrap_or_default())
}

/// The rows that tests name, each with the places of those tests and one file that names it.
fn held() -> BTreeMap<String, (BTreeSet<&'static str>, String)> {
    let mut held: BTreeMap<String, (BTreeSet<&'static str>, String)> = BTreeMap::new();
    for (path, text) in rust_files()
        .iter()
        .filter(|(path, _)| !path.ends_with("architecture/catalogue.rs"))
    {
        let mut rows: Vec<String> = functions(&code_of(text))
            .flat_map(rows_of_function)
            .collect();
        rows.extend(
            strings(text)
                .into_iter()
                .filter_map(row_at)
                .map(str::to_owned),
        );
        for row in rows {
            held.entry(row)
                .or_insert_with(|| (BTreeSet::new(), path.clone()))
                .0
                .insert(place_of(path));
        }
    }
    held
}

/// The catalogue: each row with its last column.
fn catalogue() -> Vec<(String, String)> {
    let page = read("docs/attacks.md");
    let row = |line: &str| {
        let name = row_at(line.strip_prefix("| ")?)?;
        let last = line.strip_suffix(" |")?.rsplit(" | ").next()?;
        Some((name.to_owned(), last.to_owned()))
    };
    let rows: Vec<_> = page.lines().filter_map(row).collect();
    assert!(
        rows.len() > 150,
        "docs/attacks.md was not understood: {} rows",
        rows.len()
    );
    rows
}

#[test]
fn every_row_of_the_catalogue_is_held_by_a_test_or_says_what_it_waits_for() {
    let held = held();
    let mut wrong = Vec::new();
    for (row, last) in catalogue() {
        let (said, waits) = last.split_once(WAITS).unwrap_or((&last, ""));
        let said = said.trim_end_matches("; ");
        let places = held
            .get(&row)
            .map(|(places, _)| places.clone())
            .unwrap_or_default();
        let found = PLACES
            .into_iter()
            .filter(|place| places.contains(place))
            .collect::<Vec<_>>()
            .join(", ");
        if found.is_empty() && waits.is_empty() {
            wrong.push(format!("{row} is named by no test and waits for nothing"));
        } else if said != found {
            wrong.push(format!(
                "{row} says `{said}`, and its tests are in `{found}`"
            ));
        }
    }
    nothing(&wrong, "the last column of docs/attacks.md");
}

#[test]
fn every_row_that_a_test_names_is_in_the_catalogue_once() {
    let rows = catalogue();
    let known: BTreeSet<&str> = rows.iter().map(|(row, _)| row.as_str()).collect();
    assert_eq!(known.len(), rows.len(), "docs/attacks.md has a row twice");
    let unknown = |row: &str| !known.contains(row);
    let held = held();
    let mut wrong: Vec<_> = held
        .iter()
        .filter(|(row, _)| unknown(row))
        .map(|(row, (_, path))| format!("{path} names {row}"))
        .collect();
    for (path, text) in rust_files()
        .iter()
        .filter(|(path, _)| !path.ends_with("architecture/catalogue.rs"))
    {
        for (line, comment) in comments(text) {
            let words = comment.split(|c: char| !is_word(c) && c != '-');
            let rows = words.filter_map(row_at).filter(|row| unknown(row));
            wrong.extend(rows.map(|row| format!("{path}:{line} names {row}")));
        }
    }
    nothing(&wrong, "rows that docs/attacks.md does not have");
}

#[test]
fn rows_are_read_out_of_names_and_strings() {
    assert_eq!(
        rows_of_function("sm_01_content_length_beside_chunked"),
        ["SM-01"]
    );
    assert_eq!(
        rows_of_function("au_02_au_03_h2_08_a_signature"),
        ["AU-02", "AU-03", "H2-08"]
    );
    assert_eq!(
        rows_of_function("a_signature_of_an_hd_09_route"),
        Vec::<String>::new()
    );
    assert_eq!(rows_of_function("sm_1_x"), Vec::<String>::new());
    assert_eq!(row_at("SM-10 a line feed"), Some("SM-10"));
    assert_eq!(row_at("H2-19"), Some("H2-19"));
    for other in ["SM-1", "SM-100", "sm-10", "UTF-16", "S-10x", "SM-10x", ""] {
        assert_eq!(row_at(other), None, "{other}");
    }
}
