//! `[[server.tls]]`: the ports that speak TLS, with their certificates (contract: The edge).

use std::net::SocketAddr;
use std::time::Duration;

use toml::de::DeValue;

use super::listen::read_listen;
use super::reader::{Findings, Item, Table};
use super::secrets::{Sources, resolve_file};
use super::units;
use super::warning::WarningName;
use crate::clock::UnixMillis;
use crate::tls::{Authorities, Fault, Identities, Identity, Part, Version};

/// A port of `[[server.tls]]`.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The addresses to accept on. Port 0 lets the system choose.
    pub listen: Vec<SocketAddr>,
    /// The certificates, in the order of the file.
    pub certificates: Vec<Certificate>,
    /// The place, among those, of the certificate for clients that ask for no name, or for a name
    /// that none of them has; `None`: such clients are refused.
    pub default: Option<usize>,
    /// The name of `[server.acme]` whose certificate such clients get instead.
    pub managed_default: Option<String>,
    /// The authorities of clients. `None`: clients need no certificate.
    pub client_ca: Option<Authorities>,
    /// The least version of TLS.
    pub min_version: Version,
}

/// A certificate of a TLS port.
#[derive(Clone, Debug)]
pub struct Certificate {
    /// The file, as written in the configuration.
    pub file: String,
    /// The names for which it is chosen, in lower case.
    pub names: Vec<String>,
    /// The certificate with its key.
    pub identity: Identity,
}

impl Tls {
    /// The certificates by server name.
    pub fn identities(&self) -> Identities {
        let mut identities = Identities::default();
        for certificate in &self.certificates {
            let names = certificate.names.iter().map(String::as_str);
            identities.add(names, &certificate.identity);
        }
        let default = self.default.and_then(|at| self.certificates.get(at));
        if let Some(default) = default {
            identities.set_default(&default.identity);
        }
        identities
    }
}

/// How long before its end a certificate is warned about.
pub const AHEAD: Duration = Duration::from_secs(14 * 24 * 3600);

/// The versions as nginx, HAProxy and Caddy write them.
const VERSIONS: &[(&str, &str)] = &[
    ("tlsv1.2", "1.2"),
    ("tls1.2", "1.2"),
    ("tls12", "1.2"),
    ("tls 1.2", "1.2"),
    ("tlsv1.3", "1.3"),
    ("tls1.3", "1.3"),
    ("tls13", "1.3"),
    ("tls 1.3", "1.3"),
];

/// The keys of a port, for messages.
const EXAMPLE: &str = "[[server.tls]]";

/// Reads every `[[server.tls]]`.
///
/// `managed` are the names of `[server.acme]`, if there is that table.
pub(super) fn read(
    item: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
    managed: Option<&[String]>,
) -> Vec<Tls> {
    let DeValue::Array(_) = item.value.get_ref() else {
        findings.hide_all(item.value);
        item.refuse(
            findings,
            "must be a list of tables",
            format!("begin each port with a line `{EXAMPLE}`, in double brackets"),
        );
        return Vec::new();
    };
    let mut ports = Vec::new();
    for entry in item.list(findings, EXAMPLE).unwrap_or_default() {
        if let Some(table) = entry.table(findings, EXAMPLE) {
            ports.extend(read_port(table, findings, sources, managed));
        }
    }
    ports
}

