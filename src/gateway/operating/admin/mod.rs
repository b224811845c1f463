//! The admin port: `/metrics`, `/healthz`, `/readyz`, `POST /reload`, `POST /replay/forget`, and the
//! pages of the queue (contract: Admin port).
//!
//! It speaks the same strict HTTP/1 as the traffic port, with the same limits. Requests come from an
//! operator's tool and never from a browser: a foreign `Host`, any `Origin` and a cross-site fetch
//! are answered 403, against DNS rebinding and request forgery. Who forgets, reloads or has a wrong
//! token is logged.

mod chosen;
mod filter;
mod heads;
mod masked;
mod plan_routes;
mod plans;
mod queue;
mod waiting;

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use subtle::ConstantTimeEq;

use self::queue::QueuePages;
use super::wrong_tokens::WrongTokens;
use super::{reload, shown_peer};
use crate::gateway::client::answer::{Answer, Denied};
use crate::gateway::client::port::{Port, TOO_MANY};
use crate::gateway::client::{Client, Next, ReadError};
use crate::gateway::running::Running;
use crate::replay::{Forget, Forgotten, ReplayWindow};
use crate::telemetry::metrics;
use crate::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found, Framing, Head};

/// The largest body that the admin port reads, in bytes.
const MAX_BODY: u64 = 4 * 1024;

/// The most characters of a name from the network that are logged.
const MAX_SHOWN: usize = 200;

/// The admin port and the values that its pages show or change.
pub(crate) struct AdminPort {
    pub(crate) running: Arc<Running>,
    pub(crate) file: PathBuf,
    names: AdminHeaderNames,
    wrong_tokens: WrongTokens,
    queue: QueuePages,
}

const FROM_A_PAGE: Denied = Denied::Forbidden("requests from web pages are not taken");

/// The names of the headers that the admin port looks at, parsed once.
struct AdminHeaderNames {
    authorization: FieldName,
    origin: FieldName,
    fetch_site: FieldName,
}

impl AdminHeaderNames {
    /// The usual names. `None` if a name is no field name, which cannot happen.
    fn new() -> Option<Self> {
        Some(Self {
            authorization: FieldName::new("Authorization")?,
            origin: FieldName::new("Origin")?,
            fetch_site: FieldName::new("Sec-Fetch-Site")?,
        })
    }
}

impl Port for AdminPort {
    async fn answer<C: Client>(&self, client: &mut C, head: &Head) -> Next {
        let answer = match self.guard(head, client.peer()) {
            Guard::Passed => self.page(client, head).await,
            Guard::Denied(denied) => Err(denied),
            Guard::Ignored => return Next::Abort,
        };
        let answer = answer.unwrap_or_else(Answer::denied);
        self.running
            .answer_unlogged(client, &answer, head.method() == "HEAD")
            .await
    }

    async fn refuse<C: Client>(&self, client: &mut C, refusal: Refusal) {
        // The connection ends, whether the answer reaches the client or not.
        let _: Next = self
            .running
            .answer_unlogged(client, &Answer::refusal(refusal, None), false)
            .await;
    }

    async fn answer_beyond<C: Client>(&self, client: &mut C, _: &Head) -> Next {
        self.refuse(client, TOO_MANY).await;
        Next::Linger
    }
}

/// The judgement on whoever asks.
enum Guard {
    Passed,
    Denied(Denied),
    /// The request gets no answer, and its connection ends.
    Ignored,
}

impl AdminPort {
    /// The admin port of a gateway whose configuration is read from `file`. `None` if a name of a
    /// header is no field name, which cannot happen.
    pub(crate) fn new(running: Arc<Running>, file: PathBuf) -> Option<Self> {
        Some(Self {
            queue: QueuePages::new(Arc::clone(&running)),
            running,
            file,
            names: AdminHeaderNames::new()?,
            wrong_tokens: WrongTokens::new(),
        })
    }

