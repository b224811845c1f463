//! The links between the pages: each leads to a file that is there, and to a heading that the file has.

use std::collections::BTreeSet;

use crate::documents::{pages, prose};
use crate::{nothing, root};

/// The name by which a heading is linked to: its letters and digits in lower case, a hyphen for each space.
fn anchor(heading: &str) -> String {
    let kept = heading
        .trim()
        .chars()
        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.flat_map(char::to_lowercase)
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

fn anchors(page: &str) -> BTreeSet<String> {
    let lines = prose(page);
    let headings = lines.iter().filter(|line| line.starts_with('#'));
    headings
        .map(|line| anchor(line.trim_start_matches('#')))
        .collect()
}

/// Where the links of a line lead.
fn targets(line: &str) -> Vec<&str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let mut wrong = Vec::new();
    let mut followed = 0;
    for page in pages() {
        let folder = page.rsplit_once('/').map_or("", |(folder, _)| folder);
        for line in prose(&page) {
            for target in targets(&line) {
                if target.starts_with("https://") {
                    continue;
                }
                followed += 1;
                let (file, heading) = target
                    .split_once('#')
                    .map_or((target, None), |(file, name)| (file, Some(name)));
                let file = if file.is_empty() {
                    page.clone()
                } else {
                    resolved(folder, file)
                };
                if !root().join(&file).exists() {
                    wrong.push(format!("{page}: {target} is not there"));
                } else if heading.is_some_and(|heading| !anchors(&file).contains(heading)) {
                    wrong.push(format!("{page}: {target} is no heading of {file}"));
                }
            }
        }
    }
    assert!(followed > 20, "only {followed} links were found");
    nothing(&wrong, "links that lead nowhere");
}

/// A path relative to `folder`, as a path from the top.
fn resolved(folder: &str, file: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in file.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

#[test]
fn a_heading_is_named_as_it_is_linked_to() {
    for (heading, name) in [
        ("Replay protection", "replay-protection"),
        ("`[route.handshake]`", "routehandshake"),
        ("1. Head", "1-head"),
        ("Behind a proxy, or two", "behind-a-proxy-or-two"),
    ] {
        assert_eq!(anchor(heading), name);
    }
}
