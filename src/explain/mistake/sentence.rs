//! What went wrong, in one plain sentence for each mistake.

use std::time::Duration;

use super::Known;

impl Known {
    /// What went wrong, in one plain sentence.
    pub(super) fn sentence(&self) -> String {
        let text = match self {
            Self::TimestampRewritten => {
                "The `Date` header was written anew on the way, by a proxy, after it was signed."
            }
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
            Self::BodyAloneSigned => "The sender signs the body alone, without the other parts that this scheme signs.",
            Self::SignatureUpperCase => "The signature is right but written in capital hexadecimal digits.",
            Self::SignatureInQuotes => "The signature is right but has quotation marks around it.",
            Self::MillisecondsForSeconds => "The timestamp counts milliseconds, and this scheme takes seconds.",
            Self::SecondsForMilliseconds => "The timestamp counts seconds, and this scheme takes milliseconds.",
            Self::OtherUnitSigned => {
                "The timestamp was signed in another unit, seconds or milliseconds, than it is sent in."
            }
            Self::TimestampNoNumber => {
                "The timestamp is signed as it stands there, but it is not a plain decimal number."
            }
            Self::PartAdded(template) => {
                return format!("The sender signs more than this scheme says: `{template}`.");
            }
            Self::PlainHash { algorithm, signed } => {
                return format!("The sender takes a plain {algorithm} hash, not an HMAC, of `{signed}`.");
            }
            Self::Unkeyed(algorithm) => {
                return format!(
                    "The signature is a plain {algorithm} hash without any secret, which anybody can make."
                );
            }
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
            Self::TimestampUnit("number") => {
                return "The timestamp is signed as it stands there, but it is a number, and this scheme takes a date."
                    .to_owned();
            }
            Self::TimestampUnit(unit) => {
                return format!("The timestamp is signed as it stands there, but it is written as `{unit}`.");
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
            Self::OtherOrder(template) => {
                return format!("The sender signs the parts in another order: `{template}`.");
            }
            Self::OtherSeparator(template) => {
                return format!("The sender joins the parts in another way: `{template}`.");
            }
            Self::PartLeftOut(template) => {
                return format!("The sender leaves out a part that this scheme signs: `{template}`.");
            }
            Self::OtherAlgorithm("token" | "basic") => {
                return "The sender sends the secret itself along, and signs nothing.".to_owned();
            }
            Self::OtherAlgorithm(name) => return format!("The sender signs with {name}."),
            Self::OtherProvider(name) => return format!("It is signed as the provider `{name}` signs."),
            Self::SignatureEncoding(name) => return format!("The signature is right but written in {name}."),
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
            Self::Zone { hours, is_behind } => {
                let side = if *is_behind { "behind" } else { "ahead of" };
                let noun = if *hours == 1 { "hour" } else { "hours" };
                return format!(
                    "The timestamp is {hours} {noun} {side} the clock, nearly to the minute, as a wrong time zone makes it."
                );
            }
            Self::Stale(age) => return format!("The timestamp is {} old, which is too old.", spoken(*age)),
            Self::Future(ahead) => {
                return format!("The timestamp is {} ahead of the clock, which is too far.", spoken(*ahead));
            }
        };
        text.to_owned()
    }
}

/// A duration in words, in its two largest units.
fn spoken(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let parts = [(seconds / 86_400, "d"), (seconds / 3600 % 24, "h"), (seconds / 60 % 60, "min"), (seconds % 60, "s")];
    let largest = parts.iter().position(|(count, _)| *count != 0).unwrap_or(3);
    let shown = parts.iter().skip(largest).take(2).filter(|(count, _)| *count != 0 || seconds == 0);
    shown.map(|(count, unit)| format!("{count} {unit}")).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_spoken_in_its_two_largest_units() {
        let spoken = |s| spoken(Duration::from_secs(s));
        assert_eq!(
            [spoken(0), spoken(59), spoken(301), spoken(3600), spoken(90_061)],
            ["0 s", "59 s", "5 min 1 s", "1 h", "1 d 1 h"].map(str::to_owned)
        );
    }
}