    /// Judges who asks. Probes of health and readiness may come by any name and without a token.
    fn guard(&self, head: &Head, peer: Option<IpAddr>) -> Guard {
        let is_probe = matches!(head.path(), "/healthz" | "/readyz");
        let checked = if is_probe {
            Ok(())
        } else {
            self.check_host(head)
        };
        if let Err(denied) = checked.and_then(|()| self.check_sender(head)) {
            return Guard::Denied(denied);
        }
        match head.path() {
            "/metrics" | "/reload" | "/replay/forget" => self.check_token(head, peer),
            path if queue::is_page(path) => self.check_token(head, peer),
            _ => Guard::Passed,
        }
    }

    /// Answers a request with the page that it asks for, or does as it asks.
    async fn page<C: Client>(&self, client: &mut C, head: &Head) -> Result<Answer, Denied> {
        let (method, path) = (head.method(), head.path());
        let is_read = matches!(method, "GET" | "HEAD");
        match path {
            "/healthz" if is_read => Ok(Answer::done()),
            "/readyz" if is_read => Ok(Answer::readiness(self.running.readiness())),
            "/metrics" if is_read => Ok(self.metrics()),
            "/healthz" | "/readyz" | "/metrics" => Err(Denied::NotAllowed("GET, HEAD")),
            "/reload" | "/replay/forget" if method != "POST" => Err(Denied::NotAllowed("POST")),
            "/reload" => {
                let body = self.read_body(client, head).await?;
                drop(body);
                self.reload(client.peer()).await
            }
            "/replay/forget" => {
                let body = self.read_body(client, head).await?;
                self.forget(&body, client.peer()).await
            }
            _ if queue::is_page(path) => {
                let body = self.read_body(client, head).await?;
                self.queue_page(head, &body, client.peer()).await
            }
            _ => Err(Refusal::because(Code::NoRoute, "no such page on the admin port").into()),
        }
    }

    /// Checks the admin token, if the configuration has a token. It guards every page except
    /// `/healthz` and `/readyz`.
    fn check_token(&self, head: &Head, peer: Option<IpAddr>) -> Guard {
        let snapshot = self.running.snapshot.load();
        let Some(token) = &snapshot.admin.token else {
            return Guard::Passed;
        };
        let given = match head.find(&self.names.authorization) {
            // Without a token nothing is guessed.
            Found::Nothing | Found::One(b"") => return Guard::Denied(Denied::Unauthorized),
            Found::One(value) => bearer(value).unwrap_or_default(),
            Found::Several => b"",
        };
        if bool::from(given.ct_eq(token.expose())) {
            Guard::Passed
        } else if self.wrong_tokens.note(peer, self.running.clock.now()) {
            Guard::Denied(Denied::Unauthorized)
        } else {
            Guard::Ignored
        }
    }

    /// Checks that the port was reached by its address or by a name of its own. A browser sends the
    /// name that a page was reached by, so an address as the `Host` cannot come from rebinding.
    fn check_host(&self, head: &Head) -> Result<(), Denied> {
        // HTTP/1.0 needs no `Host`, and no browser speaks it.
        let host = head.host_name().unwrap_or("localhost");
        let is_address = host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
        let is_ours = is_address
            || host.eq_ignore_ascii_case("localhost")
            || self
                .running
                .snapshot
                .load()
                .admin
                .hosts
                .iter()
                .any(|known| known.eq_ignore_ascii_case(host));
        if is_ours {
            Ok(())
        } else {
            Err(Denied::Forbidden(
                "this `Host` is not the admin port's: add it to `admin.hosts`",
            ))
        }
    }

    /// Checks that a request was sent by a tool and not by a page in somebody's browser.
    fn check_sender(&self, head: &Head) -> Result<(), Denied> {
        if head.find(&self.names.origin) != Found::Nothing {
            return Err(FROM_A_PAGE);
        }
        match head.find(&self.names.fetch_site) {
            Found::Nothing | Found::One(b"none") => Ok(()),
            _ => Err(FROM_A_PAGE),
        }
    }

    /// Reads a body of at most [`MAX_BODY`] bytes within `server.body_timeout`.
    async fn read_body<C: Client>(&self, client: &mut C, head: &Head) -> Result<BytesMut, Denied> {
        if matches!(head.framing(), Framing::Length(bytes) if bytes > MAX_BODY) {
            return Err(Refusal::because(Code::BodyTooLarge, "at most 4 KiB are read here").into());
        }
        let deadline = self.running.instant(self.running.clock.mono())
            + self.running.snapshot.load().body_timeout;
        let mut body = BytesMut::new();
        while !client.is_body_complete() {
            match client.read_body(&mut body, MAX_BODY, deadline).await {
                Ok(_) => {}
                Err(ReadError::Refused(refusal)) => return Err(refusal.into()),
                Err(ReadError::Late | ReadError::Gone) => {
                    return Err(Refusal::from(Code::BodyTimeout).into());
                }
            }
        }
        Ok(body)
    }

