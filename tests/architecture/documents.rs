//! The pages, `.ci/run` and Cargo.lock compared with the code: metrics, answers, log fields, whole configurations,
//! providers, the minimum Rust version, locked versions. Keys are compared in `keys`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use verigate::telemetry::descriptions::DESCRIPTIONS;
use verigate::verdict::Code;

use crate::{nothing, read, root};

/// Every page: the Markdown files at the top, in `docs`, and beside the tests, benches and templates.
pub(crate) fn pages() -> Vec<String> {
    let folders = [
        ".",
        "docs",
        "docs/providers",
        "benches",
        "tests/receivers",
        "tests/sdks",
        ".github",
        ".github/ISSUE_TEMPLATE",
    ];
    let mut found = Vec::new();
    for folder in folders {
        for entry in fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if Path::new(&name).extension().is_some_and(|end| end == "md") {
                found.push(if folder == "." {
                    name
                } else {
                    format!("{folder}/{name}")
                });
            }
        }
    }
    found.sort();
    assert!(found.len() > 10, "{found:?}");
    found
}

const OPERATING: &str = "docs/operating.md";

/// The rows of a page's table whose first column is headed `title`, cell by cell.
pub(crate) fn table(page: &str, title: &str) -> Vec<Vec<String>> {
    let text = read(page);
    let cells = |line: &str| -> Vec<String> {
        line.split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let mut lines = text
        .lines()
        .map(cells)
        .skip_while(|row| row.get(1).is_none_or(|cell| cell != title));
    let rows: Vec<_> = lines
        .by_ref()
        .skip(2)
        .take_while(|row| row.len() > 2)
        .collect();
    assert!(
        !rows.is_empty(),
        "{page} has no table whose first column is `{title}`"
    );
    rows.into_iter()
        .map(|row| row.into_iter().skip(1).collect())
        .collect()
}

/// The lines of a page outside of its fenced blocks.
pub(crate) fn prose(page: &str) -> Vec<String> {
    let text = read(page);
    let mut is_fenced = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            is_fenced = !is_fenced;
        } else if !is_fenced {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The words between backticks in `cell`.
pub(crate) fn names_in(cell: &str) -> Vec<String> {
    cell.split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[test]
fn operating_names_exactly_the_metrics_there_are() {
    let describe = |name: &str, labels: &str, kind: &str| {
        if labels.is_empty() {
            format!("`{name}` {kind}")
        } else {
            format!("`{name}{{{labels}}}` {kind}")
        }
    };
    let declared: Vec<_> = DESCRIPTIONS
        .iter()
        .map(|d| describe(d.name, &d.labels.join(","), d.kind))
        .collect();
    let named: Vec<_> = table(OPERATING, "metric")
        .iter()
        .map(|row| row.iter().take(2).cloned().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        named, declared,
        "{OPERATING}: the table of metrics, name{{labels}} and kind"
    );
}

#[test]
fn operating_names_exactly_the_answers_there_are() {
    let named: Vec<_> = table(OPERATING, "code")
        .iter()
        .filter_map(|row| row.first())
        .flat_map(|cell| names_in(cell))
        .collect();
    let named_once: BTreeSet<_> = named.iter().map(String::as_str).collect();
    let declared: BTreeSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
    assert_eq!(named_once, declared, "{OPERATING}: the table of answers");
    assert_eq!(
        named.len(),
        declared.len(),
        "{OPERATING}: a code is twice in the table of answers"
    );
}

#[test]
fn operating_names_exactly_the_fields_of_the_access_log() {
    let rows = table(OPERATING, "field");
    let named: BTreeSet<_> = rows
        .iter()
        .filter_map(|row| row.first())
        .flat_map(|cell| names_in(cell))
        .collect();
    // A line begins with the time and goes on field by field, each with its name as a JSON key.
    let source = read("src/telemetry/line.rs");
    let product = source.split("#[cfg(test)]").next().unwrap_or_default();
    assert!(product.contains(r#"{\"time\":"#), "a line begins otherwise");
    let fields = product.split("field!(").skip(1);
    let keys = fields.filter_map(|field| field.split('"').nth(1));
    let written: BTreeSet<_> = keys.chain(["time"]).map(str::to_owned).collect();
    assert!(written.len() > 15, "{written:?}");
    assert_eq!(named, written, "{OPERATING}: the table of log fields");
}

/// The fenced blocks of a page that are whole configurations.
fn whole_configurations(page: &str) -> Vec<String> {
    let text = read(page);
    let blocks = text
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    blocks
        .filter(|block| block.contains("[[route]]") && block.contains("upstream ="))
        .map(str::to_owned)
        .collect()
}

#[test]
fn every_whole_configuration_in_a_page_passes_check() {
    let pages: Vec<_> = pages()
        .into_iter()
        .map(|page| (whole_configurations(&page), page))
        .collect();
    let shown = |name: &str| {
        pages
            .iter()
            .filter(|(_, page)| page == name)
            .map(|(blocks, _)| blocks.len())
            .sum::<usize>()
    };
    let recipes = pages.iter().map(|(_, page)| page.as_str());
    let recipes = recipes.filter(|page| page.starts_with("docs/providers/"));
    for page in ["README.md", "docs/configuration.md", "docs/receivers.md"]
        .into_iter()
        .chain(recipes)
    {
        assert!(shown(page) >= 1, "{page} shows no whole configuration");
        // Of a recipe every block is copied as it is.
        let blocks = read(page).matches("```toml\n").count();
        assert!(
            !page.starts_with("docs/providers/") || shown(page) == blocks,
            "{page}: each block is a whole route"
        );
    }
    let configurations: Vec<_> = pages.into_iter().flat_map(|(blocks, _)| blocks).collect();
    // Readable in every encoding that a secret may have.
    let secret = |name: &str| {
        // What signs anew must be a key of its own.
        if name.to_ascii_lowercase().contains("resign") {
            format!("fedcba9876543210fedcba98765432{:02x}", name.len())
        } else {
            "0123456789abcdef0123456789abcdef".to_owned()
        }
    };
    let mut wrong = Vec::new();
    for text in configurations {
        let folder = tempfile::tempdir().unwrap();
        let mut variables = BTreeMap::new();
        let mut here = text.clone();
        for value in text.split('"').skip(1).step_by(2) {
            if let Some(name) = value.strip_prefix("env:") {
                variables.insert(name, secret(name));
            } else if let Some(path) = value.strip_prefix("file:") {
                let file = folder.path().join(Path::new(path).file_name().unwrap());
                fs::write(&file, secret(path)).unwrap();
                here = here.replace(
                    &format!("\"{value}\""),
                    &format!("\"file:{}\"", file.display()),
                );
            }
        }
        let file = folder.path().join("verigate.toml");
        fs::write(&file, here).unwrap();
        let program = env!("CARGO_BIN_EXE_verigate");
        let check = Command::new(program)
            .arg("check")
            .arg("--config")
            .arg(&file)
            .envs(variables)
            .output()
            .unwrap();
        if !check.status.success() {
            wrong.push(format!("{text}{}", String::from_utf8_lossy(&check.stderr)));
        }
    }
    nothing(&wrong, "configurations in pages that do not load");
}

/// What `verigate providers` prints with these arguments.
fn providers(arguments: &[&str]) -> String {
    let program = env!("CARGO_BIN_EXE_verigate");
    let output = Command::new(program)
        .arg("providers")
        .args(arguments)
        .output()
        .unwrap();
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
    let missing = printed_lines
        .iter()
        .filter(|line| !page_lines.contains(line))
        .map(|line| format!("lacks {line}"));
    let surplus = page_lines
        .iter()
        .filter(|line| !printed_lines.contains(line))
        .map(|line| format!("has {line}"));
    let rule =
        "docs/providers.md; make it again: `cargo run -- providers --markdown > docs/providers.md`";
    nothing(&missing.chain(surplus).collect::<Vec<_>>(), rule);
    assert_eq!(page, printed, "{rule}");
}

#[test]
fn readme_names_the_number_of_providers() {
    let listed: serde_json::Value = serde_json::from_str(&providers(&["--json"])).unwrap();
    let is_supported = |provider: &&serde_json::Value| provider["supported"] == true;
    let number = listed
        .as_array()
        .unwrap()
        .iter()
        .filter(is_supported)
        .count();
    assert!(number > 100, "{number}");
    let sentence = format!("There are {number} presets");
    assert!(
        read("README.md").contains(&sentence),
        "README does not say `{sentence}`"
    );
}

#[test]
fn a_scheme_that_a_preset_stands_for_is_shown_as_it_is() {
    let mut shown = 0;
    for page in pages() {
        let text = read(&page);
        for part in text.split("`provider = \"").skip(1) {
            let Some((name, rest)) = part.split_once("\"` stands for this scheme:\n") else {
                continue;
            };
            let block = rest.split("```").next().unwrap();
            let named: Vec<_> = block
                .lines()
                .skip_while(|line| *line != "[route.scheme]")
                .skip(1)
                .collect();
            let printed = providers(&[name]);
            let (_, scheme) = printed.split_once(" stands for this scheme:\n").unwrap();
            let is_said: Vec<_> = scheme
                .lines()
                .map(|line| line.trim_start_matches("# "))
                .collect();
            assert_eq!(named, is_said, "{page}: what `{name}` stands for");
            shown += 1;
        }
    }
    assert!(shown >= 1, "no page shows the scheme of a preset");
}

#[test]
fn the_commands_of_readme_s_beginning_work() {
    let readme = read("README.md");
    let (_, section) = readme.split_once("\n## Five minutes").unwrap();
    let section = section.split("\n## ").next().unwrap();
    let blocks = section
        .split("```sh\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    // Those that need no running gateway.
    let is_alone = |line: &&str| {
        ["verigate ", "export ", "echo "]
            .iter()
            .any(|word| line.starts_with(word))
    };
    let lines: Vec<_> = blocks
        .flat_map(str::lines)
        .filter(is_alone)
        .filter(|line| !line.ends_with('&'))
        .collect();
    assert!(lines.len() >= 5, "{lines:?}");
    let folder = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_verigate")).parent().unwrap();
    let script = format!(
        "set -e\nPATH=\"{}:$PATH\"\n{}",
        program.display(),
        lines.join("\n")
    );
    let output = Command::new("sh")
        .arg("-c")
        .arg(&script)
        .current_dir(folder.path())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{script}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let send = fs::read_to_string(folder.path().join("send.sh")).unwrap();
    assert!(
        send.starts_with("curl ") && send.contains("Stripe-Signature: t="),
        "{send}"
    );
}

#[test]
fn readme_stays_short() {
    let bytes = read("README.md").len();
    assert!(
        bytes <= 11 * 1024,
        "README has {bytes} bytes, more than 11 KiB: what is for reference belongs in docs/"
    );
}

#[test]
fn every_file_named_in_architecture_is_there() {
    let text = read("ARCHITECTURE.md");
    let tables = text
        .lines()
        .filter(|line| line.starts_with('|'))
        .flat_map(names_in);
    let is_source = |name: &str| {
        name.ends_with('/') || Path::new(name).extension().is_some_and(|end| end == "rs")
    };
    let named: Vec<_> = tables
        .filter(|name| name.contains('/') && is_source(name))
        .collect();
    assert!(named.len() > 20, "{named:?}");
    // of the table of what comes later
    let is_there = |name: &String| root().join("src").join(name).exists();
    let missing: Vec<_> = named.into_iter().filter(|name| !is_there(name)).collect();
    nothing(
        &missing,
        "files that ARCHITECTURE.md names and src does not have",
    );
}

#[test]
fn every_file_named_in_contributing_is_there() {
    let lines = prose("CONTRIBUTING.md");
    let named: Vec<_> = lines
        .iter()
        .flat_map(|line| names_in(line))
        .filter(|name| name.starts_with("tests/") || name.starts_with("src/"))
        .collect();
    assert!(named.len() >= 3, "{named:?}");
    let missing: Vec<_> = named
        .into_iter()
        .filter(|name| !root().join(name).exists())
        .collect();
    nothing(
        &missing,
        "files that CONTRIBUTING.md names and the repository does not have",
    );
}

#[test]
fn readme_asks_for_the_rust_version_of_the_manifest() {
    let manifest = read("Cargo.toml");
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .unwrap()
        .trim_matches('"');
    assert!(
        read("README.md").contains(&format!("Rust {version}")),
        "README does not ask for Rust {version}"
    );
}

#[test]
fn ci_runs_the_test_command_of_readme() {
    let steps: Vec<_> = read(".ci/run")
        .lines()
        .map(|line| line.trim().to_owned())
        .collect();
    let is_shown = read("README.md")
        .lines()
        .any(|line| line.trim() == "cargo test");
    assert!(is_shown, "README shows no line `cargo test`");
    assert!(
        steps.iter().any(|step| step == "run cargo test"),
        ".ci/run does not run `cargo test`"
    );
}

#[test]
fn sc_01_sc_02_locked_dependencies_have_no_known_bad_version() {
    let lock = read("Cargo.lock");
    let value = |line: &str, key: &str| {
        line.strip_prefix(key)
            .map(|rest| rest.trim_matches('"').to_owned())
    };
    let names = lock.lines().filter_map(|line| value(line, "name = "));
    let versions = lock
        .lines()
        .skip_while(|line| *line != "[[package]]")
        .filter_map(|line| value(line, "version = "));
    let packages: Vec<_> = names.zip(versions).collect();
    assert!(
        packages.iter().any(|(name, _)| name == "pingora"),
        "Cargo.lock was not understood"
    );
    let number = |version: &str| -> Vec<u64> {
        version
            .split(['.', '-', '+'])
            .map_while(|part| part.parse().ok())
            .collect()
    };
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
