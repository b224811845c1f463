//! What the project takes from others, held to what deny.toml and ARCHITECTURE.md say of it.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

use crate::{nothing, read};

/// The packages that are built on Linux for the crate, its tests and its benches, by what Cargo knows of them.
fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--format-version", "1", "--locked", "--offline"]);
    cargo
        .args(["--filter-platform", "x86_64-unknown-linux-gnu"])
        .current_dir(crate::root());
    let output = cargo.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata
        .get("packages")
        .and_then(Value::as_array)
        .unwrap()
        .clone()
}

fn name(package: &Value) -> &str {
    package
        .get("name")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

/// Whether a package runs code at build time: a build script or a procedural macro.
fn runs_at_build_time(package: &Value) -> bool {
    let targets = package
        .get("targets")
        .and_then(Value::as_array)
        .into_iter()
        .flatten();
    let kinds = targets
        .filter_map(|target| target.get("kind").and_then(Value::as_array))
        .flatten();
    kinds
        .filter_map(Value::as_str)
        .any(|kind| matches!(kind, "custom-build" | "proc-macro"))
}

#[test]
fn sc_03_what_runs_at_build_time_is_listed_in_architecture() {
    let page = read("ARCHITECTURE.md");
    let section = page
        .split("\n## ")
        .find(|section| section.starts_with("Dependencies that run code at build time"));
    let rows = section
        .unwrap()
        .lines()
        .filter(|line| line.starts_with('|'));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    let listed: BTreeSet<&str> = cells
        .flat_map(|cell| cell.split('`').skip(1).step_by(2))
        .collect();
    let packages = packages();
    let running: BTreeSet<&str> = packages
        .iter()
        .filter(|p| runs_at_build_time(p))
        .map(name)
        .collect();
    assert!(running.len() > 10, "{running:?}");
    let missing: Vec<_> = running
        .iter()
        .filter(|name| !listed.contains(*name))
        .map(|name| (*name).to_owned())
        .collect();
    nothing(
        &missing,
        "crates with a build script or a procedural macro that ARCHITECTURE.md does not list",
    );
}

#[test]
fn sc_03_unsafe_is_forbidden_and_licences_are_an_allow_list() {
    assert!(
        read("Cargo.toml")
            .lines()
            .any(|line| line == "unsafe_code = \"forbid\""),
        "the lint in Cargo.toml"
    );
    let deny = read("deny.toml");
    let licences = deny
        .split("\nallow = [")
        .nth(1)
        .and_then(|rest| rest.split(']').next())
        .unwrap_or_default();
    let allowed: BTreeSet<&str> = licences.split('"').skip(1).step_by(2).collect();
    assert!(!allowed.is_empty(), "deny.toml has no list of licences");
    // An expression holds if one side of each `OR` is allowed.
    let holds = |expression: &str| {
        let plain = expression.replace(['(', ')'], "").replace('/', " OR ");
        plain.split(" OR ").any(|side| {
            side.split(" AND ").all(|licence| {
                allowed.contains(licence.split(" WITH ").next().unwrap_or_default().trim())
            })
        })
    };
    let licence = |package: &Value| {
        package
            .get("license")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let packages = packages();
    let others = packages
        .iter()
        .filter(|package| name(package) != "verigate");
    let wrong: Vec<_> = others
        .filter(|package| !holds(&licence(package)))
        .map(|package| format!("{}: {}", name(package), licence(package)))
        .collect();
    nothing(&wrong, "crates whose licence deny.toml does not allow");
}
