//! `[server]`: where and how requests are taken in (contract: Configuration).

use std::net::SocketAddr;
use std::num::NonZero;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;

use super::acme;
use super::acme::{Acme, ChallengeKind};
use super::listen::read_listen;
use super::reader::{Findings, Item, Table};
use super::secrets::Sources;
use super::sizes::size;
use super::state;
use super::state::State;
use super::tls;
use super::tls::Tls;
use super::units;
use super::units::UnitFault;
use super::warning::WarningName;

/// `[server]`, each value checked. Without a value, the default of docs/configuration.md applies.
#[derive(Clone, Debug)]
pub struct Server {
    /// The addresses to accept on. Port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// The ports that speak TLS (`[[server.tls]]`).
    pub tls: Vec<Tls>,
    /// The certificates that the gateway orders by itself (`[server.acme]`).
    pub acme: Option<Acme>,
    /// The number of worker threads. Never 0 here; in the file, 0 means as many as the machine has
    /// cores.
    pub threads: usize,
    /// The limit on reading a whole request head, from its first byte (or from the connection's
    /// start) to its last.
    pub head_timeout: Duration,
    /// The limit on reading a whole request body.
    pub body_timeout: Duration,
    /// The limit on the pause between two requests of a connection.
    pub idle_timeout: Duration,
    /// The limit on a client that takes no byte of its answer.
    pub write_timeout: Duration,
    /// The most bytes of bodies held at the same time.
    pub max_buffered: u64,
    /// The most client connections open at the same time.
    pub max_connections: usize,
    /// Whether the operator has chosen that number: it is in the file and not the default.
    pub sets_max_connections: bool,
    /// The clients whose `X-Forwarded-*` and `X-Request-Id` are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// How long a gateway that stops is not ready and still takes connections.
    pub shutdown_delay: Duration,
    /// How long requests in flight may take once no connection is taken any more.
    pub shutdown_grace: Duration,
    /// The longest head in bytes (default 64 KiB).
    pub max_head: usize,
    /// The most header lines (default 100).
    pub max_headers: usize,
    /// A path on the traffic port that is answered like `/readyz`; `None` by default.
    pub health_path: Option<String>,
    /// The pause between two looks at the configuration and its files; `None` if they are not
    /// watched, which is the default.
    pub watch: Option<Duration>,
    /// The URL that providers sign, for routes without their own.
    pub public_url: Option<String>,
    /// The socket by which `run --upgrade` takes over: the one that is named, or the one in
    /// `[state] dir`; `None` where there is neither.
    pub upgrade_socket: Option<PathBuf>,
}

/// The default of `max_connections`.
const MAX_CONNECTIONS: usize = 10_000;

/// The bounds of `max_head`: it must leave room for a delivery's own lines, and it bounds the
/// memory that a connection can make the gateway hold.
const HEAD_BOUNDS: std::ops::RangeInclusive<u64> = 1024..=1 << 20;

impl Server {
    /// All addresses of the traffic port, those with TLS last.
    pub fn all_listen(&self) -> impl Iterator<Item = SocketAddr> {
        let with_tls = self.tls.iter().flat_map(|port| &port.listen);
        self.listen.iter().chain(with_tls).copied()
    }

