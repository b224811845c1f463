//! One route's verification: `begin` judges the head, `update` hashes the body as it arrives, `finish` proves it
//! (SPEC 2.3 to 2.5).
//!
//! Judges signature and freshness only; the event is named by `envelope`, and who may forward it is decided in `claim`.
//! How signatures are read is in `signatures`, how secrets become keys and what they prove in `keys`, what is tried in
//! which order once the body is there in `proving`. A verification that is dropped half way leaves nothing behind.

mod keys;
mod proving;
mod signatures;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::sync::Arc;

use self::keys::Keyed;
use self::signatures::{Signatures, Stamp};
use super::jwt::Token;
use crate::clock::{Now, UnixMillis};
use crate::key::digest::{Digest, Mac};
use crate::key::secret::Secret;
use crate::notation::json::{EachSlot, Places, Slot};
use crate::notation::timestamp::{Tolerance, Unit, Window};
use crate::scheme::Settings;
use crate::scheme::code::Begun;
use crate::scheme::content::SignedContent;
use crate::scheme::handshake::Challenge;
use crate::scheme::template::Facts;
use crate::scheme::{BodyForm, Place, PublicUrl, Scheme, TimestampAt, TimestampPlace};
use crate::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found, Head};

/// A route's scheme, keys and settings. Clones share them.
///
/// A delivery is judged in three calls, the same for live traffic and for every command:
///
/// ```
/// use std::sync::Arc;
///
/// use verigate::config::presets;
/// use verigate::clock::{Clock, UnixMillis};
/// use verigate::key::secret::{Secret, SecretText};
/// use verigate::verdict::{Code, Refusal};
/// use verigate::verify::verifier::{Proof, Settings, Verifier};
/// use verigate::wire::head::Head;
///
/// let scheme = Arc::new(presets::find("github").ok_or("no such preset")?.scheme.clone());
/// // The secret, body and signature of GitHub's own documentation.
/// let text = SecretText::new(b"It's a Secret to Everybody".to_vec());
/// let secret = Secret { name: "example".to_owned(), text, not_before: None, not_after: None };
/// let settings = Settings {
///     tolerance: scheme.tolerance,
///     future_tolerance: scheme.future_tolerance,
///     public_url: None,
///     max_body: 1 << 20,
/// };
/// let verifier = Verifier::new(scheme, vec![secret], settings)?;
///
/// let clock = Clock::set_to(UnixMillis::from_secs(1_750_000_000));
/// let name = b"X-Hub-Signature-256";
/// let value = b"sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17";
///
/// let judge = |chunks: [&[u8]; 2]| -> Result<Proof, Refusal> {
///     let head = Head::from_parts("POST", "/hooks/github", [(&name[..], &value[..])])?;
///     let mut verification = verifier.begin(&head, clock.now())?; // before the body is read
///     chunks.iter().for_each(|chunk| verification.update(chunk)); // as the body arrives
///     // Without this proof nothing is forwarded.
///     verification.finish(&chunks.concat(), clock.now())
/// };
/// assert!(judge([b"Hello, ", b"World!"]).is_ok_and(|proof| &*proof.secret == "example"));
/// let forged = judge([b"Hello, ", b"world!"]);
/// assert!(forged.is_err_and(|refusal| refusal.code == Code::BadSignature));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Verifier(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    scheme: Arc<Scheme>,
    secrets: Vec<Keyed>,
    settings: Settings,
    public_url: Option<PublicUrl>,
    in_body: Option<InBody>,
    // By which a delivery may tell its signatures apart.
    labels: Vec<Vec<u8>>,
    // Whether the body can be hashed while it arrives: the head decides all that stands before it.
    streams: bool,
}

/// What is looked for in the body to judge a signature.
#[derive(Debug)]
struct InBody {
    places: Places,
    parts: Vec<Slot>,
    signature: Option<EachSlot>,
    timestamp: Option<Slot>,
}

/// A secret that is no key of its scheme.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("secret {secret}: {why}")]
pub struct KeyFault {
    /// The secret's name.
    pub secret: String,
    /// What is wrong, without a byte of it.
    pub why: Cow<'static, str>,
}

