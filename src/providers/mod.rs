//! Schemes that no template can say: code of its own, one file per family (SCHEMES 3).
//!
//! Each reads a delivery into a [`Statement`]: contents, and the signatures that should stand under them. Keys,
//! comparison, freshness and rotation are the verifier's, the same for all.

mod adyen;
mod asana;
mod aws_sns;
mod braintree;
mod contentful;
mod discord;
mod dropbox;
mod dropbox_sign;
mod lark;
mod mercadopago;
mod meta;
mod microsoft_graph;
mod monday;
mod notion;
mod okta;
mod plivo;
mod query;
mod reading;
mod slack;
mod trello;
mod twilio;
mod twitch;
mod x_twitter;
mod xero;
mod zoom;

#[cfg(test)]
mod tests;

use zeroize::Zeroizing;

use crate::clock::UnixMillis;
use crate::key::secret::SecretText;
use crate::notation::encoding::Encoding;
use crate::notation::timestamp::Unit;
use crate::scheme::handshake::Handshake;
use crate::scheme::{Algorithm, KeyEncoding, KeyForm, Place, PublicUrl, Stamped};
use crate::sign::SignRequest;
use crate::verdict::Refusal;
use crate::wire::head::{FieldName, Head};

/// Every handshake, in the order in which they are documented.
pub static HANDSHAKES: [&dyn Handshake; 18] = [
    &slack::Slack,
    &zoom::Zoom,
    &twitch::Twitch,
    &discord::Interactions,
    &discord::Events,
    &aws_sns::AwsSns,
    &xero::Xero,
    &x_twitter::XTwitter,
    &braintree::Braintree,
    &okta::Okta,
    &microsoft_graph::MicrosoftGraph,
    &meta::Meta,
    &lark::Lark,
    &asana::Asana,
    &notion::Notion,
    &trello::Trello,
    &dropbox::Dropbox,
    &monday::Monday,
];

/// The handshake of this name.
pub fn handshake(name: &str) -> Option<&'static dyn Handshake> {
    HANDSHAKES.into_iter().find(|handshake| handshake.name() == name)
}

/// The schemes with code of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Special {
    /// `twilio`
    Twilio,
    /// `plivo-v3`
    PlivoV3,
    /// `adyen`
    Adyen,
    /// `aws-sns`
    AwsSns,
    /// `contentful`
    Contentful,
    /// `braintree`
    Braintree,
    /// `dropbox-sign`
    DropboxSign,
    /// `mercadopago`
    MercadoPago,
}

/// A key, and the algorithm that it is good for.
pub type PinnedKey = (Algorithm, Zeroizing<Vec<u8>>);

/// What a delivery says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// Each must hold, all under the same secret; none at all proves nothing.
    pub assertions: Vec<Assertion>,
    /// The timestamp that is part of what is signed, where it stands in the body.
    pub timestamp: Option<(UnixMillis, Unit)>,
}

/// Contents, and the signatures under them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assertion {
    /// The forms that the signed content may have; one of them must hold.
    pub contents: Vec<Vec<u8>>,
    /// The decoded signatures; one of them must hold.
    pub signatures: Vec<Vec<u8>>,
    /// The algorithm of the signatures; a secret pinned to another one does not count.
    pub algorithm: Algorithm,
}

impl Special {
    /// Every one, in the order in which they are documented.
    pub const ALL: [Self; 8] = [
        Self::Twilio,
        Self::PlivoV3,
        Self::Adyen,
        Self::AwsSns,
        Self::Contentful,
        Self::Braintree,
        Self::DropboxSign,
        Self::MercadoPago,
    ];

