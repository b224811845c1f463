//! `[server.acme]`: certificates that the gateway orders by itself (contract: The edge).

use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{alphabet, engine::DecodePaddingMode};

use super::directories::{self, Use};
use super::reader::{Findings, Item, Table};
use super::secrets::{Sources, read_reference, resolve_file};
use super::state::State;
use super::units::UnitFault;
use crate::acme::name::host_name;
use crate::key::secret::SecretText;
use crate::tls::Authorities;

/// `[server.acme]`, each value checked.
#[derive(Clone, Debug)]
pub struct Acme {
    /// The directory of account, certificates and the count of orders.
    pub dir: PathBuf,
    /// The URL by which the authority begins: `https`.
    pub directory: String,
    /// The authorities by which the ACME server itself is known. `None`: those of the system.
    pub ca: Option<Authorities>,
    /// The account at the authority to which the gateway's account is bound.
    pub eab: Option<Eab>,
    /// The names, in lower case. Each gets a certificate of its own.
    pub names: Vec<String>,
    /// The contacts of the account, `mailto:` URLs.
    pub contact: Vec<String>,
    /// The kinds of challenges that are answered, the preferred one first.
    pub challenges: Vec<ChallengeKind>,
}

/// A binding to an external account (RFC 8555 7.3.4).
#[derive(Clone, Debug)]
pub struct Eab {
    /// The identifier of the key.
    pub key_id: String,
    /// The bytes of the key.
    pub key: SecretText,
}

/// The ways in which an authority sees that a name leads here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeKind {
    /// `tls-alpn-01`: by a handshake on port 443.
    TlsAlpn,
    /// `http-01`: by a request on port 80.
    Http,
}

/// The table, for messages.
const TABLE: &str = "[server.acme]";

/// The directories of the best-known authority, for messages.
const DIRECTORY: &str = "directory = \"https://acme-staging-v02.api.letsencrypt.org/directory\"";

/// The most names.
const MAX_NAMES: usize = 1000;

/// Reads `[server.acme]`. `None` where it cannot be used.
pub(super) fn read(
    item: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
    state: &State,
) -> Option<Acme> {
    let mut table = item.table(findings, TABLE)?;
    let dir = match table.item("dir") {
        Some(item) => item
            .label(findings, 4096, "\"/var/lib/verigate\"")
            .map(|text| {
                let dir = sources.base_dir.join(text);
                directories::judge(&item, &dir, Use::Around, sources, findings);
                dir
            }),
        None if state.is_named => state.dir.clone(),
        None => {
            findings.absence(
                table.span(),
                "`server.acme.dir` is missing, and so is `[state] dir`",
                "name a directory that is kept over restarts, as in `dir = \"/var/lib/verigate\"`",
            );
            None
        }
    };
    let directory = table.item("directory");
    let directory = match directory {
        Some(item) => item.unit(findings, DIRECTORY, directory_url),
        None => {
            findings.absence(
                table.span(),
                "`server.acme.directory` is missing",
                format!(
                    "name the directory of your authority. Try it with that of Let's Encrypt for \
                     tests, `{DIRECTORY}`; the other one has no `-staging`"
                ),
            );
            None
        }
    };
    let names = table.required(findings, "names", "[\"hooks.example.com\"]");
    let names = names.and_then(|item| read_names(&item, findings));
    let contact = table.item("contact");
    let contact = contact.map_or_else(Vec::new, |item| read_contact(&item, findings));
    let challenges = match table.item("challenge") {
        Some(item) => read_challenges(&item, findings),
        None => vec![ChallengeKind::TlsAlpn, ChallengeKind::Http],
    };
    let ca = table.item("ca");
    let ca = ca.and_then(|item| read_ca(&item, findings, sources));
    let eab = table.item("eab");
    let eab = eab.and_then(|item| read_eab(&item, findings, sources));
    accept_terms(&mut table, findings);
    table.finish(findings);
    Some(Acme {
        dir: dir?,
        directory: directory?,
        ca,
        eab,
        names: names?,
        contact,
        challenges,
    })
}

fn accept_terms(table: &mut Table<'_>, findings: &mut Findings) {
    let help = "read the terms of service of the authority, and write `accept_terms = true` if you \
                agree: no account is made without";
    match table.item("accept_terms") {
        Some(item) if item.flag(findings) == Some(false) => {
            item.refuse(findings, "is false, so no certificate can be ordered", help);
        }
        Some(_) => {}
        None => findings.absence(table.span(), "`server.acme.accept_terms` is missing", help),
    }
}

fn directory_url(text: &str) -> Result<String, UnitFault> {
    let fault = |message: &str, help: &str| {
        Err(UnitFault {
            message: message.to_owned(),
            help: help.to_owned(),
        })
    };
    if text.starts_with("http://") {
        return fault(
            "is not encrypted, so anybody on the way could hand out certificates",
            "write the URL with `https://`",
        );
    }
    let parsed = text.parse::<http::Uri>().ok();
    let is_https = parsed.is_some_and(|url| {
        let has_host = url.host().is_some_and(|host| !host.is_empty());
        let has_user = url
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'));
        url.scheme_str() == Some("https") && has_host && !has_user
    });
    if is_https && !text.contains('#') {
        Ok(text.to_owned())
    } else {
        fault(
            "is no URL of a directory",
            "write it as the authority gives it, `https://` with a host and a path",
        )
    }
}