impl Verifier {
    /// Makes the keys. That the scheme has no [faults](Scheme::faults) with these settings is for the loader to see to;
    /// where it has, deliveries are refused, never let through.
    ///
    /// # Errors
    /// The first secret that is no key of this scheme.
    pub fn new(
        scheme: Arc<Scheme>,
        secrets: Vec<Secret>,
        settings: Settings,
    ) -> Result<Self, KeyFault> {
        let keyed = |secret: Secret| {
            Keyed::new(&scheme, &secret).map_err(|why| KeyFault {
                secret: secret.name.clone(),
                why,
            })
        };
        let texts = secrets.iter().map(|secret| &secret.text);
        let labels = scheme
            .code
            .map(|code| code.labels(texts))
            .unwrap_or_default();
        let secrets = secrets.into_iter().map(keyed).collect::<Result<_, _>>()?;
        let public_url = settings.public_url.as_deref().map(PublicUrl::new);
        let in_body = InBody::of(&scheme, &settings);
        let streams = scheme.code.is_none()
            && scheme.jwt.is_none()
            && scheme.signature.json.is_none()
            && scheme.signed.pointers().next().is_none()
            && scheme.body.first() == Some(&BodyForm::Raw);
        Ok(Self(Arc::new(Inner {
            scheme,
            secrets,
            settings,
            public_url,
            in_body,
            labels,
            streams,
        })))
    }

    /// The scheme verified by.
    pub fn scheme(&self) -> &Arc<Scheme> {
        &self.0.scheme
    }

    /// The settings verified by.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Judges all that needs no body, in this order: required headers, the signature's form, the timestamp's form,
    /// freshness, the other signed values. So a stale delivery is `stale_timestamp` whatever its signature is worth.
    ///
    /// The verification owns all it needs and may live across awaits, longer than `head` and this verifier.
    ///
    /// # Errors
    /// `missing_signature`, `malformed_signature`, `missing_timestamp`, `malformed_timestamp`, `stale_timestamp`,
    /// `future_timestamp`, and what [`Template::render`](crate::scheme::Template::render) refuses.
    pub fn begin(&self, head: &Head, now: Now) -> Result<Verification, Refusal> {
        let Inner {
            scheme, settings, ..
        } = &*self.0;
        for (name, value) in &scheme.require {
            if head.find(name) != Found::One(value) {
                return Err(WRONG_REQUIRED);
            }
        }
        let (way, at, window) = if let Some(code) = scheme.code {
            let begun = code.begin(head)?;
            let stamp = begun.timestamp;
            let window = |(at, unit): (UnixMillis, Unit)| {
                unit.window(at, settings.tolerance, settings.future_tolerance)
            };
            (
                Way::Code(Box::new((head.clone(), begun))),
                stamp.map(|(at, _)| at),
                stamp.map_or(Window::ALWAYS, window),
            )
        } else if let Some(rule) = &scheme.jwt {
            let token = rule.read(head)?;
            let times = rule.times(&token)?;
            (
                Way::Jwt(Box::new((head.clone(), token))),
                times.made,
                times.window,
            )
        } else {
            self.begin_template(head, now)?
        };
        window.judge(now.wall)?;
        let mut verification = Verification {
            verifier: self.clone(),
            way,
            at,
            window,
            running: None,
        };
        verification.running = verification.start(now);
        Ok(verification)
    }

    fn begin_template(
        &self,
        head: &Head,
        now: Now,
    ) -> Result<(Way, Option<UnixMillis>, Window), Refusal> {
        let Inner {
            scheme,
            settings,
            public_url,
            ..
        } = &*self.0;
        let (signatures, stamp) = match &scheme.signature.json {
            Some(_) => (Signatures::default(), Stamp::Nothing),
            None => signatures::read(scheme, head)?,
        };
        let mut facts = Received {
            scheme,
            head,
            timestamp: None,
            public_url: public_url.as_ref(),
        };
        let (mut at, mut window) = (None, Window::ALWAYS);
        if let Some(place) = &scheme.timestamp
            && !matches!(place.at, TimestampAt::Json(_))
        {
            let (text, moment) = timestamp(place, head, stamp)?;
            window = place
                .unit
                .window(moment, settings.tolerance, settings.future_tolerance);
            window.judge(now.wall)?;
            (facts.timestamp, at) = (Some(text), Some(moment));
        }
        let content = scheme.signed.render(&facts)?;
        Ok((
            Way::Template {
                signatures,
                content,
            },
            at,
            window,
        ))
    }

    /// Judges the freshness of a proof once more, when its event is about to be claimed (SPEC 2.5).
    ///
    /// # Errors
    /// `stale_timestamp` or `future_timestamp`.
    pub fn recheck(&self, proof: &Proof, now: Now) -> Result<(), Refusal> {
        Ok(proof.window.judge(now.wall)?)
    }

    /// Judges that a proof was not signed before `start`, by whole seconds: most schemes know no smaller unit. A proof
    /// without a signed timestamp passes.
    ///
    /// # Errors
    /// `stale_timestamp`.
    pub fn judge_start(&self, proof: &Proof, start: UnixMillis) -> Result<(), Refusal> {
        let seconds = |at: UnixMillis| at.0.div_euclid(1000);
        let is_older = proof
            .signed_at
            .is_some_and(|at| seconds(at) < seconds(start));
        if is_older {
            Err(FROM_BEFORE_THE_START)
        } else {
            Ok(())
        }
    }

