//! Mistakes made with the URL that is signed: scheme, host, port, path, query, percent-encoding; what proxies change.
//!
//! The host may come from the capture's `Host` and `X-Forwarded-…` lines here, as a candidate that a signature must
//! confirm. At most 20 hosts and ports, 2 schemes and 16 targets are put together.

use std::sync::Arc;

use super::mistake::{Finding, Known, found};
use super::trials::{Changed, Trials};
use crate::notation::percent::{MANNERS, decode, encode, rewrite};
use crate::scheme::{Part, PublicUrl};
use crate::wire::head::{FieldName, Found, Head};

const MAX_HOSTS: usize = 20;
const MAX_TARGETS: usize = 16;

/// Where proxies write the host, the port, the path in front, and the whole target that they were asked for.
const HOSTS: [&str; 4] = ["x-forwarded-host", "x-original-host", "x-forwarded-server", "host"];
const TARGETS: [&str; 5] =
    ["x-original-uri", "x-original-url", "x-forwarded-uri", "x-rewrite-url", "x-envoy-original-path"];

/// A URL in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    scheme: String,
    authority: String,
    target: String,
}

impl Url {
    /// The URL that the case is judged with now, or the best guess where none is configured.
    fn of(case: &Trials<'_>) -> Option<Self> {
        let configured = case.settings.public_url.as_deref().unwrap_or("https://");
        let mut text = Vec::new();
        PublicUrl::new(configured).write(case.head.target(), &mut text);
        let text = String::from_utf8(text).ok()?;
        let (scheme, rest) = text.split_once("://")?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(at)?;
        let authority = if authority.is_empty() { case.head.host().unwrap_or("localhost") } else { authority };
        Some(Self { scheme: scheme.to_owned(), authority: authority.to_owned(), target: target.to_owned() })
    }

    fn other_scheme(&self) -> &'static str {
        if self.scheme == "https" { "http" } else { "https" }
    }

    fn path(&self) -> &str {
        self.target.split_once('?').map_or(self.target.as_str(), |(path, _)| path)
    }

    fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Host and port; brackets of IPv6 stay with the host.
    fn host_and_port(&self) -> (&str, Option<&str>) {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => (host, Some(port)),
            _ => (&self.authority, None),
        }
    }
}

/// Whether anything of the URL is signed.
fn is_signed(case: &Trials<'_>) -> bool {
    case.scheme.signs_url() || case.scheme.signed.parts().iter().any(|part| matches!(part, Part::Path | Part::Query))
}

/// A URL that differs in one thing.
pub(super) fn one_thing(case: &Trials<'_>) -> Option<Finding> {
    let own = is_signed(case).then(|| Url::of(case))??;
    let in_scheme = || {
        let other = Url { scheme: own.other_scheme().to_owned(), ..own.clone() };
        found(with(case, &other), || Known::UrlScheme(own.other_scheme()))
    };
    let in_authority = || {
        authorities(case, &own)
            .into_iter()
            .find_map(|(authority, mistake)| found(with(case, &Url { authority, ..own.clone() }), || mistake))
    };
    let in_target = || {
        targets(case, &own)
            .into_iter()
            .find_map(|(target, mistake)| found(with(case, &Url { target, ..own.clone() }), || mistake))
    };
    if case.scheme.signs_url() { in_scheme().or_else(in_authority).or_else(in_target) } else { in_target() }
}

/// A URL that differs in several things, as behind a proxy that was not reckoned with.
pub(super) fn several_things(case: &Trials<'_>) -> Option<Finding> {
    let own = case.scheme.signs_url().then(|| Url::of(case))??;
    let mut hosts = vec![own.authority.clone()];
    hosts.extend(authorities(case, &own).into_iter().map(|(authority, _)| authority));
    let mut paths = vec![own.target.clone()];
    paths.extend(targets(case, &own).into_iter().map(|(target, _)| target));
    [own.scheme.as_str(), own.other_scheme()].into_iter().find_map(|scheme| {
        hosts.iter().find_map(|authority| {
            paths.iter().find_map(|target| {
                let url = Url { scheme: scheme.to_owned(), authority: authority.clone(), target: target.clone() };
                let shown = || format!("{}://{}{}", url.scheme, url.authority, url.path());
                found(with(case, &url), || Known::UrlOther(shown()))
            })
        })
    })
}

