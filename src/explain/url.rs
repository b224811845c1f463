//! Mistakes made with the signed URL: scheme, host, port, path, query, percent-encoding, and the
//! changes of proxies.
//!
//! The host may come from the capture's `Host` and `X-Forwarded-…` lines here, since a signature
//! must confirm it. At most 20 hosts and ports, 2 schemes and 16 targets are combined.

use std::sync::Arc;

use super::messages;
use super::mistake::{Finding, Mistake, found};
use super::trials::{Changed, Trials};
use crate::notation::percent::{MANNERS, decode, encode, rewrite};
use crate::scheme::{Part, PublicUrl};
use crate::wire::head::{FieldName, Found, Head};

const MAX_HOSTS: usize = 20;
const MAX_TARGETS: usize = 16;

/// The headers in which proxies write the host that they were asked for.
const HOSTS: [&str; 4] = [
    "x-forwarded-host",
    "x-original-host",
    "x-forwarded-server",
    "host",
];

/// The headers in which proxies write the target that they were asked for.
const TARGETS: [&str; 5] = [
    "x-original-uri",
    "x-original-url",
    "x-forwarded-uri",
    "x-rewrite-url",
    "x-envoy-original-path",
];

/// The fix for a `public_url` that is not the provider's URL.
const WRITE_PUBLIC_URL: &str = "Set `public_url` of the route to the endpoint exactly as the \
                                provider has it, or correct it at the provider; offline, give it \
                                with `--url`.";

/// A URL in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Url {
    scheme: String,
    authority: String,
    target: String,
}

impl Url {
    /// The URL that the case is judged with now, or the best guess if no `public_url` is
    /// configured.
    fn of(case: &Trials<'_>) -> Option<Self> {
        let configured = case.settings.public_url.as_deref().unwrap_or("https://");
        let mut text = Vec::new();
        PublicUrl::new(configured).write(case.head.target(), &mut text);
        let text = String::from_utf8(text).ok()?;
        let (scheme, rest) = text.split_once("://")?;
        let at = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, target) = rest.split_at_checked(at)?;
        let authority = if authority.is_empty() {
            case.head.host().unwrap_or("localhost")
        } else {
            authority
        };
        Some(Self {
            scheme: scheme.to_owned(),
            authority: authority.to_owned(),
            target: target.to_owned(),
        })
    }

    fn other_scheme(&self) -> &'static str {
        if self.scheme == "https" {
            "http"
        } else {
            "https"
        }
    }

    fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(self.target.as_str(), |(path, _)| path)
    }

    fn query(&self) -> Option<&str> {
        self.target.split_once('?').map(|(_, query)| query)
    }

    /// Another path with the same query.
    fn with_path(&self, path: &str) -> String {
        self.query()
            .map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"))
    }

    /// Host and port. The brackets of IPv6 stay with the host.
    fn host_and_port(&self) -> (&str, Option<&str>) {
        match self.authority.rsplit_once(':') {
            Some((host, port)) if !port.is_empty() && is_number(port) => (host, Some(port)),
            _ => (&self.authority, None),
        }
    }
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Other values for a part of the URL, each once, with the mistakes that they would be.
struct Others<'u> {
    own: &'u str,
    most: usize,
    all: Vec<(String, Mistake)>,
}

impl<'u> Others<'u> {
    fn new(own: &'u str, most: usize) -> Self {
        Self {
            own,
            most,
            all: Vec::new(),
        }
    }

    fn add(&mut self, value: String, mistake: Mistake) {
        let is_new = value != self.own && self.all.iter().all(|(known, _)| *known != value);
        if is_new && self.all.len() < self.most {
            self.all.push((value, mistake));
        }
    }
}

/// Whether the sender signs the URL or a part of it.
fn is_signed(case: &Trials<'_>) -> bool {
    signs_host(case)
        || messages::covered(case)
            .iter()
            .any(|name| name.starts_with('@'))
        || case
            .scheme
            .parts()
            .iter()
            .any(|part| matches!(part, Part::Path | Part::Query))
}

/// Whether the sender signs the host: as part of the URL, or as a component that the message names.
fn signs_host(case: &Trials<'_>) -> bool {
    let of_host = ["@authority", "@target-uri", "@scheme"];
    let covered = messages::covered(case);
    case.scheme.signs_url() || covered.iter().any(|name| of_host.contains(&name.as_str()))
}

