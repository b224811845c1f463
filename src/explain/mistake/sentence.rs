//! What went wrong, in one plain sentence for each mistake.

use super::Known;
use crate::explain::clock::in_words as spoken;

impl Known {
    /// What went wrong, in one plain sentence.
    pub(super) fn sentence(&self) -> String {
        let text = match self {
            Self::UrlSlash { is_signed: true } => "The path of the URL that was signed ends in a slash.",
            Self::UrlSlash { is_signed: false } => "The path of the URL that was signed does not end in a slash.",
            Self::UrlPort(None) => "The URL that was signed names no port.",
            Self::UrlQueryNotSigned => "The URL was signed without its query.",
            Self::UrlEncoding => "The URL that was signed has other percent escapes than the one received.",
            Self::TokenOtherBody => "The token is genuine, but it is that of another body.",
            Self::TokenOtherUrl => "The token is genuine, but it is that of another URL.",
            Self::TokenOtherIssuer => {
                "The token is genuine, but it was issued by somebody else than this scheme names."
            }
            Self::TokenKeyUnknown => "The token asks by its `kid` for a key that is not among the configured ones.",
            Self::LooksLikeProvider(names) => {
                return format!(
                    "The header that this scheme takes the signature from is not there, and those of `{names}` are."
                );
            }
            Self::OtherHeaderFamily { expected, found } => {
                return format!("This scheme looks for headers named `{expected}…`, and they are named `{found}…`.");
            }
            Self::HeaderJoined(name) => {
                return format!(
                    "The header `{name}` holds several values with commas between them, and one of them is right."
                );
            }
            Self::HeaderTwice(name) => {
                return format!(
                    "The header `{name}`, or an alias of it, is there more than once, and one of them is right."
                );
            }
            Self::RequiredHeader(name) => {
                return format!(
                    "The signature is right, but the header `{name}` has not the value that this scheme requires."
                );
            }
            Self::HeaderMissing(name) => {
                return format!("The header `{name}`, which is part of what is signed, is not there.");
            }
            Self::ListSeparator(separator) => {
                return format!(
                    "The items of the signature header are set apart by `{separator}`, or have another sign behind their labels."
                );
            }
            Self::OtherLabel { expected, found } => {
                return format!(
                    "The right signature stands under the label `{found}`, and this scheme takes `{expected}`."
                );
            }
            Self::LabelMissing(expected) => {
                return format!("The signature is right, but stands there without the label `{expected}`.");
            }
            Self::SignatureLabelled(label) => {
                return format!(
                    "The signature stands in a list, under the label `{label}`, and this scheme takes a bare one."
                );
            }
            Self::OnlyOtherLabels { expected, found } => {
                return format!("There is no signature under `{expected}`, only under `{found}`.");
            }
            Self::NeedsPublicKey(label) => {
                return format!(
                    "There are only signatures under `{label}`, which the sender's public key verifies, and the configured secret is a shared one."
                );
            }
            Self::NeedsSharedSecret(label) => {
                return format!(
                    "There are only signatures under `{label}`, which the shared secret verifies, and the configured secret is a public key."
                );
            }
            Self::UrlScheme(scheme) => return format!("The URL that was signed begins with `{scheme}://`."),
            Self::UrlHost(host) => return format!("The URL that was signed has the host `{host}`."),
            Self::UrlPort(Some(port)) => return format!("The URL that was signed has the port `:{port}` written out."),
            Self::UrlPath(path) => {
                return format!("The URL that was signed has the path `{path}`, which a proxy changed.");
            }
            Self::UrlOther(url) => return format!("The URL that was signed is `{url}`, its query left aside."),
            Self::TokenExpired(age) => return format!("The token expired {} ago.", spoken(*age)),
            Self::TokenNotYet(ahead) => return format!("The token counts only in {} from now.", spoken(*ahead)),
            Self::TokenAlgorithm(name) => {
                return format!("The token names the algorithm {name}, which this scheme does not allow.");
            }
            Self::OtherProvider(name) => return format!("It is signed as the provider `{name}` signs."),
            Self::SignaturePrefix(prefix) if prefix.is_empty() => {
                return "The signature is right but the text that this scheme expects in front of it is missing."
                    .to_owned();
            }
            Self::SignaturePrefix(prefix) => {
                return format!(
                    "The signature is right but has `{prefix}` in front of it, which this scheme does not expect."
                );
            }
            Self::OtherHeader { expected, found } => {
                return format!("This scheme looks for the header `{expected}`, and its value stands in `{found}`.");
            }
        };
        text.to_owned()
    }
}
