//! The URL that the provider signed, made from `public_url` and the received target (schemes:
//! Signed content).
//!
//! It is never made from the `Host` header, which the sender chooses.

/// A configured `public_url`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    text: String,
    is_origin: bool,
}

impl PublicUrl {
    /// Takes the text as configured, without a check: see [`PublicUrl::fault`].
    pub fn new(text: &str) -> Self {
        let behind_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
        Self {
            text: text.to_owned(),
            is_origin: !behind_scheme.contains('/'),
        }
    }

    /// The reason why a provider cannot sign this text as a URL; `None` for a good URL.
    pub fn fault(&self) -> Option<&'static str> {
        let authority = self
            .text
            .strip_prefix("https://")
            .or_else(|| self.text.strip_prefix("http://"));
        match authority {
            None => Some("it does not begin with https:// or http://"),
            Some(rest) if rest.is_empty() || rest.starts_with('/') => Some("it names no host"),
            Some(_) if self.text.contains(['?', '#']) => Some("it has a query or a fragment"),
            Some(_) if !self.text.bytes().all(|b| b.is_ascii_graphic()) => {
                Some("it holds a byte that is not allowed in a URL")
            }
            Some(_) => None,
        }
    }

    /// Appends the URL for a target. Behind an origin, the whole target follows as received. A URL
    /// with a path of its own stays as written, and only the received query follows.
    pub fn write(&self, target: &str, out: &mut Vec<u8>) {
        for piece in self.pieces(target) {
            out.extend_from_slice(piece.as_bytes());
        }
    }

    /// The pieces of that URL, which [`write`](Self::write) puts together.
    pub(super) fn pieces<'u>(&'u self, target: &'u str) -> [&'u str; 3] {
        if self.is_origin {
            [&self.text, target, ""]
        } else if let Some((_, query)) = target.split_once('?') {
            [&self.text, "?", query]
        } else {
            [&self.text, "", ""]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_takes_the_target_and_a_path_only_the_query() {
        let rows = [
            (
                "https://a.example",
                "/in/x?b=1",
                "https://a.example/in/x?b=1",
            ),
            (
                "https://a.example:8443",
                "/in/x",
                "https://a.example:8443/in/x",
            ),
            (
                "https://a.example/hook",
                "/in/x?b=1&c=?",
                "https://a.example/hook?b=1&c=?",
            ),
            ("https://a.example/hook", "/in/x", "https://a.example/hook"),
            (
                "https://a.example/hook",
                "/in/x?",
                "https://a.example/hook?",
            ),
            ("https://a.example/", "/in/x", "https://a.example/"),
        ];
        for (public, target, expected) in rows {
            let mut out = Vec::new();
            PublicUrl::new(public).write(target, &mut out);
            assert_eq!(
                String::from_utf8(out).unwrap(),
                expected,
                "{public} + {target}"
            );
        }
    }

    #[test]
    fn what_is_no_such_url_is_named() {
        for bad in [
            "a.example",
            "ftp://a.example",
            "https://",
            "https:///x",
            "https://a/x?y",
            "https://a/#f",
            "https://a b",
        ] {
            assert!(PublicUrl::new(bad).fault().is_some(), "{bad}");
        }
        for good in ["https://a.example", "http://127.0.0.1:8080/x/"] {
            assert_eq!(PublicUrl::new(good).fault(), None, "{good}");
        }
    }
}