    pub(super) fn read(
        mut table: Table<'_>,
        findings: &mut Findings,
        sources: &Sources<'_>,
        state: &State,
    ) -> Self {
        let (tls, acme) = read_tls(&mut table, findings, sources, state);
        // Where a TLS port cannot be read, its own mistake is enough.
        let may_be_empty = table.item("tls").is_some();
        let listen = table.item("listen").and_then(|item| {
            read_listen(
                &item,
                findings,
                "listen = [\"127.0.0.1:8080\"]",
                may_be_empty,
            )
        });
        let threads = table
            .item("threads")
            .and_then(|item| item.integer(findings, 0..=1024));
        let head_timeout = timeout(&mut table, findings, "head_timeout", 10);
        let body_timeout = timeout(&mut table, findings, "body_timeout", 30);
        let idle_timeout = timeout(&mut table, findings, "idle_timeout", 60);
        let write_timeout = timeout(&mut table, findings, "write_timeout", 30);
        let max_buffered = size(
            &mut table,
            findings,
            "max_buffered",
            1..=u64::MAX,
            256 << 20,
        );
        let max_connections = table
            .item("max_connections")
            .and_then(|item| item.integer(findings, 1..=10_000_000));
        let trusted_proxies = table
            .item("trusted_proxies")
            .and_then(|item| read_networks(&item, findings));
        let shutdown_delay = table
            .item("shutdown_delay")
            .and_then(|item| item.unit(findings, "\"5s\"", units::duration));
        let shutdown_grace = table
            .item("shutdown_grace")
            .and_then(|item| item.unit(findings, "\"30s\"", units::duration));
        let max_head = size(&mut table, findings, "max_head", HEAD_BOUNDS, 64 << 10);
        let max_headers = table
            .item("max_headers")
            .and_then(|item| item.integer(findings, 1..=10_000));
        let health_path = table
            .item("health_path")
            .and_then(|item| read_health_path(&item, findings));
        let watch = table
            .item("watch")
            .and_then(|item| read_watch(&item, findings));
        let public_url = table
            .item("public_url")
            .and_then(|item| read_public_url(&item, findings));
        let upgrade_socket = table
            .item("upgrade_socket")
            .and_then(|item| state::read_upgrade_socket(&item, findings, sources));
        table.finish(findings);
        let acme = acme.map(|acme| without_plain_port(acme, listen.as_deref(), &table, findings));
        Self {
            listen: listen.unwrap_or_else(|| vec![([127, 0, 0, 1], 8080).into()]),
            tls,
            acme,
            threads: match threads {
                None | Some(0) => std::thread::available_parallelism().map_or(1, NonZero::get),
                Some(count) => whole(count),
            },
            head_timeout,
            body_timeout,
            idle_timeout,
            write_timeout,
            max_buffered,
            max_connections: max_connections.map_or(MAX_CONNECTIONS, whole),
            sets_max_connections: max_connections.is_some_and(|own| whole(own) != MAX_CONNECTIONS),
            trusted_proxies: trusted_proxies
                .unwrap_or_else(|| vec![IpNet::from(std::net::IpAddr::from([127, 0, 0, 1]))]),
            shutdown_delay: shutdown_delay.unwrap_or(Duration::ZERO),
            shutdown_grace: shutdown_grace.unwrap_or(Duration::from_secs(30)),
            max_head: whole(max_head),
            max_headers: max_headers.map_or(100, whole),
            health_path,
            watch,
            public_url,
            upgrade_socket: state::upgrade_socket(upgrade_socket, state),
        }
    }
}

/// Reads the ports that speak TLS, and the certificates that the gateway orders for them.
fn read_tls(
    table: &mut Table<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
    state: &State,
) -> (Vec<Tls>, Option<Acme>) {
    let acme_item = table.item("acme");
    let acme = acme_item.as_ref();
    let acme = acme.and_then(|item| acme::read(item, findings, sources, state));
    let tls = table.item("tls");
    // Where the names cannot be read, a port needs no certificate of its own either.
    let names = acme_item
        .is_some()
        .then(|| acme.as_ref().map(|acme| acme.names.as_slice()));
    let names = names.map(Option::unwrap_or_default);
    let ports = tls
        .as_ref()
        .map_or_else(Vec::new, |item| tls::read(item, findings, sources, names));
    if let (Some(item), None) = (&acme_item, &tls) {
        findings.problem(
            item.key_span.clone(),
            "`[server.acme]` has no port to serve",
            "add `[[server.tls]]` with `listen = [\"0.0.0.0:443\"]`",
        );
    }
    (ports, acme)
}

