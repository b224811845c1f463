//! `verigate sign`: the headers that make a body a valid delivery, the body itself where the
//! signature is in it, or a whole command that sends it (contract: Command line).
//!
//! Never prints the secret or another value of the configuration, except where the scheme sends the
//! secret itself.

mod curl;
mod destination;
mod in_body;
mod private_key;

#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;

use self::curl::Signed;
use self::destination::Destination;
use self::private_key::{OF_A_ROUTE, private_key, verifying};
use super::Exit;
use super::delivery::{moment, read_input};
use super::output::{complain, note, note_signed_by, print};
use super::providers::read_from;
use super::subject::{By, Subject};
use crate::clock::Now;
use crate::config::{public_keys, takes_public_keys};
use crate::explain::{Case, CaseError};
use crate::key::secret::{Secret, SecretText};
use crate::scheme::IdForm;
use crate::scheme::Part;
use crate::scheme::Place;
use crate::scheme::ProviderCode;
use crate::sign::{SignError, SignRequest, canonical, public_half, signed_request};
use crate::verify::verifier::Proof;
use crate::wire::head::{FieldName, Head};

/// Arguments of `sign`.
#[derive(Args, Debug)]
#[command(
    override_usage = "verigate sign --provider NAME --secret SECRET [OPTIONS]\n       verigate sign --route NAME [OPTIONS]",
    after_help = "The first active secret signs; a private key is PEM of PKCS #8, or for Ed25519 also whsk_… or 64\n\
    hex digits. A route's `public_url` is signed, and --curl goes to the gateway's `server.listen`,\n\
    or to a TLS port where it is empty.\n\nExamples:\n  \
    verigate sign --provider itellico --secret env:WEBHOOK_SECRET --body event.json > headers.txt\n  \
    verigate sign --route itellico --body event.json --curl | sh"
)]
pub(super) struct Sign {
    #[command(flatten)]
    by: By,
    /// The private key of a route that has public keys: a file, or `env:NAME`
    #[arg(long, value_name = "FILE")]
    private_key: Option<String>,
    /// The file with the body [- for stdin]
    #[arg(long, value_name = "FILE", default_value = "-")]
    body: PathBuf,
    /// The event id, where the scheme has a header for it [default: a random one]
    #[arg(long)]
    id: Option<String>,
    /// The time of the signature, in Unix seconds [default: now]
    #[arg(long, value_name = "UNIX")]
    at: Option<i64>,
    /// The method of the request [default: POST, or the first of the route's `methods`]
    #[arg(long)]
    method: Option<String>,
    /// The URL to send to; needed where the scheme signs it, and for --curl [default: the route's]
    #[arg(long)]
    url: Option<String>,
    /// A further header, for schemes that sign one; may be given several times
    #[arg(long, value_name = "NAME: VALUE")]
    header: Vec<String>,
    /// The event type, where the scheme has a header for it [default with --curl: the first of the
    /// route's `event_types`, or `test`]
    #[arg(long, value_name = "TYPE")]
    event_type: Option<String>,
    /// Print a whole curl command instead of the headers alone
    #[arg(long)]
    curl: bool,
}

impl Sign {
    /// Signs the body and prints the result.
    pub(super) fn run(&self) -> Exit {
        match self.try_run() {
            Ok(text) => {
                print(&text);
                Exit::Success
            }
            Err(error) => {
                complain(&error);
                Exit::Usage
            }
        }
    }

