//! `[admin]`: the port for metrics, health, reload and forgetting an event (contract: Admin port).

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use toml::de::DeTable;

use super::problem::Problems;
use super::reader::{Findings, Item, Table};
use super::secrets::{Sources, judge_token, read_reference};
use super::units;
use crate::key::secret::SecretText;

/// `[admin]`, each value checked.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The address to accept on. Beyond loopback it needs a token.
    pub listen: SocketAddr,
    /// The token that every request needs, except those for `/healthz` and `/readyz`; `None`: no
    /// request needs a token.
    pub token: Option<SecretText>,
    /// Values of `Host` (without port) that a POST may carry, beside the bound address and
    /// `localhost`.
    pub hosts: Vec<String>,
}

impl Admin {
    /// The address where none is written.
    pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9090);

    /// The address in `text`, a configuration of which nothing else is judged; messages call it
    /// `path`.
    pub(super) fn address(path: &str, text: &str) -> Result<SocketAddr, Problems> {
        let mut findings = Findings::default();
        let (tree, errors) = DeTable::parse_recoverable(text);
        findings.syntax(text, &errors);
        let admin = Table::new("", 0..0, tree.get_ref()).item("admin");
        let admin = admin.and_then(|item| item.table(&mut findings, "[admin]"));
        let address =
            admin.and_then(|mut table| read_address(&table.item("listen")?, &mut findings));
        findings.finish(path, text, &[])?;
        Ok(address.unwrap_or(Self::DEFAULT_LISTEN))
    }

    /// The address and the token in `text`, a configuration of which nothing else is judged; messages
    /// call it `path`.
    pub(super) fn access(
        path: &str,
        text: &str,
        sources: &Sources<'_>,
    ) -> Result<(SocketAddr, Option<SecretText>), Problems> {
        let mut findings = Findings::default();
        let (tree, errors) = DeTable::parse_recoverable(text);
        findings.syntax(text, &errors);
        let admin = Table::new("", 0..0, tree.get_ref()).item("admin");
        let mut admin = admin.and_then(|item| item.table(&mut findings, "[admin]"));
        let mut item = |key| admin.as_mut().and_then(|table| table.item(key));
        let (address, token) = (item("listen"), item("token"));
        let address = address.and_then(|item| read_address(&item, &mut findings));
        let token = token.and_then(|item| read_token(&item, &mut findings, sources));
        findings.finish(path, text, &[])?;
        Ok((address.unwrap_or(Self::DEFAULT_LISTEN), token))
    }

    pub(super) fn read(
        mut table: Table<'_>,
        findings: &mut Findings,
        sources: &Sources<'_>,
    ) -> Self {
        let listen = table.item("listen");
        let address = listen
            .as_ref()
            .and_then(|item| read_address(item, findings));
        let token = table.item("token");
        let has_token = token.is_some();
        let token = token.and_then(|item| read_token(&item, findings, sources));
        let hosts = table
            .item("hosts")
            .and_then(|item| read_hosts(&item, findings));
        table.finish(findings);
        let admin = Self {
            listen: address.unwrap_or(Self::DEFAULT_LISTEN),
            token,
            hosts: hosts.unwrap_or_default(),
        };
        if let Some(item) = listen
            && !admin.listen.ip().to_canonical().is_loopback()
            && !has_token
        {
            let help =
                "add `token = \"env:VERIGATE_ADMIN_TOKEN\"` to `[admin]`, or listen on 127.0.0.1";
            item.refuse(
                findings,
                "is open beyond this machine, and there is no token",
                help,
            );
        }
        admin
    }
}

fn read_address(item: &Item<'_>, findings: &mut Findings) -> Option<SocketAddr> {
    item.unit(findings, "\"127.0.0.1:9090\"", units::listen_address)
}

fn read_token(
    item: &Item<'_>,
    findings: &mut Findings,
    sources: &Sources<'_>,
) -> Option<SecretText> {
    let token = read_reference(item, findings, sources)?;
    judge_token(item, &token, findings)?;
    if token.expose().iter().all(u8::is_ascii_graphic) {
        return Some(token);
    }
    let help =
        "use visible ASCII characters only: the token is sent as `Authorization: Bearer TOKEN`";
    item.refuse(findings, "holds a byte that no request could send", help);
    None
}

fn read_hosts(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let mut hosts = Vec::new();
    for entry in item.list(findings, "hosts = [\"verigate.internal\"]")? {
        let Some(host) = entry.text(findings, "\"verigate.internal\"") else {
            continue;
        };
        let is_address = host.parse::<IpAddr>().is_ok();
        let is_name = !host.is_empty()
            && host
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
        if is_address || is_name {
            hosts.push(host.to_ascii_lowercase());
        } else {
            entry.refuse(
                findings,
                "is no host name",
                "write a name without scheme and port, as in `verigate.internal`",
            );
        }
    }
    Some(hosts)
}
