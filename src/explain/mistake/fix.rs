//! What to do about each mistake, in one plain sentence.

use super::Known;

impl Known {
    /// What to do about it, in one plain sentence.
    pub(super) fn fix(&self) -> String {
        let text = match self {
            Self::TimestampUnit("number") => {
                "Say `unit = \"seconds\"` or `unit = \"milliseconds\"` in `timestamp` of the scheme."
            }
            Self::TimestampRewritten => "Have the proxy pass on the sender's `Date` unchanged.",
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
            Self::PlainHash { .. } => {
                "Have the sender take an HMAC; otherwise spell its scheme out in `[route.scheme]`."
            }
            Self::Unkeyed(_) => "Have the sender take an HMAC with the secret: such a delivery proves nothing.",
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
            Self::TimestampUnit(unit) => return format!("Say `unit = \"{unit}\"` in `timestamp` of the scheme."),
            Self::OtherLabel { found, .. } | Self::SignatureLabelled(found) => {
                return format!("Say `accept = [\"{found}\"]` in `signature` of the scheme, or correct the sender.");
            }
            Self::BodyAloneSigned
            | Self::OtherOrder(_)
            | Self::OtherSeparator(_)
            | Self::PartLeftOut(_)
            | Self::PartAdded(_) => {
                "If the sender is right, spell its scheme out in `[route.scheme]` with this `signed`; otherwise correct the sender."
            }
            Self::OtherAlgorithm(_) => "Say so in `algorithm` of the scheme, or correct the sender.",
            Self::OtherProvider(names) if names.contains('`') => {
                "Set `provider` on the route to the one of them that sends it."
            }
            Self::OtherProvider(name) => return format!("Set `provider = \"{name}\"` on the route."),
            Self::SignatureUpperCase => {
                "Have the sender write lower-case digits, or say `encoding = \"hex-any\"` in the scheme."
            }
            Self::SignatureInQuotes => "Have the sender leave them out.",
            Self::SignatureEncoding(name) => {
                return format!("Say `encoding = \"{name}\"` in `signature` of the scheme, or correct the sender.");
            }
            Self::SignaturePrefix(prefix) => {
                return format!("Say `prefix = \"{prefix}\"` in `signature` of the scheme, or correct the sender.");
            }
            Self::OtherHeader { .. } | Self::OtherHeaderFamily { .. } => {
                "Name that header in the scheme, or see whether a proxy on the way renames it."
            }
            Self::MillisecondsForSeconds => {
                "Have the sender write seconds, or say `unit = \"milliseconds\"` in the scheme."
            }
            Self::SecondsForMilliseconds => {
                "Have the sender write milliseconds, or say `unit = \"seconds\"` in the scheme."
            }
            Self::OtherUnitSigned => "Have the sender sign the very text that it puts into the header.",
            Self::TimestampNoNumber => "Have the sender write Unix time in digits alone.",
            Self::Zone { .. } => {
                "Have the sender take Unix time, which is UTC, and check the time zone of both clocks."
            }
            Self::Stale(_) => {
                "For a captured delivery, judge it at its own time with `--at`; on live traffic compare the clocks, or raise `tolerance`."
            }
            Self::Future(_) => "Set both clocks by NTP; for a captured delivery name the time with `--at`.",
        };
        text.to_owned()
    }
}
