//! Files that are not TOML, each with the words that name the slip and its correction.

use super::problems::problems;
use super::read;

const GOOD: &str = "[server]\nlisten = [\"127.0.0.1:8080\"]\n\n[[route]]\nname = \"stripe\"\n\
    path = \"/in\"\nprovider = \"stripe\"\nsecrets = [\"env:S\"]\nupstream = \"http://127.0.0.1:3000\"\n\
    tolerance = \"5m\"\n";

/// Each slip: a part of the good file, the text in its place, the line of the only problem, its
/// message, and a part of the correction.
const SLIPS: &[(&str, &str, usize, &str, &str)] = &[
    (
        "\"5m\"",
        "5m",
        10,
        "this value has no quotation marks",
        "write `tolerance = \"5m\"`",
    ),
    (
        "\"5m\"",
        "5 minutes",
        10,
        "this value has no quotation marks",
        "in quotation marks",
    ),
    (
        "\"5m\"\n",
        "\"5m\"\nmax_body = 1MiB\n",
        11,
        "this value has no quotation marks",
        "`max_body = \"1MiB\"`",
    ),
    (
        "\"stripe\"\npath",
        "stripe\npath",
        5,
        "this value has no quotation marks",
        "`name = \"stripe\"`",
    ),
    (
        "\"/in\"",
        "/in",
        6,
        "this value has no quotation marks",
        "`path = \"/in\"`",
    ),
    (
        "\"http://127.0.0.1:3000\"",
        "http://127.0.0.1:3000",
        9,
        "this value has no quotation marks",
        "`upstream = \"…\"`",
    ),
    (
        "[\"env:S\"]",
        "[env:S]",
        8,
        "the texts of this list have no quotation marks",
        "`secrets = [\"…\"]`",
    ),
    (
        "[\"env:S\"]",
        "env:S",
        8,
        "this value has no quotation marks",
        "`secrets = [\"…\"]`",
    ),
    (
        "[\"127.0.0.1:8080\"]",
        "127.0.0.1:8080",
        2,
        "this value has no quotation marks",
        "`listen = [\"127.0.0.1:8080\"]`",
    ),
    (
        "[\"127.0.0.1:8080\"]",
        "[127.0.0.1:8080]",
        2,
        "the texts of this list have no quotation marks",
        "`listen = [\"…\"]`",
    ),
    (
        "\"stripe\"\npath",
        "\u{201c}stripe\u{201d}\npath",
        5,
        "`\u{201c}` (U+201C) is no quotation mark",
        "straight",
    ),
    (
        "\"5m\"",
        "\u{2018}5m\u{2019}",
        10,
        "`\u{2018}` (U+2018) is no quotation mark",
        "straight",
    ),
    (
        "\"5m\"",
        "`5m`",
        10,
        "(U+0060) is no quotation mark",
        "straight",
    ),
    (
        "[\"env:S\"]",
        "[\u{201e}env:S\u{201c}]",
        8,
        "(U+201E) is no quotation mark",
        "straight",
    ),
    (
        "name = ",
        "name\u{a0}= ",
        5,
        "a character that cannot be seen (U+00A0)",
        "type them again",
    ),
    (
        "name = ",
        "\u{200b}name = ",
        5,
        "a character that cannot be seen (U+200B)",
        "type them again",
    ),
    (
        "tolerance = ",
        "tolerance ",
        10,
        "no `=` between a key and its value",
        "`tolerance = …`",
    ),
    (
        "tolerance = ",
        "tolerance: ",
        10,
        "`:` is between key and value",
        "`tolerance = …` with a single `=`",
    ),
    (
        "tolerance = ",
        "tolerance := ",
        10,
        "`:=` is between key and value",
        "single `=`",
    ),
    (
        "tolerance = ",
        "tolerance => ",
        10,
        "`=>` is between key and value",
        "single `=`",
    ),
    (
        "tolerance = ",
        "tolerance == ",
        10,
        "`==` is between key and value",
        "single `=`",
    ),
    (
        "\"5m\"\n",
        "\"5m\"\nmax body = \"1MiB\"\n",
        11,
        "a blank inside the key",
        "`max_body = …`",
    ),
    (
        "\"5m\"",
        "\"5m\";",
        10,
        "a `;` behind the value",
        "leave the `;` out",
    ),
    (
        "\"5m\"",
        "\"5m\",",
        10,
        "a `,` behind the value",
        "leave the `,` out",
    ),
    (
        "\"5m\"",
        "\"5m",
        10,
        "a quotation mark is not closed",
        "on the same line",
    ),
    (
        "\"5m\"",
        "",
        10,
        "this key has no value",
        "leave the line out",
    ),
    (
        "\"5m\"\n",
        "\"5m\"\nenforce = True\n",
        11,
        "neither `true` nor `false`",
        "small letters",
    ),
    (
        "\"5m\"\n",
        "\"5m\"\nenforce = yes\n",
        11,
        "neither `true` nor `false`",
        "small letters",
    ),
    (
        "\"5m\"",
        "null",
        10,
        "no word for a missing value",
        "leave the line out",
    ),
    (
        "[\"env:S\"]",
        "[$STRIPE]",
        8,
        "a variable or a template",
        "env:NAME",
    ),
    (
        "[\"env:S\"]",
        "[${STRIPE}]",
        8,
        "a variable or a template",
        "env:NAME",
    ),
    (
        "\"stripe\"\npath",
        "{{ name }}\npath",
        5,
        "a variable or a template",
        "the value itself",
    ),
    (
        "[\"env:S\"]",
        "(\"env:S\")",
        8,
        "in round brackets",
        "`secrets = [\"…\"]`",
    ),
    (
        "[\"env:S\"]",
        "[\"file:C:\\Users\\s\"]",
        8,
        "a backslash in double quotation marks",
        "single quotation marks",
    ),
    (
        "[[route]]",
        "// mine\n[[route]]",
        4,
        "no comment of TOML",
        "`#`",
    ),
    (
        "[[route]]",
        "; mine\n[[route]]",
        4,
        "no comment of TOML",
        "`#`",
    ),
    (
        "[server]",
        "```toml\n[server]",
        1,
        "a fence of Markdown",
        "leave",
    ),
    (
        "[server]",
        "cat > verigate.toml <<'EOF'\n[server]",
        1,
        "a command of the shell",
        "leave it out",
    ),
    (
        "[server]",
        "export A=1\n[server]",
        1,
        "`export` belongs to a shell",
        "without `export`",
    ),
    (
        "[[route]]",
        "[[route]",
        4,
        "the brackets of this table do not match",
        "`[[route]]`",
    ),
    (
        "[[route]]",
        "[route]]",
        4,
        "the brackets of this table do not match",
        "`[[route]]`",
    ),
    (
        "[[route]]",
        "[route]",
        4,
        "`route` must be a list of tables",
        "`[[route]]`",
    ),
    (
        "[[route]]",
        "[route.stripe]",
        4,
        "`route` must be a list of tables",
        "its `name` below",
    ),
    (
        "\"5m\"\n",
        "\"5m\"\n[server]\nthreads = 2\n",
        11,
        "this table is there twice",
        "under the first",
    ),
    (
        "\"5m\"\n",
        "\"5m\"\nname = \"x\"\n",
        11,
        "this key is there twice",
        "`[[route]]`",
    ),
    (
        "[server]",
        "[server]\nthreads = four",
        2,
        "this value is no number",
        "`threads = 4`",
    ),
    (
        "name = ",
        "\u{a0}\u{a0}name = ",
        5,
        "a character that cannot be seen (U+00A0)",
        "type them again",
    ),
    (
        "[\"env:S\"]",
        "[\n  env:S,\n  \"env:T\",\n]",
        9,
        "this item of a list has no quotation marks",
        "close the list with `]`",
    ),
    (
        "[\"env:S\"]",
        "[\n  \"env:S\",\n  \u{201c}env:T\u{201d}\n]",
        10,
        "(U+201C) is no quotation mark",
        "straight",
    ),
];

