//! A configuration file under construction: what a test needs, every other value at its default (contract:
//! Configuration).
//!
//! Values are TOML text: `set("max_body", "\"64MiB\"")`. `text` quotes a plain string.

use std::fmt::Write as _;
use std::path::Path;
use std::sync::OnceLock;

use super::certificates::{Authority, Pair};
use super::transport::{self, Transport};
use super::upstream::Upstream;
use super::{PLAIN_SECRET, SECRET, SECRET_VARIABLE};

/// `text` as a TOML string.
pub(crate) fn text(text: &str) -> String {
    // A Rust string's escapes for what occurs here (quotes, backslashes) are those of TOML.
    format!("{text:?}")
}

type Keys = Vec<(String, String)>;

fn put(keys: &mut Keys, key: &str, value: &str) {
    match keys.iter_mut().find(|(k, _)| k == key) {
        Some((_, place)) => value.clone_into(place),
        None => keys.push((key.to_owned(), value.to_owned())),
    }
}

fn write(out: &mut String, header: &str, keys: &Keys) {
    out.push_str(header);
    out.push('\n');
    for (key, value) in keys {
        writeln!(out, "{key} = {value}").expect("a String takes all");
    }
    out.push('\n');
}

/// One `[[route]]`.
#[derive(Clone, Debug)]
pub(crate) struct Route {
    keys: Keys,
    scheme: Keys,
    handshake: Keys,
}

impl Route {
    /// A route with nothing but a name, a path and an upstream.
    pub(crate) fn new(name: &str, path: &str, upstream: &Upstream) -> Self {
        Self {
            keys: Vec::new(),
            scheme: Vec::new(),
            handshake: Vec::new(),
        }
        .set("name", &text(name))
        .set("path", &text(path))
        .set("upstream", &text(&upstream.url()))
    }

    /// The reference receiver's route, `/webhooks/itellico`, with [`SECRET`].
    pub(crate) fn itellico(upstream: &Upstream) -> Self {
        Self::new("itellico", "/webhooks/itellico", upstream)
            .set("provider", &text("itellico"))
            .set("secrets", &format!("[\"env:{SECRET_VARIABLE}\"]"))
    }

    /// The reference receiver's scheme spelled out, so that the event id's place is the operator's own.
    pub(crate) fn spelled_out(upstream: &Upstream) -> Self {
        Self::itellico(upstream)
            .unset("provider")
            .scheme("algorithm", "\"hmac-sha256\"")
            .scheme("signed", "\"{body}.{timestamp}\"")
            .scheme(
                "signature",
                "{ header = \"X-Webhook-Signature-256\", encoding = \"hex\" }",
            )
            .scheme(
                "timestamp",
                "{ header = \"X-Webhook-Timestamp\", unit = \"seconds\" }",
            )
            .scheme("event_id", "{ json = \"/event_id\" }")
    }

    /// `/hooks/plain`: a scheme that signs the body alone and asks nothing of it, with [`PLAIN_SECRET`].
    pub(crate) fn plain(upstream: &Upstream) -> Self {
        Self::new("plain", "/hooks/plain", upstream)
            .set("secrets", "[\"env:PLAIN_SECRET\"]")
            .scheme("algorithm", "\"hmac-sha256\"")
            .scheme("signed", "\"{body}\"")
            .scheme(
                "signature",
                "{ header = \"X-Signature\", encoding = \"hex\", prefix = \"sha256=\" }",
            )
    }

    /// Sets a key to TOML text.
    pub(crate) fn set(mut self, key: &str, toml: &str) -> Self {
        put(&mut self.keys, key, toml);
        self
    }

    /// Takes a key out.
    pub(crate) fn unset(mut self, key: &str) -> Self {
        self.keys.retain(|(k, _)| k != key);
        self
    }

    /// Sets a key of `[route.scheme]` to TOML text.
    pub(crate) fn scheme(mut self, key: &str, toml: &str) -> Self {
        put(&mut self.scheme, key, toml);
        self
    }

    /// Sets a key of `[route.handshake]` to TOML text.
    pub(crate) fn handshake(mut self, key: &str, toml: &str) -> Self {
        put(&mut self.handshake, key, toml);
        self
    }
}

/// A whole file, and the environment that its secrets come from.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    server: Keys,
    admin: Keys,
    replay: Keys,
    routes: Vec<Route>,
    extra: String,
    has_own_ports: bool,
    pub(crate) environment: Vec<(String, String)>,
}

