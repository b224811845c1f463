//! The parts of a text that could be a secret, wherever they are: in a message, a name, a path, a
//! line of a file (contract: Secrets).
//!
//! Values of keys that hold secrets are hidden by their place. This judgement is for all other
//! places, where a secret was pasted by mistake. It knows a secret by its beginning or by its
//! random look, so a password of plain words is not recognised.

mod finders;

use std::borrow::Cow;
use std::ops::Range;

use self::finders::{authorizations, is_duration, mixed, random, urls};

pub(super) use self::finders::{changes, class, marked, words};

/// The text shown in place of what is hidden: always the same, so that it does not give away a
/// length.
pub const MASK: &str = "********";

/// How much is taken for a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Suspicion {
    /// For values that are right at their place: what has the beginning of a secret, or is long and
    /// random.
    Plain,
    /// For values that are wrong at their place: short mixtures of letters and digits too.
    Strict,
}

/// The text with everything that could be a secret masked.
pub fn concealed(text: &str, suspicion: Suspicion) -> Cow<'_, str> {
    let ranges = suspects(text, suspicion);
    if ranges.is_empty() {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut done = 0;
    for range in ranges {
        shown.push_str(text.get(done..range.start).unwrap_or_default());
        shown.push_str(MASK);
        done = range.end;
    }
    shown.push_str(text.get(done..).unwrap_or_default());
    Cow::Owned(shown)
}

