//! What is said of a shape: its kind, its words, and the advice to the operator. Only well-known
//! beginnings are repeated, never another byte of the text.

use super::{Kind, Shape};

impl Shape {
    /// The kind of the shape.
    pub const fn kind(self) -> Kind {
        match self {
            Self::ByteOrderMark
            | Self::Space(_)
            | Self::SpaceWithin
            | Self::Quotes
            | Self::Name
            | Self::EscapedNewlines
            | Self::Authorization(_) => Kind::Around,
            Self::Placeholder | Self::Address(_) => Kind::Placeholder,
            _ => Kind::Other,
        }
    }

    /// Words that complete "the secret …".
    pub fn words(self) -> String {
        match self {
            Self::ByteOrderMark => "begins with a byte order mark, which counts as part of it".into(),
            Self::Space(words) => format!("{words}, which counts as part of it"),
            Self::SpaceWithin => {
                "holds white space, which counts as part of it and which no generated secret has".into()
            }
            Self::Quotes => "has quotation marks around it, which count as part of it".into(),
            Self::Name => {
                "begins with the name of a variable, as in `NAME=secret`, which counts as part of it"
                    .into()
            }
            Self::EscapedNewlines => {
                "has a backslash and an `n` where a PEM text has line feeds".into()
            }
            Self::Authorization(word) => {
                format!("begins with `{}`, a word of the header and not of the secret", word.trim_end())
            }
            Self::Placeholder => "looks like a placeholder that was never replaced".into(),
            Self::Address(begin) => format!(
                "begins with `{begin}`: it is the address of a secret, which nothing has followed"
            ),
            Self::PrivateKey => "is a private key, which only a sender may have".into(),
            Self::PublicKey => {
                "is a public key, and this scheme needs the shared signing secret".into()
            }
            Self::NoPublicKey => {
                "is not a public key, and this scheme verifies with the sender's public key".into()
            }
            Self::Url => "is a URL".into(),
            Self::Path => "is the path of a file, which nothing has read".into(),
            Self::Json => "is a JSON text, of which the secret is only a part".into(),
            Self::ApiKey(begin) => {
                format!("begins with `{begin}`: it is an API key, not a signing secret")
            }
            Self::Id(begin) => format!("begins with `{begin}`: it is an id, not a secret"),
            Self::Digits => "consists of digits alone: it is an id, not a secret".into(),
            Self::Jwt => "is a JSON Web Token, not the key that signs".into(),
            Self::Signature(begin) => {
                format!("begins with `{begin}`: it is the signature of a delivery, not the secret")
            }
            Self::Encoded => {
                "is the base64 of a secret, in the way in which Kubernetes shows it".into()
            }
            Self::Several => "holds several values".into(),
        }
    }

    /// The correction, as advice to the operator.
    pub const fn fix(self) -> &'static str {
        match self {
            Self::ByteOrderMark => "Save the file as UTF-8 without a byte order mark.",
            Self::Space(_) => "Remove the white space before and after the secret.",
            Self::SpaceWithin => {
                "Compare it with the provider's: a line may have been broken, or two values joined."
            }
            Self::Quotes => {
                "Remove the quotation marks; in `.env` and unit files they are often taken literally."
            }
            Self::Name => "Configure the secret alone, without the name and the sign after it.",
            Self::EscapedNewlines => {
                "Put the key into a file with real line feeds, and configure it as `file:PATH`."
            }
            Self::Authorization(_) => "Configure the token alone.",
            Self::Placeholder => "Put the secret in its place.",
            Self::Address(_) => {
                "Configure the secret itself: `env:NAME` and `file:PATH` are followed once, and \
                 other addresses not at all."
            }
            Self::PrivateKey => {
                "Take it out of the configuration, have the sender replace the key, and configure \
                 the public key of the new one or the shared secret."
            }
            Self::PublicKey => "Copy the signing secret of this endpoint from the provider.",
            Self::NoPublicKey => {
                "Copy the public key from the provider: PEM, JWK, `whpk_…`, or in the form that the \
                 provider shows."
            }
            Self::Path => "Write `file:` in front of the path in `secrets`.",
            Self::Json => "Configure the value of the one member that is the secret.",
            Self::Encoded => "Decode it once, with `base64 -d`.",
            Self::Several => "Write an entry of `secrets` for each of them.",
            Self::Url
            | Self::ApiKey(_)
            | Self::Id(_)
            | Self::Digits
            | Self::Jwt
            | Self::Signature(_) => {
                "Copy the signing secret of this very endpoint; providers show it beside the URL of \
                 the endpoint."
            }
        }
    }
}
