//! What the name of a header, or of a parameter, says about its value.

/// How far a value is trusted to be no credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// The name speaks of proof or access.
    Nothing,
    /// The name says nothing of the kind.
    Little,
    /// The value is text for people, or a part of a path: it is hardly ever a credential, but it may
    /// hold one.
    Words,
    /// The name says id.
    Id,
    /// The value has a meaning in HTTP.
    Grammar,
}

/// Parts of names that speak of proof or access, wherever they are in the name.
const SECRET_PARTS: &[&str] = &[
    "sig",
    "auth",
    "token",
    "secret",
    "cookie",
    "key",
    "jwt",
    "hmac",
    "hash",
    "digest",
    "verif",
    "pass",
    "credential",
    "session",
    "bearer",
    "challenge",
];

/// Words that speak of proof or access if they are whole words of a name.
const SECRET_WORDS: &[&str] = &[
    "psk",
    "pin",
    "pincode",
    "pwd",
    "pw",
    "pwds",
    "otp",
    "totp",
    "hotp",
    "mfa",
    "tfa",
    "sid",
    "csrf",
    "xsrf",
    "mac",
    "access",
    "security",
    "private",
    "priv",
    "seed",
    "salt",
    "phrase",
    "sso",
    "saml",
    "oidc",
    "ticket",
    "assertion",
    "proof",
    "capability",
    "license",
    "licence",
    "cipher",
    "basic",
    "knock",
    "login",
    "nonce",
    "cred",
    "creds",
    "sas",
    "magic",
    "invite",
];

/// Ends of words that speak of proof or access, as in `x-userpin`.
const SECRET_ENDS: &[&str] = &["psk", "pwd", "otp", "pin"];

/// What a code is of, where it is no secret.
const PLAIN_CODES: &[&str] = &[
    "area", "country", "currency", "error", "event", "language", "lang", "postal", "reason",
    "region", "response", "result", "state", "status", "type", "zip",
];

/// Words in front of `key` or `token` that make an id of it.
const NAMES_OF_IDS: &[&str] = &[
    "idempotency",
    "idempotent",
    "event",
    "dedupe",
    "deduplication",
    "retry",
];

/// Last words of names that say id.
const IDS: &[&str] = &[
    "id",
    "ids",
    "uuid",
    "guid",
    "identifier",
    "delivery",
    "ray",
    "arn",
];

/// Words that say id anywhere in a name.
const TRACES: &[&str] = &[
    "idempotency",
    "trace",
    "traceparent",
    "tracestate",
    "traceid",
    "spanid",
    "span",
    "correlation",
];

/// What an id is of, where both are written as a single word: HTTP/2 has no capitals in names.
const OWNERS: &[&str] = &[
    "account",
    "app",
    "attempt",
    "batch",
    "client",
    "correlation",
    "customer",
    "delivery",
    "event",
    "hook",
    "installation",
    "invocation",
    "message",
    "notification",
    "object",
    "order",
    "org",
    "organization",
    "project",
    "request",
    "resource",
    "shop",
    "store",
    "subscription",
    "tenant",
    "transaction",
    "transmission",
    "user",
    "webhook",
];

/// Last words of names that say time.
const TIMES: &[&str] = &["timestamp", "time", "date", "ts", "at"];

/// Headers to which HTTP, browsers or proxies give a meaning.
const GRAMMAR: &[&str] = &[
    "accept",
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "cache-control",
    "connection",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-length",
    "content-type",
    "date",
    "dnt",
    "expect",
    "forwarded",
    "host",
    "priority",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-forwarded-server",
];

/// Headers of text for people.
const WORDS: &[&str] = &["user-agent", "server", "x-powered-by"];

/// How far the value of a header with this name is trusted.
pub(super) fn trust(name: &str) -> Trust {
    let lower = name.to_ascii_lowercase();
    let words = words(name);
    let last = words.last().map(String::as_str).unwrap_or_default();
    if GRAMMAR.contains(&&*lower) {
        Trust::Grammar
    } else if WORDS.contains(&&*lower) {
        Trust::Words
    } else if speaks_of_proof(name) {
        Trust::Nothing
    } else if matches!(last, "ip" | "addr" | "address") {
        Trust::Grammar
    } else if says_id(&words) {
        Trust::Id
    } else {
        Trust::Little
    }
}

/// Whether the name of a header or of a parameter speaks of proof or access, so that its value is not
/// shown.
pub fn speaks_of_proof(name: &str) -> bool {
    let mut words = words(name);
    while let Some(at) = named_id(&words) {
        words.drain(at..=at + 1);
    }
    let joined = words.join("-");
    let is_secret_code = |(at, word): (usize, &String)| {
        let owner = at.checked_sub(1).and_then(|before| words.get(before));
        word == "code" && !owner.is_some_and(|owner| PLAIN_CODES.contains(&owner.as_str()))
    };
    SECRET_PARTS.iter().any(|part| joined.contains(part))
        || words.iter().any(|word| {
            SECRET_WORDS.contains(&word.as_str())
                || SECRET_ENDS.iter().any(|end| word.ends_with(end))
        })
        || words.iter().enumerate().any(is_secret_code)
}

/// Whether a name says time.
pub(super) fn says_time(name: &str) -> bool {
    words(name)
        .last()
        .is_some_and(|last| TIMES.contains(&last.as_str()))
}

fn says_id(words: &[String]) -> bool {
    let is_joined = |word: &str| {
        let ends = ["id", "uuid", "guid"].into_iter();
        ends.filter_map(|end| word.strip_suffix(end))
            .any(|owner| OWNERS.contains(&owner))
    };
    named_id(words).is_some()
        || words.iter().any(|word| TRACES.contains(&word.as_str()))
        || words
            .last()
            .is_some_and(|last| IDS.contains(&last.as_str()) || is_joined(last))
}

/// The place of two words that name an id, as `Idempotency-Key`.
fn named_id(words: &[String]) -> Option<usize> {
    words.windows(2).position(|pair| match pair {
        [owner, what] => {
            NAMES_OF_IDS.contains(&owner.as_str()) && matches!(what.as_str(), "key" | "token")
        }
        _ => false,
    })
}

/// The words of a name in lower case: letters between marks, digits, or a change from small letters
/// to capitals (`X-TraceId`).
fn words(name: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let mut before = ' ';
    for c in name.chars() {
        if c.is_ascii_alphabetic() {
            let goes_on = before.is_ascii_alphabetic()
                && !(before.is_ascii_lowercase() && c.is_ascii_uppercase());
            let small = c.to_ascii_lowercase();
            match words.last_mut() {
                Some(word) if goes_on => word.push(small),
                _ => words.push(small.to_string()),
            }
        }
        before = c;
    }
    words
}
