//! The spellings in which Twilio may have signed the URL of a delivery (the provider's own
//! libraries, `twilio` 9.13.0 for Python and 6.2.0 for Node).
//!
//! The libraries try the URL as received, the URL as `new URL()` of JavaScript writes it, and that
//! URL with its query taken apart and put together by Node's old `querystring`; each with and
//! without its port, since Twilio's own systems differ in all this. No other spelling is tried.
//!
//! No spelling changes the path, which a route matches byte for byte, and none moves a byte over a
//! border: the query is taken apart as an app takes it apart, and its separators stay escaped in
//! names and values. So whoever spells the query of a captured delivery in another way changes
//! nothing that an app reads in it. A query that libraries take apart in different ways (a broken
//! escape, bytes that are not UTF-8, very many parameters) is tried only as it is.

use std::collections::HashMap;

use crate::notation::form;
use crate::notation::percent;
use crate::providers::reading;
use crate::scheme::PublicUrl;
use crate::verdict::Refusal;

/// The most spellings of a URL: as received, with and without the slash of an empty path; as
/// written by `new URL()`; and with its query put together anew. Each has two spellings of the port.
pub(super) const MOST: usize = 8;

/// The most parameters that Node's `querystring` reads.
const MAX_PARAMETERS: usize = 1000;

/// The spellings of a URL.
#[derive(Debug)]
pub(super) struct Spellings {
    /// The URL as received, without its port: as Twilio signs it today.
    pub(super) received: Vec<u8>,
    /// All spellings, each once. The first is the same for whichever of them is received: it
    /// represents the delivery in replay protection.
    pub(super) all: Vec<Vec<u8>>,
}

impl Spellings {
    /// The spellings of the URL for this target.
    ///
    /// # Errors
    /// `malformed_signature` where the route has no `public_url`.
    pub(super) fn of(public_url: Option<&PublicUrl>, target: &str) -> Result<Self, Refusal> {
        let urls = reading::urls(public_url, target)?;
        let normal = normalised(urls.first().map_or(&[][..], Vec::as_slice));
        let candidates = joined_anew(&normal)
            .into_iter()
            .chain([normal])
            .chain(urls.iter().cloned());
        let mut all: Vec<Vec<u8>> = Vec::with_capacity(MOST);
        for url in candidates.flat_map(|url| ports(&url)) {
            if !all.contains(&url) {
                all.push(url);
            }
        }
        let received = urls.first().map(|url| {
            let [without, _] = ports(url);
            without
        });
        Ok(Self {
            received: received.unwrap_or_default(),
            all,
        })
    }
}

/// The URL without a port, and the URL with a port: its own, or the default port of its scheme.
pub(super) fn ports(url: &[u8]) -> [Vec<u8>; 2] {
    let Parts {
        scheme,
        name,
        port,
        rest,
    } = Parts::of(url);
    let given = match port {
        b"" => default_port(scheme),
        given => given,
    };
    [
        [scheme, name, rest].concat(),
        [scheme, name, given, rest].concat(),
    ]
}

/// The URL as `new URL()` of JavaScript writes it, as far as a configured URL and a received target
/// can differ from that (WHATWG URL 4.4): the host in lower case, no default port, at least a slash
/// for the path, and `%27` for an apostrophe in the query.
fn normalised(url: &[u8]) -> Vec<u8> {
    let Parts {
        scheme,
        name,
        port,
        rest,
    } = Parts::of(url);
    let mut out = scheme.to_ascii_lowercase();
    out.extend(name.to_ascii_lowercase());
    if port != default_port(scheme) {
        out.extend_from_slice(port);
    }
    if rest.first() != Some(&b'/') {
        out.push(b'/');
    }
    let query = memchr::memchr(b'?', rest).unwrap_or(rest.len());
    for (at, byte) in rest.iter().enumerate() {
        if *byte == b'\'' && at > query {
            out.extend_from_slice(b"%27");
        } else {
            out.push(*byte);
        }
    }
    out
}