    /// The queue's pages exist only with a token, on loopback too: what can send a request from this
    /// machine must not read deliveries or discard them.
    async fn queue_page(
        &self,
        head: &Head,
        body: &[u8],
        peer: Option<IpAddr>,
    ) -> Result<Answer, Denied> {
        if self.running.snapshot.load().admin.token.is_none() {
            let why = "the pages of the queue exist only with `[admin] token`";
            return Err(Refusal::because(Code::NoRoute, why).into());
        }
        let by = queue::asked_by(peer);
        self.queue.answer(head, body, &by).await
    }

    fn metrics(&self) -> Answer {
        let mut answer = Answer::json(200, self.running.render_metrics());
        answer.content_type = metrics::CONTENT_TYPE.into();
        answer
    }

    async fn reload(&self, peer: Option<IpAddr>) -> Result<Answer, Denied> {
        let asked_by = format!("asked by {} on the admin port", shown_peer(peer));
        match reload::reload(&self.running, &self.file, &asked_by).await {
            Ok(()) => Ok(Answer::done()),
            Err(error) => Err(Denied::ReloadFailed(error.list())),
        }
    }

    /// Forgets an event in the replay window, so that its next copy is forwarded.
    async fn forget(&self, body: &[u8], peer: Option<IpAddr>) -> Result<Answer, Denied> {
        const USAGE: Denied = Denied::BadRequest(
            r#"send {"route":"NAME","event_id":"ID"} or {"route":"NAME","request_id":"ID"}"#,
        );
        let asked: serde_json::Value = serde_json::from_slice(body).map_err(|_| USAGE)?;
        let text = |key: &str| asked.get(key).and_then(serde_json::Value::as_str);
        let of = |route| self.running.fingerprints.of_route(route);
        let what = match (text("route"), text("event_id"), text("request_id")) {
            (Some(route), Some(event), None) => Forget::Event(of(route).event(event)),
            (Some(route), None, Some(request)) => Forget::Request(of(route).request(request)),
            _ => return Err(USAGE),
        };
        let forgotten = self.running.window.forget(what).await;
        let outcome = match &forgotten {
            Ok(Forgotten::Dropped(count)) => {
                format!("dropped {count} entries of the replay window")
            }
            Ok(Forgotten::Unknown) => "nothing is remembered".to_owned(),
            Ok(Forgotten::InFlight) => "it is being processed".to_owned(),
            Err(_) => "the replay window is unavailable".to_owned(),
        };
        // The names come from the network, so they are cut.
        let cut = |key| text(key).map(|name| name.chars().take(MAX_SHOWN).collect::<String>());
        log::info!(
            "forget, asked by {} on the admin port, for route {:?}, event {:?}, request {:?}: {outcome}",
            shown_peer(peer),
            cut("route").unwrap_or_default(),
            cut("event_id").unwrap_or_default(),
            cut("request_id").unwrap_or_default()
        );
        match forgotten {
            Ok(Forgotten::Dropped(count)) => Ok(Answer::json(
                200,
                format!(r#"{{"ok":true,"forgotten":{count}}}"#),
            )),
            Ok(Forgotten::Unknown) => {
                let snapshot = self.running.snapshot.load();
                let is_route = snapshot
                    .routes
                    .iter()
                    .any(|(_, known)| Some(&*known.name) == text("route"));
                let words = if is_route {
                    "no such event is remembered"
                } else {
                    "there is no route of this name"
                };
                Err(Denied::UnknownEvent(words))
            }
            Ok(Forgotten::InFlight) => Err(Denied::InFlight),
            Err(_) => Err(Refusal::from(Code::ReplayStoreUnavailable).into()),
        }
    }
}

/// The token of an `Authorization` value. The name of its scheme has no case (RFC 9110 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token)
}
