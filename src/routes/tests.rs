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
            ("PA-03", "a", "/hooks/%61", "bad_path"),
            ("PA-03", "a", "/hooks/c%2Dd", "bad_path"),
            ("PA-03", "a", "/hooks/%7euser", "bad_path"),
            ("PA-04", "a", "/HOOKS/a", "no_route"),
            ("PA-04", "a", "/hooks/A", "bad_path"),
            ("PA-04", "a", "/hooks/a/", "bad_path"),
            ("PA-04", "a", "/hooks/A/B/", "bad_path"),
            ("PA-04", "a", "/hooks/aa/", "/hooks/*"),
            ("PA-04", "a", "/hooks/AA", "/hooks/*"),
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
fn hd_14_a_host_is_matched_without_case_port_and_closing_dot() {
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
            ("HD-14", "a.example.", "/x", "a.example/x"),
            ("HD-14", "A.example.:80", "/x", "a.example/x"),
            ("HD-14", "a.example..", "/x", "no_route"),
            ("HD-14", ".", "/x", "no_route"),
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
                "bad_path",
            ),
            ("exact of another host", "z.example", "/hooks/b", "bad_path"),
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
            ("its root", "z.example", "/", "/*"),
            (
                "the root of a part of it",
                "z.example",
                "/hooks/",
                "bad_path",
            ),
            (
                "a prefix without its last slash",
                "z.example",
                "/hooks/deep",
                "bad_path",
            ),
            (
                "a longer prefix in another case",
                "z.example",
                "/hooks/DEEP/c",
                "bad_path",
            ),
            (
                "a longer prefix of another host",
                "z.example",
                "/hooks/deep/er",
                "bad_path",
            ),
            (
                "a segment that only begins like a longer prefix",
                "z.example",
                "/hooks/deepest/c",
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
                "bad_path",
            ),
            (
                "an exact path for all hosts in another case, own prefix",
                "x.example",
                "/hooks/A",
                "bad_path",
            ),
            (
                "the same under another prefix",
                "z.example",
                "/Hooks/a",
                "bad_path",
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

/// The path as an app may read it that decodes up to twice, takes no account of case, and ignores a
/// closing slash.
fn lenient(path: &str) -> String {
    let mut text = path.to_owned();
    for _ in 0..2 {
        let mut bytes = Vec::new();
        let mut rest = text.as_str();
        while let Some(first) = rest.chars().next() {
            let hex = rest
                .get(1..3)
                .and_then(|hex| u8::from_str_radix(hex, 16).ok());
            let taken = match hex.filter(|_| first == '%') {
                Some(byte) => {
                    bytes.push(byte);
                    3
                }
                None => {
                    bytes.extend_from_slice(first.to_string().as_bytes());
                    first.len_utf8()
                }
            };
            rest = rest.get(taken..).unwrap_or_default();
        }
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    let text = text.to_ascii_lowercase();
    text.strip_suffix('/').unwrap_or(&text).to_owned()
}

/// Whether an app may read `path`, which the prefix `found` takes, as the path of an exact route or
/// of a longer prefix.
fn is_of_another(routes: &RouteTable<String>, found: &Pattern, path: &str) -> bool {
    let PathPattern::Prefix(prefix) = &found.path else {
        return false;
    };
    let path = lenient(path);
    routes.iter().any(|(other, _)| {
        let fits = match &other.path {
            PathPattern::Exact(own) => lenient(own) == path,
            PathPattern::Prefix(own) => {
                lenient(own).len() > lenient(prefix).len()
                    && format!("{path}/").starts_with(&format!("{}/", lenient(own)))
            }
        };
        fits && (found.host.is_none() || other.host.is_none() || other.host == found.host)
    })
}

/// The rule for the most specific route (contract: Route), written for clarity and not for speed.
fn model<'t>(routes: &'t RouteTable<String>, host: &str, path: &str) -> &'t str {
    let fits_host = |pattern: &Pattern| {
        pattern
            .host
            .as_deref()
            .is_none_or(|own| own.eq_ignore_ascii_case(host))
    };
    let mut fitting: Vec<_> = routes
        .iter()
        .filter(|(pattern, _)| fits_host(pattern))
        .filter_map(|(pattern, name)| match &pattern.path {
            PathPattern::Exact(own) => {
                (own == path).then_some((usize::MAX, pattern.host.is_some(), name, pattern))
            }
            PathPattern::Prefix(own) => {
                path.starts_with(own)
                    .then_some((own.len(), pattern.host.is_some(), name, pattern))
            }
        })
        .collect();
    fitting.sort_by_key(|(length, is_named, name, _)| (*length, *is_named, *name));
    match fitting.last() {
        None => "no_route",
        Some((length, _, _, _)) if *length < path.len() && ambiguity(path).is_some() => "bad_path",
        Some((length, _, _, _)) if *length == path.len() && path != "/" => "bad_path",
        Some((_, _, _, found)) if is_of_another(routes, found, path) => "bad_path",
        Some((_, _, name, _)) => name,
    }
}