/// Leaves http-01 out where no plain port takes the request of the authority, and refuses it where it
/// is written: it would cost one of the few orders of a day.
fn without_plain_port(
    mut acme: Acme,
    listen: Option<&[SocketAddr]>,
    table: &Table<'_>,
    findings: &mut Findings,
) -> Acme {
    let is_http = |kind: &ChallengeKind| *kind == ChallengeKind::Http;
    if listen.is_none_or(|listen| !listen.is_empty()) || !acme.challenges.iter().any(is_http) {
        return acme;
    }
    let written = table.span_of("acme.challenge");
    if written != table.span_of("acme") {
        findings.problem(
            written,
            "`server.acme.challenge` has http-01, which the authority asks for on port 80, and \
             `server.listen` is empty",
            "leave `http-01` out, or listen without TLS too, as in `listen = [\"0.0.0.0:80\"]`",
        );
    }
    acme.challenges.retain(|kind| !is_http(kind));
    acme
}

/// A number as `usize`. The reader has already refused numbers that any platform's `usize` could
/// not hold.
fn whole(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

fn timeout(
    table: &mut Table<'_>,
    findings: &mut Findings,
    key: &'static str,
    default_secs: u64,
) -> Duration {
    let read = table
        .item(key)
        .and_then(|item| item.unit(findings, "\"10s\"", units::timeout));
    read.unwrap_or(Duration::from_secs(default_secs))
}

fn read_networks(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<IpNet>> {
    let entries = item.list(findings, "trusted_proxies = [\"10.0.0.0/8\"]")?;
    let mut networks = Vec::with_capacity(entries.len());
    for entry in entries {
        let Some(network) = entry.unit(findings, "\"10.0.0.0/8\"", units::network) else {
            continue;
        };
        if network.prefix_len() == 0 {
            findings.warn(
                entry.span(),
                WarningName::TrustsEverybody,
                "`trusted_proxies` trusts everybody: any client can claim any address",
            );
        }
        networks.push(network);
    }
    Some(networks)
}

/// The shortest and the longest `watch`.
const WATCH_BOUNDS: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(24 * 3600);

fn read_watch(item: &Item<'_>, findings: &mut Findings) -> Option<Duration> {
    const EXAMPLE: &str = "\"10s\"";
    if item.value.get_ref().as_str() == Some("off") {
        return None;
    }
    let interval = item.unit(findings, EXAMPLE, |text| {
        let help = "write a time from 1s to 1d, as in `10s`, or `off`";
        units::duration(text).map_err(|fault| UnitFault {
            help: help.to_owned(),
            ..fault
        })
    })?;
    if WATCH_BOUNDS.contains(&interval) {
        return Some(interval);
    }
    item.refuse(
        findings,
        "is out of range",
        "write a time from 1s to 1d, as in `10s`, or `off`",
    );
    None
}

fn read_health_path(item: &Item<'_>, findings: &mut Findings) -> Option<String> {
    let path = item.text(findings, "\"/healthz\"")?;
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"/-._~".contains(&b);
    if path.starts_with('/') && path.bytes().all(is_plain) {
        return Some(path.to_owned());
    }
    item.refuse(
        findings,
        "is no plain path",
        "begin it with `/` and use letters, digits and `/-._~` only",
    );
    None
}

/// Reads the `public_url` of the server or of a route.
pub(super) fn read_public_url(item: &Item<'_>, findings: &mut Findings) -> Option<String> {
    let text = item.text(findings, "\"https://hooks.example.com\"")?;
    let authority = text
        .split_once("://")
        .map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let fault = if text.contains('@') {
        findings.hide(item.span());
        Some("it holds a user name or password")
    } else if authority.is_empty()
        || authority.starts_with(':')
        || authority.contains(['[', ']', '%'])
    {
        Some("it names no host")
    } else {
        crate::scheme::PublicUrl::new(text).fault()
    };
    if let Some(why) = fault {
        let help = "write an origin, as in `https://hooks.example.com`, or a URL with a path";
        item.refuse(
            findings,
            format_args!("is not a URL that a provider signs: {why}"),
            help,
        );
        return None;
    }
    Some(text.to_owned())
}