/// The ranges that could be a secret, in order and without overlaps.
pub fn suspects(text: &str, suspicion: Suspicion) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    marked(text, &mut found);
    urls(text, &mut found);
    authorizations(text, &mut found);
    random(text, &mut found);
    if suspicion == Suspicion::Strict {
        mixed(text, &mut found);
    }
    found.sort_by_key(|range| range.start);
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in found {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// Whether a value that is wrong at its place is hardly an attempt at the right one, so that it may
/// be a secret: a word of it mixes letters and digits as no duration, size, version or name of an
/// algorithm does, or is very long.
pub fn is_out_of_place(text: &str) -> bool {
    let is_digit = |c: char| c.is_ascii_digit();
    let is_odd = |word: &str| {
        let unit = word.trim_start_matches(is_digit);
        let name = word.trim_end_matches(is_digit);
        let is_plain = unit.is_empty() || !word.contains(is_digit);
        let is_number = unit.len() <= 3 && !unit.contains(is_digit);
        let is_version = name.len() == 1 && !name.contains(is_digit);
        // The middle of a date and time.
        let is_time = word.len() <= 6
            && word
                .split(['T', 't', 'Z', 'z'])
                .all(|part| part.chars().all(is_digit));
        let is_algorithm = ALGORITHMS.contains(&word.to_ascii_lowercase().as_str());
        // A part of the name of a variable.
        let is_capital = word.len() < 16
            && word.starts_with(|c: char| c.is_ascii_uppercase())
            && !word.contains(|c: char| c.is_ascii_lowercase());
        let is_meant = is_capital
            || is_plain
            || is_number
            || is_version
            || is_time
            || is_algorithm
            || is_duration(word);
        word.len() > 24 || !is_meant
    };
    text.len() > 128
        || !suspects(text, Suspicion::Strict).is_empty()
        || words(text, |c| c.is_ascii_alphanumeric())
            .into_iter()
            .any(|(_, word)| is_odd(word))
}

/// Whether a text behind `file:`, `env:` or the like has the form of a path or of a file's name, and
/// nothing in it looks like a secret that was written in its place.
pub fn is_plain_path(text: &str) -> bool {
    let begins = ["/", "./", "../", "~"]
        .iter()
        .any(|begin| text.starts_with(begin));
    let last = text.rsplit('/').next().unwrap_or_default();
    let has_extension = |part: &str| {
        part.rsplit_once('.').is_some_and(|(_, end)| {
            (2..=12).contains(&end.len()) && end.bytes().all(|byte| byte.is_ascii_lowercase())
        })
    };
    // A random word of letters alone is known by its length only.
    let is_long = |part: &str| {
        let mut words = words(part, |c| c.is_ascii_alphanumeric()).into_iter();
        words.any(|(_, word)| word.len() > 24)
    };
    (begins || has_extension(last))
        && text.len() <= 256
        && suspects(text, Suspicion::Plain).is_empty()
        && text
            .split('/')
            .all(|part| has_extension(part) || !is_long(part))
}

/// Names of algorithms and encodings that end in digits.
pub(super) const ALGORITHMS: &[&str] = &[
    "sha1",
    "sha256",
    "sha384",
    "sha512",
    "md5",
    "ed25519",
    "p256",
    "p384",
    "es256",
    "es384",
    "rs256",
    "rs384",
    "rs512",
    "hs256",
    "hs384",
    "hs512",
    "ps256",
    "pkcs1",
    "base64",
    "base32",
    "utf8",
    "iso8601",
    "rfc3339",
    "http2",
    "oauth2",
    "ipv4",
    "ipv6",
    "hmacsha1",
    "hmacsha256",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_a_secret_is_masked_in_whatever_it_is() {
        let rows = [
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", MASK),
            ("`env:whsec_abcd`", "`env:********`"),
            ("/hooks/whsec_abcd", "/hooks/********"),
            ("sk_live_abcdEFGH", MASK),
            (
                "a ghp_16C7e42F292c6912E7710c838347Ae178B4a b",
                "a ******** b",
            ),
            ("xoxb-1234-5678-abcd", MASK),
            (
                "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJlMTIz",
                "********.********.********",
            ),
            ("f3ac5d8b2a6c4e6f9d0b1a2c3d4e5f60", MASK),
            ("3f2c9a5e-7d0a-4b53-9a55-0d1f3b7a2c11", MASK),
            ("kZ3q8vX1pLm0aQ7bR5nT", MASK),
            ("http://user:tops3cret@host/a", "http://********@host/a"),
            ("http://user:p/w@host/a", "http://********@host/a"),
            (
                "https://a.example/x?token=abc",
                "https://a.example/x?********",
            ),
            (
                "Authorization: Bearer AbCdEfGh12",
                "Authorization: Bearer ********",
            ),
            (
                "-----BEGIN EC PRIVATE KEY-----\nMCow\n-----END EC PRIVATE KEY-----",
                "********-----END EC PRIVATE KEY-----",
            ),
        ];
        for (text, expected) in rows {
            assert_eq!(concealed(text, Suspicion::Plain), expected, "{text}");
        }
    }

    #[test]
    fn names_and_our_own_words_are_shown() {
        let rows = [
            "route `billing-2026-q4-eu-west-1`: `ITELLICO_WEBHOOK_SECRET_2026` is not set",
            "`key = { encoding = \"base64\", strip = \"whsec_\" }` and `whsec_…` and whsec_...",
            "http://127.0.0.1:3000/webhooks/stripe",
            "write `Authorization: Bearer TOKEN`, or `Bearer tokens`",
            "/tmp/.tmp8s3raw/verigate.toml:12",
            "npm_config_cache, task-force-one, disk-usage, hmac-sha256-hex, ecdsa-p256-sha256",
            "2026-12-31T00:00:00Z, 1h30m, 256MiB, 10.0.0.0/8, [2001:db8::1]:8080",
            "arn:aws:sns:eu-west-1:123456789012:orders",
            "X-Webhook-Signature-256, webhook-signature, X-Hub-Signature-256",
            "bar-secret-0123456789",
        ];
        for text in rows {
            assert_eq!(concealed(text, Suspicion::Plain), text);
        }
        for text in [
            "127.0.0.1:80800",
            "1h30m",
            "ed25519",
            "billing2",
            "ftp://127.0.0.1",
            "10 sec",
            "X-Hub-Signature-256",
            "PLAIN2SECRET",
            "ecdsa-p256-sha256-raw",
        ] {
            assert_eq!(concealed(text, Suspicion::Strict), text);
        }
    }

    #[test]
    fn short_mixtures_are_masked_where_the_value_is_wrong_anyway() {
        for text in ["tops3cret", "my-s3cr3t-value", "a1b2c3d4", "p4ssw0rd"] {
            assert_eq!(concealed(text, Suspicion::Strict), MASK, "{text}");
            assert_eq!(concealed(text, Suspicion::Plain), text);
        }
        assert_eq!(
            concealed("é tops3cret é", Suspicion::Strict),
            "é ******** é"
        );
    }

    #[test]
    fn a_value_out_of_place_is_told_from_a_failed_attempt() {
        for text in [
            "hunter2",
            "tops3cret",
            "abcd1234efgh",
            "pa55word",
            "whsec_abcd",
        ] {
            assert!(is_out_of_place(text), "{text}");
        }
        let attempts = [
            "soon",
            "STRIPE2_SECRET_K8S",
            "10 sec",
            "5min",
            "1h30m",
            "127.0.0.1:80800",
            "localhost:8080",
            "http://127.0.0.1:3000/path",
            "X-Hub-Signature-256",
            "hmac-sha256",
            "Ed25519",
            "v2",
            "2026-12-31",
            "2026-12-31T00:00:00",
            "/hooks/{id}",
            "itelico",
            "10.0.0.0/99",
            "64 KiB",
        ];
        let wrong: Vec<_> = attempts
            .iter()
            .filter(|text| is_out_of_place(text))
            .collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    #[test]
    fn cf_01_a_path_is_told_from_a_secret_in_its_place() {
        for text in [
            "/etc/verigate/stripe2.secret",
            "stripe2.secret",
            "admin2.token",
            "keys/k8s2prod3.key",
            "/run/secrets/stripe2",
            "./stripe2",
            "../keys2/stripe2",
            "~/stripe2",
        ] {
            assert!(is_plain_path(text), "{text}");
        }
        for text in [
            "hunter2",
            "keys/hunter2",
            "hunter2.",
            "hunter2.S3cr3t",
            "whsec_abcd.secret",
            "/etc/verigate/whsec_abcd",
            "/etc/sk_live_abcdEFGH.key",
            "/kZ3q8vX1pLm0aQ7bR5nT",
            "/etc/kZqvXpLmaQbRnTyUiOpAsDfGhJ",
            "",
        ] {
            assert!(!is_plain_path(text), "{text}");
        }
    }

    #[test]
    fn no_text_makes_it_panic() {
        for text in [
            "",
            "://",
            "://@",
            "http://é:é@é?é",
            "-----BEGIN PRIVATE KEY",
            "whsec_é",
            "Bearer é",
            "é1é1é1a1b1",
        ] {
            concealed(text, Suspicion::Strict);
            is_plain_path(text);
        }
    }
}