fn read_port(
    mut table: Table<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
    managed: Option<&[String]>,
) -> Option<Tls> {
    let listen = table
        .required(findings, "listen", "[\"0.0.0.0:443\"]")
        .and_then(|item| read_listen(&item, findings, "listen = [\"0.0.0.0:443\"]", false));
    let list = table.item("certificates");
    let certificate = table.item("certificate");
    let key = table.item("key");
    let default = table.item("default");
    let client_ca = table.item("client_ca");
    let min_version = table.item("min_version").and_then(|item| {
        item.one_of_or(
            findings,
            &["1.2", "1.3"],
            &[],
            VERSIONS,
            |name| match name {
                "1.2" => Some(Version::Tls12),
                "1.3" => Some(Version::Tls13),
                _ => None,
            },
        )
    });
    table.finish(findings);
    let (certificates, is_single) = match (&list, &certificate, &key) {
        (Some(list), None, None) => (read_list(list, findings, sources), false),
        (None, Some(certificate), Some(key)) => {
            let own = read_certificate(certificate, key, None, findings, sources);
            (own.into_iter().collect(), true)
        }
        (Some(_), _, _) => {
            findings.problem(
                table.span_of("certificates"),
                "`certificates` stands beside `certificate` and `key`",
                "name a single pair, or list all of them in `certificates`",
            );
            return None;
        }
        (None, None, None) if managed.is_some() => (Vec::new(), false),
        (None, _, _) => {
            findings.absence(
                table.span(),
                format!("`{EXAMPLE}` needs a certificate and its key"),
                "add `certificate = \"/etc/verigate/tls.crt\"` and `key = \"/etc/verigate/tls.key\"`, or \
                 let `[server.acme]` order one",
            );
            return None;
        }
    };
    let managed_default = managed_name(default.as_ref(), &certificates, managed);
    let without_names = |certificate: &&Certificate| certificate.names.is_empty();
    if let (Some(list), Some(first)) = (&list, certificates.iter().find(without_names)) {
        let message = format!(
            "has {}, which is for no DNS name: no client would get it",
            first.file
        );
        let help =
            "a certificate without DNS names can only be the `certificate` of a port of its own";
        list.refuse(findings, message, help);
    }
    let default = match default {
        Some(_) if managed_default.is_some() => None,
        Some(item) => read_default(&item, &certificates, managed.unwrap_or_default(), findings),
        None => is_single.then_some(0),
    };
    Some(Tls {
        listen: listen?,
        certificates,
        default,
        managed_default,
        client_ca: client_ca.and_then(|item| read_authorities(&item, findings, sources)),
        min_version: min_version.unwrap_or_default(),
    })
}

fn read_list(list: &Item<'_>, findings: &mut Findings, sources: &Sources<'_>) -> Vec<Certificate> {
    const EXAMPLE: &str = "certificates = [{ certificate = \"a.crt\", key = \"a.key\" }]";
    let entries = list.list(findings, EXAMPLE);
    if entries.as_ref().is_some_and(Vec::is_empty) {
        let help = format!("name at least one certificate, as in `{EXAMPLE}`");
        list.refuse(findings, "is empty", help);
    }
    let mut all: Vec<Certificate> = Vec::new();
    for entry in entries.unwrap_or_default() {
        let Some(mut table) = entry.table(findings, EXAMPLE) else {
            continue;
        };
        let certificate = table.required(findings, "certificate", "\"/etc/verigate/tls.crt\"");
        let key = table.required(findings, "key", "\"/etc/verigate/tls.key\"");
        let names = table.item("names");
        table.finish(findings);
        let (Some(certificate), Some(key)) = (certificate, key) else {
            continue;
        };
        let read = read_certificate(&certificate, &key, names.as_ref(), findings, sources);
        let Some(read) = read else { continue };
        let taken = |name: &&String| all.iter().any(|other| other.names.contains(name));
        if let Some(name) = read.names.iter().find(taken) {
            let message = format!("is chosen for {name}, which an earlier certificate has");
            let help = "list in `names` the names for which each of them is meant";
            certificate.refuse(findings, message, help);
        }
        all.push(read);
    }
    all
}

fn read_certificate(
    certificate: &Item<'_>,
    key: &Item<'_>,
    names: Option<&Item<'_>>,
    findings: &mut Findings,
    sources: &Sources<'_>,
) -> Option<Certificate> {
    let (file, identity) = read_identity(certificate, key, findings, sources)?;
    let names = match names {
        Some(item) => read_names(item, &identity, findings)?,
        None => identity.names.clone(),
    };
    Some(Certificate {
        file,
        names,
        identity,
    })
}

/// Reads a certificate with its key. Returns the name of its file too.
pub(super) fn read_identity(
    certificate: &Item<'_>,
    key: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
) -> Option<(String, Identity)> {
    let file = certificate.text(findings, "\"/etc/verigate/tls.crt\"");
    let pem = file.map(|file| resolve_file(file, sources));
    let pem = pem.and_then(|read| certificate.checked(findings, read));
    let key_file = key.text(findings, "\"/etc/verigate/tls.key\"");
    let key_pem = key_file.map(|file| resolve_file(file, sources));
    let key_pem = key_pem.and_then(|read| key.checked(findings, read));
    let (file, (pem, _), (key_pem, oddities)) = (file?, pem?, key_pem?);
    for (name, words) in oddities {
        findings.warn(
            key.span(),
            name,
            format!("the file of `{}` {words}", key.path),
        );
    }
    match Identity::read(&pem, &key_pem) {
        Ok(identity) => {
            warn_of_end(certificate, file, &identity, findings, sources.now);
            Some((file.to_owned(), identity))
        }
        Err(fault) => {
            let is_of_key = fault.part == Part::Key;
            refuse(if is_of_key { key } else { certificate }, fault, findings);
            None
        }
    }
}

