//! Placeholders of values that are no secrets, as a printed route has them.

use super::fixtures::RSA_PEM;
use super::{CUSTOM, ROUTE, good, warned};

fn route(provider: &str, lines: &str) -> String {
    let own = ROUTE.replace("itellico", provider);
    let own = match provider {
        "aws-sns" => own.replace("\"env:S\"", &format!("\"\"\"{RSA_PEM}\"\"\"")),
        _ => own,
    };
    format!("{own}{lines}\n")
}

/// The lines that warn of a placeholder.
fn named(text: &str) -> Vec<String> {
    let shown = warned(&good(text));
    shown
        .lines()
        .filter(|line| line.ends_with("[placeholder-value]"))
        .map(ToOwned::to_owned)
        .collect()
}

#[test]
fn what_a_printed_route_leaves_open_is_named() {
    let example = "arn:aws:sns:eu-west-1:123456789012:orders";
    let own = "arn:aws:sns:eu-west-1:210987654321:bills";
    let hooks = "public_url = \"https://hooks.example.com\"";
    let rows = [
        (
            route("tiktok-shop", "params = { app_key = \"…\" }"),
            "`params.app_key`",
        ),
        (
            route("tiktok-shop", "params = { app_key = \"your_app_key\" }"),
            "`params.app_key`",
        ),
        (
            route("tiktok-shop", "params = { app_key = \"app_key\" }"),
            "`params.app_key`",
        ),
        (
            route("tiktok-shop", "params = { app_key = \"29a39d\" }"),
            "",
        ),
        (
            route("square", hooks),
            "`public_url` names `hooks.example.com`",
        ),
        (
            route("square", "public_url = \"https://acme.test/in\""),
            "`public_url` names `acme.test`",
        ),
        (
            route("square", "public_url = \"https://hooks.acme.io\""),
            "",
        ),
        (
            route("aws-sns", &format!("accounts = [\"{example}\"]")),
            "`accounts`",
        ),
        (
            route("aws-sns", &format!("accounts = [\"{own}\", \"{example}\"]")),
            "`accounts`",
        ),
        (route("aws-sns", &format!("accounts = [\"{own}\"]")), ""),
        (route("slack", "accounts = [\"…\"]"), "`accounts`"),
        (route("itellico", "event_types = [\"…\"]"), "`event_types`"),
        (route("itellico", "event_types = [\"test\"]"), ""),
        (
            route("itellico", "host = \"hooks.example.com\""),
            "`host` names",
        ),
        (
            route("itellico", "upstream_host = \"app.example.org:8443\""),
            "`upstream_host` names",
        ),
        (
            ROUTE.replace("127.0.0.1:3000", "app.example"),
            "`upstream` names",
        ),
        (CUSTOM.to_owned(), ""),
    ];
    let mut wrong = Vec::new();
    for (text, words) in rows {
        let found = named(&text);
        let is_right = match found.as_slice() {
            [] => words.is_empty(),
            [line] => !words.is_empty() && line.contains(words),
            _ => false,
        };
        if !is_right {
            wrong.push((words, text, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The server's is named once, whatever routes use it.
    let of_server = format!("[server]\n{hooks}\n{}", route("square", ""));
    let found = named(&of_server);
    assert!(
        matches!(found.as_slice(), [line] if line.starts_with("a.toml:2: `server.public_url` names")),
        "{found:#?}"
    );
}
