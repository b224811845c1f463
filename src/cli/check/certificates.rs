//! What `check` shows of the TLS ports and their certificates.

use serde_json::{Value, json};

use super::keys::written_time;
use super::shown::shown;
use crate::config::Config;
use crate::config::tls::{Certificate, Tls};
use crate::tls::Version;

/// The certificates of every TLS port, and what a client needs to connect.
pub(super) fn rows(config: &Config) -> Vec<[String; 4]> {
    let of = |port: &Tls| -> Vec<[String; 4]> {
        let listen: Vec<String> = port.listen.iter().map(ToString::to_string).collect();
        let mut needs = listen.join(", ");
        if port.min_version == Version::Tls13 {
            needs.push_str(", TLS 1.3 alone");
        }
        if port.client_ca.is_some() {
            needs.push_str(", client certificates");
        }
        let row = |(place, certificate): (usize, &Certificate)| {
            let mut names = certificate.names.clone();
            if port.default == Some(place) {
                names.push("every other name".to_owned());
            }
            let identity = &certificate.identity;
            let (from, end) = (identity.not_before, identity.not_after);
            [
                needs.clone(),
                certificate.file.clone(),
                names.join(", "),
                format!("from {} until {}", written_time(from), written_time(end)),
            ]
        };
        let managed = config.server.acme.as_ref().map(|acme| {
            let mut names = acme.names.clone();
            if port.managed_default.is_some() {
                names.push("every other name".to_owned());
            }
            [
                needs.clone(),
                "[server.acme]".to_owned(),
                names.join(", "),
                format!("ordered from {}", shown(&acme.directory)),
            ]
        });
        let own = port.certificates.iter().enumerate().map(row);
        own.chain(managed).collect()
    };
    config.server.tls.iter().flat_map(of).collect()
}

/// A TLS port as JSON.
pub(super) fn object(port: &Tls) -> Value {
    let listen = port.listen.iter();
    let version = match port.min_version {
        Version::Tls12 => "1.2",
        Version::Tls13 => "1.3",
    };
    let certificate = |(place, certificate): (usize, &Certificate)| {
        let names = certificate.names.iter();
        json!({
            "file": shown(&certificate.file),
            "names": names.map(|name| Value::from(shown(name))).collect::<Value>(),
            "default": port.default == Some(place),
            "not_before": written_time(certificate.identity.not_before),
            "not_after": written_time(certificate.identity.not_after),
        })
    };
    let certificates = port.certificates.iter().enumerate().map(certificate);
    json!({
        "listen": listen.map(|address| format!("https://{address}")).collect::<Value>(),
        "min_version": version,
        "client_ca": port.client_ca.is_some(),
        "certificates": certificates.collect::<Value>(),
    })
}

/// The certificates that the gateway orders by itself, as JSON; null where it orders none.
pub(super) fn ordered(config: &Config) -> Value {
    let Some(acme) = &config.server.acme else {
        return Value::Null;
    };
    json!({
        "directory": shown(&acme.directory),
        "dir": shown(&acme.dir.display().to_string()),
        "names": acme.names,
    })
}
