//! The admin port: `/metrics`, `/healthz`, `/readyz`, `POST /reload` and `POST /replay/forget`
//! (contract: Admin port).
//!
//! It speaks the same strict HTTP/1 as the traffic port, with the same limits. A POST comes from an
//! operator's tool and never from a browser: a foreign `Host`, any `Origin` and a cross-site fetch
//! are answered 403, against DNS rebinding and request forgery.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::BytesMut;
use subtle::ConstantTimeEq;

use super::reload;
use crate::gateway::client::answer::{Answer, Denied};
use crate::gateway::client::h1::{H1, Port};
use crate::gateway::client::{Client, Next, ReadError};
use crate::gateway::running::Running;
use crate::replay::{Forget, Forgotten, ReplayWindow};
use crate::telemetry::metrics;
use crate::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found, Framing, Head};

/// The largest body that the admin port reads, in bytes.
const MAX_BODY: u64 = 4 * 1024;

/// The admin port and the values that its pages show or change.
pub(crate) struct AdminPort {
    pub(crate) running: Arc<Running>,
    pub(crate) address: SocketAddr,
    pub(crate) file: PathBuf,
    pub(crate) names: AdminHeaderNames,
}

const FROM_A_PAGE: Denied = Denied::Forbidden("requests from web pages are not taken");

/// The names of the headers that the admin port looks at, parsed once.
pub(crate) struct AdminHeaderNames {
    authorization: FieldName,
    origin: FieldName,
    fetch_site: FieldName,
}

impl AdminHeaderNames {
    /// The usual names. `None` if a name is no field name, which cannot happen.
    pub(crate) fn new() -> Option<Self> {
        Some(Self {
            authorization: FieldName::new("Authorization")?,
            origin: FieldName::new("Origin")?,
            fetch_site: FieldName::new("Sec-Fetch-Site")?,
        })
    }
}

impl Port for AdminPort {
    async fn answer(&self, client: &mut H1, head: Head) -> Next {
        let answer = self
            .page(client, &head)
            .await
            .unwrap_or_else(Answer::denied);
        self.running
            .answer_unlogged(client, &answer, head.method() == "HEAD")
            .await
    }

    async fn refuse(&self, client: &mut H1, refusal: Refusal) {
        // The connection ends, whether the answer reaches the client or not.
        let _: Next = self
            .running
            .answer_unlogged(client, &Answer::refusal(refusal, None), false)
            .await;
    }
}

impl AdminPort {
    /// Answers a request with the page that it asks for, or does as it asks.
    async fn page(&self, client: &mut H1, head: &Head) -> Result<Answer, Denied> {
        let (method, path) = (head.method(), head.path());
        let is_read = matches!(method, "GET" | "HEAD");
        match path {
            "/healthz" if is_read => return Ok(Answer::done()),
            "/readyz" if is_read => return Ok(Answer::readiness(self.running.is_ready())),
            "/healthz" | "/readyz" => return Err(Denied::NotAllowed("GET, HEAD")),
            "/metrics" | "/reload" | "/replay/forget" => self.check_token(head)?,
            _ => {
                return Err(
                    Refusal::because(Code::NoRoute, "no such page on the admin port").into(),
                );
            }
        }
        match path {
            "/metrics" if is_read => Ok(self.metrics()),
            "/metrics" => Err(Denied::NotAllowed("GET, HEAD")),
            _ if method != "POST" => Err(Denied::NotAllowed("POST")),
            _ => {
                self.check_sender(head)?;
                let body = self.read_body(client, head).await?;
                if path == "/reload" {
                    self.reload().await
                } else {
                    self.forget(&body).await
                }
            }
        }
    }

