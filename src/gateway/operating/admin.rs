//! The admin port: `/metrics /healthz /readyz`, `POST /reload`, `POST /replay/forget` (SPEC 4, 5, 8).
//!
//! Served over the same strict HTTP/1 as traffic, with the same limits. POST is for operators' tools, never for a
//! browser: a foreign `Host`, any `Origin`, or a cross-site fetch gets 403 (DNS rebinding, request forgery).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use subtle::ConstantTimeEq;

use super::reload;
use crate::gateway::client::Client;
use crate::gateway::client::answer;
use crate::gateway::client::answer::Answer;
use crate::gateway::client::h1::{H1, Handler, Next};
use crate::gateway::running::Running;
use crate::replay::{Forget, Forgotten, ReplayWindow};
use crate::telemetry::metrics;
use crate::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found, Framing, Head};

/// The largest body the admin port reads.
const MAX_BODY: u64 = 4 * 1024;

/// The admin port's handler.
pub(crate) struct Admin {
    pub(crate) running: Arc<Running>,
    pub(crate) address: SocketAddr,
    pub(crate) file: PathBuf,
    pub(crate) names: Names,
}

/// The headers that the admin port looks at.
pub(crate) struct Names {
    authorization: FieldName,
    origin: FieldName,
    fetch_site: FieldName,
}

impl Names {
    /// The usual names.
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            authorization: FieldName::new("Authorization")?,
            origin: FieldName::new("Origin")?,
            fetch_site: FieldName::new("Sec-Fetch-Site")?,
        })
    }
}

