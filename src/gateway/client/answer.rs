//! The gateway's own answers: the only table from refusals to statuses (contract: Answers), and
//! their JSON.

use std::borrow::Cow;

use jiff::fmt::rfc2822::DateTimePrinter;

use super::reason::reason;
use super::{AnswerHead, Client, Gone, Length, Next};
use crate::clock::UnixMillis;
use crate::config::Statuses;
use crate::key::secret::SecretText;
use crate::scheme::Ack;
use crate::scheme::handshake::Reply;
use crate::verdict::{Code, Refusal};

/// An answer that the gateway makes itself, ready to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// The status, a number of three digits.
    pub(crate) status: u16,
    /// The value of `Content-Type`.
    pub(crate) content_type: Cow<'static, str>,
    /// The value of `Allow`, for a 405.
    pub(crate) allow: Option<String>,
    /// The value of `Retry-After`, in seconds.
    pub(crate) retry_after: Option<u32>,
    /// The value of `WWW-Authenticate`, for a 401 of the admin port.
    pub(crate) authenticate: Option<&'static str>,
    /// Whether `X-Content-Type-Options: nosniff` is sent, because the body holds bytes that a
    /// stranger sent.
    pub(crate) nosniff: bool,
    /// The value of `X-Hook-Secret`, where a handshake asks for its secret back.
    pub(crate) hook_secret: Option<Box<SecretText>>,
    /// Whether the connection ends after this answer.
    pub(crate) close: bool,
    /// The body, empty for some answers.
    pub(crate) body: Vec<u8>,
}

/// Whether new traffic is welcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readiness {
    /// It is.
    Ready,
    /// The gateway ends.
    Stopping,
    /// Every route stores its deliveries, and the store cannot write.
    StoresNothing,
}

/// A route's settings for the answers to its refusals.
#[derive(Clone, Debug)]
pub(crate) struct RouteAnswers {
    /// The statuses that can be set per route.
    pub(crate) statuses: Statuses,
    /// The status of `account_not_listed`.
    pub(crate) on_unlisted: u16,
    /// The status that answers an event of a type that the route does not take.
    pub(crate) on_ignored: u16,
    /// The value of `Allow`, for a 405: the route's methods.
    pub(crate) allow: String,
    /// The answer to a duplicate or an ignored event, where the provider expects a certain text.
    pub(crate) ack: Option<Ack>,
    /// Whether a 401 has no body: the provider of the route's handshake would not accept it
    /// otherwise.
    pub(crate) silent_401: bool,
}