/// The URL with its query taken apart and put together anew, as Node's `querystring` does it. `None`
/// where there is no query, and where libraries would take it apart in different ways.
fn joined_anew(url: &[u8]) -> Option<Vec<u8>> {
    let at = memchr::memchr(b'?', url)?;
    let (front, query) = url.split_at_checked(at + 1)?;
    if query.is_empty() {
        return None;
    }
    let pairs = form::pairs(query).filter(|pairs| pairs.len() <= MAX_PARAMETERS)?;
    // Values of the same name come together, where that name comes first. JavaScript orders the
    // names of an object: numbers come before all others.
    let mut firsts: HashMap<&[u8], usize> = HashMap::new();
    let mut placed = Vec::with_capacity(pairs.len());
    for (at, (name, value)) in pairs.iter().enumerate() {
        std::str::from_utf8(name).ok()?;
        std::str::from_utf8(value).ok()?;
        let first = *firsts.entry(name).or_insert(at);
        let place = array_index(name).map_or((u32::MAX, first), |index| (index, 0));
        placed.push((place, name, value));
    }
    placed.sort_by_key(|(place, ..)| *place);
    let mut out = front.to_vec();
    for (_, name, value) in placed {
        if out.len() > front.len() {
            out.push(b'&');
        }
        out.extend(percent::encode(name, percent::COMPONENT).into_bytes());
        out.push(b'=');
        out.extend(percent::encode(value, percent::COMPONENT).into_bytes());
    }
    Some(out)
}

/// The number that JavaScript takes this name for, if it takes it for the index of an array.
fn array_index(name: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(name).ok()?;
    let is_plain = text == "0" || (!text.starts_with('0') && !text.starts_with('+'));
    is_plain
        .then(|| text.parse().ok())
        .flatten()
        .filter(|index| *index < u32::MAX)
}

fn default_port(scheme: &[u8]) -> &'static [u8] {
    if scheme.eq_ignore_ascii_case(b"https://") {
        b":443"
    } else {
        b":80"
    }
}

/// A URL, taken apart at its port.
struct Parts<'u> {
    /// The scheme with `://`.
    scheme: &'u [u8],
    /// The host, and the user in front of it if there is one.
    name: &'u [u8],
    /// The port with its colon, or nothing.
    port: &'u [u8],
    /// Path and query.
    rest: &'u [u8],
}

