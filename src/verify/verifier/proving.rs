//! The last step of a verification: once the body is complete, keys, forms of the body and
//! signatures are tried.
//!
//! A signature counts as bad only after every active key was tried. A proof holds the form of the
//! body that was signed.

use std::cell::Cell;
use std::sync::Arc;

use super::Inner;
use super::forms::{Forms, NO_ROOM, form_as_json};
use super::keys::Key;
use super::proof::Proof;
use super::signatures;
use super::signatures::{Candidate, SignatureRule, Signatures};
use super::template::{InBody, moment_in, said};
use super::token::{self, Stated};
use super::verification::{Hashes, HeadParts, Verification};
use crate::clock::{Now, UnixMillis};
use crate::notation::form::Said;
use crate::notation::timestamp::Window;
use crate::scheme::body_form::{AnyRoom, Room};
use crate::scheme::code::{Assertion, Begun, RouteFacts, Stamp, Statement};
use crate::scheme::content::SignedContent;
use crate::scheme::form_fields;
use crate::scheme::{
    Algorithm, BodyForm, CredentialScheme, Kind, ProofBy, ProviderCode, TemplateScheme,
};
use crate::verdict::{Code, Refusal};
use crate::wire::head::Head;

const ANSWER_OF_A_HANDSHAKE: Refusal = Refusal::because(
    Code::BadSignature,
    "the signed content could be the challenge of a handshake, whose answer holds this very \
     signature, so it proves nothing",
);

impl Verification {
    /// Compares the digest of the body that [`update`](Self::update) has hashed with the
    /// signatures. If they differ, hashes `body` again with every other key that is active at
    /// `now`, in every form in which the body may have been signed. A `body` that was never given
    /// to `update` is hashed here.
    ///
    /// `body` must be the bytes given to `update`, one chunk after the other: the proof speaks of
    /// the bytes that were hashed.
    ///
    /// # Errors
    /// `bad_signature`, after every active secret was tried, and for signed content that could be
    /// the challenge of a handshake. Where the signature or the timestamp is in the body, also the
    /// refusals of [`Verifier::begin`](super::Verifier::begin) for these two.
    pub fn finish(self: Box<Self>, body: &[u8], now: Now) -> Result<Proof, Refusal> {
        Ok(*self.finish_within(body, now, &mut AnyRoom)?)
    }

    /// As [`finish`](Self::finish), where every form that is derived from the body takes its bytes
    /// from `room`. The proof is in a box, since it is handed on from step to step.
    ///
    /// # Errors
    /// Those of `finish`; `overloaded` where `room` has too little left.
    pub fn finish_within(
        mut self: Box<Self>,
        body: &[u8],
        now: Now,
        room: &mut dyn Room,
    ) -> Result<Box<Proof>, Refusal> {
        let proof = prove(&mut self, body, now, room)?;
        let scheme = &*self.verifier.0.scheme;
        if let Some(handshake) = scheme.handshake {
            let holds_body = scheme.template().is_none_or(|own| own.signed.holds_body());
            let signed = if scheme.code().is_none() && scheme.covers_body() && holds_body {
                proof.signed_body(body)
            } else {
                b""
            };
            if handshake.forbids(proof.content.before(), signed, proof.content.after()) {
                return Err(ANSWER_OF_A_HANDSHAKE);
            }
        }
        Ok(proof)
    }
}

/// Proves a delivery whose body is complete. Takes the parts out of the verification, each where it
/// is needed.
fn prove(
    verification: &mut Verification,
    body: &[u8],
    now: Now,
    room: &mut dyn Room,
) -> Result<Box<Proof>, Refusal> {
    let Verification {
        verifier,
        parts: way,
        at,
        window,
        hashes,
    } = verification;
    let inner = &*verifier.0;
    match (way, &inner.scheme.proof) {
        (
            HeadParts::Template {
                signatures,
                content,
                others,
                said,
            },
            ProofBy::Template(template),
        ) => {
            let given = Given {
                signatures,
                content,
                others,
                said,
                at: *at,
                window: *window,
                hashes,
            };
            by_template(inner, template, given, body, now, room)
        }
        (HeadParts::Code(parts), ProofBy::Code(code)) => {
            let (head, begun) = &mut **parts;
            let begun = std::mem::take(begun);
            let early = at.map(|at| (at, *window));
            by_code(inner, *code, (head, begun), body, early, (now, room)).map(Box::new)
        }
        (HeadParts::Token(parts), ProofBy::Token(scheme)) => {
            let (head, token) = &mut **parts;
            let (at, window) = (*at, *window);
            let given = token.take().map(|token| (token, Stated { at, window }));
            token::prove(inner, &scheme.rule, (head, given), body, (now, room)).map(Box::new)
        }
        (HeadParts::Credential(signatures), ProofBy::Credential(credential)) => {
            let signatures = std::mem::take(signatures);
            by_credential(inner, credential, signatures, body, now).map(Box::new)
        }
        // A verification keeps the verifier that began it, so its parts always fit the scheme.
        _ => Err(Code::BadSignature.into()),
    }
}

