//! `listen`: the addresses of a port (contract: Configuration).

use std::net::SocketAddr;

use super::reader::{Findings, Item};
use super::units;

/// Reads a list of addresses, which may be empty only if the gateway listens elsewhere.
pub(super) fn read_listen(
    item: &Item<'_>,
    findings: &mut Findings,
    example: &str,
    may_be_empty: bool,
) -> Option<Vec<SocketAddr>> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for entry in item.list(findings, example)? {
        let Some(address) = entry.unit(findings, example, units::listen_address) else {
            continue;
        };
        if addresses.iter().any(|other| collide(*other, address)) {
            entry.refuse(
                findings,
                "names an address that is already listened on",
                "name each address once",
            );
        }
        addresses.push(address);
    }
    if addresses.is_empty() {
        let is_empty = item
            .value
            .get_ref()
            .as_array()
            .is_some_and(|list| list.is_empty());
        if is_empty && may_be_empty {
            return Some(addresses);
        }
        if is_empty {
            item.refuse(
                findings,
                "is empty",
                format!("name at least one address, as in `{example}`"),
            );
        }
        return None;
    }
    Some(addresses)
}

/// Whether two sockets cannot both be bound: they have the same address, or one is for every
/// address of its family and the other for an address of that family. Port 0 never collides.
pub(super) fn collide(a: SocketAddr, b: SocketAddr) -> bool {
    let is_wild =
        a.is_ipv4() == b.is_ipv4() && (a.ip().is_unspecified() || b.ip().is_unspecified());
    a.port() != 0 && a.port() == b.port() && (a.ip() == b.ip() || is_wild)
}
