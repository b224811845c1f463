//! The forwarded head, made from the received head: which headers are dropped, stripped and set
//! (contract: Forwarding). Pure functions.

use std::borrow::Cow;

use once_cell::sync::Lazy;

use crate::config::resign::Removed;
use crate::config::units::written_moment;
use crate::gateway::client::origin::Origin;
use crate::gateway::running::snapshot::{NewPath, RouteState};
use crate::gateway::upstream::request::{COPIED, head_buffer};
use crate::key::secret::SecretText;
use crate::notation::decimal::{push_address, push_number};
use crate::notation::query::without;
use crate::queue::DeliveryId;
use crate::scheme::Scheme;
use crate::sign::Resigned;
use crate::verify::envelope::visible_ascii;
use crate::wire::head::{FieldName, Head, KnownName};

/// The verdict on a proved delivery that nothing speaks against.
pub(super) const VALID: &str = "valid";

/// The values of the gateway's own headers, for the app behind it.
pub(super) struct VerigateHeaders<'a> {
    /// The lines of the route, as [`of_the_route`] makes them.
    pub(super) of_the_route: &'a [u8],
    /// The value [`VALID`] or `handshake`, or in shadow mode the code of a refusal.
    pub(super) verdict: &'static str,
    /// The id of the request, in logs as well.
    pub(super) request_id: &'a [u8],
    /// The name of the secret that matched, if a secret did.
    pub(super) secret: Option<&'a str>,
    /// The event's id, if the delivery is proved and has an id.
    pub(super) event_id: Option<&'a str>,
    /// The event's type, if the delivery is proved and has a type.
    pub(super) event_type: Option<&'a str>,
    /// The key by which the app may recognise the event, if the window protects the route.
    pub(super) event_key: Option<&'a [u8]>,
    /// The attempt, if the delivery comes from the queue.
    pub(super) attempt: Option<QueuedAttempt>,
}

/// An attempt to deliver what was acknowledged before, as the app is told of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueuedAttempt {
    /// The id of the delivery, the same at each attempt.
    pub(super) id: DeliveryId,
    /// The number of the attempt, from 1.
    pub(super) number: u32,
}

/// The headers that the gateway sets or drops for every request, unless the scheme signs them.
static GATEWAYS: Lazy<Vec<FieldName>> = Lazy::new(|| {
    let names = [
        "X-Request-Id",
        "X-Forwarded-For",
        "X-Forwarded-Proto",
        "X-Forwarded-Host",
        "Forwarded",
        "Proxy",
    ];
    names.into_iter().filter_map(FieldName::new).collect()
});

/// The headers that belong to the sender on a route whose scheme signs them, and else to the
/// gateway: they are forwarded as received, and where they were absent they stay absent.
pub(super) fn of_the_sender(scheme: &Scheme, head: &Head) -> Vec<&'static FieldName> {
    let names = GATEWAYS.iter();
    names
        .filter(|name| scheme.signs_header(head, name))
        .collect()
}

/// The lines that name the route and its provider: the same in everything that a route forwards.
pub(super) fn of_the_route(name: &str, provider: &str) -> Vec<u8> {
    let mut lines = Vec::new();
    put_visible(&mut lines, b"X-Verigate-Route: ", Some(name));
    put_visible(&mut lines, b"X-Verigate-Provider: ", Some(provider));
    lines
}

/// The lines that name the route, which are made once.
pub(super) fn own_lines(route: &RouteState) -> &[u8] {
    route
        .own_lines
        .get_or_init(|| of_the_route(&route.name, &route.provider))
}

/// The headers that a route sets on everything that it forwards.
pub(super) struct RouteHeaders<'a> {
    /// The value that replaces `Host`.
    pub(super) host: Option<&'a str>,
    /// The upstream's own authority, for a request without `Host`.
    pub(super) authority: &'a str,
    /// The path that replaces the request's, where the app has another.
    pub(super) path: Option<&'a NewPath>,
    /// How many bytes of the request's path it replaces: those that the route matched when the request
    /// came, since a reload may give the route of a stored delivery another path.
    pub(super) matched: usize,
    /// The parameter of the query that holds the signature, which is not forwarded: the logs of an
    /// app hold its URLs.
    pub(super) query: Option<&'a str>,
    /// The headers that the scheme signs, of those that the gateway would set or drop.
    pub(super) signed: &'a [&'static FieldName],
    /// Further headers. They are stripped from every request, their aliases too, and set where the
    /// verdict is `valid`: an app takes them for a proof.
    pub(super) headers: &'a [(FieldName, SecretText)],
    /// The headers that are removed from every request of a route that signs anew.
    pub(super) removed: Option<&'a Removed>,
    /// The gateway's own signature, which is set where the verdict is `valid`.
    pub(super) resigned: Option<&'a Resigned>,
}

