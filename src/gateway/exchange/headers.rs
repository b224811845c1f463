//! The forwarded head, made from the received head: which headers are dropped, stripped and set
//! (contract: Forwarding). Pure functions.

use std::borrow::Cow;

use once_cell::sync::Lazy;

use crate::gateway::client::origin::Origin;
use crate::gateway::upstream::forward::COPIED;
use crate::key::secret::SecretText;
use crate::notation::decimal::{push_address, push_number};
use crate::notation::query::without;
use crate::scheme::Scheme;
use crate::verify::envelope::visible_ascii;
use crate::wire::head::{FieldName, Head, fold};

/// The verdict on a proved delivery that nothing speaks against.
pub(super) const VALID: &str = "valid";

/// The values of the gateway's own headers, for the app behind it.
pub(super) struct VerigateHeaders<'a> {
    pub(super) route: &'a str,
    pub(super) provider: &'a str,
    /// The value [`VALID`] or `handshake`, or in shadow mode the code of a refusal.
    pub(super) verdict: &'a str,
    /// The id of the request, in logs as well.
    pub(super) request_id: &'a str,
    /// The name of the secret that matched, if a secret did.
    pub(super) secret: Option<&'a str>,
    /// The event's id, if the delivery is proved and has an id.
    pub(super) event_id: Option<&'a str>,
    /// The event's type, if the delivery is proved and has a type.
    pub(super) event_type: Option<&'a str>,
    /// The key by which the app may recognise the event, if the window protects the route.
    pub(super) event_key: Option<&'a str>,
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

