//! How the text of a secret is read under a scheme, in words, and the doubts that its look gives
//! (schemes: Keys and secrets).
//!
//! The look of a secret does not say how it becomes a key: some providers decode what follows
//! `whsec_`, others take the whole text. So the reading is said for each secret, and a doubt only
//! where another value was probably configured. Words repeat well-known beginnings alone.

use super::{CredentialKind, KeyEncoding, KeyForm, ProofBy, Scheme};
use crate::key::public::PublicKey;
use crate::key::secret::SecretText;
use crate::key::shape;

/// A reason to doubt that a text is the secret of a scheme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretDoubt {
    /// All secrets of this provider begin in a known way, and the text does not.
    BeginsOtherwise(String),
    /// The text has the beginning of a signing secret, the scheme takes it whole, and the secrets of
    /// this provider are not known to begin so.
    TakenWhole(String),
    /// All secrets of this provider have a known form, which is in these words, and the text has not.
    OtherForm(String),
    /// The text is hexadecimal digits alone, and the scheme decodes it as base64.
    HexAsBase64,
}

impl SecretDoubt {
    /// Words that complete "the secret …". `provider` is the name of the scheme.
    pub fn words(&self, provider: &str) -> String {
        match self {
            Self::BeginsOtherwise(begin) => format!(
                "does not begin with `{begin}`, as the secrets of `{provider}` do: it is another \
                 value, or its beginning is missing"
            ),
            Self::OtherForm(form) => format!(
                "does not look like the secrets of `{provider}`, which are {form}: it is another value"
            ),
            Self::TakenWhole(begin) => format!(
                "begins with `{begin}`, and this scheme takes it whole, as text: secrets of \
                 `{provider}` are not known to begin so, and other providers decode what follows"
            ),
            Self::HexAsBase64 => {
                "consists of hexadecimal digits alone, and this scheme decodes it \
                                  as base64"
                    .to_owned()
            }
        }
    }

    /// The correction, as advice to the operator.
    pub const fn fix(&self) -> &'static str {
        match self {
            Self::BeginsOtherwise(_) | Self::OtherForm(_) => {
                "Copy the whole signing secret of this very endpoint, with its beginning; an API \
                 key or an id is no signing secret."
            }
            Self::TakenWhole(_) | Self::HexAsBase64 => {
                "Compare the secret with the one that the provider shows for this very endpoint: it \
                 may belong to another provider."
            }
        }
    }
}

impl Scheme {
    /// How the text of a secret becomes the key, in words: ``the whole text, `whsec_` included``.
    /// Several readings are tried in this order. Empty where the text is no key.
    pub fn secret_reading(&self, text: &SecretText) -> String {
        let wanted = self.wanted();
        if wanted.public && (!wanted.shared || PublicKey::looks_public(text.expose())) {
            return "a public key".to_owned();
        }
        match &self.proof {
            ProofBy::Code(code) => return code.secret_words().to_owned(),
            ProofBy::Credential(credential) => {
                return match credential.kind {
                    CredentialKind::Token => "the token itself",
                    CredentialKind::Basic => "user and password",
                }
                .to_owned();
            }
            ProofBy::Template(_) | ProofBy::Token(_) => {}
        }
        let forms = self.proof.key_forms().iter();
        let fitting = forms.filter(|form| form.key(text).is_ok());
        let ways: Vec<String> = fitting.map(|form| self.read_by(form, text)).collect();
        ways.join(", or ")
    }

    fn read_by(&self, form: &KeyForm, text: &SecretText) -> String {
        let taken = form
            .strip
            .as_deref()
            .filter(|_| form.stripped(text.expose()).is_some());
        let plain = match form.encoding {
            KeyEncoding::Utf8 => "the text",
            KeyEncoding::Utf8Nfkd => "the text in NFKD",
            KeyEncoding::Base64 => "base64",
            KeyEncoding::Hex => "hexadecimal digits",
        };
        let begin = self.beginning(text);
        let words = match (taken, form.encoding, begin) {
            (Some(prefix), _, _) => format!("{plain} behind `{prefix}`"),
            (None, KeyEncoding::Utf8, Some(begin)) => {
                format!("the whole text, `{begin}` included")
            }
            _ => plain.to_owned(),
        };
        match &form.drop_first {
            Some(dropped) => format!("{words}, without its first `{dropped}`"),
            None => words,
        }
    }

    /// The well-known beginning that the text has.
    fn beginning(&self, text: &SecretText) -> Option<&str> {
        let bare = shape::bare(text.expose());
        let mut own = self.secret_begins.iter().map(String::as_str);
        own.find(|own| bare.starts_with(own.as_bytes()))
            .or_else(|| shape::signing_prefix(bare))
    }

