//! One answer as a strict client sees it, and what is true of every answer that the gateway itself makes (contract:
//! Answers).

use serde_json::Value;

/// How the body of an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// No body by rule: 1xx, 204, 304, an answer to HEAD.
    None,
    /// `Content-Length`.
    Length,
    /// `Transfer-Encoding: chunked`.
    Chunked,
    /// The end of the connection.
    Close,
}

/// One answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// As sent: `HTTP/1.1`. `HTTP/2` over that.
    pub(crate) version: String,
    pub(crate) status: u16,
    /// Names and values in order; bytes above ASCII are shown as `char`s of the same number.
    pub(crate) headers: Vec<(String, String)>,
    /// Decoded where it was chunked.
    pub(crate) body: Vec<u8>,
    /// From the status line to the empty line, both included.
    pub(crate) raw_head: Vec<u8>,
    pub(crate) framing: Framing,
}

impl Answer {
    /// The value of the only line of that name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let all = self.headers_named(name);
        assert!(all.len() < 2, "{name} occurs {} times in {self}", all.len());
        all.first().copied()
    }

    /// Every value of that name, in order.
    pub(crate) fn headers_named(&self, name: &str) -> Vec<&str> {
        self.headers
            .iter()
            .filter(|(n, _)| n.eq_ignore_ascii_case(name))
            .map(|(_, v)| v.as_str())
            .collect()
    }

    /// The body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("the body is no JSON ({error}): {self}"))
    }

    /// `code` of the JSON body; empty where there is none.
    pub(crate) fn code(&self) -> String {
        serde_json::from_slice::<Value>(&self.body)
            .ok()
            .and_then(|json| json.get("code")?.as_str().map(str::to_owned))
            .unwrap_or_default()
    }

    /// Whether it says `Connection: close`.
    pub(crate) fn closes(&self) -> bool {
        self.headers_named("Connection")
            .iter()
            .any(|v| v.split(',').any(|m| m.trim().eq_ignore_ascii_case("close")))
    }

    /// Panics unless it is the gateway's own answer with this status and code.
    #[track_caller]
    pub(crate) fn expect_refusal(&self, status: u16, code: &str) {
        assert!(
            self.status == status && self.code() == code,
            "expected {status} {code}, got {self}"
        );
        check_gateway_answer(self);
    }

    /// Panics unless the status is this one.
    #[track_caller]
    pub(crate) fn expect_status(&self, status: u16) {
        assert_eq!(self.status, status, "{self}");
    }

    /// Panics unless it is `{"ok":true,"duplicate":true}`, the answer to a duplicate.
    #[track_caller]
    pub(crate) fn expect_duplicate(&self) {
        assert!(
            self.status == 200 && self.json()["duplicate"] == true,
            "expected a duplicate's 200, got {self}"
        );
        check_gateway_answer(self);
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let shown = &self.body[..self.body.len().min(300)];
        write!(
            f,
            "{}{}",
            String::from_utf8_lossy(&self.raw_head),
            String::from_utf8_lossy(shown)
        )
    }
}

/// Panics with every fault of [`gateway_answer_faults`].
#[track_caller]
pub(crate) fn check_gateway_answer(answer: &Answer) {
    let faults = gateway_answer_faults(answer);
    assert!(faults.is_empty(), "{} in {answer}", faults.join("; "));
}

/// The status of each code, without the three codes whose status a route may choose.
fn status_of(code: &str) -> Option<u16> {
    Some(match code {
        "bad_request" | "bad_path" | "malformed_handshake" => 400,
        "uri_too_long" => 414,
        "headers_too_large" => 431,
        "expectation_failed" => 417,
        "no_route" => 404,
        "method_not_allowed" => 405,
        "missing_signature"
        | "missing_timestamp"
        | "malformed_signature"
        | "malformed_timestamp"
        | "stale_timestamp"
        | "future_timestamp"
        | "bad_signature"
        | "handshake_probe" => 401,
        "wrong_verify_token" => 403,
        "body_too_large" => 413,
        "body_timeout" | "head_timeout" => 408,
        "invalid_envelope" => 422,
        "overloaded"
        | "replay_store_unavailable"
        | "secret_not_learned"
        | "queue_full"
        | "queue_unavailable" => 503,
        "upstream_unreachable" | "upstream_failed" => 502,
        "upstream_timeout" => 504,
        "internal_error" => 500,
        _ => return None,
    })
}

