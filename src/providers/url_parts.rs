//! The parts of the URL that a provider calls, for schemes that sign them one by one.
//!
//! They come from the configured `public_url` and the received target, never from `Host`, which the
//! sender chooses.

use crate::scheme::PublicUrl;

/// The parts of a URL with a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct UrlParts {
    /// The whole URL.
    pub(super) whole: String,
    /// `https` or `http`.
    pub(super) scheme: String,
    /// Host and port, as configured.
    authority: String,
    /// Path and query; `/` where the URL has neither.
    pub(super) target: String,
}

impl UrlParts {
    /// The parts for a received target; `None` where `public_url` is no URL with a host.
    pub(super) fn of(public_url: &PublicUrl, target: &str) -> Option<Self> {
        let mut whole = Vec::new();
        public_url.write(target, &mut whole);
        let whole = String::from_utf8(whole).ok()?;
        let (scheme, rest) = whole.split_once("://")?;
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, behind) = rest.split_at_checked(end)?;
        let target = if behind.starts_with('/') {
            behind.to_owned()
        } else {
            format!("/{behind}")
        };
        Some(Self {
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            target,
            whole,
        })
    }

    /// The host without its port, as configured. An IPv6 address keeps its brackets.
    pub(super) fn host(&self) -> &str {
        let behind_address = self.authority.rfind(']').map_or(0, |at| at + 1);
        let port = self.authority.get(behind_address..).unwrap_or_default();
        let colon = port.find(':').map(|at| behind_address + at);
        colon
            .and_then(|at| self.authority.get(..at))
            .unwrap_or(&self.authority)
    }

    /// Host and port in lower case, without the port that the scheme implies (RFC 9421 2.2.3).
    pub(super) fn authority(&self) -> String {
        let implied = if self.scheme == "https" {
            ":443"
        } else {
            ":80"
        };
        let authority = self.authority.to_ascii_lowercase();
        match authority.strip_suffix(implied) {
            Some(host) => host.to_owned(),
            None => authority,
        }
    }
}

/// The path of a target: all before its first `?`.
pub(super) fn path(target: &str) -> &str {
    target.split_once('?').map_or(target, |(path, _)| path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_its_parts() {
        let rows: &[(&str, &str, [&str; 5])] = &[
            (
                "https://Hooks.Example:443",
                "/in/x?b=1",
                [
                    "https",
                    "hooks.example",
                    "Hooks.Example",
                    "/in/x?b=1",
                    "/in/x",
                ],
            ),
            (
                "http://a.example:443/h",
                "/in/x?b=1?",
                ["http", "a.example:443", "a.example", "/h?b=1?", "/h"],
            ),
            (
                "https://[::1]:8443",
                "/",
                ["https", "[::1]:8443", "[::1]", "/", "/"],
            ),
            (
                "http://[::1]:80/",
                "/x",
                ["http", "[::1]", "[::1]", "/", "/"],
            ),
        ];
        for (public, target, expected) in rows {
            let parts = UrlParts::of(&PublicUrl::new(public), target).unwrap();
            let found = [
                &parts.scheme,
                &parts.authority(),
                parts.host(),
                &parts.target,
                path(&parts.target),
            ];
            assert_eq!(&found, expected, "{public} + {target}");
        }
        assert_eq!(UrlParts::of(&PublicUrl::new("a.example"), "/"), None);
    }
}
