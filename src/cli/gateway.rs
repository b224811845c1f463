//! Where a command for curl reaches the gateway of a configuration: at its first plain address, or
//! at a TLS port by a name of its certificate (contract: Command line).

use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use crate::config::Config;
use crate::config::tls::Tls;

/// The origin of a gateway, and what curl needs beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gateway {
    /// `http://ADDRESS`, or `https://NAME:PORT`.
    pub(super) origin: String,
    /// Options of curl with their values.
    pub(super) options: Vec<(&'static str, String)>,
    /// Sentences about options whose values nobody knows but the user.
    pub(super) hints: Vec<String>,
}

impl Default for Gateway {
    /// The address on which a gateway listens by default.
    fn default() -> Self {
        Self {
            origin: "http://127.0.0.1:8080".to_owned(),
            options: Vec::new(),
            hints: Vec::new(),
        }
    }
}

impl Gateway {
    /// The gateway of this configuration, for a request whose host is preferably one of `wanted`.
    /// A port that the system is to choose is unknown, and so is passed over.
    pub(super) fn of(config: &Config, wanted: &[&str]) -> Self {
        let has_port = |address: &&SocketAddr| address.port() != 0;
        if let Some(address) = config.server.listen.iter().find(has_port) {
            return Self {
                origin: format!("http://{}", reached(*address)),
                ..Self::default()
            };
        }
        let managed = config.server.acme.as_ref();
        let managed = managed.map_or(&[][..], |acme| acme.names.as_slice());
        let ports = || {
            let ports = config.server.tls.iter();
            ports.filter_map(|port| Some((port, *port.listen.iter().find(has_port)?)))
        };
        let by_name = |(port, address): (&_, SocketAddr)| {
            let name = wanted.iter().find(|name| takes(port, managed, name))?;
            Some(Self::over_tls(config, port, address, managed, Some(name)))
        };
        let any = || {
            let (port, address) = ports().next()?;
            Some(Self::over_tls(config, port, address, managed, None))
        };
        ports().find_map(by_name).or_else(any).unwrap_or_default()
    }

    /// The gateway at a TLS port, by this name or by one of its certificate.
    fn over_tls(
        config: &Config,
        port: &Tls,
        address: SocketAddr,
        managed: &[String],
        name: Option<&str>,
    ) -> Self {
        let at = reached(address);
        let name = name.map(str::to_owned).or_else(|| any_name(port, managed));
        let mut gateway = Self::default();
        if let Some(name) = &name {
            let to = match at.ip() {
                IpAddr::V4(ip) => ip.to_string(),
                IpAddr::V6(ip) => format!("[{ip}]"),
            };
            gateway.origin = format!("https://{name}:{}", at.port());
            let resolve = format!("{name}:{}:{to}", at.port());
            gateway.options.push(("--resolve", resolve));
        } else {
            gateway.origin = format!("https://{at}");
        }
        let own = port.certificates.iter().enumerate();
        let own = own.map(|(place, own)| (port.default == Some(place), own));
        let covers = |is_default: bool, names: &[String]| match &name {
            Some(name) => names.iter().any(|own| is_for(own, name)),
            None => is_default,
        };
        let mut found = own.filter(|(is_default, own)| covers(*is_default, &own.names));
        match found.next() {
            Some((_, own)) if !own.file.starts_with("cred:") => {
                let path = own.file.strip_prefix("file:").unwrap_or(&own.file);
                let beside = config.path.parent().unwrap_or(Path::new(""));
                let path = beside.join(path).display().to_string();
                gateway.options.push(("--cacert", path));
                if name.is_none() && !own.identity.addresses.contains(&at.ip()) {
                    gateway.hints.push(format!(
                        "the certificate is neither for a name nor for {}: curl refuses it without \
                         `--insecure`",
                        at.ip()
                    ));
                }
            }
            _ => gateway.hints.push(
                "if curl does not trust the certificate, add `--cacert FILE` with its authority"
                    .to_owned(),
            ),
        }
        if port.client_ca.is_some() {
            gateway.hints.push(
                "the port asks for a client certificate: add `--cert FILE --key FILE`".to_owned(),
            );
        }
        gateway
    }
}

/// The address by which this machine reaches a socket.
fn reached(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::from([127, 0, 0, 1]),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1]),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

/// Whether a certificate of the port is for this name.
fn takes(port: &Tls, managed: &[String], name: &str) -> bool {
    let own = port.certificates.iter().flat_map(|own| &own.names);
    own.chain(managed).any(|own| is_for(own, name))
}

/// Whether the name of a certificate, which may be a wildcard, covers a name.
fn is_for(own: &str, name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    match own.strip_prefix("*.") {
        Some(parent) => name.split_once('.').is_some_and(|(_, rest)| rest == parent),
        None => own == name,
    }
}

/// A name for which the port has a certificate: that of its default, if possible.
fn any_name(port: &Tls, managed: &[String]) -> Option<String> {
    let default = port.default.and_then(|place| port.certificates.get(place));
    let first = default.into_iter().chain(&port.certificates);
    let own = first.flat_map(|own| &own.names).chain(managed).next()?;
    Some(match own.strip_prefix("*.") {
        Some(parent) => format!("any.{parent}"),
        None => own.clone(),
    })
}
