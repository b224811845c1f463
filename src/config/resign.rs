//! `[route.resign]`: what is forwarded as valid is signed anew, in the form of Standard Webhooks
//! (contract: Signing anew).
//!
//! A secret is read as the libraries of Standard Webhooks read it, since the app gives them the same
//! text: base64, with `whsec_` in front or without. The table is judged beside the rest of the file
//! in [`super::resign_checks`].

use zeroize::Zeroizing;

use super::reader::{Findings, Item};
use super::secrets;
use super::secrets::Sources;
use crate::key::secret::{Secret, SecretText};
use crate::notation::encoding::Encoding;
use crate::scheme::{ProviderCode, Scheme, TimestampAt};
use crate::wire::head::{FieldName, fold};

/// The headers of Standard Webhooks: id, time and signatures. On a route that signs anew they are
/// the gateway's alone.
pub const HEADERS: [&str; 3] = ["webhook-id", "webhook-timestamp", "webhook-signature"];

/// The beginning of a secret, which is no part of its key.
const PREFIX: &[u8] = b"whsec_";

/// The lengths of a key in bytes, by the specification of Standard Webhooks.
const LENGTHS: std::ops::RangeInclusive<usize> = 24..=64;

const EXAMPLE: &str = "[route.resign]\nsecret = \"file:resign.secret\"";

const MAKE_ONE: &str =
    "make one with `echo whsec_$(openssl rand -base64 32)`; the app gets the same text";

/// The settings of a route that signs anew.
#[derive(Clone, Debug)]
pub struct Resign {
    /// The secret that the app has, or gets.
    pub secret: SigningSecret,
    /// The secret before it, while both count.
    pub previous: Option<SigningSecret>,
    /// Whether the provider's own signature is kept from the app.
    pub drop: bool,
}

/// A secret that signs what is forwarded.
#[derive(Clone, Debug)]
pub struct SigningSecret {
    /// The text with its name. It is active at all times.
    pub secret: Secret,
    /// The bytes of the key.
    pub key: SecretText,
}

impl Resign {
    /// Reads the table. `None` where it has no usable secret, which is then a problem.
    pub(super) fn read(
        item: &Item<'_>,
        findings: &mut Findings,
        sources: &Sources<'_>,
    ) -> Option<Self> {
        let mut table = item.table(findings, EXAMPLE)?;
        let secret = table
            .required(findings, "secret", "\"file:resign.secret\"")
            .and_then(|item| SigningSecret::read(&item, findings, sources));
        let previous = table.item("previous").map(|item| {
            let read = SigningSecret::read(&item, findings, sources);
            (item, read)
        });
        let drop = table.item("drop").and_then(|item| item.flag(findings));
        table.finish(findings);
        let secret = secret?;
        if let Some((item, Some(previous))) = &previous
            && previous.key == secret.key
        {
            let help = "leave `previous` out, or name the secret before this one";
            item.refuse(findings, "is the same key as `secret`", help);
        }
        Some(Self {
            secret,
            previous: previous.and_then(|(_, previous)| previous),
            drop: drop.unwrap_or(false),
        })
    }

    /// The secrets with their keys in the table, in the order in which their signatures are sent.
    pub fn secrets(&self) -> impl Iterator<Item = (&'static str, &SigningSecret)> {
        let previous = self.previous.iter();
        std::iter::once(("secret", &self.secret)).chain(previous.map(|secret| ("previous", secret)))
    }

    /// The headers that are removed from every request of a route with this scheme.
    pub fn removed(&self, scheme: &Scheme) -> Removed {
        let own = HEADERS.into_iter().filter_map(FieldName::new);
        let theirs = self.drop.then(|| signature_headers(scheme));
        Removed {
            names: own.chain(theirs.into_iter().flatten()).collect(),
            svix: self.drop,
        }
    }
}

