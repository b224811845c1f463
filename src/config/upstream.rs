//! The address of an upstream, as `upstream` and `upstreams` write it (contract: Configuration).

use std::fmt;
use std::path::PathBuf;

use super::units::UnitFault;

/// The address of an upstream: where its connections go, and whether they speak TLS.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Upstream {
    /// A host and a port.
    Tcp {
        /// A name or an address, in lower case and without brackets.
        host: String,
        /// The port.
        port: u16,
        /// Whether connections speak TLS (`https://`).
        is_tls: bool,
    },
    /// A Unix socket, by its absolute path.
    Unix(PathBuf),
}

/// The longest path of a Unix socket in bytes, which every system takes.
const MAX_SOCKET_PATH: usize = 103;

const HELP: &str = "write scheme, host and port only, as in `http://127.0.0.1:3000`, or the path of \
                    a Unix socket, as in `unix:/run/app.sock`";

impl Upstream {
    /// Reads `http://host:port` or `https://host:port` with nothing behind it, or `unix:/path`.
    /// Without a port, it is 80 or 443.
    ///
    /// # Errors
    /// A sentence about the text. The text may hold a password (`user:password@`), so it is not
    /// repeated.
    pub fn parse(text: &str) -> Result<Self, UnitFault> {
        if let Some(path) = text.strip_prefix("unix:") {
            return socket(path);
        }
        let (is_tls, authority) =
            match (text.strip_prefix("http://"), text.strip_prefix("https://")) {
                (Some(authority), _) => (false, authority),
                (None, Some(authority)) => (true, authority),
                (None, None) => {
                    let message = "does not begin with http://, https:// or unix:";
                    return Err(UnitFault::new(message, HELP));
                }
            };
        if authority.starts_with("unix:") {
            let help =
                "write the path of a Unix socket without `http://`, as in `unix:/run/app.sock`";
            return Err(UnitFault::new("is no URL of a host", help));
        }
        if authority.contains('@') {
            return Err(UnitFault::new("holds a user name or password", HELP));
        }
        if authority.contains(['/', '?', '#']) {
            let help = "write scheme, host and port only; the request's own path and query are \
                        forwarded unchanged, or below the route's `upstream_path`";
            return Err(UnitFault::new("has a path, query or fragment", help));
        }
        let (host, port) = match authority
            .rsplit_once(':')
            .filter(|_| !authority.ends_with(']'))
        {
            Some((host, port)) => (host, port),
            None => (authority, if is_tls { "443" } else { "80" }),
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
        Ok(Self::Tcp {
            host: host.to_ascii_lowercase(),
            port,
            is_tls,
        })
    }

    /// The host, unless it is a Unix socket.
    pub fn host(&self) -> Option<&str> {
        match self {
            Self::Tcp { host, .. } => Some(host),
            Self::Unix(_) => None,
        }
    }

    /// Whether connections speak TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tcp { is_tls: true, .. })
    }

    /// The value of `Host` for a request that has none: host and port, or `localhost` where a Unix
    /// socket has no name.
    pub fn authority(&self) -> String {
        match self {
            Self::Tcp { host, port, .. } if host.contains(':') => format!("[{host}]:{port}"),
            Self::Tcp { host, port, .. } => format!("{host}:{port}"),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

fn socket(path: &str) -> Result<Upstream, UnitFault> {
    let help = "write the absolute path of the socket, as in `unix:/run/app.sock`";
    if path.starts_with("//") {
        let help = "write a single slash behind `unix:`, as in `unix:/run/app.sock` for \
                    `unix:///run/app.sock`";
        return Err(UnitFault::new(
            "is written as a URL, and a socket is a path",
            help,
        ));
    }
    if !path.starts_with('/') {
        return Err(UnitFault::new("names no absolute path", help));
    }
    if path.ends_with('/') || path.chars().any(char::is_control) {
        return Err(UnitFault::new("names no socket", help));
    }
    if path.len() > MAX_SOCKET_PATH {
        let message =
            format!("is longer than the {MAX_SOCKET_PATH} bytes that a socket's path may have");
        return Err(UnitFault::new(
            message,
            "choose a shorter path, or link to it",
        ));
    }
    Ok(Upstream::Unix(path.into()))
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { is_tls, .. } => {
                let scheme = if *is_tls { "https" } else { "http" };
                write!(f, "{scheme}://{}", self.authority())
            }
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_upstream_is_scheme_host_and_port_only() {
        let to = |host: &str, port, is_tls| {
            Some(Upstream::Tcp {
                host: host.into(),
                port,
                is_tls,
            })
        };
        let at = |host: &str, port| to(host, port, false);
        let unix = |path: &str| Some(Upstream::Unix(path.into()));
        let longest_path = format!("/{}", "a".repeat(MAX_SOCKET_PATH - 1));
        let longest = format!("unix:{longest_path}");
        let too_long = format!("{longest}a");
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
            ("https://a:443", to("a", 443, true)),
            ("https://A.b", to("a.b", 443, true)),
            ("https://[::1]:8443", to("::1", 8443, true)),
            ("https://a/x", None),
            ("https://u:p@a", None),
            ("unix:/run/app.sock", unix("/run/app.sock")),
            ("unix:/run/a b?c#d@e", unix("/run/a b?c#d@e")),
            (&longest, unix(&longest_path)),
            (&too_long, None),
            ("unix:run/app.sock", None),
            ("unix://run/app.sock", None),
            ("unix:///run/app.sock", None),
            ("unix:/run/", None),
            ("unix:/", None),
            ("unix:", None),
            ("unix:/a\n", None),
            ("http://unix:/run/app.sock", None),
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