proptest! {
    #[test]
    fn the_table_finds_what_the_rule_says(
        patterns in prop::collection::btree_set("(x|y)?(/[abA]){0,4}/([abB]|a/|\\*)", 0..12),
        host in "[xyzXY]", path in "(/([aAbB.]|%61|%6[12]|%2561|%2[Bb]){0,2}){1,6}/?",
    ) {
        let patterns: Vec<_> = patterns.iter().map(String::as_str).collect();
        let table = table(&patterns);
        prop_assert_eq!(find(&table, Some(&host), &path), model(&table, &host, &path));
    }

    #[test]
    fn no_spelling_of_an_exact_path_arrives_by_a_prefix(
        exact in prop::collection::btree_set("(x|y)?/h(/([a-c~-]|%7[Ee]|%40|@|%2[bB]|\\+)){1,2}/?", 1..6),
        prefixes in prop::collection::btree_set("(x|y)?(/h(/[ab])?)?/\\*", 1..4),
        host in "([xyzXY]\\.?(:80)?)?",
        of in any::<prop::sample::Index>(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0_u8..6), 0..4),
    ) {
        let patterns: Vec<_> = exact.iter().chain(&prefixes).map(String::as_str).collect();
        let table = table(&patterns);
        let written = of.get(&exact.iter().collect::<Vec<_>>()).trim_start_matches(['x', 'y']);
        let mut spelled: Vec<String> = written.chars().map(String::from).collect();
        for (at, change) in changes {
            let at = at.index(spelled.len());
            let piece = &mut spelled[at];
            let Some(first) = piece.chars().next().filter(|_| piece.len() == 1 && at > 0) else {
                continue;
            };
            *piece = match change {
                0 => piece.to_ascii_uppercase(),
                1 => format!("%{:02x}", u32::from(first)),
                2 => format!("%{:02X}", u32::from(first)),
                3 => format!("%25{:02x}", u32::from(first)),
                4 => format!("{piece}/"),
                _ if first == '/' => String::from("//"),
                _ => format!("{piece};v=1"),
            };
        }
        let path = spelled.concat();
        if let Match::Found(route) = table.find(Some(&host).filter(|host| !host.is_empty()).map(String::as_str), &path)
            && let Some(prefix) = route.strip_suffix('*')
        {
            let named = prefix.split('/').next().unwrap_or_default();
            let read_alike: Vec<_> = exact
                .iter()
                .filter(|exact| {
                    let (own, _) = exact.split_once('/').unwrap_or_default();
                    let path_of_exact = exact.trim_start_matches(['x', 'y']);
                    let concerns = named.is_empty() || own.is_empty() || own == named;
                    concerns && lenient(path_of_exact) == lenient(&path)
                })
                .collect();
            prop_assert!(read_alike.is_empty(), "{path} came by {route}: {read_alike:?}");
        }
    }

    #[test]
    fn any_text_is_looked_up(host in proptest::option::of(any::<String>()), path in any::<String>()) {
        table(&["/*", "x/a", "/é/*".replace('é', "%c3%a9").as_str()]).find(host.as_deref(), &path);
    }
}

proptest! {
    #[test]
    fn a_port_is_what_follows_the_last_colon(host in "(\\[[0-9a-f:]{0,6}\\]?|[a-z0-9.:]{0,9})(:[0-9a]{0,6})?") {
        let plain = match host.rsplit_once(':') {
            Some((name, port))
                if port.bytes().all(|byte| byte.is_ascii_digit())
                    && (!name.contains(':') || name.ends_with(']')) =>
            {
                name
            }
            _ => &host,
        };
        prop_assert_eq!(without_port(&host), plain);
    }
}
