//! What README, `.ci/run` and Cargo.lock say, against what the code is: metrics, answers, whole configurations, the
//! minimum Rust version, locked versions.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use verigate::telemetry::descriptions::DESCRIPTIONS;
use verigate::verdict::Code;

use crate::{nothing, read, root};

/// The rows of README's table whose first column is headed `title`, cell by cell.
fn readme_table(title: &str) -> Vec<Vec<String>> {
    let readme = read("README.md");
    let cells = |line: &str| -> Vec<String> { line.split('|').map(|cell| cell.trim().to_owned()).collect() };
    let mut lines = readme.lines().map(cells).skip_while(|row| row.get(1).is_none_or(|cell| cell != title));
    let rows: Vec<_> = lines.by_ref().skip(2).take_while(|row| row.len() > 2).collect();
    assert!(!rows.is_empty(), "README has no table whose first column is `{title}`");
    rows.into_iter().map(|row| row.into_iter().skip(1).collect()).collect()
}

/// What stands between backticks in `cell`.
fn names_in(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn readme_names_exactly_the_metrics_there_are() {
    let describe = |name: &str, labels: &str, kind: &str| {
        if labels.is_empty() { format!("`{name}` {kind}") } else { format!("`{name}{{{labels}}}` {kind}") }
    };
    let declared: Vec<_> = DESCRIPTIONS.iter().map(|d| describe(d.name, &d.labels.join(","), d.kind)).collect();
    let told: Vec<_> =
        readme_table("metric").iter().map(|row| row.iter().take(2).cloned().collect::<Vec<_>>().join(" ")).collect();
    assert_eq!(told, declared, "README's metrics table, name{{labels}} and kind");
}

#[test]
fn readme_names_exactly_the_answers_there_are() {
    let told: Vec<_> =
        readme_table("code").iter().filter_map(|row| row.first()).flat_map(|cell| names_in(cell)).collect();
    let told_once: BTreeSet<_> = told.iter().map(String::as_str).collect();
    let declared: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(told_once, declared, "README's table of answers");
    assert_eq!(told.len(), declared.len(), "a code stands twice in README's table of answers");
}

/// The fenced blocks of README that are whole configurations.
fn whole_configurations(readme: &str) -> Vec<String> {
    let blocks = readme.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains("[[route]]") && block.contains("upstream =")).map(str::to_owned).collect()
}

#[test]
fn every_whole_configuration_in_readme_passes_check() {
    let configurations = whole_configurations(&read("README.md"));
    assert!(configurations.len() >= 2, "README shows {} whole configurations", configurations.len());
    // readable in every encoding that a secret may have
    let secret = "0123456789abcdef0123456789abcdef";
    let mut wrong = Vec::new();
    for text in configurations {
        let folder = tempfile::tempdir().unwrap();
        let mut variables = BTreeMap::new();
        let mut here = text.clone();
        for value in text.split('"').skip(1).step_by(2) {
            if let Some(name) = value.strip_prefix("env:") {
                variables.insert(name, secret);
            } else if let Some(path) = value.strip_prefix("file:") {
                let file = folder.path().join(Path::new(path).file_name().unwrap());
                fs::write(&file, secret).unwrap();
                here = here.replace(&format!("\"{value}\""), &format!("\"file:{}\"", file.display()));
            }
        }
        let file = folder.path().join("verigate.toml");
        fs::write(&file, here).unwrap();
        let program = env!("CARGO_BIN_EXE_verigate");
        let check = Command::new(program).arg("check").arg("--config").arg(&file).envs(variables).output().unwrap();
        if !check.status.success() {
            wrong.push(format!("{text}{}", String::from_utf8_lossy(&check.stderr)));
        }
    }
    nothing(&wrong, "configurations in README that do not load");
}

/// What `verigate providers` prints with these arguments.
fn providers(arguments: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_verigate");
    let output = Command::new(program).arg("providers").args(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_page_of_providers_is_what_the_command_prints() {
    let printed = providers(&["--markdown"]);
    assert!(printed.lines().count() > 100, "{printed}");
    let page = read("docs/providers.md");
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (printed_lines, page_lines) = (lines(&printed), lines(&page));
    let missing = printed_lines.iter().filter(|line| !page_lines.contains(line)).map(|line| format!("lacks {line}"));
    let surplus = page_lines.iter().filter(|line| !printed_lines.contains(line)).map(|line| format!("has {line}"));
    let rule = "docs/providers.md; make it again: `cargo run -- providers --markdown > docs/providers.md`";
    nothing(&missing.chain(surplus).collect::<Vec<_>>(), rule);
    assert_eq!(page, printed, "{rule}");
}

#[test]
fn every_file_named_in_architecture_is_there() {
    let text = read("ARCHITECTURE.md");
    let tables = text.lines().filter(|line| line.starts_with('|')).flat_map(names_in);
    let is_source = |name: &str| name.ends_with('/') || Path::new(name).extension().is_some_and(|end| end == "rs");
    let told: Vec<_> = tables.filter(|name| name.contains('/') && is_source(name)).collect();
    assert!(told.len() > 20, "{told:?}");
    // of the table of what comes later
    let is_there = |name: &String| root().join("src").join(name).exists();
    let missing: Vec<_> = told.into_iter().filter(|name| !is_there(name)).collect();
    nothing(&missing, "files that ARCHITECTURE.md names and src does not have");
}

#[test]
fn readme_asks_for_the_rust_version_of_the_manifest() {
    let manifest = read("Cargo.toml");
    let version = manifest.lines().find_map(|line| line.strip_prefix("rust-version = ")).unwrap().trim_matches('"');
    assert!(read("README.md").contains(&format!("Rust {version}")), "README does not ask for Rust {version}");
}

#[test]
fn ci_runs_the_test_command_of_readme() {
    let steps: Vec<_> = read(".ci/run").lines().map(|line| line.trim().to_owned()).collect();
    let is_shown = read("README.md").lines().any(|line| line.trim() == "cargo test");
    assert!(is_shown, "README shows no line `cargo test`");
    assert!(steps.iter().any(|step| step.ends_with("run cargo test")), ".ci/run does not run `cargo test`");
}

#[test]
fn sc_01_sc_02_locked_dependencies_have_no_known_bad_version() {
    let lock = read("Cargo.lock");
    let value = |line: &str, key: &str| line.strip_prefix(key).map(|rest| rest.trim_matches('"').to_owned());
    let names = lock.lines().filter_map(|line| value(line, "name = "));
    let versions = lock.lines().skip_while(|line| *line != "[[package]]").filter_map(|line| value(line, "version = "));
    let packages: Vec<_> = names.zip(versions).collect();
    assert!(packages.iter().any(|(name, _)| name == "pingora"), "Cargo.lock was not understood");
    let number =
        |version: &str| -> Vec<u64> { version.split(['.', '-', '+']).map_while(|part| part.parse().ok()).collect() };
    let wrong: Vec<_> = packages
        .iter()
        .filter(|(name, version)| match name.as_str() {
            // RUSTSEC-2024-0437 came in by prometheus' default features
            "protobuf" => true,
            "h2" => number(version) < vec![0, 4, 16],
            _ => false,
        })
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    nothing(&wrong, "crates that must not be in Cargo.lock");
}
