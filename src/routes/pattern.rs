//! The pattern of a route: how `host` and `path` of a `[[route]]` are read (contract: Route,
//! Configuration).
//!
//! A parsed pattern can be compared byte for byte with requests. [`super::RouteTable`] looks routes
//! up.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::routes::path::{ambiguity, ambiguity_of_exact, is_path_byte};

/// The requests that a route matches, by host and path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    /// The host in lower case, without a port; an IPv6 address in brackets. `None` matches every
    /// request, even without `Host`.
    pub host: Option<String>,
    /// The path or the prefix of paths.
    pub path: PathPattern,
}

/// The paths that a route matches.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PathPattern {
    /// Only this path.
    Exact(String),
    /// Every path that begins with this text and is longer. The text ends in a slash.
    Prefix(String),
}

/// The reason why a route's host or path cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadPattern {
    /// The part that is wrong.
    pub part: PatternPart,
    /// The problem, in lower case without a full stop.
    pub message: &'static str,
    /// Advice on how to write it instead.
    pub help: &'static str,
}

/// The parts of a pattern.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PatternPart {
    /// The value of `host`.
    Host,
    /// The value of `path`.
    Path,
}

impl Pattern {
    /// Reads a route's `host` and `path`.
    ///
    /// # Errors
    /// The first problem. The path is read before the host.
    pub fn parse(host: Option<&str>, path: &str) -> Result<Self, BadPattern> {
        let path = parse_path(path).map_err(|(message, help)| BadPattern {
            part: PatternPart::Path,
            message,
            help,
        })?;
        let host = host
            .map(parse_host)
            .transpose()
            .map_err(|(message, help)| BadPattern {
                part: PatternPart::Host,
                message,
                help,
            })?;
        Ok(Self { host, path })
    }

    /// Whether some request would fit both patterns with neither more specific than the other. This
    /// is so only for the same path with the same host, or without a host in both.
    pub fn overlaps(&self, other: &Self) -> bool {
        self == other
    }
}

/// Writes the pattern as in the configuration, e.g. `hooks.example.com/hooks/*`.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.host.as_deref().unwrap_or_default())?;
        match &self.path {
            PathPattern::Exact(path) => f.write_str(path),
            PathPattern::Prefix(path) => write!(f, "{path}*"),
        }
    }
}

/// The problem, and advice on how to write it instead.
type Wrong = (&'static str, &'static str);

fn parse_path(path: &str) -> Result<PathPattern, Wrong> {
    if is_foreign_pattern(path) {
        return Err((
            "the path is written as a pattern, and routes take no patterns",
            "`/hooks/*` matches all paths under `/hooks/`; otherwise write a route for each path, and \
             percent-encode a character that means itself",
        ));
    }
    let (stem, is_prefix) = match path.strip_suffix("/*") {
        // The stem keeps the slash; only the `*` is cut off.
        Some(_) => (path.strip_suffix('*').unwrap_or(path), true),
        None => (path, false),
    };
    if !stem.starts_with('/') {
        return Err((
            "the path does not start with `/`",
            "write it as in the URL, e.g. `/hooks/stripe`",
        ));
    }
    if stem.contains('*') {
        return Err((
            "`*` is allowed only as the whole last segment",
            "`/hooks/*` matches all paths under `/hooks/`; there are no other patterns",
        ));
    }
    if stem.contains(['?', '#']) {
        return Err((
            "the path holds a query or a fragment",
            "leave out what follows `?` or `#`; only the path is matched",
        ));
    }
    if !stem.bytes().all(is_path_byte) {
        return Err((
            "the path holds a character that no URL path may hold",
            "percent-encode it, exactly as the provider sends it",
        ));
    }
    let misread = if is_prefix {
        ambiguity(stem)
    } else {
        ambiguity_of_exact(stem)
    };
    if let Some(message) = misread {
        return Err((
            message,
            "write the path in its plain form; servers read this spelling in different ways",
        ));
    }
    Ok(if is_prefix {
        PathPattern::Prefix(stem.to_owned())
    } else {
        PathPattern::Exact(stem.to_owned())
    })
}