impl<'a> RouteHeaders<'a> {
    /// What `route` sets on a request of which it `matched` that many bytes of the path; `signed` are
    /// the headers that its scheme signs, and `resigned` is the gateway's own signature.
    pub(super) fn of(
        route: &'a RouteState,
        matched: usize,
        signed: &'a [&'static FieldName],
        resigned: Option<&'a Resigned>,
    ) -> Self {
        Self {
            signed,
            host: route.config.upstream_host.as_deref(),
            authority: &route.authority,
            path: route.new_path.as_ref(),
            matched,
            query: route.config.scheme.signature_query(),
            headers: &route.config.upstream_headers,
            removed: route.resigning.as_ref().map(|resigning| &resigning.removed),
            resigned,
        }
    }
}

/// Tells of a header of a received head whether it is for the app, and not for this connection or the
/// gateway alone. `signed` are the headers that the scheme signs, of those that the gateway would set
/// or drop.
pub(super) fn going_on<'h>(
    head: &'h Head,
    origin: &Origin<'_>,
    signed: &'h [&'static FieldName],
) -> impl Fn(KnownName, &[u8]) -> bool + use<'h> {
    let is_from_proxy = origin.trusted.is_some();
    // Read once, since a head may list thousands of names.
    let listed: Vec<&[u8]> = head.connection_names().collect();
    move |known, name| {
        let is_usual = match known {
            KnownName::Forwarded => is_from_proxy,
            _ => is_end_to_end(known),
        };
        (is_usual || is_of_sender(signed, name))
            && !listed
                .iter()
                .any(|listed| listed.eq_ignore_ascii_case(name))
    }
}