fn refuse(item: &Item<'_>, fault: Fault, findings: &mut Findings) {
    let message = format!("names a file that {}", fault.message);
    item.refuse(findings, message, fault.help);
}

/// Reads the names for which a certificate is chosen. Clients would refuse it for any other name.
fn read_names(
    item: &Item<'_>,
    identity: &Identity,
    findings: &mut Findings,
) -> Option<Vec<String>> {
    let mut names = Vec::new();
    for entry in item.list(findings, "names = [\"hooks.example.com\"]")? {
        let Some(name) = entry.text(findings, "\"hooks.example.com\"") else {
            continue;
        };
        let name = name.to_ascii_lowercase();
        let parent = name
            .split_once('.')
            .map(|(_, parent)| format!("*.{parent}"));
        let is_own = |own: &String| *own == name || Some(own) == parent.as_ref();
        if identity.names.iter().any(is_own) {
            names.push(name);
        } else {
            let message = format!("has {name}, which is no name of the certificate");
            let own = identity.names.join(", ");
            let help = match own.as_str() {
                "" => "the certificate has no DNS name".to_owned(),
                own => format!("the certificate is for {own}"),
            };
            entry.refuse(findings, message, help);
        }
    }
    Some(names)
}

/// The name of `[server.acme]` that `default` names.
fn managed_name(
    default: Option<&Item<'_>>,
    certificates: &[Certificate],
    managed: Option<&[String]>,
) -> Option<String> {
    let written = default?.value.get_ref().as_str()?.to_ascii_lowercase();
    let is_own = certificates.iter().any(|own| own.names.contains(&written));
    (managed?.contains(&written) && !is_own).then_some(written)
}

fn read_default(
    item: &Item<'_>,
    certificates: &[Certificate],
    managed: &[String],
    findings: &mut Findings,
) -> Option<usize> {
    let name = item
        .text(findings, "\"hooks.example.com\"")?
        .to_ascii_lowercase();
    let found = certificates
        .iter()
        .position(|certificate| certificate.names.contains(&name));
    // Where certificates could not be read, the name may be theirs.
    if found.is_none() && !(certificates.is_empty() && managed.is_empty()) {
        let names: Vec<_> = certificates
            .iter()
            .flat_map(|certificate| &certificate.names)
            .chain(managed)
            .map(String::as_str)
            .collect();
        let help = format!("write one of {}", names.join(", "));
        item.refuse(findings, "is no name of a certificate of this port", help);
    }
    found
}

pub(super) fn read_authorities(
    item: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
) -> Option<Authorities> {
    let file = item.text(findings, "\"/etc/verigate/ca.crt\"")?;
    let (pem, _) = item.checked(findings, resolve_file(file, sources))?;
    match Authorities::read(&pem) {
        Ok(authorities) => Some(authorities),
        Err(fault) => {
            refuse(item, fault, findings);
            None
        }
    }
}

/// Warns about a certificate that does not count now, or not for long.
fn warn_of_end(
    item: &Item<'_>,
    file: &str,
    identity: &Identity,
    findings: &mut Findings,
    now: UnixMillis,
) {
    let day = |time: UnixMillis| units::written_day(time);
    let left = identity.not_after.0.saturating_sub(now.0);
    let ahead = i64::try_from(AHEAD.as_millis()).unwrap_or(i64::MAX);
    let words = if left <= 0 {
        format!("expired on {}", day(identity.not_after))
    } else if identity.not_before > now {
        format!("counts from {} on only", day(identity.not_before))
    } else if left < ahead {
        format!("expires on {}", day(identity.not_after))
    } else {
        return;
    };
    let message = format!("the certificate {file} {words}");
    findings.warn(item.span(), WarningName::CertificateEnds, message);
}