/// The headers that a route sets on everything that it forwards.
pub(super) struct RouteHeaders<'a> {
    /// The value that replaces `Host`.
    pub(super) host: Option<&'a str>,
    /// The upstream's own authority, for a request without `Host`.
    pub(super) authority: &'a str,
    /// The parameter of the query that holds the signature, which is not forwarded: the logs of an
    /// app hold its URLs.
    pub(super) query: Option<&'a str>,
    /// The headers that the scheme signs, of those that the gateway would set or drop.
    pub(super) signed: &'a [&'static FieldName],
    /// Further headers. They are stripped from every request, their aliases too, and set where the
    /// verdict is `valid`: an app takes them for a proof.
    pub(super) headers: &'a [(FieldName, SecretText)],
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
    let mut out = Vec::with_capacity(head.bytes().len() + 512 + behind);
    out.extend_from_slice(head.method().as_bytes());
    out.push(b' ');
    let target = fixed.query.map_or(Cow::Borrowed(head.target()), |name| {
        without(head.target(), name)
    });
    out.extend_from_slice(target.as_bytes());
    out.extend_from_slice(b" HTTP/1.1\r\n");
    put(
        &mut out,
        b"Host",
        fixed
            .host
            .or(head.host())
            .unwrap_or(fixed.authority)
            .as_bytes(),
    );
    // Read once, since a head may list thousands of names.
    let listed: Vec<&[u8]> = head.connection_names().collect();
    for (name, value) in head.lines() {
        let is_signed = fixed.signed.iter().any(|signed| signed.is(name));
        let is_usual = is_end_to_end(name)
            && !is_ours(name)
            && (origin.trusted.is_some() || !folds_to(name, b"forwarded"));
        if (is_signed || is_usual)
            && !fixed.headers.iter().any(|(set, _)| set.is_or_aliases(name))
            && !listed
                .iter()
                .any(|listed| listed.eq_ignore_ascii_case(name))
        {
            put(&mut out, name, value);
        }
    }
    if length > 0 || !matches!(head.method(), "GET" | "HEAD" | "OPTIONS") {
        out.extend_from_slice(b"Content-Length: ");
        push_number(&mut out, length as u64);
        out.extend_from_slice(b"\r\n");
    }
    let is_ours_to_set = |name: &[u8]| !fixed.signed.iter().any(|signed| signed.is(name));
    put_verigate_headers(&mut out, verigate, is_ours_to_set);
    put_origin(&mut out, head, origin, is_ours_to_set);
    if verigate.verdict == VALID {
        for (name, value) in fixed.headers {
            put(&mut out, name.as_str().as_bytes(), value.expose());
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
    let lines = [
        (b"X-Verigate-Route".as_slice(), Some(verigate.route)),
        (b"X-Verigate-Provider", Some(verigate.provider)),
        (b"X-Verigate-Verdict", Some(verigate.verdict)),
        (b"X-Verigate-Secret", verigate.secret),
        (b"X-Verigate-Event-Id", verigate.event_id),
        (b"X-Verigate-Event-Type", verigate.event_type),
        (b"X-Verigate-Event-Key", verigate.event_key),
        (b"X-Request-Id", Some(verigate.request_id)),
    ];
    for (name, value) in lines {
        // A value that a header cannot hold is left out rather than changed.
        if let Some(value) = value.filter(|v| visible_ascii(v))
            && is_ours_to_set(name)
        {
            put(out, name, value.as_bytes());
        }
    }
}

fn put_origin(
    out: &mut Vec<u8>,
    head: &Head,
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
    let scheme = if origin.is_tls { "https" } else { "http" };
    let proto = trusted.and_then(|t| t.proto).unwrap_or(scheme);
    let host = trusted.and_then(|t| t.host).or(head.host());
    for (name, value) in [
        (&b"X-Forwarded-Proto"[..], Some(proto)),
        (b"X-Forwarded-Host", host),
    ] {
        if let Some(value) = value
            && is_ours_to_set(name)
        {
            put(out, name, value.as_bytes());
        }
    }
}

fn put(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.extend_from_slice(name);
    out.extend_from_slice(b": ");
    out.extend_from_slice(value);
    out.extend_from_slice(b"\r\n");
}

/// Whether a header is meant for the receiver rather than for this connection (RFC 9110 7.6.1), and
/// the gateway does not write it itself. Aliases count as the header itself, because a receiver may
/// read them as the same name.
fn is_end_to_end(name: &[u8]) -> bool {
    let dropped: &[&[u8]] = match name.len() {
        2 => &[b"te"],
        4 => &[b"host"],
        5 => &[b"proxy"],
        6 => &[b"expect"],
        7 => &[b"trailer", b"upgrade"],
        10 => &[b"connection", b"keep-alive"],
        14 => &[b"content-length", b"http2-settings"],
        16 => &[b"proxy-connection"],
        17 => &[b"transfer-encoding"],
        18 => &[b"proxy-authenticate"],
        19 => &[b"proxy-authorization"],
        _ => return true,
    };
    !dropped.iter().any(|drop| folds_to(name, drop))
}

/// Whether only the gateway may set this header: every `X-Verigate-` name, and the names that
/// [`put_origin`] and [`put_verigate_headers`] write. Aliases are included.
fn is_ours(name: &[u8]) -> bool {
    match name.len() {
        12 if folds_to(name, b"x-request-id") => true,
        15 if folds_to(name, b"x-forwarded-for") => true,
        16 if folds_to(name, b"x-forwarded-host") => true,
        17 if folds_to(name, b"x-forwarded-proto") => true,
        _ => is_verigate(name),
    }
}

/// Whether a name begins with `X-Verigate-`, in any spelling that a receiver may read as that.
pub(super) fn is_verigate(name: &[u8]) -> bool {
    const PREFIX: &[u8] = b"x-verigate-";
    name.get(..PREFIX.len())
        .is_some_and(|start| folds_to(start, PREFIX))
}

/// Whether a header of an answer is relayed: it concerns more than a single connection, and the
/// gateway does not set it itself.
pub(super) fn is_relayed(name: &[u8]) -> bool {
    let dropped: &[&[u8]] = match name.len() {
        2 => &[b"te"],
        7 => &[b"trailer", b"upgrade"],
        10 => &[b"connection", b"keep-alive"],
        12 => &[b"x-request-id"],
        14 => &[b"content-length"],
        16 => &[b"proxy-connection"],
        17 => &[b"transfer-encoding"],
        18 => &[b"proxy-authenticate"],
        19 => &[b"proxy-authorization"],
        _ => &[],
    };
    !is_verigate(name) && !dropped.iter().any(|drop| name.eq_ignore_ascii_case(drop))
}

/// Whether `name` is `folded` or an alias of it. `folded` is in lower case and has `-` for each
/// byte that is neither letter nor digit.
fn folds_to(name: &[u8], folded: &[u8]) -> bool {
    name.len() == folded.len() && name.iter().zip(folded).all(|(a, b)| fold(*a) == *b)
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;
    use crate::gateway::client::origin::Trusted;

    fn forward(
        lines: &[(&str, &str)],
        trusted: Option<Trusted<'_>>,
        fixed: &RouteHeaders<'_>,
    ) -> String {
        let lines = lines.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes()));
        let head = Head::from_parts("POST", "/in?a=%20b", lines).unwrap();
        let peer = Some(IpAddr::from([192, 0, 2, 7]));
        let origin = Origin {
            peer,
            is_tls: false,
            address: peer,
            trusted,
        };
        let verigate = VerigateHeaders {
            route: "in",
            provider: "itellico",
            verdict: "valid",
            request_id: "r1",
            secret: Some("env:S"),
            event_id: Some("e\u{e9}"),
            event_type: Some("t"),
            event_key: Some("00ff"),
        };
        String::from_utf8(forwarded(&head, &origin, &verigate, fixed, 3)).unwrap()
    }

    const PLAIN: RouteHeaders<'static> = RouteHeaders {
        host: None,
        authority: "up:80",
        query: None,
        signed: &[],
        headers: &[],
    };

    #[test]
    fn a_plain_head_keeps_its_end_to_end_lines_and_gains_ours() {
        let out = forward(
            &[
                ("Host", "a"),
                ("X-A", "1"),
                ("Content-Length", "3"),
                ("X-A", "2"),
            ],
            None,
            &PLAIN,
        );
        let expected = "POST /in?a=%20b HTTP/1.1\r\nHost: a\r\nX-A: 1\r\nX-A: 2\r\nContent-Length: 3\r\n\
            X-Verigate-Route: in\r\nX-Verigate-Provider: itellico\r\nX-Verigate-Verdict: valid\r\n\
            X-Verigate-Secret: env:S\r\nX-Verigate-Event-Type: t\r\n\
            X-Verigate-Event-Key: 00ff\r\nX-Request-Id: r1\r\n\
            X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: a\r\n\r\n";
        assert_eq!(out, expected);
    }

    #[test]
    fn connection_headers_and_the_gateways_own_are_dropped() {
        let dropped = [
            ("Keep-Alive", "x-gone"),
            ("Proxy-Connection", "x-gone"),
            ("Proxy-Authorization", "x-gone"),
            ("TE", "x-gone"),
            ("Trailer", "x-gone"),
            ("Upgrade", "x-gone"),
            ("HTTP2-Settings", "x-gone"),
            ("Proxy", "x-gone"),
            ("Expect", "x-gone"),
            ("Forwarded", "x-gone"),
            ("X_Verigate_Event_Id", "x-gone"),
            ("X.Verigate.Foo", "x-gone"),
            ("X-Verigate-", "x-gone"),
            ("X_Forwarded_For", "x-gone"),
            ("X-Gateway_Token", "x-gone"),
            ("X-Named", "x-gone"),
        ];
        let token = [(
            FieldName::new("X-Gateway-Token").unwrap(),
            SecretText::new(b"tok".to_vec()),
        )];
        let fixed = RouteHeaders {
            host: Some("inner"),
            authority: "up:80",
            query: None,
            signed: &[],
            headers: &token,
        };
        let mut lines = vec![("Host", "a"), ("Connection", "x-named"), ("X-Stays", "yes")];
        lines.extend(dropped);
        let out = forward(&lines, None, &fixed);
        assert!(!out.contains("x-gone"), "{out}");
        for kept in [
            "Host: inner\r\n",
            "X-Stays: yes\r\n",
            "x-gateway-token: tok\r\n",
        ] {
            assert!(out.contains(kept), "{kept} in {out}");
        }
    }

    #[test]
    fn an_answer_loses_connection_headers_and_the_gateways_own() {
        for name in [
            "X-Verigate-Verdict",
            "X_Verigate_Route",
            "X-Verigate-Event-Id",
            "Connection",
            "keep-alive",
        ] {
            assert!(!is_relayed(name.as_bytes()), "{name}");
        }
        for name in [
            "Server",
            "Set-Cookie",
            "X-Verigate",
            "Retry-After",
            "Content-Type",
        ] {
            assert!(is_relayed(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_appended_to() {
        let trusted = Trusted {
            forwarded_for: vec!["198.51.100.1"],
            proto: Some("https"),
            host: Some("hooks.example"),
            request_id: None,
        };
        let out = forward(
            &[("Host", "a"), ("X-Forwarded-For", "198.51.100.1")],
            Some(trusted),
            &PLAIN,
        );
        for line in [
            "X-Forwarded-For: 198.51.100.1, 192.0.2.7",
            "X-Forwarded-Proto: https",
            "X-Forwarded-Host: hooks.example",
        ] {
            assert!(out.contains(&format!("{line}\r\n")), "{line} in {out}");
        }
        assert_eq!(out.matches("X-Forwarded-For").count(), 1, "{out}");
    }
}
