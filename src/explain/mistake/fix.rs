//! What to do about each mistake, in one plain sentence.

use super::Known;

impl Known {
    /// What to do about it, in one plain sentence.
    pub(super) fn fix(&self) -> String {
        let text = match self {
            Self::UrlScheme(_)
            | Self::UrlHost(_)
            | Self::UrlPort(_)
            | Self::UrlSlash { .. }
            | Self::UrlPath(_)
            | Self::UrlOther(_) => {
                "Write `public_url` of the route exactly as the provider has the endpoint, or correct it there; offline, give it with `--url`."
            }
            Self::UrlQueryNotSigned => {
                "Leave the query out of the URL that the provider calls, or out of what is signed."
            }
            Self::UrlEncoding => "Have every proxy pass on the target unchanged, or register the URL without escapes.",
            Self::TokenExpired(_) | Self::TokenNotYet(_) => {
                "For a captured delivery, judge it at its own time with `--at`; on live traffic compare the clocks."
            }
            Self::TokenAlgorithm(_) => {
                "If the provider documents it, allow it in `algorithms` of `jwt`, with the key that belongs to it; otherwise it is a forgery."
            }
            Self::TokenOtherBody => {
                "Pass on and store the body byte for byte; else the token was taken from another delivery."
            }
            Self::TokenOtherUrl => "Write `public_url` of the route exactly as the provider has the endpoint.",
            Self::TokenOtherIssuer => "Compare `issuer` in `jwt` with what the provider documents.",
            Self::TokenKeyUnknown => "Fetch the provider's present keys and configure them beside the old ones.",
            Self::LooksLikeProvider(_) => {
                "Set that `provider` on the route, or correct the path that the sender calls."
            }
            Self::HeaderJoined(_) => {
                "Have the proxy keep header lines apart, or the sender send one; several of one name may be joined by anybody on the way."
            }
            Self::HeaderTwice(_) => "Have the sender or the proxy send it once.",
            Self::RequiredHeader(_) => {
                "Compare it with what the provider documents; a newer version may sign in another way."
            }
            Self::HeaderMissing(_) => "See whether a proxy drops it, and whether the capture is whole.",
            Self::ListSeparator(_) => {
                "Say so in `separator` and `assign` of `signature`, or see whether a proxy rewrote the header."
            }
            Self::LabelMissing(_) => {
                "Have the sender write the label, or leave `assign` and `accept` out of `signature`."
            }
            Self::OnlyOtherLabels { .. } => {
                "See whether the delivery is a test event or of another version; say the right ones in `accept` of `signature`."
            }
            Self::NeedsPublicKey(_) => {
                "Configure the sender's public key (`whpk_…`), or have it sign with the shared secret."
            }
            Self::NeedsSharedSecret(_) => {
                "Configure the shared secret (`whsec_…`), or have the sender sign with its private key."
            }
            Self::OtherLabel { found, .. } | Self::SignatureLabelled(found) => {
                return format!("Say `accept = [\"{found}\"]` in `signature` of the scheme, or correct the sender.");
            }
            Self::OtherProvider(names) if names.contains('`') => {
                "Set `provider` on the route to the one of them that sends it."
            }
            Self::OtherProvider(name) => return format!("Set `provider = \"{name}\"` on the route."),
            Self::SignaturePrefix(prefix) => {
                return format!("Say `prefix = \"{prefix}\"` in `signature` of the scheme, or correct the sender.");
            }
            Self::OtherHeader { .. } | Self::OtherHeaderFamily { .. } => {
                "Name that header in the scheme, or see whether a proxy on the way renames it."
            }
        };
        text.to_owned()
    }
}