    fn try_run(&self) -> anyhow::Result<String> {
        let given = Destination::given(self.url.as_deref())?;
        let subject = self.by.load(given.origin())?;
        let now = moment(self.at);
        let own = self.private_key.as_deref();
        if own.is_some() && !self.by.is_route() {
            bail!(
                "`--private-key` is for `--route`: with `--provider` or `--scheme` the private key is the `--secret`"
            );
        }
        let own = own.map(|named| private_key(named, &subject.scheme));
        let own = own.transpose()?;
        let secret = match &own {
            Some(own) => own,
            None => active(&subject, now, self.by.is_route())?,
        };
        let scheme = &subject.scheme;
        let depends_on_path = scheme.signs_path();
        if subject.is_prefix && given.is_empty() && (self.curl || depends_on_path) {
            bail!(
                "the route takes every path under {0}: name one, as in `--url {0}x`",
                subject.path
            );
        }
        if self.curl && given.is_empty() && !self.by.is_route() {
            bail!(
                "`--curl` needs a URL to send to: name it, as in `--url http://127.0.0.1:8080/webhooks/x`"
            );
        }
        if depends_on_path && given.is_empty() && !self.by.is_route() {
            bail!(
                "this scheme signs the URL or its path: name with `--url` the URL that the provider calls"
            );
        }
        let Destination { origin, target } = given.of(&subject, self.curl);
        let has_origin = origin.is_some();
        let origin = origin.unwrap_or_else(|| subject.gateway.origin.clone());
        let target = target.unwrap_or_else(|| subject.path.clone());
        if scheme.signs_url() && subject.settings.public_url.is_none() {
            bail!(
                "this scheme signs the URL: name with `--url` the whole URL that the provider calls, host included"
            );
        }
        let id = self.id(&subject)?;
        let mut extra = self
            .header
            .iter()
            .map(|line| split_header(line))
            .collect::<anyhow::Result<Vec<_>>>()?;
        let body = read_input(&self.body).context("`--body`")?;
        let method = self.method(&subject);
        let made = self.made(&subject, &body, &extra)?;
        extra.extend(
            made.iter()
                .map(|(name, value)| (name.as_str(), value.as_str())),
        );
        let request = SignRequest {
            method,
            target: &target,
            body: &body,
            id: id.as_deref(),
            at: now.wall,
            public_url: subject.settings.public_url.as_deref(),
            headers: &extra,
        };
        let (mut headers, in_query, in_body) = match signed_request(scheme, secret, &request) {
            Ok(signed) => (signed.headers, signed.target, None),
            Err(SignError::Place { pointer, text }) => {
                let made = in_body::with_text(&body, &pointer, &text);
                let made =
                    made.map_err(|why| anyhow!("cannot sign: {why} `{}`", pointer.text()))?;
                (Vec::new(), None, Some(made))
            }
            Err(fault) => return Err(self.cannot(&fault, &subject)),
        };
        // The signature is in the request line, so the headers alone would not be the delivery.
        let line = in_query
            .as_ref()
            .map(|target| format!("{method} {target} HTTP/1.1"));
        let target = in_query.unwrap_or_else(|| target.clone());
        headers.extend(
            extra
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned())),
        );
        let lines = headers
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let head = Head::from_parts(method, &target, lines).map_err(|refusal| {
            anyhow!(
                "this cannot be an HTTP request: {}; see `--url`, `--method` and `--header`",
                refusal.why
            )
        })?;
        let sent = in_body.as_deref().map_or(&*body, str::as_bytes);
        remark(&subject, secret, own.is_some(), &head, sent, now);
        if let (Some(body), false) = (&in_body, self.curl) {
            note("note: the signature is in the body, so this is the body to send");
            return Ok(body.clone());
        }
        if !self.curl {
            let lines = headers
                .iter()
                .map(|(name, value)| format!("{name}: {value}"));
            let lines: Vec<String> = line.into_iter().chain(lines).collect();
            return Ok(lines.join("\n"));
        }
        // A body that was made is in no file.
        let file = if in_body.is_some() {
            Path::new("-")
        } else {
            &self.body
        };
        if let Some(host) = &subject.host
            && !has_origin
            && !headers
                .iter()
                .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            headers.insert(0, ("Host".to_owned(), host.clone()));
        }
        let options = if has_origin {
            Vec::new()
        } else {
            for hint in &subject.gateway.hints {
                note(&format!("note: {hint}"));
            }
            subject.gateway.options.clone()
        };
        Signed {
            method,
            url: origin + &target,
            options,
            headers,
        }
        .curl(file, sent)
    }

    /// The method: that of the arguments, or POST unless the route does not take it.
    fn method<'m>(&'m self, subject: &'m Subject) -> &'m str {
        let takes_post = subject.methods.is_empty() || subject.methods.iter().any(|m| m == "POST");
        let of_route = subject.methods.first().filter(|_| !takes_post);
        let given = self.method.as_deref();
        given.or(of_route.map(String::as_str)).unwrap_or("POST")
    }

    /// The headers besides the signature that a delivery of this provider has: the event type where
    /// a header holds it, and for a whole command the type of the body and what else is signed.
    fn made(
        &self,
        subject: &Subject,
        body: &[u8],
        given: &[(&str, &str)],
    ) -> anyhow::Result<Vec<(String, String)>> {
        let has = |name: &FieldName| given.iter().any(|(n, _)| name.is_or_aliases(n.as_bytes()));
        let mut made = Vec::new();
        match &subject.scheme.event_type {
            Some(Place::Header(name)) if !has(name) => {
                let first = subject.event_types.first().cloned();
                let value = self.event_type.clone().or_else(|| {
                    self.curl
                        .then(|| first.unwrap_or_else(|| "test".to_owned()))
                });
                made.extend(value.map(|value| (canonical(name), value)));
            }
            place if self.event_type.is_some() => {
                let help = match place {
                    Some(Place::Header(_)) => "`--header` gives it already",
                    Some(_) => "this scheme has the event type in the body, so write it there",
                    None => "this scheme has no event type",
                };
                bail!("`--event-type` has no place: {help}");
            }
            _ => {}
        }
        if !self.curl {
            return Ok(made);
        }
        // What the scheme signs of headers besides: numbers used once, ids and the like. Any text
        // does there.
        for part in subject.scheme.parts() {
            if let Part::Header(name) = part
                && !has(name)
                && !made.iter().any(|(n, _)| name.is_or_aliases(n.as_bytes()))
                && name.as_str() != "content-type"
                && !matches!(&subject.scheme.event_id, Some(Place::Header(id)) if id == name)
            {
                made.push((canonical(name), random_hex()?));
            }
        }
        let content_type = FieldName::new("content-type");
        if content_type.is_some_and(|name| !has(&name)) {
            made.push(("Content-Type".to_owned(), type_of(body).to_owned()));
        }
        Ok(made)
    }

    /// The reason why the delivery cannot be signed, with help.
    fn cannot(&self, fault: &SignError, subject: &Subject) -> anyhow::Error {
        let help = match fault {
            SignError::Header(name) => format!(": add it, as in `--header '{name}: VALUE'`"),
            SignError::Key(_)
                if self.by.is_route()
                    && self.private_key.is_none()
                    && takes_public_keys(&subject.scheme) =>
            {
                format!("; {OF_A_ROUTE}")
            }
            _ => String::new(),
        };
        anyhow!("cannot sign: {fault}{help}")
    }

    /// The id for the header or the token: the given id, or a random id if none was given. `None`
    /// where the scheme has no place for an id.
    fn id(&self, subject: &Subject) -> anyhow::Result<Option<String>> {
        // Some providers' code has a header for an id that is not the event's.
        let is_own = subject.scheme.code().is_some_and(ProviderCode::has_own_id);
        let form = subject
            .scheme
            .template()
            .and_then(|own| own.signed.id_form());
        let random_id = || match form {
            Some(IdForm::Uuid) => Ok(Some(random_uuid()?)),
            None => Ok(Some(format!("evt_{}", random_hex()?))),
        };
        match (&subject.scheme.event_id, &self.id) {
            (_, Some(id)) if is_own => Ok(Some(id.clone())),
            (Some(Place::Claim(_)), None) => random_id(),
            (Some(Place::Claim(_)), Some(id)) => Ok(Some(id.clone())),
            (Some(Place::Header(name)), None) if !self.names(name) => random_id(),
            (Some(Place::Header(_)), id) => Ok(id.clone()),
            (_, None) => Ok(None),
            (Some(Place::Json(_)), Some(_)) => {
                bail!(
                    "`--id` has no place: this scheme has the event id in the body, so write it there"
                )
            }
            (None, Some(_)) => bail!("`--id` has no place: this scheme has no event id"),
        }
    }

    /// Whether `--header` gives this header.
    fn names(&self, name: &FieldName) -> bool {
        self.header.iter().any(|line| {
            line.split(':')
                .next()
                .is_some_and(|n| name.is_or_aliases(n.trim().as_bytes()))
        })
    }
}

