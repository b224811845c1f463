//! The origin of a request: trusted proxies, the client's address, the request's id (contract:
//! Forwarding).

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};

use ipnet::IpNet;
use siphasher::sip128::{Hasher128, SipHasher24};
use std::hash::Hasher;

use super::Client;
use crate::telemetry::RequestId;
use crate::verify::envelope::visible_ascii;
use crate::wire::head::{FieldName, Found, Head, KnownName};

/// The most members of `X-Forwarded-For` that are kept. With the peer's address they are 20.
const MEMBERS: usize = 19;
/// The longest request id that is taken from a trusted proxy, in bytes.
const REQUEST_ID: usize = 128;

/// The origin of a request.
pub(crate) struct Origin<'h> {
    /// The address at the other end of the connection.
    pub(crate) peer: Option<IpAddr>,
    /// Whether the connection came over TLS.
    pub(crate) is_tls: bool,
    /// The client's address: the peer's, or behind trusted proxies the address that they name.
    pub(crate) address: Option<IpAddr>,
    /// The peer's statements about the client in front of it, if the peer is a trusted proxy.
    pub(crate) trusted: Option<Trusted<'h>>,
}

impl<'h> Origin<'h> {
    /// The origin of the request with this head. `networks` are the networks of trusted proxies.
    pub(crate) fn of(
        client: &impl Client,
        head: &'h Head,
        names: &ProxyHeaderNames,
        networks: &[IpNet],
    ) -> Self {
        let peer = client.peer();
        let trusted = is_trusted(peer, networks).then(|| trusted(head, names));
        let address = trusted
            .as_ref()
            .map_or(peer, |trusted| address(peer, trusted, networks));
        Self {
            peer,
            is_tls: client.is_tls(),
            address,
            trusted,
        }
    }
}

/// The statements of a trusted proxy about the client in front of it.
#[derive(Debug, Default)]
pub(crate) struct Trusted<'h> {
    /// The last members of `X-Forwarded-For`, at most [`MEMBERS`]. From the right, a member that is
    /// no address ends the list.
    pub(crate) forwarded_for: Vec<&'h str>,
    /// The value of `X-Forwarded-Proto`, `http` or `https`.
    pub(crate) proto: Option<&'h str>,
    /// The value of `X-Forwarded-Host`, where it is visible ASCII.
    pub(crate) host: Option<&'h str>,
    /// The value of `X-Request-Id`, where it is fit for logs and headers.
    pub(crate) request_id: Option<&'h str>,
}

/// The names of the headers that a trusted proxy sets, parsed once.
pub(crate) struct ProxyHeaderNames {
    forwarded_for: FieldName,
    proto: FieldName,
    host: FieldName,
    request_id: FieldName,
}

impl ProxyHeaderNames {
    /// The usual names. `None` if a name is no field name, which cannot happen.
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            forwarded_for: FieldName::new("X-Forwarded-For")?,
            proto: FieldName::new("X-Forwarded-Proto")?,
            host: FieldName::new("X-Forwarded-Host")?,
            request_id: FieldName::new("X-Request-Id")?,
        })
    }
}

/// Whether `peer` is in a network of trusted proxies.
pub(crate) fn is_trusted(peer: Option<IpAddr>, networks: &[IpNet]) -> bool {
    peer.is_some_and(|peer| {
        networks
            .iter()
            .any(|net| net.contains(&peer.to_canonical()))
    })
}

/// The statements in a trusted proxy's head.
fn trusted<'h>(head: &'h Head, names: &ProxyHeaderNames) -> Trusted<'h> {
    // Most requests from a trusted network, such as the machine itself, state nothing.
    let stated = [
        KnownName::XForwardedFor,
        KnownName::XForwardedProto,
        KnownName::XForwardedHost,
        KnownName::XRequestId,
    ];
    if !stated.iter().any(|name| head.has(*name)) {
        return Trusted::default();
    }
    let lines: Vec<&[u8]> = head
        .lines()
        .filter(|(name, _)| names.forwarded_for.is(name))
        .map(|(_, v)| v)
        .collect();
    let from_the_right = lines
        .iter()
        .rev()
        .flat_map(|line| line.rsplit(|b| *b == b','));
    // Only known proxies append addresses, so whatever is left of a member that is no address was
    // not written by a trusted proxy.
    let mut members: Vec<&str> = from_the_right
        .map_while(|member| address_in(member).map(|(text, _)| text))
        .take(MEMBERS)
        .collect();
    members.reverse();
    let text = |name| match head.find(name) {
        Found::One(value) => std::str::from_utf8(value).ok().filter(|v| visible_ascii(v)),
        Found::Nothing | Found::Several => None,
    };
    Trusted {
        forwarded_for: members,
        proto: text(&names.proto).filter(|p| matches!(*p, "http" | "https")),
        host: text(&names.host),
        request_id: given_request_id(head, names),
    }
}

/// The client's address behind trusted proxies: the last member that is no trusted proxy itself. If
/// all members are, it is the first of them; without members, the peer.
fn address(peer: Option<IpAddr>, trusted: &Trusted<'_>, networks: &[IpNet]) -> Option<IpAddr> {
    let mut found = peer;
    for member in trusted.forwarded_for.iter().rev() {
        let Some((_, address)) = address_in(member.as_bytes()) else {
            break;
        };
        found = Some(address);
        if !is_trusted(found, networks) {
            break;
        }
    }
    found
}