/// `/readyz` on either port: 200, or 503 while stopping.
pub(crate) fn readiness(running: &Running) -> Answer {
    if running.is_ready() {
        Answer::json(200, br#"{"ok":true}"#.as_slice())
    } else {
        let mut answer = Answer::error(503, "stopping", "the gateway is stopping");
        answer.retry_after = Some(1);
        answer
    }
}

/// Answers `server.health_path` on the traffic port. A probe is no delivery: it is neither logged nor counted.
pub(crate) async fn answer_readiness<C: Client>(running: &Running, client: &mut C, head: &Head) -> Next {
    let mut answer = readiness(running);
    if !matches!(head.method(), "GET" | "HEAD") {
        answer = not_allowed("GET, HEAD");
    }
    write(running, client, &answer, head).await
}

async fn write<C: Client>(running: &Running, client: &mut C, answer: &Answer, head: &Head) -> Next {
    let in_step = client.is_body_complete();
    let wall = running.clock.now().wall;
    match answer::write(client, answer, &running.request_ids.next(), wall, head.method() == "HEAD").await {
        Ok(()) if in_step && !answer.close => Next::KeepAlive,
        Ok(()) => Next::Linger,
        Err(_) => Next::Close,
    }
}

impl Handler for Admin {
    async fn handle(&self, client: &mut H1, head: Head) -> Next {
        let answer = match self.answer(client, &head).await {
            Ok(answer) | Err(answer) => answer,
        };
        write(&self.running, client, &answer, &head).await
    }

    async fn refuse(&self, client: &mut H1, refusal: Refusal) {
        let answer = Answer::refusal(refusal, None);
        // the connection ends either way
        let wall = self.running.clock.now().wall;
        let _ = answer::write(client, &answer, &self.running.request_ids.next(), wall, false).await;
    }
}

impl Admin {
    async fn answer(&self, client: &mut H1, head: &Head) -> Result<Answer, Answer> {
        let (method, path) = (head.method(), head.path());
        let is_read = matches!(method, "GET" | "HEAD");
        match path {
            "/healthz" if is_read => return Ok(Answer::json(200, br#"{"ok":true}"#.as_slice())),
            "/readyz" if is_read => return Ok(readiness(&self.running)),
            "/healthz" | "/readyz" => return Err(not_allowed("GET, HEAD")),
            "/metrics" | "/reload" | "/replay/forget" => self.check_token(head)?,
            _ => return Err(Answer::refusal(Refusal::because(Code::NoRoute, "no such page on the admin port"), None)),
        }
        match path {
            "/metrics" if is_read => Ok(self.metrics()),
            "/metrics" => Err(not_allowed("GET, HEAD")),
            _ if method != "POST" => Err(not_allowed("POST")),
            _ => {
                self.check_sender(head)?;
                let body = self.read_body(client, head).await?;
                if path == "/reload" { Ok(self.reload().await) } else { self.forget(&body).await }
            }
        }
    }

    /// SPEC 5: a token guards all but health, where one is set.
    fn check_token(&self, head: &Head) -> Result<(), Answer> {
        let snapshot = self.running.snapshot.load();
        let Some(token) = &snapshot.admin.token else { return Ok(()) };
        let given = match head.find(&self.names.authorization) {
            Found::One(value) => value.strip_prefix(b"Bearer ").unwrap_or_default(),
            Found::Nothing | Found::Several => b"",
        };
        if bool::from(given.ct_eq(token.expose())) {
            return Ok(());
        }
        let mut answer = Answer::error(401, "unauthorized", "send the admin token as `Authorization: Bearer …`");
        answer.authenticate = Some("Bearer");
        Err(answer)
    }

    /// SPEC 5: a POST comes from a tool, not from somebody's browser.
    fn check_sender(&self, head: &Head) -> Result<(), Answer> {
        let foreign = |why| Err(Answer::error(403, "forbidden", why));
        let host = head.host_name().unwrap_or_default();
        let is_ours = host.eq_ignore_ascii_case("localhost")
            || host.trim_matches(['[', ']']).parse() == Ok(self.address.ip())
            || self.running.snapshot.load().admin.hosts.iter().any(|known| known.eq_ignore_ascii_case(host));
        if !is_ours {
            return foreign("this `Host` is not the admin port's: add it to `admin.hosts`");
        }
        if head.find(&self.names.origin) != Found::Nothing {
            return foreign("requests from web pages are not taken");
        }
        match head.find(&self.names.fetch_site) {
            Found::Nothing | Found::One(b"none") => Ok(()),
            _ => foreign("requests from web pages are not taken"),
        }
    }

    async fn read_body(&self, client: &mut H1, head: &Head) -> Result<BytesMut, Answer> {
        if matches!(head.framing(), Framing::Length(bytes) if bytes > MAX_BODY) {
            return Err(Answer::refusal(Refusal::because(Code::BodyTooLarge, "at most 4 KiB are read here"), None));
        }
        let deadline = self.running.deadline(self.running.clock.now(), self.running.snapshot.load().body_timeout);
        let mut body = BytesMut::new();
        while !client.is_body_complete() {
            match client.read_body(&mut body, MAX_BODY, deadline).await {
                Ok(_) => {}
                Err(crate::gateway::client::BodyFault::Refused(refusal)) => return Err(Answer::refusal(refusal, None)),
                Err(_) => return Err(Answer::refusal(Code::BodyTimeout.into(), None)),
            }
        }
        Ok(body)
    }

    fn metrics(&self) -> Answer {
        let mut answer = Answer::json(200, self.running.render_metrics());
        answer.content_type = metrics::CONTENT_TYPE.into();
        answer
    }

    async fn reload(&self) -> Answer {
        let (running, file) = (Arc::clone(&self.running), self.file.clone());
        match tokio::task::spawn_blocking(move || reload::reload(&running, &file)).await {
            Ok(Ok(())) => Answer::json(200, br#"{"ok":true}"#.as_slice()),
            Ok(Err(error)) => {
                let problems = error.list();
                let words = serde_json::Value::from(problems.first().map_or("", String::as_str));
                let problems = serde_json::Value::from(problems);
                Answer::json(
                    422,
                    format!(r#"{{"ok":false,"error":{words},"code":"reload_failed","problems":{problems}}}"#),
                )
            }
            Err(_) => Answer::refusal(Code::InternalError.into(), None),
        }
    }

    /// SPEC 4: lets a delivery through again that an operator wants to have again.
    async fn forget(&self, body: &[u8]) -> Result<Answer, Answer> {
        let usage = || {
            let words = r#"send {"route":"NAME","event_id":"ID"} or {"route":"NAME","request_id":"ID"}"#;
            Answer::error(400, "bad_request", words)
        };
        let asked: serde_json::Value = serde_json::from_slice(body).map_err(|_| usage())?;
        let text = |key: &str| asked.get(key).and_then(serde_json::Value::as_str);
        let key = &self.running.fingerprints;
        let what = match (text("route"), text("event_id"), text("request_id")) {
            (Some(route), Some(event), None) => Forget::Event(key.event(route, event)),
            (Some(route), None, Some(request)) => Forget::Request(key.request(route, request)),
            _ => return Err(usage()),
        };
        match self.running.window.forget(what).await {
            Ok(Forgotten::Dropped(count)) => {
                log::info!("forgot {count} entries of the replay window on request");
                Ok(Answer::json(200, format!(r#"{{"ok":true,"forgotten":{count}}}"#)))
            }
            Ok(Forgotten::Unknown) => {
                let snapshot = self.running.snapshot.load();
                let is_route = snapshot.routes.iter().any(|(_, known)| Some(&*known.name) == text("route"));
                let words = if is_route { "no such event is remembered" } else { "there is no route of this name" };
                Err(Answer::error(404, "unknown_event", words))
            }
            Ok(Forgotten::InFlight) => Err(Answer::refusal(Code::EventInFlight.into(), None)),
            Err(_) => Err(Answer::refusal(Code::ReplayStoreUnavailable.into(), None)),
        }
    }
}

fn not_allowed(allow: &str) -> Answer {
    let mut answer = Answer::refusal(Code::MethodNotAllowed.into(), None);
    answer.allow = Some(allow.to_owned());
    answer
}
