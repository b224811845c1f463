//! `upstream_tls`: by which certificates an upstream is known, and which one the gateway shows it
//! (contract: TLS to upstreams).

use std::ops::Range;

use super::reader::{Findings, Item};
use super::secrets::Sources;
use super::tls::{read_authorities, read_identity};
use super::upstream::Upstream;
use super::warning::WarningName;
use crate::tls::{Authorities, Identity, Outbound, ServerName, Trust};

/// The settings of TLS towards an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct UpstreamTls {
    /// Whose certificates are trusted, and the certificate that is shown.
    pub settings: Outbound,
    /// The name that the upstream's certificate must be for, and that the upstream is asked for.
    pub name: ServerName<'static>,
}

/// `upstream_tls` as the file has it.
#[derive(Clone, Debug, Default)]
pub struct TlsWritten {
    /// The file of the authorities; `None`: those that the system trusts.
    pub ca: Option<String>,
    /// The name of the upstream, in place of the host of its URL.
    pub server_name: Option<String>,
    /// The file of the certificate that the gateway shows.
    pub certificate: Option<String>,
    /// Whether any certificate is taken.
    pub is_insecure: bool,
    authorities: Option<Authorities>,
    identity: Option<Identity>,
}

const EXAMPLE: &str = "upstream_tls = { ca = \"/etc/verigate/app-ca.crt\" }";

impl TlsWritten {
    /// Reads the table, or `"insecure"`. `None` if a part of it cannot be used.
    pub(super) fn read(
        item: &Item<'_>,
        findings: &mut Findings,
        sources: &Sources<'_>,
    ) -> Option<Self> {
        if let Some(text) = item.value.get_ref().as_str() {
            if text == "insecure" {
                return Some(Self {
                    is_insecure: true,
                    ..Self::default()
                });
            }
            let help = format!("write a table, as in `{EXAMPLE}`, or \"insecure\"");
            item.refuse(findings, "is not \"insecure\"", help);
            return None;
        }
        let mut table = item.table(findings, EXAMPLE)?;
        let [ca, name, certificate, key] =
            ["ca", "server_name", "certificate", "key"].map(|key| table.item(key));
        table.finish(findings);
        let mut is_whole = true;
        let mut written = Self::default();
        if let Some(item) = ca {
            written.authorities = read_authorities(&item, findings, sources);
            written.ca = item.value.get_ref().as_str().map(ToOwned::to_owned);
            is_whole &= written.authorities.is_some();
        }
        if let Some(item) = name {
            let name = item.text(findings, "\"app.internal\"");
            let known = name.filter(|name| ServerName::try_from(*name).is_ok());
            if name.is_some() && known.is_none() {
                let help = "write a DNS name or an address, without scheme and port";
                item.refuse(findings, "is no name of a server", help);
            }
            is_whole &= known.is_some();
            written.server_name = known.map(str::to_ascii_lowercase);
        }
        match (certificate, key) {
            (Some(certificate), Some(key)) => {
                written.identity =
                    read_identity(&certificate, &key, findings, sources).map(|(file, identity)| {
                        written.certificate = Some(file);
                        identity
                    });
                is_whole &= written.identity.is_some();
            }
            (Some(alone), None) | (None, Some(alone)) => {
                let help = "write both `certificate` and `key`, or neither";
                alone.refuse(findings, "stands without the other half", help);
                is_whole = false;
            }
            (None, None) => {}
        }
        is_whole.then_some(written)
    }

    /// The settings for every upstream of the route. `place` is that of an upstream that speaks TLS.
    pub(super) fn settings(
        &self,
        place: Range<usize>,
        findings: &mut Findings,
        sources: &Sources<'_>,
    ) -> Option<Outbound> {
        let trust = if self.is_insecure {
            let message = "`upstream_tls = \"insecure\"`: the upstream's certificate is not verified, so \
                           whoever stands in between can read and change deliveries";
            findings.warn(place.clone(), WarningName::InsecureUpstream, message);
            Trust::Anyone
        } else if let Some(authorities) = &self.authorities {
            Trust::Signed(authorities.clone())
        } else {
            match sources.files.system_roots() {
                Ok(roots) => Trust::Signed(roots.clone()),
                Err(why) => {
                    let why = if why.is_empty() {
                        String::new()
                    } else {
                        format!(" ({why})")
                    };
                    let message = format!(
                        "`https://` needs certificates of authorities, and this system has none{why}"
                    );
                    let help = format!(
                        "name your own, as in `{EXAMPLE}`, or install the system's: the package \
                         `ca-certificates`"
                    );
                    findings.problem(place, message, help);
                    return None;
                }
            }
        };
        match Outbound::new(&trust, self.identity.as_ref()) {
            Ok(settings) => Some(settings),
            Err(error) => {
                let message = format!("TLS to the upstream cannot be set up: {error}");
                findings.problem(place, message, "compare `upstream_tls` with your files");
                None
            }
        }
    }

    /// The settings towards an upstream.
    pub(super) fn towards(
        &self,
        upstream: &Upstream,
        settings: &Outbound,
        place: Range<usize>,
        findings: &mut Findings,
    ) -> Option<UpstreamTls> {
        let host = upstream.host().unwrap_or_default();
        let name = self.server_name.as_deref().unwrap_or(host);
        let Ok(name) = ServerName::try_from(name.trim_end_matches('.').to_owned()) else {
            let message = "the host is no name that a certificate can have";
            let help = "write the name of its certificate in `upstream_tls = { server_name = … }`";
            findings.problem(place, message, help);
            return None;
        };
        Some(UpstreamTls {
            settings: settings.clone(),
            name,
        })
    }
}