impl Answer {
    /// An answer with a JSON body and no special headers.
    pub(crate) fn json(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            content_type: Cow::Borrowed("application/json"),
            allow: None,
            retry_after: None,
            authenticate: None,
            nosniff: false,
            hook_secret: None,
            close: false,
            body: body.into(),
        }
    }

    /// The text by which an authority sees that a name leads here (RFC 8555 8.3).
    pub(crate) fn challenge(text: String) -> Self {
        Self {
            content_type: Cow::Borrowed("application/octet-stream"),
            ..Self::json(200, text)
        }
    }

    /// The answer to a refusal. `route` holds the settings of the route, if a route was found.
    pub(crate) fn refusal(refusal: Refusal, route: Option<&RouteAnswers>) -> Self {
        let code = refusal.answer;
        let status = status(code, route);
        let taken = taken(code).filter(|_| (200..300).contains(&status));
        let mut answer = match (route, taken) {
            (_, Some(words)) => {
                Self::taken(status, words, route.and_then(|route| route.ack.as_ref()))
            }
            (
                Some(RouteAnswers {
                    silent_401: true, ..
                }),
                None,
            ) if status == 401 => Self::json(status, ""),
            _ if code != refusal.code => Self::error(status, code.name(), code.words()),
            _ => Self::error(status, code.name(), refusal.why),
        };
        if code == Code::MethodNotAllowed {
            answer.allow = route.map(|route| route.allow.clone());
        }
        answer.retry_after = retry_after(code);
        answer.close = matches!(
            code,
            Code::BadRequest
                | Code::UriTooLong
                | Code::HeadersTooLarge
                | Code::HeadTimeout
                | Code::InternalError
        );
        answer
    }

    /// The answer to a delivery that is taken although it is not forwarded: `ack` if the scheme has
    /// it, otherwise `status` and a JSON body.
    fn taken(status: u16, words: &'static str, ack: Option<&Ack>) -> Self {
        match ack {
            Some(Ack {
                status,
                content_type,
                body,
            }) => Self {
                content_type: Cow::Owned(content_type.clone()),
                ..Self::json(*status, body.clone())
            },
            None => Self::json(status, words),
        }
    }

    /// The answer to a delivery that is on disk and will be delivered later, with `status` where the
    /// provider does not expect a certain text.
    pub(crate) fn queued(status: u16, route: &RouteAnswers) -> Self {
        Self::taken(status, r#"{"ok":true,"queued":true}"#, route.ack.as_ref())
    }

    /// The answer to a request that the admin port denies.
    pub(crate) fn denied(denied: Denied) -> Self {
        match denied {
            Denied::Unauthorized => {
                let words = "send the admin token as `Authorization: Bearer …`";
                Self {
                    authenticate: Some("Bearer"),
                    ..Self::error(401, "unauthorized", words)
                }
            }
            Denied::Forbidden(words) => Self::error(403, "forbidden", words),
            Denied::NotAllowed(allow) => Self {
                allow: Some(allow.to_owned()),
                ..Self::refusal(Code::MethodNotAllowed.into(), None)
            },
            Denied::BadRequest(words) => Self::error(400, "bad_request", words),
            Denied::UnknownEvent(words) => Self::error(404, "unknown_event", words),
            Denied::InFlight => {
                let words = "a copy of this event is being processed; try again when it has ended";
                Self::error(409, "in_flight", words)
            }
            Denied::UnknownRoute(near) => {
                let words = format!("there is no route of this name{near}");
                Self::error(404, "unknown_route", &words)
            }
            Denied::UnknownDelivery => {
                let words = "the queue has no such delivery: it was delivered or discarded, or its id is wrong";
                Self::error(404, "unknown_delivery", words)
            }
            Denied::DeliveryInFlight(words) => Self::error(409, "in_flight", words),
            Denied::UnknownPlan => {
                let words = "there is no such plan: one is known until 10 minutes after its end, or until the gateway ends";
                Self::error(404, "unknown_plan", words)
            }
            Denied::PlanUsed => {
                let words = "the plan was begun or cancelled before; make another one";
                Self::error(409, "plan_used", words)
            }
            Denied::TooManyPlans => {
                let words = "as many plans run as can; wait until one ends, or cancel one";
                Self::error(409, "too_many_plans", words)
            }
            Denied::ReloadFailed(problems) => {
                let words = serde_json::Value::from(problems.first().map_or("", String::as_str));
                let problems = serde_json::Value::from(problems);
                Self::json(
                    422,
                    format!(
                        r#"{{"ok":false,"error":{words},"code":"reload_failed","problems":{problems}}}"#
                    ),
                )
            }
            Denied::Refused(refusal) => Self::refusal(refusal, None),
        }
    }

    /// The answer to a request that was carried out, without any details.
    pub(crate) fn done() -> Self {
        Self::json(200, br#"{"ok":true}"#.as_slice())
    }

    /// The answer to a probe that asks whether new traffic is welcome.
    pub(crate) fn readiness(readiness: Readiness) -> Self {
        match readiness {
            Readiness::Ready => Self::done(),
            Readiness::Stopping => Self {
                retry_after: Some(1),
                ..Self::error(503, "stopping", "the gateway is stopping")
            },
            Readiness::StoresNothing => Self::refusal(Code::QueueUnavailable.into(), None),
        }
    }

    /// The answer to a handshake. Parts of it may be copied from the request.
    pub(crate) fn handshake(reply: Reply) -> Self {
        let Reply {
            status,
            content_type,
            body,
            hook_secret,
        } = reply;
        Self {
            content_type: content_type.into(),
            nosniff: true,
            hook_secret: hook_secret.map(Box::new),
            ..Self::json(status, body)
        }
    }

    /// The answer `{"ok":false,"error":words,"code":code}`.
    pub(crate) fn error(status: u16, code: &str, words: &str) -> Self {
        let words = serde_json::Value::from(words);
        Self::json(
            status,
            format!(r#"{{"ok":false,"error":{words},"code":"{code}"}}"#),
        )
    }
}

/// The reason why the admin port does not do as it is asked. A probe on the traffic port that has a
/// wrong method is denied in the same way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Denied {
    /// The token is missing or wrong.
    Unauthorized,
    /// The request may come from somebody's browser; the text says how that shows.
    Forbidden(&'static str),
    /// The page takes only these methods, as `Allow` lists them.
    NotAllowed(&'static str),
    /// The body cannot be understood; the text says how to write it.
    BadRequest(&'static str),
    /// The replay window remembers no such delivery; the text says whether the route exists.
    UnknownEvent(&'static str),
    /// A copy of the event to forget is being processed.
    InFlight,
    /// No route has, or had, this name; the text ends the sentence with the names that there are.
    UnknownRoute(String),
    /// The queue has no such delivery.
    UnknownDelivery,
    /// The delivery is being tried, or may be; the text says what to do.
    DeliveryInFlight(&'static str),
    /// There is no such plan, or it is too old.
    UnknownPlan,
    /// The plan was begun or cancelled before.
    PlanUsed,
    /// As many plans run as can.
    TooManyPlans,
    /// The configuration on disk is not in force, because of these problems.
    ReloadFailed(Vec<String>),
    /// A refusal that deliveries can get as well.
    Refused(Refusal),
}

impl From<Refusal> for Denied {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Writes an answer with `wall` as its `Date` and returns the fate of the connection. The answer to
/// a HEAD request is its head alone.
///
/// # Errors
/// [`Gone`] if the client did not take the whole answer.
pub(crate) async fn write<C: Client>(
    client: &mut C,
    answer: &Answer,
    request_id: &str,
    wall: UnixMillis,
    is_to_head: bool,
) -> Result<Next, Gone> {
    client.drop_body_at_hand();
    let in_step = client.is_body_complete();
    let time = jiff::Timestamp::from_millisecond(wall.0).ok();
    let date = time.and_then(|time| {
        DateTimePrinter::new()
            .timestamp_to_rfc9110_string(&time)
            .ok()
    });
    let head = Dated {
        answer,
        request_id,
        date,
        is_to_head,
    };
    client.start(&head, &answer.body, true).await?;
    Ok(if in_step && !answer.close {
        Next::KeepAlive
    } else {
        Next::Linger
    })
}

/// An answer together with the facts of the request that it answers.
struct Dated<'a> {
    answer: &'a Answer,
    request_id: &'a str,
    date: Option<String>,
    is_to_head: bool,
}

impl AnswerHead for Dated<'_> {
    fn status(&self) -> u16 {
        self.answer.status
    }

    fn reason(&self) -> &[u8] {
        reason(self.answer.status).as_bytes()
    }

    fn lines(&self, put: &mut dyn FnMut(&[u8], &[u8])) {
        put(b"Content-Type", self.answer.content_type.as_bytes());
        put(b"X-Request-Id", self.request_id.as_bytes());
        if let Some(date) = &self.date {
            put(b"Date", date.as_bytes());
        }
        if self.is_to_head {
            put(
                b"Content-Length",
                self.answer.body.len().to_string().as_bytes(),
            );
        }
        if let Some(allow) = &self.answer.allow {
            put(b"Allow", allow.as_bytes());
        }
        if let Some(seconds) = self.answer.retry_after {
            put(b"Retry-After", seconds.to_string().as_bytes());
        }
        if let Some(authenticate) = self.answer.authenticate {
            put(b"WWW-Authenticate", authenticate.as_bytes());
        }
        if self.answer.nosniff {
            put(b"X-Content-Type-Options", b"nosniff");
        }
        if let Some(secret) = &self.answer.hook_secret {
            put(b"X-Hook-Secret", secret.expose());
        }
    }

    fn length(&self) -> Length {
        if self.is_to_head || self.answer.status == 204 {
            Length::NoBody
        } else {
            Length::Known(self.answer.body.len() as u64)
        }
    }

    fn closes(&self) -> bool {
        self.answer.close
    }
}

/// The status of each code (contract: Answers).
fn status(code: Code, route: Option<&RouteAnswers>) -> u16 {
    let statuses = route.map(|route| &route.statuses);
    match code {
        Code::BadRequest | Code::BadPath | Code::MalformedHandshake => 400,
        Code::UriTooLong => 414,
        Code::HeadersTooLarge => 431,
        Code::ExpectationFailed => 417,
        Code::NoRoute => 404,
        Code::MethodNotAllowed => 405,
        Code::MissingSignature
        | Code::MissingTimestamp
        | Code::MalformedSignature
        | Code::MalformedTimestamp
        | Code::StaleTimestamp
        | Code::FutureTimestamp
        | Code::BadSignature
        | Code::HandshakeProbe => 401,
        Code::WrongVerifyToken => 403,
        Code::AccountNotListed => route.map_or(403, |route| route.on_unlisted),
        Code::BodyTooLarge => 413,
        Code::BodyTimeout | Code::HeadTimeout => 408,
        Code::InvalidEnvelope => 422,
        Code::ReplayedEvent => statuses.map_or(409, |s| s.on_replay),
        Code::EventIdConflict => statuses.and_then(|s| s.on_conflict).unwrap_or(409),
        Code::EventInFlight => statuses.map_or(503, |s| s.on_in_flight),
        Code::EventTypeIgnored => route.map_or(200, |route| route.on_ignored),
        Code::DuplicateEvent => statuses.map_or(200, |s| s.on_duplicate),
        Code::Overloaded
        | Code::ReplayStoreUnavailable
        | Code::SecretNotLearned
        | Code::QueueFull
        | Code::QueueUnavailable => 503,
        Code::UpstreamUnreachable | Code::UpstreamFailed => 502,
        Code::UpstreamTimeout => 504,
        Code::InternalError => 500,
    }
}

/// The body that answers a delivery which is taken although it is not forwarded; `None` for every
/// other code.
fn taken(code: Code) -> Option<&'static str> {
    match code {
        Code::DuplicateEvent => Some(r#"{"ok":true,"duplicate":true}"#),
        Code::EventTypeIgnored => Some(r#"{"ok":true,"ignored":true}"#),
        _ => None,
    }
}

/// The seconds after which a sender may try again, for the codes that are answered with
/// `Retry-After` (contract: Answers).
fn retry_after(code: Code) -> Option<u32> {
    match code {
        Code::EventInFlight | Code::Overloaded | Code::ReplayStoreUnavailable => Some(1),
        Code::QueueUnavailable => Some(5),
        Code::QueueFull => Some(30),
        // Somebody must first set the webhook up at the provider.
        Code::SecretNotLearned => Some(60),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duplicate_is_a_success_unless_the_route_says_otherwise() {
        let usual = Answer::refusal(Code::DuplicateEvent.into(), None);
        assert_eq!(
            (usual.status, usual.body.as_slice()),
            (200, br#"{"ok":true,"duplicate":true}"#.as_slice())
        );
        let strict = Statuses {
            on_replay: 410,
            on_duplicate: 409,
            on_conflict: None,
            on_in_flight: 503,
        };
        let strict = RouteAnswers {
            on_unlisted: 200,
            statuses: strict,
            on_ignored: 200,
            allow: "POST".into(),
            ack: None,
            silent_401: false,
        };
        let other = Answer::refusal(Code::DuplicateEvent.into(), Some(&strict));
        assert_eq!(other.status, 409);
        assert_eq!(
            String::from_utf8(other.body).unwrap(),
            r#"{"ok":false,"error":"this event was already processed","code":"duplicate_event"}"#
        );
        assert_eq!(
            Answer::refusal(Code::ReplayedEvent.into(), Some(&strict)).status,
            410
        );
    }

    #[test]
    fn a_probe_is_told_why_no_traffic_is_welcome() {
        for (readiness, status, code) in [
            (Readiness::Ready, 200, "ok"),
            (Readiness::Stopping, 503, "stopping"),
            (Readiness::StoresNothing, 503, "queue_unavailable"),
        ] {
            let answer = Answer::readiness(readiness);
            let body = String::from_utf8(answer.body).unwrap();
            assert_eq!(answer.status, status, "{body}");
            assert!(body.contains(&format!("\"{code}\"")), "{body}");
            assert_eq!(answer.retry_after.is_some(), status == 503, "{body}");
        }
    }
}