#[test]
fn cf_24_each_slip_is_one_problem_with_its_line_and_its_correction() {
    let wrong: Vec<_> = SLIPS
        .iter()
        .filter_map(|(part, slip, line, message, help)| {
            let text = GOOD.replacen(part, slip, 1);
            assert_ne!(text, GOOD, "{part}");
            let shown = problems(&text);
            let is_right = shown.contains("1 problem in")
                && shown.contains(&format!("a.toml:{line}:"))
                && [message, help].iter().all(|words| shown.contains(**words));
            (!is_right).then_some((slip, shown))
        })
        .collect();
    for (slip, shown) in &wrong {
        println!("{slip}\n{shown}");
    }
    assert!(wrong.is_empty(), "{}", wrong.len());
}

#[test]
fn two_routes_in_single_brackets_are_one_problem() {
    let second = GOOD.split_once("[[route]]").unwrap().1;
    for (first, next) in [
        ("[route]", "[route]"),
        ("[[route]]", "[route]"),
        ("[route]", "[[route]]"),
    ] {
        let text = GOOD.replace("[[route]]", first) + next + second;
        let shown = problems(&text);
        assert!(
            shown.contains("begin each route with a line `[[route]]`"),
            "{shown}"
        );
        assert!(!shown.contains("this key is there twice"), "{shown}");
    }
}

#[test]
fn cf_24_a_file_in_another_language_is_one_problem_that_names_the_language() {
    let rows = [
        (
            "YAML",
            "server:\n  listen:\n    - 127.0.0.1:8080\nroute:\n  - name: a\n    secrets: [hunter2]\n",
        ),
        ("YAML", "---\nname: a\n"),
        ("YAML", "# mine\n\nname: a\nurl: http://a/?b=c\n"),
        (
            "JSON",
            "{\n  \"server\": {\"listen\": [\"127.0.0.1:8080\"]},\n  \"token\": \"hunter2\"\n}\n",
        ),
        ("JSON", "{\"route\": []}"),
        (
            "HTML or XML",
            "<!DOCTYPE html>\n<html lang=\"en\">\n</html>\n",
        ),
        ("HTML or XML", "<?xml version=\"1.0\"?>\n<a/>\n"),
        (
            "blocks in braces",
            "server {\n  listen 8080;\n  location / {\n    proxy_pass http://a;\n  }\n}\n",
        ),
        ("a patch", "+[server]\n+listen = []\n"),
        (
            "not TOML",
            "listening on 127.0.0.1:8080\nthe log of something\n",
        ),
    ];
    for (language, text) in rows {
        let shown = problems(text);
        assert!(
            shown.contains("1 problem in") && shown.contains("`[[route]]`"),
            "{shown}"
        );
        assert!(
            shown.contains(language) && !shown.contains("hunter2"),
            "{shown}"
        );
    }
}

#[test]
fn windows_line_ends_tabs_and_a_byte_order_mark_are_no_problem() {
    for text in [
        GOOD.replace('\n', "\r\n"),
        GOOD.replace(" = ", "\t=\t"),
        format!("\u{feff}{GOOD}"),
    ] {
        let shown = read(&text);
        assert!(shown.is_ok(), "{shown:?}");
    }
    let shown = problems(&GOOD.replace('\n', "\r"));
    assert!(
        shown.contains("carriage return alone") && shown.contains("1 problem in"),
        "{shown}"
    );
}
