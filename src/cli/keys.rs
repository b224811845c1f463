//! The keys of the configuration as docs/configuration.md and docs/schemes.md explain them, for the
//! schema and the manual page: both pages are compiled in, so that an explanation is written once.
//!
//! A test holds the pages to the keys that the reader of the configuration knows.

use std::borrow::Cow;

/// The pages.
const CONFIGURATION: &str = include_str!("../../docs/configuration.md");
const SCHEMES: &str = include_str!("../../docs/schemes.md");

/// A table of the configuration.
#[derive(Debug)]
pub(super) struct Section {
    /// Its keys on the way to it, as in `route.replay`.
    pub(super) path: String,
    /// Its title in the page: a header of TOML, or words.
    pub(super) title: String,
    /// Whether there may be several of it: `[[route]]`.
    pub(super) is_list: bool,
    /// Its keys, in the order of the page.
    pub(super) keys: Vec<Key>,
}

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    /// The type, in words.
    pub(super) kind: &'static str,
    /// The default, in words; empty where there is none.
    pub(super) default: &'static str,
    /// The meaning, a sentence without a capital letter; or else an example.
    pub(super) meaning: String,
}

/// Every table, in the order of the pages.
pub(super) fn sections() -> Vec<Section> {
    let mut sections = Vec::new();
    for Table { titles, rows } in tables(CONFIGURATION, "meaning") {
        let title = cell(&titles, 0);
        let header = title.trim_matches('`');
        let (path, is_list) = if let Some(list) = header.strip_prefix("entry of `") {
            (below(&sections, list), true)
        } else if let Some(path) = header.strip_prefix("[[") {
            (Some(path.trim_end_matches(']').to_owned()), true)
        } else if let Some(path) = header.strip_prefix('[') {
            (Some(path.trim_end_matches(']').to_owned()), false)
        } else {
            (None, false)
        };
        if let Some(path) = path {
            let keys = rows.iter().flat_map(|row| keys(row, "")).collect();
            let title = plain(title).replace('`', "");
            sections.push(Section {
                path,
                title,
                is_list,
                keys,
            });
        }
    }
    // The table of all keys of a scheme has examples, the tables within it have meanings.
    for (column, lead) in [("see", "as in "), ("meaning", "")] {
        for Table { titles, rows } in tables(SCHEMES, column) {
            let path = match cell(&titles, 0).strip_prefix("key of `") {
                Some(name) => format!("route.scheme.{}", name.trim_end_matches('`')),
                None if column == "see" => "route.scheme".to_owned(),
                None => continue,
            };
            let title = format!("[{path}]");
            let keys = rows.iter().flat_map(|row| keys(row, lead)).collect();
            let is_list = false;
            sections.push(Section {
                path,
                title,
                is_list,
                keys,
            });
        }
    }
    sections
}

/// The path of the list that has this name, among the keys of the sections so far.
fn below(sections: &[Section], name: &str) -> Option<String> {
    let has_it = |section: &&Section| section.keys.iter().any(|key| key.name == name);
    let section = sections.iter().rev().find(has_it)?;
    Some(format!("{}.{name}", section.path))
}

type Row = Vec<&'static str>;

/// A table of a page.
struct Table {
    titles: Row,
    rows: Vec<Row>,
}

/// The tables of a page whose second column is `type` and one of whose columns is called `column`.
fn tables(page: &'static str, column: &str) -> Vec<Table> {
    let mut found = Vec::new();
    let mut lines = page.lines();
    while let Some(first) = lines.find(|line| line.starts_with('|')) {
        let rest = lines.by_ref().map(str::trim);
        let rows: Vec<_> = rest
            .take_while(|line| line.starts_with('|'))
            .map(row)
            .collect();
        let titles = row(first);
        if cell(&titles, 1) == "type" && titles.contains(&column) {
            // The first of them is the line below the titles.
            let rows = rows.into_iter().skip(1).collect();
            found.push(Table { titles, rows });
        }
    }
    found
}

fn row(line: &'static str) -> Row {
    let cells = line.trim().trim_matches('|').split('|');
    cells.map(str::trim).collect()
}

fn cell(row: &[&'static str], at: usize) -> &'static str {
    row.get(at).copied().unwrap_or_default()
}

/// The keys of a row: several may share one.
fn keys(row: &[&'static str], lead: &str) -> Vec<Key> {
    let (kind, default) = (cell(row, 1), cell(row, 2));
    let meaning = plain(cell(row, 3));
    let key = |name| Key {
        name,
        kind,
        default: if default == "none" { "" } else { default },
        meaning: format!("{lead}{meaning}"),
    };
    let names = cell(row, 0).split('`').skip(1).step_by(2);
    names.map(key).collect()
}

/// The text without the addresses of links.
fn plain(text: &str) -> String {
    let mut rest: Cow<'_, str> = text.into();
    while let Some((words, link)) = rest.split_once("](")
        && let Some((before, words)) = words.rsplit_once('[')
        && let Some((_, after)) = link.split_once(')')
    {
        rest = format!("{before}{words}{after}").into();
    }
    rest.into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_are_read_table_by_table() {
        let sections = sections();
        let section = |path: &str| {
            sections
                .iter()
                .find(|section| section.path == path)
                .unwrap()
        };
        assert!(section("route").is_list && section("route.secrets").is_list);
        assert!(!section("server").is_list);
        for path in ["route.scheme", "route.scheme.signature", "route.scheme.jwt"] {
            assert!(!section(path).is_list, "{path}");
        }
        let secrets = section("route")
            .keys
            .iter()
            .find(|key| key.name == "secrets")
            .unwrap();
        assert_eq!(
            (secrets.kind, secrets.default, secrets.meaning.as_str()),
            (
                "list",
                "required",
                "secret references; each active one may match"
            )
        );
        let paths: Vec<_> = sections.iter().map(|section| &section.path).collect();
        let mut once = paths.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), paths.len(), "a table is there twice: {paths:?}");
    }

    #[test]
    fn links_become_their_words() {
        assert_eq!(plain("a [b](c.md#d) e [`f`](g) h"), "a b e `f` h");
        assert_eq!(plain("a ] b ("), "a ] b (");
    }
}