fn by_credential(
    inner: &Inner,
    credential: &CredentialScheme,
    mut signatures: Signatures,
    body: &[u8],
    now: Now,
) -> Result<Proof, Refusal> {
    if let Some(InBody {
        places,
        signature: Some(slot),
        ..
    }) = &inner.in_body
    {
        let values = places.scan(body).map_err(malformed)?;
        let rule = SignatureRule::of_credential(credential);
        signatures = signatures::read_values(&rule, values.each(*slot).iter().copied())?;
    }
    let content = SignedContent::default();
    let secret = inner.find(now, |key| key.holds(&content, b"", &signatures))?;
    Ok(Proof {
        secret: Arc::clone(&secret.name),
        signed_at: None,
        timestamp: None,
        content,
        window: Window::ALWAYS,
        form: None,
        claims: None,
    })
}

/// The refusal of a body whose signatures or signed values cannot be read.
fn malformed(fault: crate::notation::json::JsonError) -> Refusal {
    Refusal::because(Code::MalformedSignature, fault.why())
}

/// The values that the head gave.
struct Given<'g> {
    signatures: &'g mut Signatures,
    content: &'g mut SignedContent,
    others: &'g mut Vec<SignedContent>,
    said: &'g Said,
    at: Option<UnixMillis>,
    window: Window,
    /// The hashes of the body that were made already.
    hashes: &'g mut Hashes,
}

fn by_template(
    inner: &Inner,
    template: &TemplateScheme,
    given: Given<'_>,
    body: &[u8],
    now: Now,
    room: &mut dyn Room,
) -> Result<Box<Proof>, Refusal> {
    let Given {
        signatures,
        content,
        others,
        said,
        mut at,
        mut window,
        hashes,
    } = given;
    let covered = if template.signed.holds_body() {
        body
    } else {
        b""
    };
    let text = form_as_json(inner, template, (said, body), room)?;
    let asked = text.as_deref().unwrap_or(body);
    if inner.is_read_first() {
        let contents = std::iter::once(&mut *content).chain(others.iter_mut());
        let digests = template.signed.digests_of(body);
        let places = inner
            .in_body
            .as_ref()
            .filter(|places| places.is_read_first());
        match places {
            Some(places) => {
                let body = (asked, &*digests);
                read_body(template, places, body, signatures, contents)?;
            }
            None => fill_all(contents, &digests)?,
        }
    }

    let mut forms = Forms::of(covered, &template.body, inner.settings.max_body, room);
    let mut found = None;
    'secrets: for (index, secret) in inner.secrets.iter().enumerate() {
        for (place, key) in secret.active(now.wall) {
            for (form, kind) in template.body.iter().enumerate() {
                let hash = (*kind == BodyForm::Raw)
                    .then(|| hashes.take((index, place), covered.len()))
                    .flatten();
                let holds = match hash {
                    Some(hash) => key.holds_for(hash.mac, content, signatures),
                    None => {
                        forms.make_room_for_copy(form, key, content)?;
                        forms
                            .get(form)?
                            .is_some_and(|body| key.holds(content, body, signatures))
                    }
                };
                let other = if holds || others.is_empty() {
                    None
                } else {
                    forms.make_room_for_copy(form, key, content)?;
                    let body = forms.get(form)?;
                    others.iter().position(|other| {
                        body.is_some_and(|body| key.holds(other, body, signatures))
                    })
                };
                if holds || other.is_some() {
                    found = Some((secret, form, other));
                    break 'secrets;
                }
            }
        }
    }
    let (secret, form, other) = found.ok_or(Refusal::from(Code::BadSignature))?;
    let form = forms.owned(form)?;
    if let Some(other) = other {
        *content = others.swap_remove(other);
    }
    if let (
        Some(InBody {
            places,
            timestamp: Some(slot),
            ..
        }),
        Some(place),
    ) = (&inner.in_body, &template.timestamp)
        && let Some(moment) = moment_in(places, *slot, place, form.as_deref().unwrap_or(asked))?
    {
        window = place.unit.window(
            moment,
            inner.settings.tolerance,
            inner.settings.future_tolerance,
        );
        window.judge(now.wall)?;
        at = Some(moment);
    }
    let signed_at = at.filter(|_| inner.signs_timestamp);
    Ok(Box::new(Proof {
        secret: Arc::clone(&secret.name),
        signed_at,
        timestamp: at,
        content: std::mem::take(content),
        window,
        form: form.or(text),
        claims: None,
    }))
}

/// Puts the digests of the body into contents that need nothing else of it.
fn fill_all<'c>(
    contents: impl Iterator<Item = &'c mut SignedContent>,
    digests: &[String],
) -> Result<(), Refusal> {
    for content in contents {
        content.fill([], digests)?;
    }
    Ok(())
}

