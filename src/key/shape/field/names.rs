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

/// Parts of names that speak of the proof of a delivery, wherever they are in the name. Such a proof
/// may have a time.
const PROOF_PARTS: &[&str] = &[
    "sig",
    "auth",
    "hmac",
    "hash",
    "digest",
    "verif",
    "challenge",
];

/// Words that speak of the proof of a delivery if they are whole words of a name.
const PROOF_WORDS: &[&str] = &["mac", "proof", "nonce"];

/// Parts of names that speak of access, wherever they are in the name.
const ACCESS_PARTS: &[&str] = &[
    "token",
    "secret",
    "cookie",
    "key",
    "jwt",
    "pass",
    "credential",
    "session",
    "bearer",
];

/// Words that speak of access if they are whole words of a name.
const ACCESS_WORDS: &[&str] = &[
    "psk",
    "pin",
    "pw",
    "pwds",
    "mfa",
    "tfa",
    "sid",
    "csrf",
    "xsrf",
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
    "capability",
    "license",
    "licence",
    "cipher",
    "basic",
    "knock",
    "login",
    "cred",
    "creds",
    "sas",
    "magic",
    "invite",
];

/// Beginnings of words that speak of access, as in `x-otpvalue`.
const ACCESS_STARTS: &[&str] = &["psk", "pwd", "otp", "totp", "hotp", "mfa"];

/// Ends of words that speak of access, as in `x-userpin`.
const ACCESS_ENDS: &[&str] = &["psk", "pwd", "otp", "pin"];

/// What a code is of, where it is no secret.
const PLAIN_CODES: &[&str] = &[
    "area", "bar", "country", "currency", "de", "en", "error", "event", "geo", "language", "lang",
    "op", "post", "postal", "qr", "reason", "region", "response", "result", "state", "status",
    "type", "uni", "zip",
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
    let words = without_ids(words(name));
    let joined = words.join("-");
    PROOF_PARTS.iter().any(|part| joined.contains(part))
        || words.iter().any(|word| PROOF_WORDS.contains(&&**word))
        || speaks_of_access(name)
}

/// Whether a name speaks of access.
pub(super) fn speaks_of_access(name: &str) -> bool {
    let words = without_ids(words(name));
    let joined = words.join("-");
    let is_access = |word: &String| {
        ACCESS_WORDS.contains(&&**word)
            || ACCESS_STARTS.iter().any(|start| word.starts_with(start))
            || ACCESS_ENDS.iter().any(|end| word.ends_with(end))
    };
    // A digit is part of no word.
    name.to_ascii_lowercase().contains("2fa")
        || ACCESS_PARTS.iter().any(|part| joined.contains(part))
        || words.iter().any(is_access)
        || has_secret_code(&words)
}

/// Whether a name has a code that is no plain one: `access-code`, `accesscode`, or `code` alone.
fn has_secret_code(words: &[String]) -> bool {
    let mut owners = words.iter().enumerate().filter_map(|(at, word)| {
        let owner = word.strip_suffix("code").or(word.strip_suffix("codes"))?;
        let before = at.checked_sub(1).and_then(|before| words.get(before));
        let before = before.map(String::as_str).unwrap_or_default();
        Some(if owner.is_empty() { before } else { owner })
    });
    owners.any(|owner| !PLAIN_CODES.contains(&owner))
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
    words
        .windows(2)
        .any(|pair| matches!(pair, [owner, what] if is_named_id(owner, what)))
        || words.iter().any(|word| TRACES.contains(&word.as_str()))
        || words
            .last()
            .is_some_and(|last| IDS.contains(&last.as_str()) || is_joined(last))
}

/// Whether two words name an id, as `Idempotency-Key`.
fn is_named_id(owner: &str, what: &str) -> bool {
    NAMES_OF_IDS.contains(&owner) && matches!(what, "key" | "token")
}

/// The words of a name without those that name an id.
fn without_ids(words: Vec<String>) -> Vec<String> {
    let mut others: Vec<String> = Vec::with_capacity(words.len());
    for word in words {
        match others.last() {
            Some(owner) if is_named_id(owner, &word) => {
                others.pop();
            }
            _ => others.push(word),
        }
    }
    others
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