/// The id that a trusted proxy gave to the request, where it is fit for logs and headers.
fn given_request_id<'h>(head: &'h Head, names: &ProxyHeaderNames) -> Option<&'h str> {
    match head.find(&names.request_id) {
        Found::One(id) => std::str::from_utf8(id)
            .ok()
            .filter(|id| id.len() <= REQUEST_ID && visible_ascii(id)),
        Found::Nothing | Found::Several => None,
    }
}

/// An address in the form of `X-Forwarded-For`: bare, in brackets, or with a port. Returns the text
/// as written, without white space around it, and the address itself.
fn address_in(member: &[u8]) -> Option<(&str, IpAddr)> {
    let text = std::str::from_utf8(member).ok()?.trim_ascii();
    let (bare, rest) = match text.strip_prefix('[') {
        Some(inner) => inner.split_once(']')?,
        None if text.matches(':').count() == 1 => text.split_at(text.find(':')?),
        None => (text, ""),
    };
    let is_port = |rest: &str| {
        rest.strip_prefix(':')
            .is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()))
    };
    if !rest.is_empty() && !is_port(rest) {
        return None;
    }
    bare.parse().ok().map(|address| (text, address))
}

/// The source of request ids: 128 bits that nobody else can predict, made from a random key and a
/// counter.
pub(crate) struct RequestIds {
    key: [u8; 16],
    // Relaxed: the numbers need to differ, and no other memory is read by way of them.
    count: AtomicU64,
}

impl RequestIds {
    /// A source with this key, which must be random.
    pub(crate) fn new(key: [u8; 16]) -> Self {
        Self {
            key,
            count: AtomicU64::new(0),
        }
    }

    /// The next id, 32 lower-case hex digits.
    pub(crate) fn next(&self) -> RequestId<'static> {
        let mut digits = [0; 32];
        // 16 bytes are 32 digits, so this cannot fail.
        let _ = hex::encode_to_slice(self.bytes(), &mut digits);
        RequestId::Made(digits)
    }

    /// The bytes of the next id. To whoever does not know the key they are random.
    pub(crate) fn bytes(&self) -> [u8; 16] {
        let mut hasher = SipHasher24::new_with_key(&self.key);
        hasher.write_u64(self.count.fetch_add(1, Ordering::Relaxed));
        hasher.finish128().as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lines: &[(&str, &str)]) -> Head {
        Head::from_parts(
            "POST",
            "/",
            lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())),
        )
        .unwrap()
    }

    #[test]
    fn the_client_is_the_last_address_that_is_no_trusted_proxy() {
        let networks = ["10.0.0.0/8".parse().unwrap()];
        let peer = Some(IpAddr::from([10, 0, 0, 1]));
        let cases = [
            ("no list", vec![], "10.0.0.1"),
            ("a single member", vec!["192.0.2.1"], "192.0.2.1"),
            (
                "a claim before it is not believed",
                vec!["203.0.113.9, 192.0.2.1, 10.0.0.2"],
                "192.0.2.1",
            ),
            (
                "a member before junk is not believed",
                vec!["9.9.9.9, unix:, 192.0.2.1:80"],
                "192.0.2.1",
            ),
            (
                "junk from the nearest proxy",
                vec!["9.9.9.9, unknown"],
                "10.0.0.1",
            ),
            ("junk behind an address", vec!["9.9.9.9:x"], "10.0.0.1"),
            ("only proxies", vec!["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("IPv6 with port", vec!["[2001:db8::1]:443"], "2001:db8::1"),
        ];
        for (name, values, expected) in cases {
            let lines: Vec<_> = values.iter().map(|v| ("X-Forwarded-For", *v)).collect();
            let head = head(&lines);
            let found = address(
                peer,
                &trusted(&head, &ProxyHeaderNames::new().unwrap()),
                &networks,
            );
            assert_eq!(found, Some(expected.parse().unwrap()), "{name}");
        }
    }

    #[test]
    fn a_long_list_keeps_its_last_members() {
        let list = (0..200)
            .map(|n| format!("192.0.2.{n}"))
            .collect::<Vec<_>>()
            .join(",");
        let head = head(&[("X-Forwarded-For", &list)]);
        let trusted = trusted(&head, &ProxyHeaderNames::new().unwrap());
        assert_eq!(trusted.forwarded_for.len(), MEMBERS);
        assert_eq!(trusted.forwarded_for.last(), Some(&"192.0.2.199"));
    }

    #[test]
    fn only_a_short_visible_request_id_is_kept() {
        let names = ProxyHeaderNames::new().unwrap();
        let long = "x".repeat(129);
        for (id, kept) in [
            ("abc-1", true),
            (long.as_str(), false),
            ("a b", false),
            ("", false),
            ("é", false),
        ] {
            assert_eq!(
                given_request_id(&head(&[("X-Request-Id", id)]), &names).is_some(),
                kept,
                "{id:?}"
            );
        }
    }

    #[test]
    fn ids_are_32_digits_and_never_the_same() {
        let ids = RequestIds::new([7; 16]);
        let (a, b) = (ids.next(), ids.next());
        assert_eq!((a.as_str().len(), b.as_str().len()), (32, 32));
        assert_ne!(a, b);
    }
}