fn is_of_sender(signed: &[&'static FieldName], name: &[u8]) -> bool {
    signed.iter().any(|signed| signed.is(name))
}

/// The forwarded head for a body of `length` bytes.
pub(super) fn forwarded(
    head: &Head,
    origin: &Origin<'_>,
    verigate: &VerigateHeaders<'_>,
    fixed: &RouteHeaders<'_>,
    length: usize,
) -> Vec<u8> {
    // A short body is put behind the head.
    let behind = Some(length).filter(|length| *length <= COPIED).unwrap_or(0);
    let mut out = head_buffer(head.bytes().len() + 512 + behind);
    out.extend_from_slice(head.method().as_bytes());
    out.push(b' ');
    let target = fixed.query.map_or(Cow::Borrowed(head.target()), |name| {
        without(head.target(), name)
    });
    let mut target = target.as_bytes();
    if let Some(new) = fixed.path {
        out.extend_from_slice(new.text.as_bytes());
        target = target.get(fixed.matched..).unwrap_or_default();
        // A stored delivery came by a prefix, and by now the route's path is exact.
        let has_more = !matches!(target, [] | [b'?' | b'/', ..]);
        if has_more && !new.text.ends_with('/') {
            out.push(b'/');
        }
    }
    out.extend_from_slice(target);
    out.extend_from_slice(b" HTTP/1.1\r\n");
    let received_host = head.host();
    let host = fixed.host.or(received_host).unwrap_or(fixed.authority);
    put(&mut out, b"Host: ", host.as_bytes());
    let goes_on = going_on(head, origin, fixed.signed);
    head.copy_lines(&mut out, |known, name| {
        goes_on(known, name)
            && !fixed.headers.iter().any(|(set, _)| set.is_or_aliases(name))
            && !fixed.removed.is_some_and(|removed| removed.has(name))
    });
    if length > 0 || !matches!(head.method(), "GET" | "HEAD" | "OPTIONS") {
        out.extend_from_slice(b"Content-Length: ");
        push_number(&mut out, length as u64);
        out.extend_from_slice(b"\r\n");
    }
    let is_ours_to_set = |name: &[u8]| !is_of_sender(fixed.signed, name);
    put_verigate_headers(&mut out, verigate, is_ours_to_set);
    put_origin(&mut out, received_host, origin, is_ours_to_set);
    if verigate.verdict == VALID {
        for (name, value) in fixed.headers {
            out.extend_from_slice(name.as_str().as_bytes());
            put(&mut out, b": ", value.expose());
        }
        if let Some(resigned) = fixed.resigned {
            put(&mut out, b"webhook-id: ", resigned.id.as_bytes());
            put(&mut out, b"webhook-timestamp: ", &resigned.timestamp);
            put(&mut out, b"webhook-signature: ", &resigned.signature);
        }
    }
    out.extend_from_slice(b"\r\n");
    out
}

fn put_verigate_headers(
    out: &mut Vec<u8>,
    verigate: &VerigateHeaders<'_>,
    is_ours_to_set: impl Fn(&[u8]) -> bool,
) {
    out.extend_from_slice(verigate.of_the_route);
    put(out, b"X-Verigate-Verdict: ", verigate.verdict.as_bytes());
    put_visible(out, b"X-Verigate-Secret: ", verigate.secret);
    put_visible(out, b"X-Verigate-Event-Id: ", verigate.event_id);
    put_visible(out, b"X-Verigate-Event-Type: ", verigate.event_type);
    put_visible(out, b"X-Verigate-Event-Key: ", verigate.event_key);
    if let Some(attempt) = verigate.attempt {
        attempt.put(out);
    }
    if is_ours_to_set(b"X-Request-Id") {
        put_visible(out, b"X-Request-Id: ", Some(verigate.request_id));
    }
}

impl QueuedAttempt {
    fn put(self, out: &mut Vec<u8>) {
        put(
            out,
            b"X-Verigate-Delivery-Id: ",
            self.id.to_string().as_bytes(),
        );
        put(
            out,
            b"X-Verigate-Attempt: ",
            self.number.to_string().as_bytes(),
        );
        let received = written_moment(self.id.received());
        put(out, b"X-Verigate-Received-At: ", received.as_bytes());
    }
}

/// Appends the line of `value`, where there is a value that a header can hold. Another value is left
/// out rather than changed.
fn put_visible<const N: usize>(out: &mut Vec<u8>, name: &[u8; N], value: Option<impl AsRef<[u8]>>) {
    if let Some(value) = value.filter(|value| visible_ascii(value)) {
        put(out, name, value.as_ref());
    }
}

fn put_origin(
    out: &mut Vec<u8>,
    received_host: Option<&str>,
    origin: &Origin<'_>,
    is_ours_to_set: impl Fn(&[u8]) -> bool,
) {
    let trusted = origin.trusted.as_ref();
    if is_ours_to_set(b"X-Forwarded-For") {
        out.extend_from_slice(b"X-Forwarded-For: ");
        for member in trusted.iter().flat_map(|trusted| &trusted.forwarded_for) {
            out.extend_from_slice(member.as_bytes());
            out.extend_from_slice(b", ");
        }
        match origin.peer {
            Some(address) => push_address(out, address),
            None => out.extend_from_slice(b"unknown"),
        }
        out.extend_from_slice(b"\r\n");
    }
    if is_ours_to_set(b"X-Forwarded-Proto") {
        let scheme = if origin.is_tls { "https" } else { "http" };
        let proto = trusted.and_then(|t| t.proto).unwrap_or(scheme);
        put(out, b"X-Forwarded-Proto: ", proto.as_bytes());
    }
    let host = trusted.and_then(|t| t.host).or(received_host);
    if let Some(host) = host.filter(|_| is_ours_to_set(b"X-Forwarded-Host")) {
        put(out, b"X-Forwarded-Host: ", host.as_bytes());
    }
}

/// Appends a line. `name` goes on to the value, with a colon and a space, and its length is known
/// where this is compiled, so that only the value is copied by a call.
fn put<const N: usize>(out: &mut Vec<u8>, name: &[u8; N], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Whether a header is meant for the receiver rather than for this connection (RFC 9110 7.6.1), and
/// the gateway does not write it itself: every `X-Verigate-` name, and the names that [`put_origin`]
/// and [`put_verigate_headers`] write. Aliases count as the header itself, because a receiver may
/// read them as the same name.
fn is_end_to_end(name: KnownName) -> bool {
    match name {
        KnownName::Connection
        | KnownName::ContentLength
        | KnownName::Expect
        | KnownName::Host
        | KnownName::Http2Settings
        | KnownName::KeepAlive
        | KnownName::Proxy
        | KnownName::ProxyAuthenticate
        | KnownName::ProxyAuthorization
        | KnownName::ProxyConnection
        | KnownName::Te
        | KnownName::Trailer
        | KnownName::TransferEncoding
        | KnownName::Upgrade
        | KnownName::Verigate
        | KnownName::XForwardedFor
        | KnownName::XForwardedHost
        | KnownName::XForwardedProto
        | KnownName::XRequestId => false,
        KnownName::Forwarded | KnownName::Other => true,
    }
}

/// Whether a header of an answer is relayed: it concerns more than a single connection, and the
/// gateway does not set it itself. `is_alias` says that the name is only an alias of the known name.
pub(super) fn is_relayed(name: KnownName, is_alias: bool) -> bool {
    match name {
        KnownName::Verigate => false,
        KnownName::Connection
        | KnownName::ContentLength
        | KnownName::KeepAlive
        | KnownName::ProxyAuthenticate
        | KnownName::ProxyAuthorization
        | KnownName::ProxyConnection
        | KnownName::Te
        | KnownName::Trailer
        | KnownName::TransferEncoding
        | KnownName::Upgrade
        | KnownName::XRequestId => is_alias,
        KnownName::Expect
        | KnownName::Forwarded
        | KnownName::Host
        | KnownName::Http2Settings
        | KnownName::Proxy
        | KnownName::XForwardedFor
        | KnownName::XForwardedHost
        | KnownName::XForwardedProto
        | KnownName::Other => true,
    }
}

#[cfg(test)]
mod tests;
