//! The address to which a route forwards, as `upstream` writes it (contract: Configuration).

use super::units::UnitFault;

/// The address to which a route forwards: host and port, without path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Upstream {
    /// A name or an address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Upstream {
    /// Reads `http://host:port` with nothing behind it. Without a port, it is 80.
    ///
    /// # Errors
    /// A sentence about the text. The text may hold a password (`user:password@`), so it is not
    /// repeated.
    pub fn parse(text: &str) -> Result<Self, UnitFault> {
        const HELP: &str = "write scheme, host and port only, as in `http://127.0.0.1:3000`";
        if text.starts_with("https://") {
            let help = "TLS to upstreams is not supported yet: use `http://`, or put a local proxy between";
            return Err(UnitFault::new("begins with https://", help));
        }
        let Some(authority) = text.strip_prefix("http://") else {
            return Err(UnitFault::new("does not begin with http://", HELP));
        };
        if authority.contains('@') {
            return Err(UnitFault::new("holds a user name or password", HELP));
        }
        if authority.contains(['/', '?', '#']) {
            let help = "write scheme, host and port only; the request's own path and query are forwarded unchanged";
            return Err(UnitFault::new("has a path, query or fragment", help));
        }
        let (host, port) = match authority
            .rsplit_once(':')
            .filter(|_| !authority.ends_with(']'))
        {
            Some((host, port)) => (host, port),
            None => (authority, "80"),
        };
        let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
        let port: u16 = match port.parse() {
            Ok(port) if is_number && port != 0 => port,
            _ => return Err(UnitFault::new("has no valid port", HELP)),
        };
        let is_name = |host: &str| {
            let label = |label: &str| {
                !label.is_empty()
                    && label.len() <= 63
                    && label
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            };
            host.len() <= 253 && host.strip_suffix('.').unwrap_or(host).split('.').all(label)
        };
        let host = match host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            Some(inner) if inner.parse::<std::net::Ipv6Addr>().is_ok() => inner,
            None if is_name(host) => host,
            _ => return Err(UnitFault::new("has no valid host", HELP)),
        };
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port,
        })
    }
}

impl std::fmt::Display for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "http://[{}]:{}", self.host, self.port)
        } else {
            write!(f, "http://{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_scheme_host_and_port_only() {
        let at = |host: &str, port| {
            Some(Upstream {
                host: host.into(),
                port,
            })
        };
        let rows = [
            ("http://127.0.0.1:3000", at("127.0.0.1", 3000)),
            ("http://App.Internal:80", at("app.internal", 80)),
            ("http://app", at("app", 80)),
            ("http://[::1]:3000", at("::1", 3000)),
            ("http://[::1]", at("::1", 80)),
            ("http://my_app:1", at("my_app", 1)),
            ("http://127.0.0.1:3000/", None),
            ("http://a:80/x", None),
            ("http://a:80?x", None),
            ("http://a:80#x", None),
            ("http://u:p@a:80", None),
            ("https://a:443", None),
            ("HTTP://a:80", None),
            ("a:80", None),
            ("http://", None),
            ("http://:80", None),
            ("http://a:", None),
            ("http://a:0", None),
            ("http://a:65536", None),
            ("http://a:+80", None),
            ("http://::1:80", None),
            ("http://[::1:80", None),
            ("http://[a]:80", None),
            ("http://a b:80", None),
            ("http://a..b:80", None),
            ("http://\u{e9}:80", None),
        ];
        let wrong: Vec<_> = rows
            .into_iter()
            .map(|(text, expected)| (text, Upstream::parse(text).ok(), expected))
            .filter(|(_, read, expected)| read != expected)
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }
}