    /// The first moment of the wall clock at which the timestamp of `proof` is stale. `None` where no timestamp is
    /// signed, or the past is not judged.
    pub fn fresh_until(&self, proof: &Proof) -> Option<UnixMillis> {
        proof.signed_at.and(proof.window.until)
    }

    /// The MAC that answers a handshake, under the first active secret that can make it, or under the one of this name.
    /// For nothing but a [`Challenge`]: any other text could be a delivery.
    pub(crate) fn answer_mac(
        &self,
        challenge: &Challenge,
        secret: Option<&str>,
        now: Now,
    ) -> Option<Digest> {
        let is_meant = |keyed: &&Keyed| secret.is_none_or(|name| *keyed.name == *name);
        let mut keys = self
            .0
            .secrets
            .iter()
            .filter(is_meant)
            .flat_map(|keyed| keyed.active(now.wall));
        keys.find_map(|(_, key)| key.answer(challenge.algorithm(), challenge.text().as_bytes()))
    }

    /// The timestamp that a head claims, for logs of what was refused; `None` where there is none that can be read.
    pub fn timestamp_of(&self, head: &Head) -> Option<UnixMillis> {
        let scheme = &self.0.scheme;
        if let Some(code) = scheme.code {
            return code.begin(head).ok()?.timestamp.map(|(at, _)| at);
        }
        if let Some(rule) = &scheme.jwt {
            return rule.times(&rule.read(head).ok()?).ok()?.made;
        }
        let place = scheme.timestamp.as_ref()?;
        let stamp = match &place.at {
            TimestampAt::Field(_) => signatures::read(scheme, head).ok()?.1,
            TimestampAt::Headers(_) => Stamp::Nothing,
            TimestampAt::Json(_) => return None,
        };
        timestamp(place, head, stamp).ok().map(|(_, at)| at)
    }
}

impl InBody {
    /// `None` where nothing in the body has to be looked at.
    fn of(scheme: &Scheme, settings: &Settings) -> Option<Self> {
        let mut places = Places::default();
        let parts: Vec<Slot> = scheme
            .signed
            .pointers()
            .map(|pointer| places.add(pointer))
            .collect();
        let signature = scheme
            .signature
            .json
            .as_ref()
            .map(|pointer| places.add_each(pointer));
        let is_judged =
            settings.tolerance != Tolerance::Off || settings.future_tolerance != Tolerance::Off;
        let timestamp = match scheme.timestamp.as_ref().map(|place| &place.at) {
            Some(TimestampAt::Json(pointer)) if is_judged => Some(places.add(pointer)),
            _ => None,
        };
        let is_needed = !parts.is_empty() || signature.is_some() || timestamp.is_some();
        is_needed.then_some(Self {
            places,
            parts,
            signature,
            timestamp,
        })
    }
}

const ANSWER_OF_A_HANDSHAKE: Refusal = Refusal::because(
    Code::BadSignature,
    "what is signed could be the challenge of a handshake, whose answer is such a signature, so it proves nothing",
);
const FROM_BEFORE_THE_START: Refusal = Refusal::because(
    Code::StaleTimestamp,
    "the timestamp is from before the gateway's start",
);
const WRONG_REQUIRED: Refusal = Refusal::because(
    Code::MalformedSignature,
    "a header that this scheme requires is missing or has another value",
);
const SEVERAL_TIMESTAMPS: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the timestamp header is there more than once",
);
const NOT_ONE_FIELD: Refusal = Refusal::because(
    Code::MalformedTimestamp,
    "the signature header does not hold exactly one timestamp",
);

fn timestamp<'h>(
    place: &TimestampPlace,
    head: &'h Head,
    stamp: Stamp<'h>,
) -> Result<(&'h [u8], UnixMillis), Refusal> {
    let text = match &place.at {
        TimestampAt::Field(_) => match stamp {
            Stamp::One(text) => text,
            Stamp::Nothing | Stamp::Several => return Err(NOT_ONE_FIELD),
        },
        TimestampAt::Headers(names) => {
            let mut found = None;
            for name in names {
                match head.find(name) {
                    Found::Nothing | Found::One(b"") => {}
                    Found::Several => return Err(SEVERAL_TIMESTAMPS),
                    Found::One(text) => {
                        found = Some(text);
                        break;
                    }
                }
            }
            found.ok_or(Refusal::from(Code::MissingTimestamp))?
        }
        TimestampAt::Json(_) => return Err(Code::MissingTimestamp.into()),
    };
    place
        .unit
        .parse(text)
        .map(|at| (text, at))
        .ok_or(why_no_time(place.unit))
}

/// Why a text is no timestamp of this unit.
fn why_no_time(unit: Unit) -> Refusal {
    Refusal::because(Code::MalformedTimestamp, unit.refusal())
}