    /// Checks the admin token, if the configuration has a token. It guards every page except
    /// `/healthz` and `/readyz`.
    fn check_token(&self, head: &Head) -> Result<(), Denied> {
        let snapshot = self.running.snapshot.load();
        let Some(token) = &snapshot.admin.token else {
            return Ok(());
        };
        let given = match head.find(&self.names.authorization) {
            Found::One(value) => value.strip_prefix(b"Bearer ").unwrap_or_default(),
            Found::Nothing | Found::Several => b"",
        };
        if bool::from(given.ct_eq(token.expose())) {
            Ok(())
        } else {
            Err(Denied::Unauthorized)
        }
    }

    /// Checks that a POST was sent by a tool and not by somebody's browser.
    fn check_sender(&self, head: &Head) -> Result<(), Denied> {
        let host = head.host_name().unwrap_or_default();
        let is_ours = host.eq_ignore_ascii_case("localhost")
            || host.trim_matches(['[', ']']).parse() == Ok(self.address.ip())
            || self
                .running
                .snapshot
                .load()
                .admin
                .hosts
                .iter()
                .any(|known| known.eq_ignore_ascii_case(host));
        if !is_ours {
            return Err(Denied::Forbidden(
                "this `Host` is not the admin port's: add it to `admin.hosts`",
            ));
        }
        if head.find(&self.names.origin) != Found::Nothing {
            return Err(FROM_A_PAGE);
        }
        match head.find(&self.names.fetch_site) {
            Found::Nothing | Found::One(b"none") => Ok(()),
            _ => Err(FROM_A_PAGE),
        }
    }

    /// Reads a body of at most [`MAX_BODY`] bytes within `server.body_timeout`.
    async fn read_body(&self, client: &mut H1, head: &Head) -> Result<BytesMut, Denied> {
        if matches!(head.framing(), Framing::Length(bytes) if bytes > MAX_BODY) {
            return Err(Refusal::because(Code::BodyTooLarge, "at most 4 KiB are read here").into());
        }
        let deadline = self.running.deadline(
            self.running.clock.now(),
            self.running.snapshot.load().body_timeout,
        );
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

    fn metrics(&self) -> Answer {
        let mut answer = Answer::json(200, self.running.render_metrics());
        answer.content_type = metrics::CONTENT_TYPE.into();
        answer
    }

    async fn reload(&self) -> Result<Answer, Denied> {
        let (running, file) = (Arc::clone(&self.running), self.file.clone());
        match tokio::task::spawn_blocking(move || reload::reload(&running, &file)).await {
            Ok(Ok(())) => Ok(Answer::done()),
            Ok(Err(error)) => Err(Denied::ReloadFailed(error.list())),
            Err(_) => Err(Refusal::from(Code::InternalError).into()),
        }
    }

    /// Forgets an event in the replay window, so that its next copy is forwarded.
    async fn forget(&self, body: &[u8]) -> Result<Answer, Denied> {
        const USAGE: Denied = Denied::BadRequest(
            r#"send {"route":"NAME","event_id":"ID"} or {"route":"NAME","request_id":"ID"}"#,
        );
        let asked: serde_json::Value = serde_json::from_slice(body).map_err(|_| USAGE)?;
        let text = |key: &str| asked.get(key).and_then(serde_json::Value::as_str);
        let key = &self.running.fingerprints;
        let what = match (text("route"), text("event_id"), text("request_id")) {
            (Some(route), Some(event), None) => Forget::Event(key.event(route, event)),
            (Some(route), None, Some(request)) => Forget::Request(key.request(route, request)),
            _ => return Err(USAGE),
        };
        match self.running.window.forget(what).await {
            Ok(Forgotten::Dropped(count)) => {
                log::info!("forgot {count} entries of the replay window on request");
                Ok(Answer::json(
                    200,
                    format!(r#"{{"ok":true,"forgotten":{count}}}"#),
                ))
            }
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
            Ok(Forgotten::InFlight) => Err(Refusal::from(Code::EventInFlight).into()),
            Err(_) => Err(Refusal::from(Code::ReplayStoreUnavailable).into()),
        }
    }
}