/// Tells the signer, on standard error, how a gateway would answer this delivery (judged by the
/// verifier of live traffic), and how the key is used.
fn remark(subject: &Subject, secret: &Secret, is_own: bool, head: &Head, body: &[u8], now: Now) {
    let scheme = &subject.scheme;
    if scheme.is_credential() {
        note("note: nothing is signed here: the header holds the secret itself");
    }
    let public = public_half(scheme, secret).map(|public| {
        note_signed_by(&public);
        Secret {
            text: SecretText::new(public.text().into_bytes()),
            ..secret.clone()
        }
    });
    // Beside a private key of the command line, the route's own keys decide.
    if let Some(public) = public.as_ref().filter(|_| is_own)
        && !verifying(scheme, &subject.secrets, public)
    {
        note(
            "warning: the route has other public keys, so the gateway would refuse this: put the \
             public key above into its `secrets`",
        );
    }
    let case = Case {
        scheme: &Arc::clone(scheme),
        settings: &subject.settings,
        secrets: std::slice::from_ref(public.as_ref().unwrap_or(secret)),
        head,
        body,
        now,
    };
    let (refusal, proof) = match case.judge() {
        Err(CaseError::Refused(refusal)) => (Some(refusal), None),
        Err(CaseError::Key(_)) => (None, None),
        Ok(proof) => (None, Some(proof)),
    };
    let refusal = refusal.or_else(|| {
        subject
            .envelope
            .extract(head, body, proof.as_ref().and_then(Proof::claims))
            .err()
    });
    if let Some(refusal) = refusal {
        let place = read_from(scheme, refusal.code);
        let place = place.map_or_else(String::new, |place| format!("; it is read from {place}"));
        note(&format!(
            "warning: it is signed, but the gateway would answer {refusal}{place}"
        ));
    }
}

