//! Handshakes: requests by which a provider makes sure of an endpoint (schemes: Handshakes).
//!
//! [`Handshake`] is the trait of a provider's handshake. A request is recognised by its exact form,
//! as an [`Asked`]. Unsigned handshakes are recognised from the head alone or from a small body,
//! signed handshakes from a proved delivery. Nothing here writes an answer, a file or a log, or
//! knows how a route is configured.
//!
//! A MAC under the route's secret is also the signature of deliveries. It is therefore computed for
//! a [`Challenge`] alone, a text of the exact form that the provider sends, and a delivery whose
//! signed content could be such a text proves nothing (`forbids`).

mod challenge;

pub use challenge::{Challenge, Formula, MAX_TEXT};

use std::fmt;

use crate::key::digest::DigestAlgorithm;
use crate::key::secret::SecretText;
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// The largest body, in bytes, in which an unsigned handshake is looked for.
pub const MAX_OPEN_BODY: usize = 4 * 1024;

/// The largest body, in bytes, in which a signed handshake is looked for.
pub const MAX_SIGNED_BODY: usize = 16 * 1024;

/// A provider's handshake: its name, how it asks, and how it is answered.
///
/// A provider implements the methods that its handshake needs; the defaults recognise nothing.
/// Callers ask for bodies by the methods of `dyn Handshake`, which hold the limits on their size.
pub trait Handshake: fmt::Debug + Sync {
    /// The name in a configuration file.
    fn name(&self) -> &'static str;

    /// A clause for `verigate providers`: the provider's question and the answer to it.
    fn words(&self) -> &'static str;

    /// The unsigned handshake in a head, before a byte of its body is read; `None` where the head
    /// holds no handshake.
    ///
    /// # Errors
    /// `malformed_handshake` for a request with the handshake's name and another form.
    fn in_head(&self, _head: &Head) -> Result<Option<Asked>, Refusal> {
        Ok(None)
    }

    /// Whether [`in_body`](Self::in_body) may recognise a request.
    fn reads_body(&self) -> bool {
        false
    }

    /// The unsigned handshake in the body of a request that carries no signature; `None` where the
    /// body holds no handshake.
    ///
    /// # Errors
    /// `malformed_handshake` for a request with the handshake's type and another form.
    fn in_body(&self, _body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        Ok(None)
    }

    /// The handshake in a proved delivery; `None` where the delivery is an event.
    ///
    /// # Errors
    /// `malformed_handshake` for a delivery with the handshake's type and another form.
    fn in_proved(&self, _head: &Head, _body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        Ok(None)
    }

    /// Whether the provider sends deliveries with this body and a wrong signature on purpose, to
    /// see them refused.
    fn is_probe(&self, _body: SmallBody<'_>) -> bool {
        false
    }

    /// Whether the provider accepts the refusal of a signature only with an empty body.
    fn refuses_without_words(&self) -> bool {
        false
    }

    /// Whether the answer depends on the route's `verify_token`, a text that the operator gave to
    /// the provider.
    fn wants_verify_token(&self) -> bool {
        false
    }

    /// Whether the gateway hands some of the handshakes that it knows to the app.
    fn is_for_app(&self) -> bool {
        false
    }

    /// Whether the handshake brings the route's secret.
    fn brings_secret(&self) -> bool {
        false
    }

    /// Whether the answer names the public half of a pair of keys.
    fn wants_public_key(&self) -> bool {
        false
    }

    /// The public half in the text of a secret, as the operator wrote it; `None` where the text has
    /// no public half.
    fn public_half<'s>(&self, _secret: &'s SecretText) -> Option<&'s [u8]> {
        None
    }

    /// The formula of a handshake that is answered with a MAC under the route's secret.
    fn formula(&self) -> Option<&'static Formula> {
        None
    }
}

/// A body that is small enough for a handshake. Only the methods of `dyn Handshake` make it, so no
/// handshake is looked for in a larger body.
#[derive(Clone, Copy, Debug)]
pub struct SmallBody<'b>(&'b [u8]);

impl<'b> SmallBody<'b> {
    fn within(limit: usize, body: &'b [u8]) -> Option<Self> {
        (body.len() <= limit).then_some(Self(body))
    }

    /// The bytes of the body.
    pub fn bytes(self) -> &'b [u8] {
        self.0
    }
}

impl dyn Handshake {
    /// As [`Handshake::in_body`]; `None` for a body larger than [`MAX_OPEN_BODY`].
    ///
    /// # Errors
    /// As [`Handshake::in_body`].
    pub fn asked_in_body(&self, body: &[u8]) -> Result<Option<Asked>, Refusal> {
        SmallBody::within(MAX_OPEN_BODY, body).map_or(Ok(None), |body| self.in_body(body))
    }