fn read_names(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    const EXAMPLE: &str = "names = [\"hooks.example.com\"]";
    let entries = item.list(findings, EXAMPLE)?;
    if entries.is_empty() {
        let help = format!("list each name that leads here, as in `{EXAMPLE}`");
        item.refuse(findings, "is empty", help);
    }
    if entries.len() > MAX_NAMES {
        let help = "give the others to another gateway";
        item.refuse(findings, format!("has more than {MAX_NAMES} names"), help);
    }
    let mut names: Vec<String> = Vec::new();
    for entry in entries {
        let Some(text) = entry.text(findings, "\"hooks.example.com\"") else {
            continue;
        };
        match host_name(text) {
            Ok(name) if names.contains(&name) => {
                entry.refuse(findings, "has a name twice", "list each name once");
            }
            Ok(name) => names.push(name),
            Err(fault) => entry.refuse(findings, fault.message, fault.help),
        }
    }
    Some(names)
}

fn read_contact(item: &Item<'_>, findings: &mut Findings) -> Vec<String> {
    const EXAMPLE: &str = "contact = [\"mailto:ops@example.com\"]";
    let mut contacts = Vec::new();
    for entry in item.list(findings, EXAMPLE).unwrap_or_default() {
        let Some(text) = entry.label(findings, 254, "mailto:ops@example.com") else {
            continue;
        };
        let address = text.strip_prefix("mailto:").unwrap_or(text);
        let is_one = address
            .split_once('@')
            .is_some_and(|(user, host)| !user.is_empty() && host_name(host).is_ok());
        // RFC 8555 7.3: one address, without fields of a header.
        if is_one && address.is_ascii() && !address.contains([' ', ',', '?', '/', ':', '<', '"']) {
            contacts.push(format!("mailto:{address}"));
        } else {
            let help = format!("write an address as in `{EXAMPLE}`");
            entry.refuse(findings, "has a text that is no mail address", help);
        }
    }
    contacts
}

fn read_challenges(item: &Item<'_>, findings: &mut Findings) -> Vec<ChallengeKind> {
    const EXAMPLE: &str = "challenge = [\"tls-alpn-01\", \"http-01\"]";
    let mut kinds = Vec::new();
    let Some(entries) = item.list(findings, EXAMPLE) else {
        return kinds;
    };
    if entries.is_empty() {
        let help = format!("name at least one, as in `{EXAMPLE}`");
        item.refuse(findings, "is empty: no name could be proved", help);
    }
    for entry in entries {
        if entry.value.get_ref().as_str() == Some("dns-01") {
            let help = "write `tls-alpn-01`, `http-01` or both; the gateway cannot change the DNS";
            entry.refuse(findings, "= `dns-01` is not offered", help);
            continue;
        }
        let kind = entry.one_of_or(
            findings,
            &["tls-alpn-01", "http-01"],
            &[],
            &[
                ("tls-alpn", "tls-alpn-01"),
                ("tls", "tls-alpn-01"),
                ("alpn", "tls-alpn-01"),
                ("http", "http-01"),
            ],
            |name| match name {
                "tls-alpn-01" => Some(ChallengeKind::TlsAlpn),
                "http-01" => Some(ChallengeKind::Http),
                _ => None,
            },
        );
        match kind {
            Some(kind) if kinds.contains(&kind) => {
                entry.refuse(findings, "names a challenge twice", "name each once");
            }
            Some(kind) => kinds.push(kind),
            None => {}
        }
    }
    kinds
}

fn read_ca(item: &Item<'_>, findings: &mut Findings, sources: &Sources<'_>) -> Option<Authorities> {
    let file = item.text(findings, "\"/etc/verigate/acme-root.crt\"")?;
    let (pem, _) = item.checked(findings, resolve_file(file, sources))?;
    match Authorities::read(&pem) {
        Ok(authorities) => Some(authorities),
        Err(fault) => {
            let message = format!("names a file that {}", fault.message);
            item.refuse(findings, message, fault.help);
            None
        }
    }
}

/// The alphabet in which authorities give the key of an external account, padded or not.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

fn read_eab(item: &Item<'_>, findings: &mut Findings, sources: &Sources<'_>) -> Option<Eab> {
    const EXAMPLE: &str = "eab = { key_id = \"…\", key = \"env:ACME_EAB_KEY\" }";
    let mut table = item.table(findings, EXAMPLE)?;
    let key_id = table.required(findings, "key_id", "\"…\"");
    let key_id = key_id.and_then(|item| item.label(findings, 512, "the id of the key"));
    let key_item = table.required(findings, "key", "\"env:ACME_EAB_KEY\"");
    table.finish(findings);
    let key_item = key_item?;
    let text = read_reference(&key_item, findings, sources)?;
    let Ok(bytes) = BASE64URL.decode(text.expose().trim_ascii()) else {
        key_item.refuse(
            findings,
            "is no key of an external account",
            "put it there as the authority gives it: base64url, with the characters A-Z, a-z, 0-9, \
             `-` and `_`",
        );
        return None;
    };
    if bytes.len() < 16 {
        let help = "put the whole key there, as the authority gives it";
        key_item.refuse(findings, "is a key of less than 16 bytes", help);
        return None;
    }
    Some(Eab {
        key_id: key_id?.to_owned(),
        key: SecretText::new(bytes),
    })
}