    /// The reason to doubt that the text is a secret of this scheme; `None` where its look is no
    /// reason.
    pub fn secret_doubt(&self, text: &SecretText) -> Option<SecretDoubt> {
        let bare = shape::bare(text.expose());
        let takes_public = self.wanted().public;
        if takes_public && PublicKey::looks_public(bare) {
            return None;
        }
        let has_own = |own: &String| bare.starts_with(own.as_bytes());
        if let Some(first) = self.secret_begins.first() {
            let is_other = !self.secret_begins.iter().any(has_own);
            return is_other.then(|| SecretDoubt::BeginsOtherwise(first.clone()));
        }
        if let Some(form) = self.secret_form {
            return (!form.fits(bare)).then(|| SecretDoubt::OtherForm(form.words()));
        }
        let signs = matches!(self.proof, ProofBy::Template(_) | ProofBy::Token(_));
        let forms = self.proof.key_forms();
        let mut fitting = forms
            .iter()
            .filter(|form| form.key(text).is_ok())
            .peekable();
        if !signs || fitting.peek().is_none() {
            return None;
        }
        let is_taken = |form: &KeyForm| form.strip.is_some() && form.stripped(bare).is_some();
        if let Some(begin) = shape::signing_prefix(bare) {
            // Whoever sends the headers of Standard Webhooks may well show its secrets so too.
            let mut headers = self.proof.headers().iter();
            let is_standard = headers.any(|name| name.as_str() == "webhook-signature");
            let is_whole = !fitting.any(is_taken);
            return (self.preset && is_whole && !is_standard)
                .then(|| SecretDoubt::TakenWhole(begin.to_owned()));
        }
        let is_hex = bare.len() >= 32 && bare.iter().all(u8::is_ascii_hexdigit);
        let is_decoded = fitting.all(|form| form.encoding == KeyEncoding::Base64);
        (is_hex && is_decoded).then_some(SecretDoubt::HexAsBase64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scheme::tests::fixtures::plain;

    fn with(forms: &[(KeyEncoding, Option<&str>)], begins: &[&str]) -> Scheme {
        let mut scheme = plain("{body}");
        scheme.preset = true;
        let form = |(encoding, strip): &(KeyEncoding, Option<&str>)| KeyForm {
            encoding: *encoding,
            strip: strip.map(str::to_owned),
            ..KeyForm::default()
        };
        scheme.proof.set_key_forms(forms.iter().map(form).collect());
        scheme.secret_begins = begins.iter().map(|begin| (*begin).to_owned()).collect();
        scheme
    }

    /// Key forms, beginnings, the text, its reading and the doubt.
    type Row<'r> = (
        &'r [(KeyEncoding, Option<&'r str>)],
        &'r [&'r str],
        &'r str,
        &'r str,
        Option<SecretDoubt>,
    );

    #[test]
    fn what_the_look_of_a_secret_does_not_say_is_said() {
        use KeyEncoding::{Base64, Hex, Utf8};
        let hex = "6f6c6420736563726574206f6620313937306f6c";
        let taken = |begin: &str| Some(SecretDoubt::TakenWhole(begin.to_owned()));
        let other = |begin: &str| Some(SecretDoubt::BeginsOtherwise(begin.to_owned()));
        let rows: &[Row<'_>] = &[
            (&[(Utf8, None)], &[], "a-plain-secret", "the text", None),
            (
                &[(Utf8, None)],
                &["whsec_"],
                "whsec_c2VjcmV0",
                "the whole text, `whsec_` included",
                None,
            ),
            (
                &[(Utf8, None)],
                &["lf-whsec_"],
                "whsec_c2VjcmV0",
                "the whole text, `whsec_` included",
                other("lf-whsec_"),
            ),
            (
                &[(Utf8, None)],
                &[],
                "whsec_c2VjcmV0",
                "the whole text, `whsec_` included",
                taken("whsec_"),
            ),
            (
                &[(Utf8, None)],
                &[],
                "v1,whsec_c2VjcmV0",
                "the whole text, `v1,whsec_` included",
                taken("v1,whsec_"),
            ),
            (&[(Utf8, None)], &[], hex, "the text", None),
            (
                &[(Base64, Some("whsec_"))],
                &[],
                "whsec_c2VjcmV0",
                "base64 behind `whsec_`",
                None,
            ),
            (
                &[(Base64, Some("whsec_"))],
                &[],
                "v1,whsec_c2VjcmV0",
                "base64 behind `whsec_`",
                None,
            ),
            (&[(Base64, Some("whsec_"))], &[], "c2VjcmV0", "base64", None),
            (
                &[(Base64, Some("whsec_"))],
                &[],
                hex,
                "base64",
                Some(SecretDoubt::HexAsBase64),
            ),
            (
                &[(Base64, Some("whsec_")), (Utf8, None)],
                &[],
                "whsec_c2VjcmV0",
                "base64 behind `whsec_`, or the whole text, `whsec_` included",
                None,
            ),
            (&[(Hex, None)], &[], hex, "hexadecimal digits", None),
            (&[(Hex, None)], &[], "no hex", "", None),
        ];
        let mut wrong = Vec::new();
        for (forms, begins, text, reading, doubt) in rows {
            let scheme = with(forms, begins);
            let secret = SecretText::new(text.as_bytes().to_vec());
            let found = (scheme.secret_reading(&secret), scheme.secret_doubt(&secret));
            if found != ((*reading).to_owned(), doubt.clone()) {
                wrong.push((text, found));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn the_words_of_a_doubt_hold_no_byte_behind_the_beginning() {
        let scheme = with(&[(KeyEncoding::Utf8, None)], &[]);
        let doubt = scheme.secret_doubt(&SecretText::new("whsec_tops3cret".into()));
        let words = doubt.unwrap().words("acme");
        assert!(
            words.contains("`whsec_`") && words.contains("`acme`") && !words.contains("tops3cret")
        );
    }
}