/// What is wrong with an answer that the gateway itself made; empty when it keeps
/// all that holds for every answer.
pub(crate) fn gateway_answer_faults(answer: &Answer) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fault = |bad: bool, text: String| {
        if bad {
            faults.push(text);
        }
    };
    let one = |name: &str| {
        let all = answer.headers_named(name);
        if all.len() == 1 {
            Ok(all[0])
        } else {
            Err(format!("{name} occurs {} times", all.len()))
        }
    };
    match one("Content-Type") {
        Ok(value) => fault(
            value != "application/json",
            format!("Content-Type is {value}"),
        ),
        Err(text) => fault(true, text),
    }
    match one("X-Request-Id") {
        Ok(id) => fault(
            id.is_empty() || id.len() > 128 || !id.bytes().all(|b| b.is_ascii_graphic()),
            format!("X-Request-Id is {id:?}"),
        ),
        Err(text) => fault(true, text),
    }
    for (name, value) in &answer.headers {
        let folded: String = name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        fault(
            folded.to_ascii_lowercase().starts_with("x-verigate"),
            format!("{name} is for the upstream only"),
        );
        fault(
            name.eq_ignore_ascii_case("server") && value.to_ascii_lowercase().contains("pingora"),
            format!("Server names the framework: {value}"),
        );
    }
    let is_http2 = answer.version == "HTTP/2";
    fault(
        !is_http2 && answer.version != "HTTP/1.1",
        format!("version is {}", answer.version),
    );
    if answer.framing == Framing::None {
        return faults;
    }
    fault(
        answer.framing != Framing::Length,
        format!("framed by {:?}, not by a length", answer.framing),
    );
    let json: Value = match serde_json::from_slice(&answer.body) {
        Ok(json) => json,
        Err(error) => {
            faults.push(format!("the body is no JSON: {error}"));
            return faults;
        }
    };
    if json["ok"] == true {
        fault(
            json["duplicate"] != true && json["ignored"] != true,
            "ok is true without duplicate or ignored".to_owned(),
        );
        return faults;
    }
    fault(
        json["ok"] != false,
        "ok is neither true nor false".to_owned(),
    );
    fault(
        json["error"].as_str().is_none_or(str::is_empty),
        "error is no text".to_owned(),
    );
    let code = json["code"].as_str().unwrap_or_default();
    fault(code.is_empty(), "code is no text".to_owned());
    if let Some(status) = status_of(code) {
        fault(
            status != answer.status,
            format!("{code} goes with {status}, not {}", answer.status),
        );
    } else {
        let chosen = matches!(
            code,
            "replayed_event"
                | "duplicate_event"
                | "event_id_conflict"
                | "event_in_flight"
                | "event_type_ignored"
                | "account_not_listed"
        );
        fault(
            !chosen && !code.is_empty(),
            format!("{code} is no code of the contract"),
        );
    }
    if code == "method_not_allowed" {
        fault(
            answer.headers_named("Allow").len() != 1,
            "405 without Allow".to_owned(),
        );
    }
    if matches!(
        code,
        "overloaded" | "replay_store_unavailable" | "event_in_flight" | "secret_not_learned"
    ) {
        fault(
            answer.headers_named("Retry-After").len() != 1,
            format!("{code} without Retry-After"),
        );
    }
    // What is wrong with a stream of HTTP/2 harms no other.
    let must_close = !is_http2;
    if must_close
        && matches!(
            code,
            "bad_request" | "uri_too_long" | "headers_too_large" | "internal_error"
        )
    {
        fault(
            !answer.closes(),
            format!("{code} without Connection: close"),
        );
    }
    faults
}