    /// Its name in a configuration file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Twilio => "twilio",
            Self::PlivoV3 => "plivo-v3",
            Self::Adyen => "adyen",
            Self::AwsSns => "aws-sns",
            Self::Contentful => "contentful",
            Self::Braintree => "braintree",
            Self::DropboxSign => "dropbox-sign",
            Self::MercadoPago => "mercadopago",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|special| special.name() == name)
    }

    /// The algorithm that a scheme with it must name.
    pub const fn algorithm(self) -> Algorithm {
        match self {
            Self::Twilio | Self::Braintree => Algorithm::HmacSha1,
            Self::AwsSns => Algorithm::RsaPkcs1Sha256,
            Self::PlivoV3 | Self::Adyen | Self::Contentful | Self::DropboxSign | Self::MercadoPago => {
                Algorithm::HmacSha256
            }
        }
    }

    /// The headers that it reads, the signature's first; none where the signature stands in the body.
    pub const fn headers(self) -> &'static [&'static str] {
        match self {
            Self::Twilio => twilio::HEADERS,
            Self::PlivoV3 => plivo::HEADERS,
            Self::Contentful => contentful::HEADERS,
            Self::MercadoPago => mercadopago::HEADERS,
            Self::Adyen | Self::AwsSns | Self::Braintree | Self::DropboxSign => &[],
        }
    }

    /// Whether the signature authenticates the body.
    pub fn covers_body(self) -> bool {
        !matches!(self, Self::Adyen | Self::DropboxSign | Self::MercadoPago)
    }

    /// Whether the provider's URL is signed, so that a `public_url` is needed.
    pub fn signs_url(self) -> bool {
        matches!(self, Self::Twilio | Self::PlivoV3)
    }

    /// Whether a timestamp is signed.
    pub fn signs_timestamp(self) -> bool {
        matches!(self, Self::AwsSns | Self::Contentful | Self::DropboxSign | Self::MercadoPago)
    }

    /// When the provider makes that timestamp.
    pub fn stamped(self) -> Stamped {
        match self {
            Self::AwsSns | Self::DropboxSign => Stamped::Event,
            _ => Stamped::Unknown,
        }
    }

    /// Whether what stands at this place is signed.
    pub fn signs(self, place: &Place) -> bool {
        let is = |header: &FieldName, names: &[&str]| names.iter().any(|name| header.is(name.as_bytes()));
        match (self, place) {
            (Self::Twilio | Self::PlivoV3 | Self::Contentful, Place::Json(_)) => true,
            (Self::PlivoV3, Place::Header(name)) => is(name, &[plivo::NONCE]),
            (Self::Contentful, Place::Header(name)) => is(name, &[contentful::TIMESTAMP, contentful::SIGNED_HEADERS]),
            (Self::MercadoPago, Place::Header(name)) => is(name, &[mercadopago::REQUEST_ID]),
            (Self::Adyen, place) => adyen::signs(place),
            (Self::AwsSns, place) => aws_sns::signs(place),
            _ => false,
        }
    }

    /// The labels by which a delivery tells its signatures apart, of all the route's secrets; empty where any counts.
    pub fn labels<'s>(self, secrets: impl IntoIterator<Item = &'s SecretText>) -> Vec<Vec<u8>> {
        match self {
            Self::Braintree => {
                let labels = secrets.into_iter().map(|text| braintree::keys(text).0.map(<[u8]>::to_vec));
                labels.collect::<Option<_>>().unwrap_or_default()
            }
            _ => Vec::new(),
        }
    }

    /// The keys that a secret's text stands for, each with the algorithm it is pinned to; at least one. Never called
    /// where the algorithm takes public keys.
    ///
    /// # Errors
    /// Says, without a byte of the text, why it is none.
    pub fn keys(self, text: &SecretText) -> Result<Vec<PinnedKey>, &'static str> {
        match self {
            Self::Twilio => twilio::keys(text),
            _ => self.key(text).map(|key| vec![key]),
        }
    }

    /// The key that a secret's text stands for, and the algorithm it is pinned to. Never called where the algorithm
    /// takes public keys, nor where [`keys`](Self::keys) knows several.
    ///
    /// # Errors
    /// Says, without a byte of the text, why it is none.
    fn key(self, text: &SecretText) -> Result<PinnedKey, &'static str> {
        match self {
            Self::PlivoV3 | Self::Contentful | Self::MercadoPago | Self::DropboxSign => utf8(self.algorithm(), text),
            Self::Adyen => {
                let form = KeyForm { encoding: KeyEncoding::Hex, ..KeyForm::default() };
                let key = form.key(text).map_err(|_| "the secret is not hexadecimal: an even number of digits")?;
                Ok((self.algorithm(), key))
            }
            Self::Braintree => braintree::key(text),
            Self::AwsSns | Self::Twilio => Err("the secret is no key of this kind"),
        }
    }

    /// Judges what the head alone shows, before a byte of the body is read.
    ///
    /// Gives the timestamp where it stands in the head, for freshness to be judged early.
    ///
    /// # Errors
    /// `missing_signature`, `malformed_signature`, `missing_timestamp`, `malformed_timestamp`.
    pub fn begin(self, head: &Head) -> Result<Option<(UnixMillis, Unit)>, Refusal> {
        match self {
            Self::Twilio => twilio::signature(head).map(|_| None),
            Self::PlivoV3 => plivo::begin(head).map(|()| None),
            Self::Contentful => contentful::begin(head).map(Some),
            Self::MercadoPago => mercadopago::begin(head).map(Some),
            Self::Adyen | Self::AwsSns | Self::Braintree | Self::DropboxSign => Ok(None),
        }
    }

    /// Reads what a whole delivery says. `public_url` is the route's, `labels` are those of its secrets.
    ///
    /// # Errors
    /// As [`begin`](Self::begin), for what stands in the body.
    pub fn read(
        self,
        head: &Head,
        body: &[u8],
        public_url: Option<&PublicUrl>,
        labels: &[Vec<u8>],
    ) -> Result<Statement, Refusal> {
        match self {
            Self::Twilio => twilio::read(head, body, public_url),
            Self::PlivoV3 => plivo::read(head, body, public_url),
            Self::Contentful => contentful::read(head, body),
            Self::MercadoPago => mercadopago::read(head),
            Self::Adyen => adyen::read(body),
            Self::AwsSns => aws_sns::read(body),
            Self::Braintree => braintree::read(body, labels),
            Self::DropboxSign => dropbox_sign::read(head, body),
        }
    }

    /// The headers that make a request a delivery, the signature last, with one of its [`keys`](Self::keys); the other
    /// headers of the request are not repeated. `None` where deliveries are not signed in a header with a shared secret.
    ///
    /// # Errors
    /// Why the delivery would be refused.
    pub fn sign(
        self,
        (algorithm, key): (Algorithm, &[u8]),
        request: &SignRequest<'_>,
    ) -> Result<Option<Vec<(String, String)>>, Refusal> {
        match self {
            Self::Twilio => twilio::sign(algorithm, key, request),
            Self::PlivoV3 => plivo::sign(key, request),
            Self::Contentful => contentful::sign(key, request),
            Self::MercadoPago => mercadopago::sign(key, request),
            Self::Adyen | Self::AwsSns | Self::Braintree | Self::DropboxSign => Ok(None),
        }
    }
}

/// The secret's own bytes as the key.
fn utf8(algorithm: Algorithm, text: &SecretText) -> Result<PinnedKey, &'static str> {
    let key = Zeroizing::new(text.expose().to_vec());
    if key.is_empty() { Err("the secret is empty") } else { Ok((algorithm, key)) }
}

/// The head that a request to be signed will have, but for its signature.
fn unsigned(request: &SignRequest<'_>, headers: &[(String, String)]) -> Result<Head, Refusal> {
    let given = request.headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let ours = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    Head::from_parts(request.method, request.target, given.chain(ours))
}

/// The headers, and behind them the signature of the first form of the content.
fn completed(
    mut headers: Vec<(String, String)>,
    name: &str,
    contents: &[Vec<u8>],
    algorithm: Algorithm,
    key: &[u8],
    encoding: Encoding,
) -> Option<Vec<(String, String)>> {
    headers.push((name.to_owned(), reading::signed(contents.first()?, algorithm, key, encoding)?));
    Some(headers)
}