    /// As [`Handshake::in_proved`]; `None` for a body larger than [`MAX_SIGNED_BODY`].
    ///
    /// # Errors
    /// As [`Handshake::in_proved`].
    pub fn asked_in_proved(&self, head: &Head, body: &[u8]) -> Result<Option<Asked>, Refusal> {
        SmallBody::within(MAX_SIGNED_BODY, body).map_or(Ok(None), |body| self.in_proved(head, body))
    }

    /// As [`Handshake::is_probe`]; false for a body larger than [`MAX_SIGNED_BODY`].
    pub fn probes_with(&self, body: &[u8]) -> bool {
        SmallBody::within(MAX_SIGNED_BODY, body).is_some_and(|body| self.is_probe(body))
    }

    /// The public key that an answer may name: the [public half](Handshake::public_half) of a
    /// secret, if it consists of ASCII letters and digits.
    pub fn public_key<'s>(&self, secret: &'s SecretText) -> Option<&'s str> {
        let public = std::str::from_utf8(self.public_half(secret)?).ok()?;
        (!public.is_empty() && public.bytes().all(|byte| byte.is_ascii_alphanumeric()))
            .then_some(public)
    }

    /// The algorithm that a scheme must have for its key to answer this handshake; `None` where any
    /// algorithm will do.
    pub fn mac_algorithm(&self) -> Option<DigestAlgorithm> {
        self.formula().map(|formula| formula.algorithm)
    }

    /// Whether a signature over this content proves nothing, because a stranger may have got it as
    /// the answer to a handshake. `body` is empty where it is not signed; `before` and `after` are
    /// the signed bytes around it.
    pub fn forbids(&self, before: &[u8], body: &[u8], after: &[u8]) -> bool {
        let length = before.len() + body.len() + after.len();
        length <= MAX_TEXT
            && self
                .formula()
                .is_some_and(|formula| formula.takes(&[before, body, after].concat()))
    }
}

/// The answer to a handshake. Its body is sent with `X-Content-Type-Options: nosniff`, never as
/// HTML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// `Content-Type`, sent with an empty body too, since Discord asks for it.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
    /// The value of `X-Hook-Secret`, for a handshake whose secret is sent back.
    pub hook_secret: Option<SecretText>,
}

impl Reply {
    /// Status 200 with this text.
    pub fn text(body: String) -> Self {
        Self {
            status: 200,
            content_type: "text/plain",
            body,
            hook_secret: None,
        }
    }

    /// Status 200 with a JSON object of these strings, escaped.
    pub fn json<const N: usize>(entries: [(&str, &str); N]) -> Self {
        let entry = |(key, value)| {
            format!(
                "{}:{}",
                serde_json::Value::from(key),
                serde_json::Value::from(value)
            )
        };
        Self::raw_json(format!("{{{}}}", entries.map(entry).join(",")))
    }

    /// Status 200 with this JSON text.
    pub fn raw_json(body: String) -> Self {
        Self {
            status: 200,
            content_type: "application/json",
            body,
            hook_secret: None,
        }
    }

    /// This status with an empty body.
    pub fn empty(status: u16) -> Self {
        Self {
            status,
            ..Self::text(String::new())
        }
    }
}

/// A request that has the exact form of a handshake.
#[derive(Debug)]
pub enum Asked {
    /// The gateway answers, in every mode: the request only tries the endpoint, nothing signs it,
    /// and it holds nothing for the application.
    Probe(Reply),
    /// The gateway answers with a text from the request.
    Echo(Reply),
    /// The gateway answers if the request's token is the route's.
    Guarded {
        /// The token in the request.
        token: SecretText,
        /// The answer.
        reply: Reply,
    },
    /// The gateway answers with a MAC under the route's secret.
    Mac(Challenge),
    /// The request brings the route's secret.
    Secret {
        /// Visible ASCII, 8 to 512 bytes.
        secret: SecretText,
        /// The answer, once the secret is kept.
        reply: Reply,
    },
    /// The application answers.
    ForApp,
}

impl Asked {
    /// Hands the request to the application, whatever it asks.
    pub fn pass(self) -> Passage {
        Passage(())
    }
}

/// Evidence that a request has the form of a handshake, so that it may be handed to the
/// application, which must not take it for an event: the request is unproved, or proved to be no
/// event. Only [`Asked::pass`] makes a passage.
#[derive(Debug)]
pub struct Passage(());