/// What a template takes from a received head.
struct Received<'h> {
    scheme: &'h Scheme,
    head: &'h Head,
    timestamp: Option<&'h [u8]>,
    public_url: Option<&'h PublicUrl>,
}

impl Facts for Received<'_> {
    fn method(&self) -> &str {
        self.head.method()
    }

    fn target(&self) -> &str {
        self.head.target()
    }

    fn timestamp(&self) -> Option<&[u8]> {
        self.timestamp
    }

    fn id(&self) -> Found<'_> {
        match &self.scheme.event_id {
            Some(Place::Header(name)) => self.head.find(name),
            _ => Found::Nothing,
        }
    }

    fn header(&self, name: &FieldName) -> Found<'_> {
        self.head.find(name)
    }

    fn public_url(&self) -> Option<&PublicUrl> {
        self.public_url
    }
}

/// A delivery whose head was judged and whose body is arriving. Holds no borrow and is `Send`.
#[derive(Debug)]
pub struct Verification {
    verifier: Verifier,
    way: Way,
    at: Option<UnixMillis>,
    window: Window,
    // None where no key is active that hashes, or not all before the body is known.
    running: Option<Running>,
}

/// How a delivery is proved.
#[derive(Debug)]
enum Way {
    /// By a template: its content as far as the head decides it.
    Template {
        signatures: Signatures,
        content: SignedContent,
    },
    /// By code of its own, which needs head and body together.
    Code(Box<(Head, Begun)>),
    /// By a token.
    Jwt(Box<(Head, Token)>),
}

/// The hash that runs while the body arrives.
#[derive(Debug)]
struct Running {
    // The secret's place in the list, and the key's among its keys.
    place: (usize, usize),
    mac: Mac,
    body_bytes: usize,
}

impl Verification {
    /// The first active key, put to work on what stands before the body.
    fn start(&self, now: Now) -> Option<Running> {
        let Way::Template { content, .. } = &self.way else {
            return None;
        };
        let inner = &self.verifier.0;
        if !inner.streams {
            return None;
        }
        let active = |(index, secret): (usize, &Keyed)| {
            let (place, key) = secret.active(now.wall).next()?;
            Some(((index, place), key.begin(content)))
        };
        let (place, mac) = inner.secrets.iter().enumerate().find_map(active)?;
        Some(Running {
            place,
            mac: mac?,
            body_bytes: 0,
        })
    }

    /// Hashes the next bytes of the body, with the first active secret.
    pub fn update(&mut self, chunk: &[u8]) {
        if let Some(running) = &mut self.running
            && self.verifier.0.scheme.signed.covers_body()
        {
            running.mac.update(chunk);
            running.body_bytes += chunk.len();
        }
    }

    /// Compares the digest of the body taken in by [`update`](Self::update) with the signature; where they differ, goes
    /// through `body` again with every other key that is active at `now` and every form that the body may have been
    /// signed in. A `body` that was never given to `update` is hashed here.
    ///
    /// `body` must be the bytes given to `update`, one after the other: what was hashed is what is proved.
    ///
    /// # Errors
    /// `bad_signature`, after every active secret was tried, and for content that the answer to a handshake could have
    /// signed; where signature or timestamp stand in the body, also what
    /// [`Verifier::begin`] refuses them for.
    pub fn finish(self, body: &[u8], now: Now) -> Result<Proof, Refusal> {
        let scheme = Arc::clone(&self.verifier.0.scheme);
        let proof = proving::prove(self, body, now)?;
        if let Some(handshake) = scheme.handshake {
            let signed = if scheme.code.is_none() && scheme.covers_body() {
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

/// That a delivery was signed with an active secret, and fresh when its head was judged. Only
/// [`Verification::finish`] makes one.
#[derive(Debug)]
#[non_exhaustive]
pub struct Proof {
    /// The name of the secret that matched.
    pub secret: Arc<str>,
    /// The timestamp, where the signature covers it: what replay protection may rest on.
    pub signed_at: Option<UnixMillis>,
    /// The timestamp, covered or not: for the log.
    pub timestamp: Option<UnixMillis>,
    /// What was signed besides the body.
    pub content: SignedContent,
    // When it counts as fresh.
    window: Window,
    // The body in the form that was signed, where that is not the raw one.
    form: Option<Vec<u8>>,
    // The claims of the token that signs the delivery.
    claims: Option<Vec<u8>>,
}

impl Proof {
    /// The body in the form that was signed, given the raw one: what the event is read from, and what tells one
    /// delivery from another. Two raw bodies of one signed form are the same delivery.
    pub fn signed_body<'b>(&'b self, raw: &'b [u8]) -> &'b [u8] {
        self.form.as_deref().unwrap_or(raw)
    }

    /// The claims of the token that signs the delivery, a JSON text; `None` under any other scheme.
    pub fn claims(&self) -> Option<&[u8]> {
        self.claims.as_deref()
    }
}