/// Reads the signatures and the signed values that are in the body, whose digests are given.
fn read_body<'c>(
    template: &TemplateScheme,
    places: &InBody,
    (body, digests): (&[u8], &[String]),
    signatures: &mut Signatures,
    contents: impl Iterator<Item = &'c mut SignedContent>,
) -> Result<(), Refusal> {
    let values = places.places.scan(body).map_err(malformed)?;
    if let Some(slot) = places.signature {
        let rule = SignatureRule::of_template(template);
        *signatures = signatures::read_values(&rule, values.each(slot).iter().copied())?;
    }
    for content in contents {
        content.fill(places.parts.iter().map(|slot| values.at(*slot)), digests)?;
    }
    Ok(())
}

/// The timestamp that a body states under a template, whether it was signed or not.
pub(super) fn timestamp_in(
    inner: &Inner,
    template: &TemplateScheme,
    head: &Head,
    body: &[u8],
) -> Option<UnixMillis> {
    let in_body = inner.in_body.as_ref()?;
    let place = template.timestamp.as_ref()?;
    let said = said(template, head).ok()?;
    let text = form_fields::as_json(&inner.scheme, template, &said, body).ok()?;
    let asked = text.as_deref().unwrap_or(body);
    moment_in(&in_body.places, in_body.timestamp?, place, asked).ok()?
}

/// The timestamp that a body states under a provider's code, whether it was signed or not.
pub(super) fn timestamp_stated(
    inner: &Inner,
    code: &dyn ProviderCode,
    (head, begun): (&Head, Begun),
    body: &[u8],
) -> Option<Stamp> {
    let facts = RouteFacts {
        public_url: inner.public_url.as_ref(),
        labels: &inner.labels,
        components: &inner.scheme.components,
    };
    code.read(head, begun, body, facts).ok()?.timestamp
}

fn by_code(
    inner: &Inner,
    code: &dyn ProviderCode,
    (head, begun): (&Head, Begun),
    body: &[u8],
    early: Option<(UnixMillis, Window)>,
    (now, room): (Now, &mut dyn Room),
) -> Result<Proof, Refusal> {
    let facts = RouteFacts {
        public_url: inner.public_url.as_ref(),
        labels: &inner.labels,
        components: &inner.scheme.components,
    };
    let Statement {
        assertions,
        timestamp,
        text,
    } = code.read(head, begun, body, facts)?;
    let contents = assertions.iter().flat_map(|assertion| &assertion.contents);
    if !room.take(contents.map(Vec::len).sum()) {
        return Err(NO_ROOM);
    }
    let parts: Vec<_> = assertions
        .into_iter()
        .map(|assertion| Part::new(assertion, code.further_algorithms()))
        .collect();
    if parts.is_empty() {
        return Err(Code::BadSignature.into());
    }
    let secret = inner.find(now, |key| {
        parts.iter().fold(true, |all, part| part.holds(key) & all)
    })?;
    let settings = &inner.settings;
    let late = timestamp.map(|(at, unit)| {
        (
            at,
            unit.window(at, settings.tolerance, settings.future_tolerance),
        )
    });
    let stamp = late.or(early);
    let window = stamp.map_or(Window::ALWAYS, |(_, window)| window);
    window.judge(now.wall)?;
    let at = stamp.map(|(at, _)| at);
    let signed_at = at.filter(|_| code.signs_timestamp());
    // An assertion may have been signed in several forms. The form under the signature counts: the
    // other forms follow from the request, and a stranger may be able to change them.
    let content: Vec<u8> = parts
        .iter()
        .filter_map(|part| {
            Some([part.contents.get(part.held.get())?.before(), &part.tail].concat())
        })
        .flatten()
        .collect();
    let content = SignedContent::whole(content);
    Ok(Proof {
        secret: Arc::clone(&secret.name),
        signed_at,
        timestamp: at,
        content,
        window,
        form: text,
        claims: None,
    })
}

/// An assertion of a provider's code, with its signatures ready to be tried.
struct Part {
    contents: Vec<SignedContent>,
    /// The end of each of them.
    tail: Vec<u8>,
    signatures: Signatures,
    // The place of the content that held under the latest key.
    held: Cell<usize>,
}

impl Part {
    /// `further` are the algorithms that count for each signature besides the assertion's own.
    fn new(assertion: Assertion, further: &[Algorithm]) -> Self {
        let own = std::iter::once(&assertion.algorithm);
        let kinds: Vec<Kind> = own.chain(further).map(|known| known.kind()).collect();
        let candidates = assertion.signatures.into_iter().flat_map(|bytes| {
            let candidate = move |kind: &Kind| Candidate::new(*kind, bytes.clone());
            kinds.iter().map(candidate)
        });
        let signatures = Signatures::of(candidates);
        Self {
            contents: assertion
                .contents
                .into_iter()
                .map(SignedContent::whole)
                .collect(),
            tail: assertion.tail,
            signatures,
            held: Cell::new(0),
        }
    }

    /// Whether any of the contents holds. All of them are tried.
    fn holds(&self, key: &Key) -> bool {
        let contents = self.contents.iter().enumerate();
        contents.fold(false, |any, (place, content)| {
            let holds = key.holds(content, &self.tail, &self.signatures);
            if holds && !any {
                self.held.set(place);
            }
            holds | any
        })
    }
}