/// Other hosts and ports, each with the mistake that it is.
fn authorities(case: &Trials<'_>, own: &Url) -> Vec<(String, Known)> {
    let (host, port) = own.host_and_port();
    let mut found: Vec<(String, Known)> = Vec::new();
    let mut add = |authority: String, mistake: Known| {
        let is_new = authority != own.authority && found.iter().all(|(known, _)| *known != authority);
        if is_new && found.len() < MAX_HOSTS {
            found.push((authority, mistake));
        }
    };
    let mut ports = vec!["443".to_owned(), "80".to_owned()];
    ports.extend(one(case, "x-forwarded-port").filter(|text| text.bytes().all(|b| b.is_ascii_digit())));
    if port.is_some() {
        add(host.to_owned(), Known::UrlPort(None));
    }
    for port in &ports {
        add(format!("{host}:{port}"), Known::UrlPort(Some(port.clone())));
    }
    let forwarded = one(case, "forwarded").and_then(|text| {
        let parts = text.split([';', ',']).filter_map(|part| part.trim().split_once('='));
        let mut hosts = parts.filter(|(name, _)| name.eq_ignore_ascii_case("host"));
        hosts.next().map(|(_, host)| host.trim_matches('"').to_owned())
    });
    let named = HOSTS.iter().filter_map(|name| one(case, name)).chain(forwarded);
    for text in named.flat_map(|text| text.split(',').map(|host| host.trim().to_owned()).collect::<Vec<_>>()) {
        let is_host = !text.is_empty()
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_'));
        if !is_host {
            continue;
        }
        let without = text.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let bare = without.map_or(text.as_str(), |(host, _)| host).to_owned();
        add(text.clone(), Known::UrlHost(text.clone()));
        add(bare.clone(), Known::UrlHost(bare.clone()));
        for port in &ports {
            add(format!("{bare}:{port}"), Known::UrlHost(format!("{bare}:{port}")));
        }
    }
    found
}

/// Other targets, each with the mistake that it is.
fn targets(case: &Trials<'_>, own: &Url) -> Vec<(String, Known)> {
    let (path, query) = (own.path(), own.query());
    let whole = |path: &str| query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut all = Vec::new();
    match path.strip_suffix('/') {
        Some(without) => all.push((whole(without), Known::UrlSlash { is_signed: false })),
        None => all.push((whole(&format!("{path}/")), Known::UrlSlash { is_signed: true })),
    }
    if query.is_some() {
        all.push((path.to_owned(), Known::UrlQueryNotSigned));
    }
    for name in TARGETS {
        // Some write a whole URL there.
        let Some(text) = one(case, name) else { continue };
        let target = text
            .split_once("://")
            .map_or(text.as_str(), |(_, rest)| rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"));
        let shown = target.split_once('?').map_or(target, |(path, _)| path).to_owned();
        if target.starts_with('/') {
            all.push((target.to_owned(), Known::UrlPath(shown.clone())));
            all.push((whole(&shown), Known::UrlPath(shown)));
        }
    }
    if let Some(prefix) = one(case, "x-forwarded-prefix") {
        let prefixed = format!("{}{path}", prefix.trim_end_matches('/'));
        all.push((whole(&prefixed), Known::UrlPath(prefixed)));
    }
    // A `public_url` with a path of its own, and another one received.
    all.push((case.head.target().to_owned(), Known::UrlPath(case.head.path().to_owned())));
    let plain = |byte: u8| {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    let lower = |byte: u8| format!("%{byte:02x}");
    let encoded = |text: &str, manner| {
        text.split_inclusive(['/', '&', '=', '+', '%', ':']).fold(String::new(), |out, piece| {
            let at = piece.len() - usize::from(piece.ends_with(['/', '&', '=', '+', '%', ':']));
            let (inner, end) = piece.split_at_checked(at).unwrap_or((piece, ""));
            out + &encode(inner.as_bytes(), manner) + end
        })
    };
    let mut forms = vec![rewrite(&own.target, plain), rewrite(&own.target, lower)];
    forms.extend(String::from_utf8(decode(own.target.as_bytes(), false)));
    forms.extend(query.map(|query| format!("{path}?{}", query.replace('+', "%20"))));
    forms.extend(query.map(|query| format!("{path}?{}", query.replace("%20", "+"))));
    forms.extend(MANNERS.get(2).map(|manner| {
        let query = query.map(|query| format!("?{}", encoded(query, *manner))).unwrap_or_default();
        encoded(path, *manner) + &query
    }));
    all.extend(forms.into_iter().map(|form| (form, Known::UrlEncoding)));
    let mut found: Vec<(String, Known)> = Vec::new();
    for (target, mistake) in all {
        if target != own.target && found.iter().all(|(known, _)| *known != target) && found.len() < MAX_TARGETS {
            found.push((target, mistake));
        }
    }
    found
}

/// The one value under a header, where it is visible ASCII.
fn one(case: &Trials<'_>, name: &str) -> Option<String> {
    let Found::One(value) = case.head.find(&FieldName::new(name)?) else { return None };
    let text = std::str::from_utf8(value).ok()?;
    (!text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~'))).then(|| text.to_owned())
}

/// The secret with which a case of this URL holds.
fn with(case: &Trials<'_>, url: &Url) -> Option<Arc<str>> {
    let lines = || case.head.lines();
    let origin = format!("{}://{}", url.scheme, url.authority);
    if let Ok(head) = Head::from_parts(case.head.method(), &url.target, lines()) {
        return case.proves(&Changed { head: &head, public_url: Some(origin), ..case.as_is() });
    }
    // No request has such a target, but what is signed may: a URL with a path is taken as written.
    let written = url.target.starts_with('/').then(|| format!("{origin}{}", url.target))?;
    let head = Head::from_parts(case.head.method(), "/", lines()).ok()?;
    case.proves(&Changed { head: &head, public_url: Some(written), ..case.as_is() })
}
