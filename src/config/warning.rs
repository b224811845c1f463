//! Warnings: everything that is allowed in a file but worth a sentence, each kind with a name
//! (contract: Configuration).
//!
//! A route may acknowledge a name, `acknowledge = ["unsigned-type"]`: its warnings of that name are
//! then listed as acknowledged instead of repeated. A new warning gets a row in the list below, and
//! a row in the table of docs/configuration.md, which a test compares with the list.

use std::fmt;

use super::reader::{Findings, Item, suggestion};

/// What an acknowledgement may do with the warnings of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acknowledging {
    /// The warning depends on the file alone. If the file gives no cause for it, its
    /// acknowledgement is stale and a problem.
    Allowed,
    /// The warning depends also on what lies outside the file: the text of a secret, the mode of
    /// its file. A stale acknowledgement is then a warning, so that a better secret never keeps the
    /// gateway from starting.
    AllowedOutside,
    /// The warning is shown at each start, whatever the route says.
    Never,
}

macro_rules! warning_names {
    ($($variant:ident, $name:literal, $acknowledging:ident, $meaning:literal;)*) => {
        /// The name of a warning. The list is closed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum WarningName {
            $(#[doc = $meaning] $variant,)*
        }

        impl WarningName {
            /// Every name, in the order of the list.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// The name as the file and the messages spell it, in kebab case.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// Whether a route may acknowledge it.
            pub const fn acknowledging(self) -> Acknowledging {
                match self { $(Self::$variant => Acknowledging::$acknowledging,)* }
            }

            /// The meaning in a sentence without a capital letter, as the documentation has it.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

warning_names! {
    // The scheme.
    SecretInDelivery, "secret-in-delivery", Allowed,
        "the secret itself is sent and nothing is signed";
    UnsignedBody, "unsigned-body", Allowed,
        "the signature does not cover the body";
    UnsignedType, "unsigned-type", Allowed,
        "no signature covers the event type";
    AlikeEvents, "alike-events", Allowed,
        "two honest events may look alike to the replay window";
    UnknownType, "unknown-type", Allowed,
        "`event_types` names a type that the preset does not know";
    WeakHash, "weak-hash", Allowed,
        "a plain hash is used as a signature";
    UnknownKeyOwner, "unknown-key-owner", Allowed,
        "a public key proves deliveries, and the route does not say whose are taken";
    AccountsAny, "accounts-any", Never,
        "deliveries of every account that the key signs for are taken";
    Unconfirmed, "unconfirmed", Allowed,
        "the preset's facts do not come from the provider itself";
    NoVector, "no-vector", Allowed,
        "no test vector exists for the preset";
    // Freshness.
    ToleranceOff, "tolerance-off", Allowed,
        "timestamps may be of any age";
    FutureToleranceOff, "future-tolerance-off", Allowed,
        "timestamps may lie anywhere in the future";
    EventTime, "event-time", Allowed,
        "timestamps are the events' own and may be of any age";
    ShortTolerance, "short-tolerance", Allowed,
        "timestamps are the events' own, and retries outlast the route's `tolerance`";
    // The route's settings.
    ShadowMode, "shadow-mode", Allowed,
        "deliveries are forwarded whatever their verdict";
    HeadersOnValid, "headers-on-valid", Allowed,
        "`upstream_headers` are set on valid deliveries alone, and the route forwards others too";
    NotResigned, "not-resigned", Allowed,
        "`resign` signs what is valid and has a body, and the route forwards other requests too";
    NoEffect, "no-effect", Allowed,
        "a setting has no effect beside the others";
    MaxBodyShare, "max-body-share", Allowed,
        "`max_body` is above the share of `max_buffered` that one client may hold";
    ProviderBody, "provider-body", Allowed,
        "the provider sends larger bodies than `max_body` takes";
    PlaceholderValue, "placeholder-value", Allowed,
        "a text keeps the place of a value of yours: a param, a host, an account";
    WantsAnswer, "wants-answer", Allowed,
        "the provider wants an answer of the app to some requests, and the route is in queue mode";
    LateAttempts, "late-attempts", Allowed,
        "attempts of a queue route come late, and the app knows them only by the provider's signature";
    QueueRoom, "queue-room", Allowed,
        "a body of `max_body` does not fit into the route's queue";
    QueueUnseen, "queue-unseen", Allowed,
        "a route is in queue mode, and without an `admin.token` nobody can see or work on its queue";
    ReplayOff, "replay-off", Never,
        "replay protection is off";
    // Secrets.
    LiteralSecret, "literal-secret", Allowed,
        "a secret is written in the configuration file";
    ReadableSecret, "readable-secret", AllowedOutside,
        "others than its owner can read or write the file of a secret";
    ForeignSecret, "foreign-secret", AllowedOutside,
        "the file of a secret belongs to another user";
    SecretSpelling, "secret-spelling", AllowedOutside,
        "bytes around a secret count as part of it";
    ShortSecret, "short-secret", AllowedOutside,
        "a secret makes a key of less than 16 bytes";
    PlaceholderSecret, "placeholder-secret", AllowedOutside,
        "a text keeps the place of a secret";
    PublishedSecret, "published-secret", Never,
        "a secret is printed in a provider's documentation or tests";
    UnlikelySecret, "unlikely-secret", AllowedOutside,
        "a secret looks like another value: an API key, an id, a URL, a public key, a secret of another provider";
    SharedKey, "shared-key", AllowedOutside,
        "a secret of the route is a secret of another route too";
    SecretAwaited, "secret-awaited", Never,
        "the route has no secret until a handshake brings it";
    SecretExpired, "secret-expired", Never,
        "a secret has passed its `not_after`";
    NoActiveSecret, "no-active-secret", Never,
        "no secret of the route is active now";
    InsecureUpstream, "insecure-upstream", Never,
        "the certificate of an upstream is not verified";
    // The whole gateway.
    TrustsEverybody, "trusts-everybody", Never,
        "every client is a trusted proxy";
    CertificateEnds, "certificate-ends", Never,
        "a certificate counts no more, not yet, or for less than two weeks";
    UnusableDirectory, "unusable-directory", Never,
        "the user who runs `check` could not use a directory of the gateway";
    HeldDeliveries, "held-deliveries", Never,
        "`check` found deliveries on disk that need a key or a route which is not in the file";
    FullDisk, "full-disk", Never,
        "`check` found no room on the disk of the queue beside what stays free: every delivery would be refused";
    StaleAcknowledgement, "stale-acknowledgement", Never,
        "a route acknowledges a warning that depends on a secret or its file, and there is no such warning now";
}

impl WarningName {
    /// The name that is spelled so.
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|known| known.as_str() == name)
    }
}

impl fmt::Display for WarningName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Reads a route's `acknowledge`; the findings keep the names with their places.
pub(super) fn read_acknowledged(item: &Item<'_>, findings: &mut Findings) {
    const EXAMPLE: &str = "acknowledge = [\"unsigned-type\"]";
    for entry in item.list(findings, EXAMPLE).unwrap_or_default() {
        let Some(written) = entry.text(findings, "\"unsigned-type\"") else {
            continue;
        };
        let Some(name) = WarningName::find(written) else {
            let names = WarningName::ALL.iter().map(|name| name.as_str());
            let near = suggestion(written, names);
            let help = near.map_or_else(
                || "`check` shows the name of each warning in brackets at its end".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            entry.refuse(findings, "names no warning", help);
            continue;
        };
        if name.acknowledging() == Acknowledging::Never {
            let message = format!("names `{name}`, a warning that cannot be acknowledged");
            entry.refuse(findings, message, "leave it out, and remove its cause");
            continue;
        }
        findings.acknowledge(entry.span(), name);
    }
}

/// A warning with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Warning {
    /// The file's path as given.
    pub path: String,
    /// The line, from 1.
    pub line: usize,
    /// The route that it is about, by its name; `None` for the rest of the file.
    pub route: Option<String>,
    /// The kind of warning.
    pub name: WarningName,
    /// The sentence, in lower case and without a full stop; it names the route itself where need
    /// be.
    pub message: String,
}

/// `conf/verigate.toml:12: route `a`: the signature does not cover the body [unsigned-body]`
impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            path,
            line,
            message,
            name,
            ..
        } = self;
        write!(f, "{path}:{line}: {message} [{name}]")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The rows of the table under the heading `## Warnings` of docs/configuration.md.
    fn documented() -> Vec<Vec<String>> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (_, section) = page.split_once("\n## Warnings\n").unwrap();
        let section = section.split("\n## ").next().unwrap();
        let cells = |line: &str| {
            let inner = line.trim_matches('|');
            inner
                .split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect()
        };
        section
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(cells)
            .collect()
    }

    #[test]
    fn the_documentation_has_every_name_with_its_meaning_and_whether_it_can_be_acknowledged() {
        let rows: Vec<Vec<String>> = WarningName::ALL
            .iter()
            .map(|name| {
                let acknowledged = match name.acknowledging() {
                    Acknowledging::Never => "never",
                    _ => "yes",
                };
                vec![
                    format!("`{name}`"),
                    name.meaning().to_owned(),
                    acknowledged.to_owned(),
                ]
            })
            .collect();
        assert_eq!(documented(), rows);
    }

    #[test]
    fn names_are_unique_and_in_kebab_case() {
        for name in WarningName::ALL {
            let text = name.as_str();
            assert_eq!(WarningName::find(text), Some(*name));
            let is_kebab = text.bytes().all(|b| b.is_ascii_lowercase() || b == b'-');
            assert!(
                is_kebab && !text.starts_with('-') && !text.ends_with('-'),
                "{text}"
            );
        }
    }

    #[test]
    fn what_must_be_seen_at_each_start_is_never_acknowledged() {
        for name in ["replay-off", "secret-expired", "no-active-secret"] {
            let found = WarningName::find(name).map(WarningName::acknowledging);
            assert_eq!(found, Some(Acknowledging::Never), "{name}");
        }
    }
}
