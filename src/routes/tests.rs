//! The rows of the catalogue's class PA and HD-14 on the table (attacks: Path confusion), and the
//! table compared with a slow model of its rule.

use proptest::prelude::*;

use super::*;

/// A table in which the value of each route is its pattern as text.
fn table(patterns: &[&str]) -> RouteTable<String> {
    let parsed = patterns.iter().map(|text| {
        let (host, _) = text.split_once('/').expect("a path");
        let path = text.strip_prefix(host).expect("what it begins with");
        let host = Some(host).filter(|host| !host.is_empty());
        (Pattern::parse(host, path).expect(text), (*text).to_owned())
    });
    RouteTable::new(parsed.collect())
}

fn find<'t>(table: &'t RouteTable<String>, host: Option<&str>, path: &str) -> &'t str {
    match table.find(host, path) {
        Match::Found(route) => route,
        Match::NoRoute => "no_route",
        Match::Ambiguous(_) => "bad_path",
    }
}

/// Checks rows of: id, host, path, and the route or the code expected.
fn check(table: &RouteTable<String>, rows: &[(&str, &str, &str, &str)]) {
    let mut wrong = Vec::new();
    for row in rows {
        let (_, host, path, want) = row;
        let found = find(
            table,
            Some(host).filter(|host| !host.is_empty()).copied(),
            path,
        );
        if found != *want {
            wrong.push((row, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_spelling_of_a_path_picks_another_route() {
    let table = table(&["/hooks/a", "/hooks/*", "/hooks/a/b", "x.example/hooks/a"]);
    check(
        &table,
        &[
            ("plain", "a", "/hooks/a", "/hooks/a"),
            ("plain", "a", "/hooks/a/b", "/hooks/a/b"),
            ("plain", "a", "/hooks/c", "/hooks/*"),
            ("plain", "", "/hooks/c/d", "/hooks/*"),
            ("PA-01", "a", "/hooks/../admin", "bad_path"),
            ("PA-01", "a", "/hooks/./a", "bad_path"),
            ("PA-01", "a", "/hooks/x/..", "bad_path"),
            ("PA-01", "a", "/hooks/..", "bad_path"),
            ("PA-01", "a", "/hooks/.", "bad_path"),
            ("PA-01", "a", "/hooks/%2e%2e/x", "bad_path"),
            ("PA-01", "a", "/hooks/x/%2e", "bad_path"),
            ("PA-01", "a", "/hooks/%2E./x", "bad_path"),
            ("PA-01", "a", "/hooks/.%2e/x", "bad_path"),
            ("PA-01", "a", "/hooks/a%2fb", "bad_path"),
            ("PA-01", "a", "/hooks/a%2Fb", "bad_path"),
            ("PA-01", "a", "/hooks/%5cx", "bad_path"),
            ("PA-01", "a", "/hooks/%5Cx", "bad_path"),
            ("PA-02", "a", "/hooks//a", "bad_path"),
            ("PA-02", "a", "/hooks/a//", "bad_path"),
            ("PA-02", "a", "/hooks/x//y", "bad_path"),
            ("PA-02", "a", "//hooks/a", "no_route"),
            ("PA-02", "a", r"/hooks/x\y", "bad_path"),
            ("PA-02", "a", r"/hooks\a", "no_route"),
            ("PA-02", "a", "/hooks/a;v=1", "bad_path"),
            ("PA-02", "a", "/hooks/..;/x", "bad_path"),
            ("PA-03", "a", "/hooks/%61", "/hooks/*"),
            ("PA-04", "a", "/HOOKS/a", "no_route"),
            ("PA-04", "a", "/hooks/A", "/hooks/*"),
            ("PA-04", "a", "/hooks/a/", "/hooks/*"),
            ("PA-04", "a", "/hooks", "no_route"),
            ("PA-04", "a", "/hooks/", "bad_path"),
            ("PA-04", "a", "/hooksx", "no_route"),
            ("PA-06", "a", "/hooks/a%00", "bad_path"),
            ("PA-06", "a", "/hooks/%0d%0aX:", "bad_path"),
            ("PA-06", "a", "/hooks/%7f", "bad_path"),
            ("PA-06", "a", "/hooks/%", "bad_path"),
            ("PA-06", "a", "/hooks/x%/y", "bad_path"),
            ("PA-06", "a", "/hooks/%zz", "bad_path"),
            ("PA-06", "a", "/hooks/%2", "bad_path"),
            ("PA-06", "a", "/hooks/%c0%ae%c0%ae/x", "bad_path"),
            ("PA-06", "a", "/hooks/%252e%252e/x", "bad_path"),
            ("PA-07", "x.example", "/hooks/a", "x.example/hooks/a"),
            ("PA-07", "X.Example:8080", "/hooks/a", "x.example/hooks/a"),
            ("PA-07", "y.example", "/hooks/a", "/hooks/a"),
            ("PA-07", "x.example", "/hooks/a/b", "/hooks/a/b"),
            ("odd", "a", "", "no_route"),
            ("odd", "a", "*", "no_route"),
        ],
    );
}

#[test]
fn hd_14_a_host_is_matched_without_case_and_port_but_with_its_last_dot() {
    let table = table(&[
        "a.example/x",
        "b.example/x",
        "[2001:db8::1]/x",
        "127.0.0.1/x",
    ]);
    check(
        &table,
        &[
            ("HD-14", "a.example", "/x", "a.example/x"),
            ("HD-14", "A.EXAMPLE:8080", "/x", "a.example/x"),
            ("HD-14", "a.example.", "/x", "no_route"),
            ("HD-14", "a.example.:80", "/x", "no_route"),
            ("other", "b.example:443", "/x", "b.example/x"),
            ("other", "c.example", "/x", "no_route"),
            ("other", "a.exampl", "/x", "no_route"),
            ("other", "a.examplee", "/x", "no_route"),
            ("other", "", "/x", "no_route"),
            ("other", "example", "/x", "no_route"),
            ("other", "a.example.evil", "/x", "no_route"),
            ("other", "x.a.example", "/x", "no_route"),
            ("other", "a.example:8x", "/x", "no_route"),
            ("other", "a.example:", "/x", "a.example/x"),
            ("IPv6", "[2001:db8::1]", "/x", "[2001:db8::1]/x"),
            ("IPv6", "[2001:DB8::1]:8080", "/x", "[2001:db8::1]/x"),
            ("IPv6", "2001:db8::1", "/x", "no_route"),
            ("IPv4", "127.0.0.1:80", "/x", "127.0.0.1/x"),
        ],
    );
}

#[test]
fn the_path_is_compared_before_the_host() {
    let table = table(&[
        "/hooks/a",
        "x.example/hooks/*",
        "/hooks/*",
        "/hooks/deep/*",
        "y.example/hooks/b",
        "x.example/hooks/deep/er/*",
        "/*",
    ]);
    check(
        &table,
        &[
            (
                "exact before a prefix of the host",
                "x.example",
                "/hooks/a",
                "/hooks/a",
            ),
            (
                "host before none",
                "x.example",
                "/hooks/c",
                "x.example/hooks/*",
            ),
            (
                "none where the host differs",
                "z.example",
                "/hooks/c",
                "/hooks/*",
            ),
            (
                "longer prefix before one of the host",
                "x.example",
                "/hooks/deep/c",
                "/hooks/deep/*",
            ),
            (
                "the longest where the host fits",
                "x.example",
                "/hooks/deep/er/c",
                "x.example/hooks/deep/er/*",
            ),
            (
                "a shorter one where it does not",
                "z.example",
                "/hooks/deep/er/c",
                "/hooks/deep/*",
            ),
            ("exact of another host", "z.example", "/hooks/b", "/hooks/*"),
            (
                "exact of another host, own prefix",
                "x.example",
                "/hooks/b",
                "x.example/hooks/*",
            ),
            (
                "exact of this host",
                "y.example",
                "/hooks/b",
                "y.example/hooks/b",
            ),
            ("the whole tree", "z.example", "/other", "/*"),
            (
                "a prefix without its last slash",
                "z.example",
                "/hooks/deep",
                "/hooks/*",
            ),
            (
                "longer than an exact path",
                "z.example",
                "/hooks/aa",
                "/hooks/*",
            ),
            (
                "an exact path in another case",
                "z.example",
                "/hooks/A",
                "/hooks/*",
            ),
            (
                "a longer name of the host",
                "a.x.example",
                "/hooks/c",
                "/hooks/*",
            ),
            (
                "empty rest of a longer prefix",
                "z.example",
                "/hooks/deep/",
                "bad_path",
            ),
            ("empty rest of all", "z.example", "/", "bad_path"),
            ("under the whole tree", "z.example", "//hooks/a", "bad_path"),
        ],
    );
}

#[test]
fn an_exact_path_is_matched_byte_for_byte() {
    let table = table(&["/hooks/one"]);
    check(&table, &[("itself", "a", "/hooks/one", "/hooks/one")]);
    for path in [
        "/",
        "/hooks",
        "/hooks/",
        "/hooks/on",
        "/hooks/one/",
        "/hooks/one2",
        "/Hooks/one",
        "/hooks/%6fne",
        "/x/../hooks/one",
        "//hooks/one",
    ] {
        check(&table, &[("another", "a", path, "no_route")]);
    }
}

#[test]
fn a_table_without_routes_finds_none() {
    let table = table(&[]);
    assert!(table.is_empty());
    assert_eq!(table.find(Some("a"), "/"), Match::NoRoute);
}

#[test]
fn routes_are_listed_as_given_and_written_as_configured() {
    let patterns = ["/z", "x.example/a/*", "/a", "/*"];
    let table = table(&patterns);
    assert!(!table.is_empty());
    let listed: Vec<_> = table
        .iter()
        .map(|(pattern, name)| (pattern.to_string(), name.as_str()))
        .collect();
    let wanted: Vec<_> = patterns.map(|text| (text.to_owned(), text)).to_vec();
    assert_eq!(listed, wanted);
}

/// The rule for the most specific route (contract: Route), written for clarity and not for speed.
fn model<'t>(routes: &'t RouteTable<String>, host: &str, path: &str) -> &'t str {
    let mut fitting: Vec<_> = routes
        .iter()
        .filter(|(pattern, _)| {
            pattern
                .host
                .as_deref()
                .is_none_or(|own| own.eq_ignore_ascii_case(host))
        })
        .filter_map(|(pattern, name)| match &pattern.path {
            PathPattern::Exact(own) => {
                (own == path).then_some((usize::MAX, pattern.host.is_some(), name))
            }
            PathPattern::Prefix(own) => {
                path.starts_with(own)
                    .then_some((own.len(), pattern.host.is_some(), name))
            }
        })
        .collect();
    fitting.sort();
    match fitting.last() {
        None => "no_route",
        Some((length, _, _)) if *length < path.len() && ambiguity(path).is_some() => "bad_path",
        Some((length, _, _)) if *length == path.len() => "bad_path",
        Some((_, _, name)) => name,
    }
}

proptest! {
    #[test]
    fn the_table_finds_what_the_rule_says(
        patterns in prop::collection::btree_set("(x|y)?(/[ab]){0,4}/([ab]|\\*)", 0..12),
        host in "[xyzXY]", path in "(/[ab.]{0,2}){1,6}/?",
    ) {
        let patterns: Vec<_> = patterns.iter().map(String::as_str).collect();
        let table = table(&patterns);
        prop_assert_eq!(find(&table, Some(&host), &path), model(&table, &host, &path));
    }

    #[test]
    fn any_text_is_looked_up(host in proptest::option::of(any::<String>()), path in any::<String>()) {
        table(&["/*", "x/a", "/é/*".replace('é', "%c3%a9").as_str()]).find(host.as_deref(), &path);
    }
}
