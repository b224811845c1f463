//! Import loops between files: no two files under `src` import each other, directly or by way of others. A parent and
//! its children are excepted, since a parent may hand work to a child that uses the parent's types.

use std::collections::{BTreeMap, BTreeSet};

use crate::reader::is_word;
use crate::{Source, nothing, sources};

/// The path of a module, from the crate's root: `["wire", "head"]`.
type Module = Vec<String>;

/// The module that a file holds.
fn module_of(path: &str) -> Module {
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

/// Every path in `code` that begins with `crate`, `super` or `self`, its groups written out, as a path from the crate's
/// root.
fn paths(code: &str, own: &[String]) -> Vec<Module> {
    let mut found = Vec::new();
    for first in ["crate", "super", "self"] {
        for (at, _) in code.match_indices(&format!("{first}::")) {
            let (before, rest) = code.split_at(at);
            if before.ends_with(|c| is_word(c) || c == ':') {
                continue;
            }
            found.extend(
                spread(rest)
                    .into_iter()
                    .filter_map(|path| absolute(&path, own)),
            );
        }
    }
    found
}

/// A path from the crate's root; `None` for one that leaves the crate.
fn absolute(path: &[String], own: &[String]) -> Option<Module> {
    let mut base: Vec<String> = own.to_vec();
    let mut rest = path;
    while let [first, behind @ ..] = rest {
        match first.as_str() {
            "crate" => base.clear(),
            "self" => {}
            "super" => drop(base.pop()?),
            _ => break,
        }
        rest = behind;
    }
    base.extend(rest.iter().cloned());
    Some(base)
}

/// `a::{b, c::d}` → `a::b`, `a::c::d`.
fn spread(text: &str) -> Vec<Module> {
    let text = text.trim_start();
    if let Some(group) = text.strip_prefix('{') {
        let mut found = Vec::new();
        let (mut depth, mut begun) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    found.extend(spread(group.get(begun..at).unwrap_or_default()));
                    begun = at + 1;
                    if c == '}' {
                        return found;
                    }
                }
                _ => {}
            }
        }
        return found;
    }
    let end = text.find(|c| !is_word(c)).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    if name.is_empty() {
        return Vec::new();
    }
    let Some(rest) = rest.strip_prefix("::") else {
        return vec![vec![name.to_owned()]];
    };
    let behind = spread(rest);
    if behind.is_empty() {
        return vec![vec![name.to_owned()]];
    }
    let joined = |path: Module| [vec![name.to_owned()], path].concat();
    behind.into_iter().map(joined).collect()
}

/// The file of the deepest module that a path names.
fn file_of<'f>(path: &[String], files: &'f BTreeMap<Module, String>) -> Option<&'f Module> {
    (1..=path.len()).rev().find_map(|length| {
        files
            .get_key_value(path.get(..length)?)
            .map(|(module, _)| module)
    })
}

fn is_parent_and_child(one: &[String], other: &[String]) -> bool {
    one.starts_with(other) || other.starts_with(one)
}

/// The code of a file before its own tests.
fn product(source: &Source) -> &str {
    source
        .code
        .split("#[cfg(test)]\nmod tests {")
        .next()
        .unwrap_or_default()
}

/// The ways through `edges` from `from` back to itself, as the first one found.
fn way_back<'m>(
    from: &'m Module,
    at: &'m Module,
    edges: &BTreeMap<&'m Module, BTreeSet<&'m Module>>,
    seen: &mut BTreeSet<&'m Module>,
) -> Option<Vec<&'m Module>> {
    for next in edges.get(at).into_iter().flatten().copied() {
        if next == from {
            return Some(vec![at]);
        }
        if seen.insert(next)
            && let Some(mut way) = way_back(from, next, edges, seen)
        {
            way.push(at);
            return Some(way);
        }
    }
    None
}

#[test]
fn no_two_files_import_each_other() {
    let sources: Vec<Source> = sources()
        .into_iter()
        .filter(|source| !source.is_test())
        .collect();
    let files: BTreeMap<Module, String> = sources
        .iter()
        .map(|source| (module_of(&source.path), source.path.clone()))
        .collect();
    let mut edges: BTreeMap<&Module, BTreeSet<&Module>> = BTreeMap::new();
    for source in &sources {
        let own = module_of(&source.path);
        let Some((own, _)) = files.get_key_value(&own) else {
            continue;
        };
        for path in paths(product(source), own) {
            if let Some(other) = file_of(&path, &files).filter(|it| !is_parent_and_child(it, own)) {
                edges.entry(own).or_default().insert(other);
            }
        }
    }
    assert!(
        edges.len() > 100,
        "only {} files import another",
        edges.len()
    );
    let mut wrong = Vec::new();
    for own in files.keys() {
        if let Some(way) = way_back(own, own, &edges, &mut BTreeSet::new()) {
            let names: Vec<_> = way
                .iter()
                .rev()
                .filter_map(|module| files.get(*module))
                .cloned()
                .collect();
            wrong.push(format!("src/{}", names.join(" → src/")));
        }
    }
    nothing(
        &wrong,
        "files that import each other in a loop: move the shared item below both",
    );
}

#[test]
fn paths_are_written_out_from_the_root() {
    let own = module_of("a/b.rs");
    let found = |code: &str| {
        let mut found: Vec<String> = paths(code, &own)
            .iter()
            .map(|path| path.join("::"))
            .collect();
        found.sort();
        found
    };
    assert_eq!(
        found("use super::c::{D, e::{F, G}};"),
        ["a::c::D", "a::c::e::F", "a::c::e::G"]
    );
    assert_eq!(found("crate::x::y(self::z)"), ["a::b::z", "x::y"]);
    assert_eq!(found("use crate::{h as i, j};"), ["h", "j"]);
    assert_eq!(found("use other::crate_name::k;"), [""; 0]);
}