/// The first active secret that may sign: of a route none that is a public key.
fn active(subject: &Subject, now: Now, is_route: bool) -> anyhow::Result<&Secret> {
    let mut active = subject
        .secrets
        .iter()
        .filter(|secret| secret.is_active(now.wall))
        .peekable();
    if active.peek().is_none() {
        bail!(
            "no secret is active at that time: see `not_before` and `not_after`, or choose another `--at`"
        );
    }
    let signs = |secret: &&Secret| !is_route || public_keys(&subject.scheme, secret).is_empty();
    active
        .find(signs)
        .with_context(|| format!("cannot sign: {OF_A_ROUTE}"))
}

/// A random UUID (RFC 9562 section 5.4).
fn random_uuid() -> anyhow::Result<String> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|error| anyhow!("no random bytes for an id: {error}"))?;
    let value = u128::from_be_bytes(random);
    let versioned = (value & !(0xf << 76) & !(0x3 << 62)) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{versioned:032x}");
    let part = |from: usize, to: usize| digits.get(from..to).unwrap_or_default();
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    Ok(parts.map(|(from, to)| part(from, to)).join("-"))
}

/// Twelve random bytes in hexadecimal digits.
fn random_hex() -> anyhow::Result<String> {
    let mut random = [0; 12];
    getrandom::fill(&mut random).map_err(|error| anyhow!("no random bytes for an id: {error}"))?;
    Ok(hex::encode(random))
}

/// The media type that a body looks like.
fn type_of(body: &[u8]) -> &'static str {
    let is_of_form = |b: &u8| b.is_ascii_alphanumeric() || b"-._~*+%=&!'()".contains(b);
    match body.trim_ascii_start() {
        [b'{' | b'[', ..] => "application/json",
        [b'<', ..] => "application/xml",
        text if text.contains(&b'=') && text.iter().all(is_of_form) => {
            "application/x-www-form-urlencoded"
        }
        _ => "application/octet-stream",
    }
}

fn split_header(line: &str) -> anyhow::Result<(&str, &str)> {
    let (name, value) = line
        .split_once(':')
        .context("`--header` has no colon: write it as in `X-Event: push`")?;
    Ok((name, value.trim_ascii()))
}