/// The signed URL differs in its scheme, its authority or its target.
pub(super) fn one_thing(case: &Trials<'_>) -> Option<Finding> {
    let own = is_signed(case).then(|| Url::of(case))??;
    let in_scheme = || {
        let scheme = own.other_scheme();
        found(
            with(
                case,
                &Url {
                    scheme: scheme.to_owned(),
                    ..own.clone()
                },
            ),
            || {
                Mistake::new(
                    "url_scheme",
                    format!("The signed URL begins with `{scheme}://`."),
                    WRITE_PUBLIC_URL,
                )
            },
        )
    };
    let in_authority = || {
        authorities(case, &own)
            .into_iter()
            .find_map(|(authority, mistake)| {
                found(
                    with(
                        case,
                        &Url {
                            authority,
                            ..own.clone()
                        },
                    ),
                    || mistake,
                )
            })
    };
    let in_target = || {
        targets(case, &own)
            .into_iter()
            .find_map(|(target, mistake)| {
                found(
                    with(
                        case,
                        &Url {
                            target,
                            ..own.clone()
                        },
                    ),
                    || mistake,
                )
            })
    };
    if signs_host(case) {
        in_scheme().or_else(in_authority).or_else(in_target)
    } else {
        in_target()
    }
}

/// The signed URL differs in several parts, as behind a proxy that the configuration does not know
/// of.
pub(super) fn several_things(case: &Trials<'_>) -> Option<Finding> {
    let own = signs_host(case).then(|| Url::of(case))??;
    let mut hosts = vec![own.authority.clone()];
    hosts.extend(
        authorities(case, &own)
            .into_iter()
            .map(|(authority, _)| authority),
    );
    let mut paths = vec![own.target.clone()];
    paths.extend(targets(case, &own).into_iter().map(|(target, _)| target));
    [own.scheme.as_str(), own.other_scheme()]
        .into_iter()
        .find_map(|scheme| {
            hosts.iter().find_map(|authority| {
                paths.iter().find_map(|target| {
                    let url = Url {
                        scheme: scheme.to_owned(),
                        authority: authority.clone(),
                        target: target.clone(),
                    };
                    found(with(case, &url), || {
                        let shown = format!("{}://{}{}", url.scheme, url.authority, url.path());
                        let sentence =
                            format!("The signed URL is `{shown}` (its query is left out here).");
                        Mistake::new("url_other", sentence, WRITE_PUBLIC_URL)
                    })
                })
            })
        })
}

/// Other hosts and ports.
fn authorities(case: &Trials<'_>, own: &Url) -> Vec<(String, Mistake)> {
    let (host, port) = own.host_and_port();
    let mut others = Others::new(&own.authority, MAX_HOSTS);
    let mut ports = vec!["443".to_owned(), "80".to_owned()];
    ports.extend(one(case, "x-forwarded-port").filter(|text| is_number(text)));
    if port.is_some() {
        let mistake = Mistake::new(
            "url_port",
            "The signed URL names no port.",
            WRITE_PUBLIC_URL,
        );
        others.add(host.to_owned(), mistake);
    }
    for port in &ports {
        let sentence = format!("The signed URL has the port `:{port}` written out.");
        others.add(
            format!("{host}:{port}"),
            Mistake::new("url_port", sentence, WRITE_PUBLIC_URL),
        );
    }
    let mut add_host = |host: String| {
        let sentence = format!("The signed URL has the host `{host}`.");
        others.add(host, Mistake::new("url_host", sentence, WRITE_PUBLIC_URL));
    };
    for text in named_hosts(case) {
        let without = text.rsplit_once(':').filter(|(_, port)| is_number(port));
        let bare = without.map_or(text.as_str(), |(host, _)| host).to_owned();
        add_host(text);
        add_host(bare.clone());
        for port in &ports {
            add_host(format!("{bare}:{port}"));
        }
    }
    others.all
}

/// The hosts that the headers of proxies name.
fn named_hosts(case: &Trials<'_>) -> Vec<String> {
    let forwarded = one(case, "forwarded").and_then(|text| {
        let parts = text
            .split([';', ','])
            .filter_map(|part| part.trim().split_once('='));
        let mut hosts = parts.filter(|(name, _)| name.eq_ignore_ascii_case("host"));
        hosts
            .next()
            .map(|(_, host)| host.trim_matches('"').to_owned())
    });
    let named = HOSTS
        .iter()
        .filter_map(|name| one(case, name))
        .chain(forwarded);
    let hosts = named.flat_map(|text| {
        text.split(',')
            .map(|host| host.trim().to_owned())
            .collect::<Vec<_>>()
    });
    let is_of_host =
        |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':' | b'[' | b']' | b'_');
    hosts
        .filter(|host| !host.is_empty() && host.bytes().all(is_of_host))
        .collect()
}