impl SigningSecret {
    fn read(item: &Item<'_>, findings: &mut Findings, sources: &Sources<'_>) -> Option<Self> {
        let secret = secrets::read_one(item, findings, sources)?;
        secrets::refuse_known(item, &secret.text, findings)?;
        let Some(key) = decoded(Encoding::Base64, unprefixed(secret.text.expose())) else {
            let message = "leads to no secret of Standard Webhooks, which is base64 (the standard \
                           alphabet, padded with `=`), usually behind `whsec_`";
            item.refuse(findings, message, MAKE_ONE);
            return None;
        };
        if !LENGTHS.contains(&key.len()) {
            let message = format!(
                "leads to a key of {} bytes; Standard Webhooks has {} to {}",
                key.len(),
                LENGTHS.start(),
                LENGTHS.end()
            );
            item.refuse(findings, message, MAKE_ONE);
            return None;
        }
        secrets::judge_signing(item, &secret, findings);
        let key = SecretText::new(key.to_vec());
        Some(Self { secret, key })
    }

    /// The secret's name and, where it says more, its reference.
    pub fn shown(&self) -> String {
        match &self.secret.written {
            Some(written) => format!("{} ({written})", self.secret.name),
            None => self.secret.name.clone(),
        }
    }

    /// The way from the text to the key, in words.
    pub fn reading(&self) -> &'static str {
        if self.secret.text.expose().starts_with(PREFIX) {
            "base64 behind `whsec_`"
        } else {
            "base64"
        }
    }
}

/// Header names that a route keeps from the app, whoever sends them.
#[derive(Clone, Debug)]
pub struct Removed {
    names: Vec<FieldName>,
    /// Whether every name that begins with `svix-` is one of them.
    svix: bool,
}

impl Removed {
    /// Whether `name` is one of them or an alias of one.
    pub fn has(&self, name: &[u8]) -> bool {
        self.names.iter().any(|own| own.is_or_aliases(name)) || (self.svix && is_of_svix(name))
    }

    /// The names beside those of Standard Webhooks, for showing.
    pub fn of_the_provider(&self) -> Vec<&str> {
        let names = self.names.iter().skip(HEADERS.len()).map(FieldName::as_str);
        names.chain(self.svix.then_some("svix-*")).collect()
    }
}

/// Whether a receiver may read this name as one of Svix, by which its libraries look first.
fn is_of_svix(name: &[u8]) -> bool {
    let begin = name.iter().take(5).map(|byte| fold(*byte));
    begin.eq(*b"svix-")
}

/// The headers by which a provider proves its deliveries: of signature or credential, and of the
/// timestamp. A header that says more than that, such as a request id, is none of them.
fn signature_headers(scheme: &Scheme) -> Vec<FieldName> {
    let times = match scheme.timestamp().map(|place| &place.at) {
        Some(TimestampAt::Headers(names)) => names.as_slice(),
        _ => &[],
    };
    let of_code = scheme.code().map(ProviderCode::headers).unwrap_or_default();
    let of_code = of_code.iter().filter_map(|name| FieldName::new(name));
    let mut names: Vec<FieldName> = scheme.proof.headers().to_vec();
    names.extend(times.iter().cloned().chain(of_code));
    names.retain(|name| !name.is_one_of(&["date", "x-request-id"]) && !name.is_one_of(&HEADERS));
    names
}

/// The text without the beginning that is no part of the key.
pub(super) fn unprefixed(text: &[u8]) -> &[u8] {
    text.strip_prefix(PREFIX).unwrap_or(text)
}

/// The bytes that the text is in this encoding, if it is a text of it.
pub(super) fn decoded(encoding: Encoding, text: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(vec![0; text.len()]);
    let length = encoding.decode(text, &mut bytes)?;
    bytes.truncate(length);
    Some(bytes)
}

/// Whether a request of this method has its content in the body. What has it in path or query is
/// never signed anew, since the signature would not cover it.
pub fn has_content(method: &str) -> bool {
    !matches!(method, "GET" | "HEAD")
}
