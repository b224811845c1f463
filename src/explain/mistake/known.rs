//! The mistakes whose words are not yet beside their finders.

use std::time::Duration;

use super::Mistake;

/// A common mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    /// Signed as another provider does, or several, with "`, `" between their names.
    OtherProvider(String),
    /// The headers are those of these providers.
    LooksLikeProvider(String),
    /// The prefix of the signature is missing, or another one; the one found.
    SignaturePrefix(String),
    /// The signature, or the timestamp, stands in another header.
    OtherHeader {
        /// Where the scheme looks.
        expected: String,
        /// Where it is.
        found: String,
    },
    /// All headers have another first part.
    OtherHeaderFamily {
        /// The scheme's.
        expected: String,
        /// The delivery's.
        found: String,
    },
    /// Two header lines of one name were joined by a comma.
    HeaderJoined(String),
    /// The header is there more than once, and one of them is right.
    HeaderTwice(String),
    /// A header that must have a certain value has another one, or is not there.
    RequiredHeader(String),
    /// A header that is signed is not there.
    HeaderMissing(String),
    /// The items of the signature's list are set apart by this.
    ListSeparator(String),
    /// The right signature stands under another label.
    OtherLabel {
        /// Those that the scheme takes.
        expected: String,
        /// The one that it has.
        found: String,
    },
    /// The signature has no label; the one expected.
    LabelMissing(String),
    /// The signature stands in a list, under this label.
    SignatureLabelled(String),
    /// None of the labels that the scheme takes is there.
    OnlyOtherLabels {
        /// Those that the scheme takes.
        expected: String,
        /// Those that are there.
        found: String,
    },
    /// Only signatures under this label are there, which a public key verifies.
    NeedsPublicKey(String),
    /// Only signatures under this label are there, which a shared secret verifies.
    NeedsSharedSecret(String),
    /// The URL that was signed begins with this scheme.
    UrlScheme(&'static str),
    /// It has this host.
    UrlHost(String),
    /// It has this port, or none.
    UrlPort(Option<String>),
    /// Its path ends in a slash, or does not.
    UrlSlash {
        /// Whether the one that was signed does.
        is_signed: bool,
    },
    /// It has this path.
    UrlPath(String),
    /// It has no query.
    UrlQueryNotSigned,
    /// It has other escapes.
    UrlEncoding,
    /// It is this one, its query left out.
    UrlOther(String),
    /// The token expired this long ago.
    TokenExpired(Duration),
    /// The token counts only from this time on.
    TokenNotYet(Duration),
    /// The token names this algorithm.
    TokenAlgorithm(String),
    /// The token is genuine and speaks of another body.
    TokenOtherBody,
    /// The token is genuine and speaks of another URL.
    TokenOtherUrl,
    /// The token is genuine and comes from another issuer.
    TokenOtherIssuer,
    /// The token asks for a key that is not configured.
    TokenKeyUnknown,
}

impl Known {
    /// Its name, for programs.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::OtherProvider(_) => "other_provider",
            Self::LooksLikeProvider(_) => "looks_like_provider",
            Self::SignaturePrefix(_) => "signature_prefix",
            Self::OtherHeader { .. } => "other_header",
            Self::OtherHeaderFamily { .. } => "other_header_family",
            Self::HeaderJoined(_) => "header_joined",
            Self::HeaderTwice(_) => "header_twice",
            Self::RequiredHeader(_) => "required_header",
            Self::HeaderMissing(_) => "header_missing",
            Self::ListSeparator(_) => "list_separator",
            Self::OtherLabel { .. } => "other_label",
            Self::LabelMissing(_) => "label_missing",
            Self::SignatureLabelled(_) => "signature_labelled",
            Self::OnlyOtherLabels { .. } => "only_other_labels",
            Self::NeedsPublicKey(_) => "needs_public_key",
            Self::NeedsSharedSecret(_) => "needs_shared_secret",
            Self::UrlScheme(_) => "url_scheme",
            Self::UrlHost(_) => "url_host",
            Self::UrlPort(_) => "url_port",
            Self::UrlSlash { .. } => "url_slash",
            Self::UrlPath(_) => "url_path",
            Self::UrlQueryNotSigned => "url_query_not_signed",
            Self::UrlEncoding => "url_encoding",
            Self::UrlOther(_) => "url_other",
            Self::TokenExpired(_) => "token_expired",
            Self::TokenNotYet(_) => "token_not_yet",
            Self::TokenAlgorithm(_) => "token_algorithm",
            Self::TokenOtherBody => "token_other_body",
            Self::TokenOtherUrl => "token_other_url",
            Self::TokenOtherIssuer => "token_other_issuer",
            Self::TokenKeyUnknown => "token_key_unknown",
        }
    }
}

impl From<Known> for Mistake {
    fn from(known: Known) -> Self {
        Self { name: known.name(), sentence: known.sentence().into(), fix: known.fix().into() }
    }
}
