//! The mistakes that are known, each with its name, one sentence and the fix.
//!
//! Sentences name headers, templates, encodings and providers, never a secret, a signature or a byte of the body.

use std::time::Duration;

/// A common mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// The configured secret ends in a newline.
    SecretEndsInNewline,
    /// The sender's secret ends in a newline, ours does not.
    SecretLacksNewline,
    /// There is white space around the configured secret.
    SecretInSpace,
    /// There are quotation marks around the configured secret.
    SecretInQuotes,
    /// The configured secret begins with a byte order mark.
    SecretHasByteOrderMark,
    /// The secret is text in this encoding, and its bytes are the key.
    SecretNotDecoded(&'static str),
    /// The scheme decodes the secret from this encoding, and its text is the key.
    SecretWronglyDecoded(&'static str),
    /// A prefix of the secret (`whsec_`) is or is not part of the key.
    SecretPrefix(String),
    /// The secret that matches is not active at this moment.
    SecretInactive {
        /// Whether its time is over, or still to come.
        is_past: bool,
    },
    /// The body ends in a newline that was not signed.
    BodyGainedNewline,
    /// A newline at the end of the body was signed and is gone.
    BodyLostNewline,
    /// CRLF became LF or the other way round.
    BodyLineEnds,
    /// The body was parsed and written anew.
    BodyReserialised,
    /// The signature is that of an empty body.
    BodyWasEmpty,
    /// A byte order mark at the start of the body was added or lost.
    BodyByteOrderMark,
    /// The body is base64 of what was signed.
    BodyStillBase64,
    /// The body alone was signed.
    BodyAloneSigned,
    /// The parts were signed in another order.
    OtherOrder(String),
    /// The parts were joined by something else.
    OtherSeparator(String),
    /// A part of the signed content was left out.
    PartLeftOut(String),
    /// Signed with another algorithm.
    OtherAlgorithm(&'static str),
    /// Signed as another provider does.
    OtherProvider(String),
    /// The hexadecimal signature has capital letters.
    SignatureUpperCase,
    /// There are quotation marks around the signature.
    SignatureInQuotes,
    /// The signature is written in another encoding.
    SignatureEncoding(&'static str),
    /// The prefix of the signature is missing, or another one; the one found.
    SignaturePrefix(String),
    /// The signature, or the timestamp, stands in another header.
    OtherHeader {
        /// Where the scheme looks.
        expected: String,
        /// Where it is.
        found: String,
    },
    /// The timestamp counts milliseconds where the scheme takes seconds.
    MillisecondsForSeconds,
    /// The timestamp counts seconds where the scheme takes milliseconds.
    SecondsForMilliseconds,
    /// The signed timestamp has another unit than the one in the header.
    OtherUnitSigned,
    /// The timestamp is not a plain number, but signed as it stands there.
    TimestampNoNumber,
    /// The clocks are apart by whole hours: a time zone.
    Zone {
        /// How many.
        hours: u32,
        /// Whether the timestamp lies behind the clock.
        is_behind: bool,
    },
    /// The delivery is just too old.
    Stale(Duration),
    /// The delivery's timestamp lies too far ahead.
    Future(Duration),
}

impl Mistake {
    /// Its name, for programs.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SecretEndsInNewline => "secret_ends_in_newline",
            Self::SecretLacksNewline => "secret_lacks_newline",
            Self::SecretInSpace => "secret_in_space",
            Self::SecretInQuotes => "secret_in_quotes",
            Self::SecretHasByteOrderMark => "secret_has_byte_order_mark",
            Self::SecretNotDecoded(_) => "secret_not_decoded",
            Self::SecretWronglyDecoded(_) => "secret_wrongly_decoded",
            Self::SecretPrefix(_) => "secret_prefix",
            Self::SecretInactive { .. } => "secret_inactive",
            Self::BodyGainedNewline => "body_gained_newline",
            Self::BodyLostNewline => "body_lost_newline",
            Self::BodyLineEnds => "body_line_ends",
            Self::BodyReserialised => "body_reserialised",
            Self::BodyWasEmpty => "body_was_empty",
            Self::BodyByteOrderMark => "body_byte_order_mark",
            Self::BodyStillBase64 => "body_still_base64",
            Self::BodyAloneSigned => "body_alone_signed",
            Self::OtherOrder(_) => "other_order",
            Self::OtherSeparator(_) => "other_separator",
            Self::PartLeftOut(_) => "part_left_out",
            Self::OtherAlgorithm(_) => "other_algorithm",
            Self::OtherProvider(_) => "other_provider",
            Self::SignatureUpperCase => "signature_upper_case",
            Self::SignatureInQuotes => "signature_in_quotes",
            Self::SignatureEncoding(_) => "signature_encoding",
            Self::SignaturePrefix(_) => "signature_prefix",
            Self::OtherHeader { .. } => "other_header",
            Self::MillisecondsForSeconds => "milliseconds_for_seconds",
            Self::SecondsForMilliseconds => "seconds_for_milliseconds",
            Self::OtherUnitSigned => "other_unit_signed",
            Self::TimestampNoNumber => "timestamp_no_number",
            Self::Zone { .. } => "time_zone",
            Self::Stale(_) => "stale",
            Self::Future(_) => "future",
        }
    }

    /// What went wrong, in one plain sentence.
    pub fn sentence(&self) -> String {
        let text = match self {
            Self::SecretEndsInNewline => {
                "The configured secret ends in a newline that the sender's secret does not have."
            }
            Self::SecretLacksNewline => "The sender's secret ends in a newline that the configured one does not have.",
            Self::SecretInSpace => "The configured secret has white space around it that the sender's does not have.",
            Self::SecretInQuotes => "The configured secret has quotation marks around it that are not part of it.",
            Self::SecretHasByteOrderMark => {
                "The configured secret begins with a byte order mark that is not part of it."
            }
            Self::SecretInactive { is_past: true } => "It was signed with a secret whose `not_after` has passed.",
            Self::SecretInactive { is_past: false } => {
                "It was signed with a secret whose `not_before` is still to come."
            }
            Self::BodyGainedNewline => "The body ends in a newline that was not signed.",
            Self::BodyLostNewline => "The body that was signed ended in a newline, and this one does not.",
            Self::BodyLineEnds => "The line ends of the body were changed between CRLF and LF after it was signed.",
            Self::BodyReserialised => {
                "The body was parsed and written anew, with other white space, escapes or order of keys than what was signed."
            }
            Self::BodyWasEmpty => "The signature is that of an empty body.",
            Self::BodyByteOrderMark => {
                "A byte order mark at the start of the body was added or dropped after it was signed."
            }
            Self::BodyStillBase64 => "The body is the base64 text of what was signed.",
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
            Self::SecretNotDecoded(encoding) => {
                return format!(
                    "The secret is {encoding} text whose decoded bytes are the key, and this scheme takes the text itself."
                );
            }
            Self::SecretWronglyDecoded(encoding) => {
                return format!(
                    "The secret's text itself is the key, and this scheme decodes it from {encoding} first."
                );
            }
            Self::SecretPrefix(prefix) => {
                return format!("The sender and this scheme disagree about whether `{prefix}` is part of the key.");
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

    /// What to do about it, in one plain sentence.
    pub fn fix(&self) -> String {
        let text = match self {
            Self::SecretEndsInNewline => {
                "Write the secret without it: `printf %s` instead of `echo`; of a file one line feed is dropped, a carriage return is not."
            }
            Self::SecretLacksNewline => "Set the secret at the sender again without the newline, or copy it with it.",
            Self::SecretInSpace => "Remove the white space before and after the secret.",
            Self::SecretInQuotes => {
                "Remove the quotation marks; in `.env` and unit files they are often taken literally."
            }
            Self::SecretHasByteOrderMark => "Save the file as UTF-8 without a byte order mark.",
            Self::SecretNotDecoded("hex") => "Say `key = \"hex\"` in the scheme.",
            Self::SecretNotDecoded(_) => "Say `key = \"base64\"` in the scheme.",
            Self::SecretWronglyDecoded(_) => {
                "Say `key = \"utf8\"` in the scheme, or set the provider's own form of the secret."
            }
            Self::SecretPrefix(_) => {
                "Say `key = { encoding = \"…\", strip = \"…\" }` in the scheme as the provider documents it, and copy the secret whole."
            }
            Self::SecretInactive { is_past: true } => {
                "Have the sender take the new secret, or give the old one a later `not_after`."
            }
            Self::SecretInactive { is_past: false } => {
                "Give the secret an earlier `not_before`, or have the sender keep the old one until then."
            }
            Self::BodyGainedNewline => "Pass on and store the body byte for byte; an editor or `echo` adds a newline.",
            Self::BodyLostNewline => "Pass on and store the body byte for byte; nothing may trim it.",
            Self::BodyLineEnds => "Pass on the body byte for byte; capture it in binary mode.",
            Self::BodyReserialised => "Verify the raw bytes of the request, before any JSON parser has touched them.",
            Self::BodyWasEmpty => {
                "Have the sender sign the very bytes that it sends; a stream that was read before is often the cause."
            }
            Self::BodyByteOrderMark => "Pass on the body byte for byte.",
            Self::BodyStillBase64 => "Decode the body first; some platforms hand bodies over in base64.",
            Self::BodyAloneSigned | Self::OtherOrder(_) | Self::OtherSeparator(_) | Self::PartLeftOut(_) => {
                "If the sender is right, spell its scheme out in `[route.scheme]` with this `signed`; otherwise correct the sender."
            }
            Self::OtherAlgorithm(_) => "Say so in `algorithm` of the scheme, or correct the sender.",
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
            Self::OtherHeader { .. } => "Name that header in the scheme, or see whether a proxy on the way renames it.",
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