impl<'u> Parts<'u> {
    fn of(url: &'u [u8]) -> Self {
        let start = memchr::memmem::find(url, b"://").map_or(0, |at| at + 3);
        let (scheme, behind) = url.split_at_checked(start).unwrap_or((b"", url));
        let end = behind
            .iter()
            .position(|byte| matches!(byte, b'/' | b'?' | b'#'))
            .unwrap_or(behind.len());
        let (authority, rest) = behind.split_at_checked(end).unwrap_or((behind, b""));
        let host = authority
            .iter()
            .rposition(|byte| matches!(byte, b'@' | b']'))
            .map_or(0, |at| at + 1);
        let port = authority
            .iter()
            .skip(host)
            .position(|byte| *byte == b':')
            .map_or(authority.len(), |at| host + at);
        let (name, port) = authority.split_at_checked(port).unwrap_or((authority, b""));
        Self {
            scheme,
            name,
            port,
            rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(origin: &str, target: &str) -> Vec<String> {
        let urls = Spellings::of(Some(&PublicUrl::new(origin)), target).unwrap();
        let text = |url| String::from_utf8(url).unwrap();
        urls.all.into_iter().map(text).collect()
    }

    // The strings that the provider's Node library, 6.2.0, compares for each URL. The library puts no
    // URL without a slash for an empty path together; that is a spelling of ours.
    #[test]
    fn the_spellings_are_those_of_the_provider_s_library() {
        let rows: &[(&str, &str, &[&str])] = &[
            (
                "https://hooks.example.com",
                "/t",
                &[
                    "https://hooks.example.com/t",
                    "https://hooks.example.com:443/t",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?Caller=sip:1234@192.0.2.1",
                &[
                    "https://hooks.example.com/t?Caller=sip:1234@192.0.2.1",
                    "https://hooks.example.com:443/t?Caller=sip:1234@192.0.2.1",
                    "https://hooks.example.com/t?Caller=sip%3A1234%40192.0.2.1",
                    "https://hooks.example.com:443/t?Caller=sip%3A1234%40192.0.2.1",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?Caller=O%27Brien",
                &[
                    "https://hooks.example.com/t?Caller=O%27Brien",
                    "https://hooks.example.com:443/t?Caller=O%27Brien",
                    "https://hooks.example.com/t?Caller=O'Brien",
                    "https://hooks.example.com:443/t?Caller=O'Brien",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?Caller=O'Brien",
                &[
                    "https://hooks.example.com/t?Caller=O'Brien",
                    "https://hooks.example.com:443/t?Caller=O'Brien",
                    "https://hooks.example.com/t?Caller=O%27Brien",
                    "https://hooks.example.com:443/t?Caller=O%27Brien",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?Caller=a+b",
                &[
                    "https://hooks.example.com/t?Caller=a+b",
                    "https://hooks.example.com:443/t?Caller=a+b",
                    "https://hooks.example.com/t?Caller=a%20b",
                    "https://hooks.example.com:443/t?Caller=a%20b",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?Caller=a%20b",
                &[
                    "https://hooks.example.com/t?Caller=a%20b",
                    "https://hooks.example.com:443/t?Caller=a%20b",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?b=1&a=2&b=3",
                &[
                    "https://hooks.example.com/t?b=1&a=2&b=3",
                    "https://hooks.example.com:443/t?b=1&a=2&b=3",
                    "https://hooks.example.com/t?b=1&b=3&a=2",
                    "https://hooks.example.com:443/t?b=1&b=3&a=2",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?10=a&b=1&2=c&02=d&0=e",
                &[
                    "https://hooks.example.com/t?10=a&b=1&2=c&02=d&0=e",
                    "https://hooks.example.com:443/t?10=a&b=1&2=c&02=d&0=e",
                    "https://hooks.example.com/t?0=e&2=c&10=a&b=1&02=d",
                    "https://hooks.example.com:443/t?0=e&2=c&10=a&b=1&02=d",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?a&&b=&=c&",
                &[
                    "https://hooks.example.com/t?a&&b=&=c&",
                    "https://hooks.example.com:443/t?a&&b=&=c&",
                    "https://hooks.example.com/t?a=&b=&=c",
                    "https://hooks.example.com:443/t?a=&b=&=c",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?",
                &[
                    "https://hooks.example.com/t?",
                    "https://hooks.example.com:443/t?",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?x[]=1&y={z}|`^\\",
                &[
                    "https://hooks.example.com/t?x[]=1&y={z}|`^\\",
                    "https://hooks.example.com:443/t?x[]=1&y={z}|`^\\",
                    "https://hooks.example.com/t?x%5B%5D=1&y=%7Bz%7D%7C%60%5E%5C",
                    "https://hooks.example.com:443/t?x%5B%5D=1&y=%7Bz%7D%7C%60%5E%5C",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?a=%c3%a9&b=%7e%21*()",
                &[
                    "https://hooks.example.com/t?a=%c3%a9&b=%7e%21*()",
                    "https://hooks.example.com:443/t?a=%c3%a9&b=%7e%21*()",
                    "https://hooks.example.com/t?a=%C3%A9&b=~!*()",
                    "https://hooks.example.com:443/t?a=%C3%A9&b=~!*()",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?a=b=c==d?e/f",
                &[
                    "https://hooks.example.com/t?a=b=c==d?e/f",
                    "https://hooks.example.com:443/t?a=b=c==d?e/f",
                    "https://hooks.example.com/t?a=b%3Dc%3D%3Dd%3Fe%2Ff",
                    "https://hooks.example.com:443/t?a=b%3Dc%3D%3Dd%3Fe%2Ff",
                ],
            ),
            (
                "https://Hooks.Example.com:443",
                "/t?a=1",
                &[
                    "https://Hooks.Example.com/t?a=1",
                    "https://Hooks.Example.com:443/t?a=1",
                    "https://hooks.example.com/t?a=1",
                    "https://hooks.example.com:443/t?a=1",
                ],
            ),
            (
                "http://hooks.example.com:8080",
                "/t?a=1",
                &[
                    "http://hooks.example.com/t?a=1",
                    "http://hooks.example.com:8080/t?a=1",
                ],
            ),
            (
                "https://hooks.example.com",
                "/it's?a='",
                &[
                    "https://hooks.example.com/it's?a='",
                    "https://hooks.example.com:443/it's?a='",
                    "https://hooks.example.com/it's?a=%27",
                    "https://hooks.example.com:443/it's?a=%27",
                ],
            ),
            (
                "https://hooks.example.com",
                "/t?a=%00%0a%26%3d%25%2b",
                &[
                    "https://hooks.example.com/t?a=%00%0a%26%3d%25%2b",
                    "https://hooks.example.com:443/t?a=%00%0a%26%3d%25%2b",
                    "https://hooks.example.com/t?a=%00%0A%26%3D%25%2B",
                    "https://hooks.example.com:443/t?a=%00%0A%26%3D%25%2B",
                ],
            ),
        ];
        let mut wrong = Vec::new();
        for (origin, target, expected) in rows {
            let mut expected: Vec<String> = expected.iter().map(|url| (*url).to_owned()).collect();
            let mut found = all(origin, target);
            expected.sort();
            found.sort();
            if found != expected {
                wrong.push((target, found, expected));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn a_query_that_libraries_read_in_different_ways_is_tried_as_it_is() {
        let many = format!("/t?{}", "a&".repeat(1001));
        for target in ["/t?a=%zz+", "/t?a=%ff+", "/t?%c3=+", many.as_str()] {
            assert_eq!(all("https://a.example", target).len(), 2, "{target}");
        }
    }

    #[test]
    fn an_empty_path_may_be_signed_with_its_slash_and_without() {
        let found = all("https://A.example", "/?a='+");
        assert_eq!(found.len(), MOST);
        for url in [
            "https://a.example/?a='%20",
            "https://a.example/?a=%27+",
            "https://A.example/?a='+",
            "https://A.example:443?a='+",
        ] {
            assert!(found.iter().any(|found| found == url), "{url}");
        }
    }

    /// Pieces of a query, some of them equal when they are decoded.
    fn query() -> impl Strategy<Value = String> {
        let piece = "(a|b|1|%61|'|%27|\\+|%20|=|&|%26|%3[dD]|%2[bB]|%c3%a9|%C3%A9|%ff|%zz|\\[|~|/|\\?){0,12}";
        piece.prop_map(|text| text)
    }

    /// The parameters that an app reads, those of each name in their order.
    fn parameters(query: &str) -> Option<std::collections::BTreeMap<Vec<u8>, Vec<Vec<u8>>>> {
        let mut found = std::collections::BTreeMap::<_, Vec<_>>::new();
        for (name, value) in form::pairs(query.as_bytes())? {
            found.entry(name).or_default().push(value);
        }
        Some(found)
    }

    proptest! {
        #[test]
        fn spellings_are_few_and_an_app_reads_the_same_in_each(
            origin in "https://([aA]|\\[::1\\])(:443|:8443)?", path in "/(x'y)?", query in query(),
        ) {
            let target = format!("{path}?{query}");
            let found = all(&origin, &target);
            prop_assert!(found.len() <= MOST, "{found:?}");
            for url in &found {
                let (front, spelled) = url.split_once('?').unwrap();
                prop_assert!(front.ends_with(&path) || path == "/", "{url}");
                if parameters(&query).is_some() {
                    prop_assert_eq!(parameters(spelled), parameters(&query), "{}", url);
                } else {
                    let kept = spelled.replace('\'', "%27");
                    prop_assert_eq!(kept, query.replace('\'', "%27"), "{}", url);
                }
            }
        }

        #[test]
        fn every_spelling_that_is_received_leads_to_the_same_first(query in query()) {
            let origin = "https://hooks.example.com";
            let found = all(origin, &format!("/t?{query}"));
            for spelled in &found {
                let target = spelled.strip_prefix(origin).unwrap();
                if let Some(target) = target.strip_prefix(":443").or(Some(target)) {
                    prop_assert_eq!(&all(origin, target)[0], &found[0], "{}", spelled);
                }
            }
        }
    }
}