/// Whether a path has the parameters or the signs of a pattern as other programs write it: `/:id`,
/// `/{id}`, `/<id>`, `/[id]`, or a regular expression. The signs that a path may hold as themselves,
/// such as `$`, `+` and brackets, count only where a pattern has them.
fn is_foreign_pattern(path: &str) -> bool {
    if !path.starts_with(['/', '^', '~', '(']) {
        return false;
    }
    let has_parameter = path.split('/').any(|segment| {
        let name = segment.strip_prefix(':');
        name.is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
    });
    let is_expression = path.ends_with('$')
        || [".+", ".*", "(?", "+)", ")+", "*)", ")*"]
            .iter()
            .any(|sign| path.contains(sign));
    has_parameter || is_expression || path.contains(['{', '}', '<', '>', '[', ']', '^', '|'])
}

fn parse_host(host: &str) -> Result<String, Wrong> {
    const EXAMPLE: &str = "write a name like `hooks.example.com`, or an address";
    if host.parse::<Ipv6Addr>().is_ok() {
        return Err((
            "the host is an IPv6 address without brackets",
            "write it as in a URL, e.g. `[::1]`",
        ));
    }
    if let Some(literal) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        // Senders write an address in its shortest form, so the pattern is stored in that form.
        return match literal.parse::<Ipv6Addr>() {
            Ok(address) => Ok(format!("[{address}]")),
            Err(_) => Err((
                "the host is in brackets but no IPv6 address",
                "write it as in a URL, e.g. `[::1]`",
            )),
        };
    }
    if host.contains("://") || host.contains('/') {
        return Err((
            "the host is a URL or holds a path",
            "write the name alone, e.g. `hooks.example.com`",
        ));
    }
    if host.contains(':') {
        return Err((
            "the host holds a port",
            "leave the port out; requests for any port match",
        ));
    }
    if host.contains('*') {
        return Err((
            "the host holds a wildcard",
            "name one host, or leave `host` out to match them all",
        ));
    }
    if host.ends_with('.') {
        return Err(("the host ends in a dot", "leave the dot out"));
    }
    if !host.is_ascii() {
        return Err((
            "the host holds letters outside ASCII",
            "write it in its `xn--` form",
        ));
    }
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if host.len() > 253 || !host.split('.').all(is_label) {
        return Err(("the host is no host name", EXAMPLE));
    }
    let is_numeric = host
        .rsplit('.')
        .next()
        .is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
    if is_numeric && host.parse::<Ipv4Addr>().is_err() {
        return Err((
            "the host is neither a name nor a whole IPv4 address",
            EXAMPLE,
        ));
    }
    Ok(host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Result<PathPattern, &'static str> {
        Pattern::parse(None, text)
            .map(|pattern| pattern.path)
            .map_err(|bad| {
                assert_eq!(bad.part, PatternPart::Path);
                bad.message
            })
    }

    fn host(text: &str) -> Result<String, &'static str> {
        Pattern::parse(Some(text), "/")
            .map(|pattern| pattern.host.expect("a host"))
            .map_err(|bad| {
                assert_eq!(bad.part, PatternPart::Host);
                bad.message
            })
    }

    #[test]
    fn a_path_is_exact_or_a_prefix() {
        let exact = |text: &str| Ok(PathPattern::Exact(text.to_owned()));
        let prefix = |text: &str| Ok(PathPattern::Prefix(text.to_owned()));
        let rows = [
            ("/", exact("/")),
            ("/hooks/stripe", exact("/hooks/stripe")),
            ("/hooks/", exact("/hooks/")),
            ("/hooks/%C3%a9", exact("/hooks/%C3%a9")),
            ("/hooks/%7Euser", exact("/hooks/%7Euser")),
            ("/hooks/a:b", exact("/hooks/a:b")),
            ("/hooks/10:30/:", exact("/hooks/10:30/:")),
            ("/hooks/$batch", exact("/hooks/$batch")),
            ("/hooks/a+b(c)", exact("/hooks/a+b(c)")),
            ("/hooks/a...b", exact("/hooks/a...b")),
            ("/hooks/*", prefix("/hooks/")),
            ("/*", prefix("/")),
        ];
        for (text, want) in rows {
            assert_eq!(path(text), want, "{text}");
        }
    }

    #[test]
    fn a_path_that_cannot_be_matched_is_refused() {
        let rows = [
            ("", "does not start"),
            ("hooks", "does not start"),
            ("*", "does not start"),
            ("https://a/b", "does not start"),
            ("/hooks*", "whole last segment"),
            ("/hooks/*/a", "whole last segment"),
            ("/hooks/**", "whole last segment"),
            ("/*/*", "whole last segment"),
            ("/a?b", "query"),
            ("/a#b", "query"),
            ("/a b", "no URL path may hold"),
            ("/é", "no URL path may hold"),
            (r"/a\b", "no URL path may hold"),
            ("/{id}", "no patterns"),
            ("/hooks/:id", "no patterns"),
            ("/hooks/:id/events", "no patterns"),
            ("/:id?", "no patterns"),
            ("/hooks/{id}/*", "no patterns"),
            ("/hooks/{*rest}", "no patterns"),
            ("/hooks/<id>", "no patterns"),
            ("/hooks/<int:id>", "no patterns"),
            ("/hooks/[id]", "no patterns"),
            ("/hooks/[...all]", "no patterns"),
            ("/hooks/.*", "no patterns"),
            ("/hooks/.+", "no patterns"),
            ("/hooks/(.+)", "no patterns"),
            ("/hooks/(?P<id>[a-z]+)", "no patterns"),
            ("/hooks/(a|b)", "no patterns"),
            (r"/hooks/(\w+)", "no patterns"),
            (r"/hooks/\d+", "no URL path may hold"),
            ("/hooks/[^/]+$", "no patterns"),
            ("/hooks/x$", "no patterns"),
            ("^/hooks/x", "no patterns"),
            ("~ ^/hooks/", "no patterns"),
            ("/hooks/*rest", "whole last segment"),
            ("/hooks/*/x", "whole last segment"),
            ("//a", "empty segment"),
            ("/a//*", "empty segment"),
            ("/a/../b", "dot segment"),
            ("/a/./*", "dot segment"),
            ("/a%2fb", "encoded slash"),
            ("/a%", "two hexadecimal digits"),
            ("/%7Euser/*", "without need"),
            ("/a;b", "semicolon"),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .map(|(text, want)| (text, want, path(text)))
            .filter(|(_, want, found)| !found.as_ref().is_err_and(|found| found.contains(**want)))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_host_is_a_name_or_an_address_in_lower_case() {
        for (text, want) in [
            ("Hooks.Example.COM", "hooks.example.com"),
            ("localhost", "localhost"),
            ("my_service-1", "my_service-1"),
            ("127.0.0.1", "127.0.0.1"),
            ("3com.example", "3com.example"),
            ("[::1]", "[::1]"),
            ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
        ] {
            assert_eq!(host(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn a_host_that_cannot_be_matched_is_refused() {
        let label = "a".repeat(64);
        let long = "a.".repeat(127) + "a";
        let rows = [
            ("", "no host name"),
            ("a..b", "no host name"),
            ("-a", "no host name"),
            ("a-.b", "no host name"),
            ("a b", "no host name"),
            ("u@a", "no host name"),
            (label.as_str(), "no host name"),
            (long.as_str(), "no host name"),
            ("a.example.", "dot"),
            ("a.example:80", "port"),
            ("[::1]:80", "port"),
            ("https://a.example", "URL"),
            ("a.example/x", "URL"),
            ("*.example.com", "wildcard"),
            ("ä.example", "outside ASCII"),
            ("::1", "without brackets"),
            ("[::g]", "brackets"),
            ("[a.example]", "brackets"),
            ("1.2.3", "whole IPv4"),
            ("1.2.3.256", "whole IPv4"),
        ];
        let wrong: Vec<_> = rows
            .iter()
            .map(|(text, want)| (text, want, host(text)))
            .filter(|(_, want, found)| !found.as_ref().is_err_and(|found| found.contains(**want)))
            .collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn only_the_same_host_and_path_overlap() {
        let pattern = |host, path| Pattern::parse(host, path).expect(path);
        let rows = [
            (pattern(None, "/a"), pattern(None, "/a"), true),
            (
                pattern(Some("A.example"), "/a"),
                pattern(Some("a.EXAMPLE"), "/a"),
                true,
            ),
            (pattern(None, "/a/*"), pattern(None, "/a/*"), true),
            (pattern(None, "/a"), pattern(Some("a.example"), "/a"), false),
            (pattern(None, "/a/b"), pattern(None, "/a/*"), false),
            (pattern(None, "/a/*"), pattern(None, "/*"), false),
            (pattern(None, "/a/"), pattern(None, "/a/*"), false),
            (pattern(None, "/a"), pattern(None, "/A"), false),
        ];
        for (one, other, want) in rows {
            assert_eq!(one.overlaps(&other), want, "{one} {other}");
            assert_eq!(other.overlaps(&one), want, "{other} {one}");
        }
    }
}