/// Other paths and queries.
fn targets(case: &Trials<'_>, own: &Url) -> Vec<(String, Mistake)> {
    let path = own.path();
    let mut others = Others::new(&own.target, MAX_TARGETS);
    let (other, sentence) = match path.strip_suffix('/') {
        Some(without) => (
            without.to_owned(),
            "The path of the signed URL does not end in a slash.",
        ),
        None => (
            format!("{path}/"),
            "The path of the signed URL ends in a slash.",
        ),
    };
    others.add(
        own.with_path(&other),
        Mistake::new("url_slash", sentence, WRITE_PUBLIC_URL),
    );
    if own.query().is_some() {
        let sentence = "The URL was signed without its query.";
        let fix = "Leave the query out of the URL that the provider calls, or out of the signed \
                   content.";
        others.add(
            path.to_owned(),
            Mistake::new("url_query_not_signed", sentence, fix),
        );
    }
    let other_path = |path: &str| {
        let sentence = format!("The signed URL has the path `{path}`, which a proxy changed.");
        Mistake::new("url_path", sentence, WRITE_PUBLIC_URL)
    };
    for target in TARGETS
        .into_iter()
        .filter_map(|name| named_target(case, name))
    {
        let path = target
            .split_once('?')
            .map_or(target.as_str(), |(path, _)| path);
        others.add(target.clone(), other_path(path));
        others.add(own.with_path(path), other_path(path));
    }
    if let Some(prefix) = one(case, "x-forwarded-prefix") {
        let prefixed = format!("{}{path}", prefix.trim_end_matches('/'));
        others.add(own.with_path(&prefixed), other_path(&prefixed));
    }
    // The `public_url` may have a path of its own, and the received path may be the right one.
    others.add(case.head.target().to_owned(), other_path(case.head.path()));
    for target in respelled(own) {
        let sentence = "The signed URL has other percent escapes than the received one.";
        let fix = "Have every proxy pass on the target unchanged, or register the URL without \
                   escapes.";
        others.add(target, Mistake::new("url_encoding", sentence, fix));
    }
    others.all
}

/// The target that a proxy's header names. Some write a whole URL there.
fn named_target(case: &Trials<'_>, header: &str) -> Option<String> {
    let text = one(case, header)?;
    let target = match text.split_once("://") {
        Some((_, rest)) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or("/"),
        None => &text,
    };
    target.starts_with('/').then(|| target.to_owned())
}

/// The target with other percent escapes, as proxies and libraries write them.
fn respelled(own: &Url) -> Vec<String> {
    let (path, query) = (own.path(), own.query());
    let plain = |byte: u8| {
        let is_plain = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        if is_plain {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    };
    let lower = |byte: u8| format!("%{byte:02x}");
    let encoded = |text: &str, manner| {
        text.split_inclusive(['/', '&', '=', '+', '%', ':'])
            .fold(String::new(), |out, piece| {
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
        let query = query
            .map(|query| format!("?{}", encoded(query, *manner)))
            .unwrap_or_default();
        encoded(path, *manner) + &query
    }));
    forms
}

/// The value of a header that is there once, if it is visible ASCII.
fn one(case: &Trials<'_>, name: &str) -> Option<String> {
    let Found::One(value) = case.head.find(&FieldName::new(name)?) else {
        return None;
    };
    let text = std::str::from_utf8(value).ok()?;
    (!text.is_empty() && text.bytes().all(|byte| matches!(byte, b' '..=b'~')))
        .then(|| text.to_owned())
}

/// The secret with which a case of this URL holds.
fn with(case: &Trials<'_>, url: &Url) -> Option<Arc<str>> {
    let lines = || case.head.lines();
    let origin = format!("{}://{}", url.scheme, url.authority);
    if let Ok(head) = Head::from_parts(case.head.method(), &url.target, lines()) {
        return case.proves(&Changed {
            head: &head,
            public_url: Some(origin),
            ..case.as_is()
        });
    }
    // No request has such a target, but a sender may sign it: a URL with a path is taken as
    // written.
    let written = url
        .target
        .starts_with('/')
        .then(|| format!("{origin}{}", url.target))?;
    let head = Head::from_parts(case.head.method(), "/", lines()).ok()?;
    case.proves(&Changed {
        head: &head,
        public_url: Some(written),
        ..case.as_is()
    })
}