impl Config {
    /// Any free port on loopback for deliveries and for the admin port, two threads, no trusted proxy (the default
    /// trusts loopback, where every test client is), no route.
    pub(crate) fn new() -> Self {
        let mut config = Self {
            server: Vec::new(),
            admin: Vec::new(),
            replay: Vec::new(),
            routes: Vec::new(),
            extra: String::new(),
            has_own_ports: false,
            environment: vec![
                (SECRET_VARIABLE.to_owned(), SECRET.to_owned()),
                ("PLAIN_SECRET".to_owned(), PLAIN_SECRET.to_owned()),
            ],
        };
        put(&mut config.server, "listen", "[\"127.0.0.1:0\"]");
        put(&mut config.server, "threads", "2");
        put(&mut config.server, "trusted_proxies", "[]");
        put(&mut config.admin, "listen", "\"127.0.0.1:0\"");
        config
    }

    /// The reference receiver's route and the plain one, to this upstream.
    pub(crate) fn for_upstream(upstream: &Upstream) -> Self {
        Self::new()
            .route(Route::itellico(upstream))
            .route(Route::plain(upstream))
    }

    /// Sets a key of `[server]` to TOML text.
    pub(crate) fn server(mut self, key: &str, toml: &str) -> Self {
        put(&mut self.server, key, toml);
        self
    }

    /// Sets a key of `[admin]` to TOML text.
    pub(crate) fn admin(mut self, key: &str, toml: &str) -> Self {
        put(&mut self.admin, key, toml);
        self
    }

    /// Sets a key of `[replay]` to TOML text.
    pub(crate) fn replay(mut self, key: &str, toml: &str) -> Self {
        put(&mut self.replay, key, toml);
        self
    }

    /// Adds a route.
    pub(crate) fn route(mut self, route: Route) -> Self {
        self.routes.push(route);
        self
    }

    /// Keeps the ports as they are written, whatever the transport of the tests is.
    pub(crate) fn with_own_ports(mut self) -> Self {
        self.has_own_ports = true;
        self
    }

    /// Whether all traffic ports are made TLS ports.
    pub(crate) fn is_over_tls(&self) -> bool {
        !self.has_own_ports && transport::chosen() != Transport::Plain
    }

    /// Puts the certificate that the file names into the folder of the file.
    pub(crate) fn write_certificate(&self, folder: &Path) {
        static OWN: OnceLock<Pair> = OnceLock::new();
        if self.is_over_tls() {
            let own = OWN.get_or_init(|| Authority::of_tests().issue(&[transport::NAME]));
            own.write(folder, transport::NAME);
        }
    }

    /// Adds TOML text at the end.
    pub(crate) fn extra(mut self, toml: &str) -> Self {
        self.extra.push_str(toml);
        self.extra.push('\n');
        self
    }

    /// Sets a variable of the child's environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        put(&mut self.environment, name, value);
        self
    }

    /// The file's text.
    pub(crate) fn toml(&self) -> String {
        let mut out = String::new();
        if self.is_over_tls() {
            let mut server = self.server.clone();
            let listen = server.iter().find(|(key, _)| key == "listen");
            let listen = listen.map_or_else(|| "[]".to_owned(), |(_, addresses)| addresses.clone());
            put(&mut server, "listen", "[]");
            write(&mut out, "[server]", &server);
            let own = [
                ("listen", listen.as_str()),
                ("certificate", "\"gateway.test.crt\""),
                ("key", "\"gateway.test.key\""),
            ];
            let own = own.map(|(key, value)| (key.to_owned(), value.to_owned()));
            write(&mut out, "[[server.tls]]", &own.to_vec());
        } else {
            write(&mut out, "[server]", &self.server);
        }
        write(&mut out, "[admin]", &self.admin);
        if !self.replay.is_empty() {
            write(&mut out, "[replay]", &self.replay);
        }
        for route in &self.routes {
            write(&mut out, "[[route]]", &route.keys);
            if !route.scheme.is_empty() {
                write(&mut out, "[route.scheme]", &route.scheme);
            }
            if !route.handshake.is_empty() {
                write(&mut out, "[route.handshake]", &route.handshake);
            }
        }
        out.push_str(&self.extra);
        out
    }
}
