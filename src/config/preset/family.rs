//! The families of presets: what the providers of a family have in common.

/// A family of providers, in the order in which `verigate providers` and the generated table list
/// them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Family {
    /// `standard-webhooks`: id, timestamp and body under HMAC-SHA256, and a list of `v1,…`
    /// signatures. The headers are `webhook-*`, or Svix's own `svix-*`.
    StandardWebhooks,
    /// `timestamped-hmac`: an HMAC over the body and a timestamp outside it. The signature has a
    /// header of its own, or is in a list of labelled signatures, mostly together with the
    /// timestamp.
    TimestampedHmac,
    /// `body-hmac`: an HMAC over the body alone. A timestamp, if there is any, is a value in the
    /// body.
    BodyHmac,
    /// `url-hmac`: an HMAC over the URL and the body. The provider signs the URL that it calls, so a
    /// route needs `public_url`.
    UrlHmac,
    /// `keyed-hash`: a plain hash over a text that contains the secret, which is weaker than an
    /// HMAC.
    KeyedHash,
    /// `asymmetric`: a signature with the provider's private key. `secrets` of the route hold the
    /// public key.
    Asymmetric,
    /// `jwt-digest`: a JSON Web Token whose claims contain a digest of the body, or the whole body.
    JwtDigest,
    /// `token`: the secret itself is sent. It covers nothing of the delivery, and whoever sees a
    /// delivery can make others.
    Token,
    /// `special`: no template can describe the signed content, so `code` names a verifier of its
    /// own. Mailgun belongs here as well: it signs two values of the body, not the body.
    Special,
}

impl Family {
    /// Every family, in order.
    pub const ALL: [Self; 9] = [
        Self::StandardWebhooks,
        Self::TimestampedHmac,
        Self::BodyHmac,
        Self::UrlHmac,
        Self::KeyedHash,
        Self::Asymmetric,
        Self::JwtDigest,
        Self::Token,
        Self::Special,
    ];

    /// The name in a preset, and for `verigate providers --family`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::StandardWebhooks => "standard-webhooks",
            Self::TimestampedHmac => "timestamped-hmac",
            Self::BodyHmac => "body-hmac",
            Self::UrlHmac => "url-hmac",
            Self::KeyedHash => "keyed-hash",
            Self::Asymmetric => "asymmetric",
            Self::JwtDigest => "jwt-digest",
            Self::Token => "token",
            Self::Special => "special",
        }
    }

    /// The family of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name() == name)
    }
}
