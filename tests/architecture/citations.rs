//! What comments say of the pages in `docs/`: a citation names a page and a heading of it, as in `(contract: Body)` or
//! `(contract: Claim, States; schemes: Tokens)`. And what those pages say of the code: their tables and examples.

use std::collections::BTreeSet;
use std::process::Command;

use verigate::telemetry::descriptions::DESCRIPTIONS;
use verigate::verdict::Code;

use crate::reader::{comments, is_word};
use crate::{nothing, read, rust_files};

/// The pages that comments cite.
const PAGES: [&str; 3] = ["contract", "schemes", "attacks"];

/// The headings of a page, without the number that some begin with.
fn headings(page: &str) -> BTreeSet<String> {
    let text = read(&format!("docs/{page}.md"));
    let heading = |line: &str| {
        Some(line.trim_start_matches('#'))
            .filter(|rest| *rest != line)?
            .strip_prefix(' ')
            .map(titled)
    };
    text.lines().filter_map(heading).collect()
}

/// A heading's title: `4. Body` is called `Body`.
fn titled(heading: &str) -> String {
    let numbered = heading
        .split_once(". ")
        .filter(|(number, _)| number.bytes().all(|b| b.is_ascii_digit()));
    numbered.map_or(heading, |(_, title)| title).to_owned()
}

/// The citations of one comment: page and title. Parts of a parenthesis that cite nothing are left out.
fn citations(comment: &str) -> Vec<(&str, &str)> {
    let groups = comment
        .split('(')
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let mut found = Vec::new();
    for part in groups.flat_map(|group| group.split(';')) {
        for page in PAGES {
            if let Some(titles) = part
                .trim()
                .strip_prefix(page)
                .and_then(|rest| rest.strip_prefix(": "))
            {
                found.extend(titles.split(", ").map(|title| (page, title.trim())));
            }
        }
    }
    found
}

#[test]
fn every_citation_names_a_heading_of_its_page() {
    let known = PAGES.map(|page| (page, headings(page)));
    let mut wrong = Vec::new();
    for (path, text) in rust_files()
        .iter()
        .filter(|(path, _)| !path.ends_with("architecture/citations.rs"))
    {
        for (line, comment) in comments(text) {
            let cited = citations(&comment);
            for (page, title) in &cited {
                let is_known = known
                    .iter()
                    .any(|(known, titles)| known == page && titles.contains(*title));
                if !is_known {
                    wrong.push(format!("{path}:{line} cites `{page}: {title}`"));
                }
            }
            for page in PAGES {
                let mentions = comment.matches(&format!("{page}: ")).count();
                let parts = comment
                    .split([';', '('])
                    .filter(|part| part.trim().starts_with(&format!("{page}: ")))
                    .count();
                if mentions != parts
                    || mentions > 0 && !cited.iter().any(|(cited, _)| *cited == page)
                {
                    wrong.push(format!(
                        "{path}:{line} cites {page} outside of a parenthesis"
                    ));
                }
            }
        }
    }
    nothing(&wrong, "citations of headings that docs/ does not have");
}

#[test]
fn citations_are_read_out_of_comments() {
    let comment =
        "The claim (RFC 1; contract: Claim, The window; schemes: Tokens). And (contract: 4).";
    let found = [
        ("contract", "Claim"),
        ("contract", "The window"),
        ("schemes", "Tokens"),
        ("contract", "4"),
    ];
    assert_eq!(citations(comment), found);
    assert_eq!(titled("4. Body"), "Body");
    assert_eq!(titled("The window"), "The window");
}

/// What stands between backticks in the first cell of each row of the table whose first column is headed `title`.
fn first_column(page: &str, title: &str) -> Vec<String> {
    let text = read(page);
    let head = format!("| {title} |");
    let rows = text
        .lines()
        .skip_while(|line| !line.starts_with(&head))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let cells = rows.filter_map(|line| line.split(" | ").next().map(str::to_owned));
    cells
        .flat_map(|cell| {
            cell.split('`')
                .skip(1)
                .step_by(2)
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .collect()
}

#[test]
fn the_contract_names_exactly_the_answers_and_metrics_there_are() {
    let told = first_column("docs/contract.md", "code");
    let declared: BTreeSet<_> = Code::ALL
        .iter()
        .map(|code| code.name().to_owned())
        .collect();
    assert_eq!(
        told.iter().cloned().collect::<BTreeSet<_>>(),
        declared,
        "the table of answers"
    );
    assert_eq!(
        told.len(),
        declared.len(),
        "the table of answers has a code twice"
    );
    let labelled = |labels: &[&str]| {
        if labels.is_empty() {
            String::new()
        } else {
            format!("{{{}}}", labels.join(","))
        }
    };
    let declared: Vec<_> = DESCRIPTIONS
        .iter()
        .map(|d| format!("{}{}", d.name, labelled(d.labels)))
        .collect();
    assert_eq!(
        first_column("docs/contract.md", "metric"),
        declared,
        "the table of metrics"
    );
}

#[test]
fn every_scheme_of_the_page_of_schemes_loads() {
    let page = read("docs/schemes.md");
    let blocks = page
        .split("```toml\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let schemes: Vec<_> = blocks
        .filter(|block| block.contains("[route.scheme]"))
        .collect();
    assert!(
        schemes.len() >= 4,
        "docs/schemes.md shows {} schemes",
        schemes.len()
    );
    let route = "[[route]]\nname = \"r\"\npath = \"/in\"\nupstream = \"http://127.0.0.1:3000\"\nsecrets = [\"env:S\"]\n";
    let mut wrong = Vec::new();
    for scheme in schemes {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("verigate.toml");
        std::fs::write(&file, format!("{route}{scheme}")).unwrap();
        let mut check = Command::new(env!("CARGO_BIN_EXE_verigate"));
        // Readable as text, base64 and hex.
        check
            .arg("check")
            .arg("--config")
            .arg(&file)
            .env("S", "0123456789abcdef0123456789abcdef");
        let output = check.output().unwrap();
        if !output.status.success() {
            wrong.push(format!(
                "{scheme}{}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
    }
    nothing(&wrong, "schemes in docs/schemes.md that do not load");
}

/// Pages that are not in the repository.
const ELSEWHERE: [&str; 3] = ["SPEC", "SCHEMES", "ATTACKS"];

#[test]
fn no_comment_cites_a_page_that_is_not_in_the_repository() {
    let mut wrong = Vec::new();
    let is_here = |path: &str| !path.ends_with("architecture/citations.rs");
    for (path, text) in rust_files().iter().filter(|(path, _)| is_here(path)) {
        for (line, comment) in comments(text) {
            let mut words = comment.split(|c: char| !is_word(c));
            if let Some(page) = words.find(|word| ELSEWHERE.contains(word)) {
                wrong.push(format!("{path}:{line} cites {page}"));
            }
        }
    }
    nothing(
        &wrong,
        "cite docs/contract.md and docs/schemes.md by title, and rows of docs/attacks.md by name",
    );
}
