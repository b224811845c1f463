//! Whole lists of problems as an operator sees them, and that no list shows a secret (contract:
//! Configuration, Secrets; CF-01).

use super::problems::problems;

#[test]
fn cf_04_every_problem_is_told_at_once() {
    let text = r#"
[server]
listen = ["8080"]
thread = 4
body_timeout = "0s"
max_head = "1GiB"

[admin]
listen = "0.0.0.0:9090"

[replay]
store = "redis"

[[route]]
name = "billing"
path = "hooks"
provider = "itelico"
secrets = ["hunter2"]
upstream = "https://127.0.0.1:3000/hook"
replay = { on_replay = 700 }

[[route]]
name = "billing"
path = "/b"
secrets = [{ name = "a", value = "plain:hunter2", not_afer = 1 }]
"#;
    insta::assert_snapshot!(problems(text), @r#"
    error: `server.listen` is no address to listen on
     --> a.toml:3:11
      |
    3 | listen = ["8080"]
      |           ^^^^^^
      |
      = help: write an IP address and a port, as in `127.0.0.1:8080` or `[::1]:8080`; `0.0.0.0:8080` is every interface

    error: unknown key `server.thread`
     --> a.toml:4:1
      |
    4 | thread = ********
      | ^^^^^^
      |
      = help: did you mean `threads`?

    error: `server.body_timeout` is zero
     --> a.toml:5:16
      |
    5 | body_timeout = "0s"
      |                ^^^^
      |
      = help: write a time above zero, as in `10s`

    error: `server.max_head` is out of range
     --> a.toml:6:12
      |
    6 | max_head = "1GiB"
      |            ^^^^^^
      |
      = help: write a size from 1KiB to 1MiB

    error: `admin.listen` is open beyond this machine, and there is no token
     --> a.toml:9:10
      |
    9 | listen = "0.0.0.0:9090"
      |          ^^^^^^^^^^^^^^
      |
      = help: add `token = "env:VERIGATE_ADMIN_TOKEN"` to `[admin]`, or listen on 127.0.0.1

    error: `replay.store` = `redis` is not supported yet
      --> a.toml:12:9
       |
    12 | store = "redis"
       |         ^^^^^^^
       |
       = help: supported: `memory`

    error: `route.path` cannot be matched: the path does not start with `/`
      --> a.toml:16:8
       |
    16 | path = "hooks"
       |        ^^^^^^^
       |
       = help: write it as in the URL, e.g. `/hooks/stripe`

    error: `route.provider` is not a provider that this version knows
      --> a.toml:17:12
       |
    17 | provider = "itelico"
       |            ^^^^^^^^^
       |
       = help: did you mean `itellico`? `verigate providers` lists them all

    error: `route.secrets` is not a reference to a secret (its text is not shown)
      --> a.toml:18:12
       |
    18 | secrets = [********]
       |            ^^^^^^^^
       |
       = help: write `env:NAME`, `file:PATH` or `cred:NAME`; `plain:TEXT` if the secret really must be written in this file

    error: `route.upstream` has a path, query or fragment
      --> a.toml:19:12
       |
    19 | upstream = "https://127.0.0.1:3000/hook"
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: write scheme, host and port only; the request's own path and query are forwarded unchanged, or below the route's `upstream_path`

    error: `route.replay.on_replay` is out of range
      --> a.toml:20:24
       |
    20 | replay = { on_replay = 700 }
       |                        ^^^
       |
       = help: write a whole number from 200 to 599

    error: `route.upstream` is missing
      --> a.toml:22:1
       |
    22 | [[route]]
       | ^^^^^^^^^
       |
       = help: add it, as in `upstream = "http://127.0.0.1:3000"`

    error: the route has neither `provider` nor `[route.scheme]`: nothing could be verified
      --> a.toml:22:1
       |
    22 | [[route]]
       | ^^^^^^^^^
       |
       = help: add a preset, as in `provider = "itellico"`, or a scheme

    error: two routes are called `billing`
      --> a.toml:23:1
       |
    23 | name = "billing"
       | ^^^^
       |
       = help: give each route a name of its own

    error: unknown key `route.secrets.not_afer`
      --> a.toml:25:44
       |
    25 | secrets = [{ name = "a", value = ********, not_afer = ******** }]
       |                                            ^^^^^^^^
       |
       = help: did you mean `not_after`?

    15 problems in a.toml
    "#);
}

#[test]
fn broken_syntax_is_told_with_what_else_is_wrong_but_not_with_what_seems_missing() {
    let text = "[server]\nthreads = four\nlisten = [\"8080\"]\n\n[admin]\ntoken = hunter2\n\
         [[route]]\nname = \"a\"\nname = \"b\"\nsecrets = [\"hunter2]\n";
    insta::assert_snapshot!(problems(text), @r#"
    error: this value is no number
     --> a.toml:2:11
      |
    2 | threads = four
      |           ^^^^
      |
      = help: write digits alone, as in `threads = 4`

    error: `server.listen` is no address to listen on
     --> a.toml:3:11
      |
    3 | listen = ["8080"]
      |           ^^^^^^
      |
      = help: write an IP address and a port, as in `127.0.0.1:8080` or `[::1]:8080`; `0.0.0.0:8080` is every interface

    error: this value has no quotation marks
     --> a.toml:6:8
      |
    6 | token =********
      |        ^^^^^^^^
      |
      = help: write `token = "…"`: texts, durations and sizes are in quotation marks

    error: this key is there twice in its table
     --> a.toml:9:1
      |
    9 | name = "b"
      | ^^^^
      |
      = help: keep one of the two; another route begins with a line `[[route]]` of its own

    error: a quotation mark is not closed
      --> a.toml:10:18
       |
    10 | secrets =********
       |                  ^
       |
       = help: end the text with the mark that it begins with, on the same line

    5 problems in a.toml
    "#);
}

#[test]
fn a_list_that_is_not_closed_is_one_problem_and_not_one_for_each_line_behind_it() {
    let text = "[server]\nbody_timeout = \"0s\"\nlisten = [\"127.0.0.1:8080\"\nthreads = \"four\"\n\n[admin]\ntoken = hunter2\n";
    insta::assert_snapshot!(problems(text), @r#"
    error: `server.body_timeout` is zero
     --> a.toml:2:16
      |
    2 | body_timeout = "0s"
      |                ^^^^
      |
      = help: write a time above zero, as in `10s`

    error: a key begins inside a list that is not closed
     --> a.toml:4:9
      |
    4 | threads = "four"
      |         ^
      |
      = help: close the list before it with `]`

    2 problems in a.toml
    "#);
}

#[test]
fn no_broken_file_shows_a_secret_wherever_it_is_cut_or_spoilt() {
    let text = "[admin]\ntoken = \"plain:hunter2\"\n[[route]]\nname = \"a\"\npath = \"/a\"\nprovider = \"itellico\"\n\
         secrets = [\n  \"plain:hunter2\",\n  { name = \"b\", value = \"plain:hunter2\" },\n]\n\
         upstream = \"http://u:hunter2@a\"\n[route.upstream_headers]\nX-A = \"plain:hunter2\"\n";
    let secrets: Vec<_> = text
        .match_indices("hunter2")
        .map(|(at, word)| at..at + word.len())
        .collect();
    for at in 0..=text.len() {
        // A text that is broken inside a secret holds no whole secret to look for.
        if secrets.iter().any(|range| range.contains(&at)) {
            continue;
        }
        let (before, after) = text.split_at(at);
        for spoilt in ["", "\"", "=", "]", "[", "\n", "#", "'''", "\\"] {
            let broken = format!("{before}{spoilt}{after}");
            let shown = problems(&broken);
            assert!(!shown.contains("hunter2"), "{spoilt:?} at {at}:\n{shown}");
        }
        let shown = problems(before);
        assert!(!shown.contains("hunter2"), "cut at {at}:\n{shown}");
    }
}
