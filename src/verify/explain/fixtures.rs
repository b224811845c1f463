//! A good delivery of the reference receiver's scheme, for tests to spoil.

use std::sync::Arc;
use std::time::Duration;

use super::{Case, Explanation, Finding, Mistake, explain};
use crate::verify::clock::{Now, UnixMillis};
use crate::verify::scheme::fixtures::{itellico, secret};
use crate::verify::scheme::{Scheme, Settings};
use crate::verify::secret::{Secret, SecretText};
use crate::verify::sign::{SignRequest, sign};
use crate::wire::head::Head;

pub(super) const AT: i64 = 1_750_000_000;
pub(super) const SECRET: &str = "itellico_test_secret";
pub(super) const SIGNATURE: &str = "X-Webhook-Signature-256";
pub(super) const TIMESTAMP: &str = "X-Webhook-Timestamp";

/// A delivery as it left the sender, and the receiver that judges it.
pub(super) struct Sample {
    pub(super) scheme: Scheme,
    pub(super) secrets: Vec<Secret>,
    pub(super) lines: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
    pub(super) now: i64,
    pub(super) presets: Vec<Scheme>,
}

/// A body as a sender of compact JSON writes it.
pub(super) const BODY: &str = r#"{"type":"conversation.ended","event_id":"e/1","data":{"n":1,"who":"Zoë"}}"#;

impl Sample {
    /// Signed by the reference scheme with [`SECRET`], and received as it was sent.
    pub(super) fn good() -> Self {
        Self::sent(&itellico(), SECRET, BODY.as_bytes())
    }

    /// Signed by `scheme` with a secret, and received by the reference scheme with the reference secret.
    pub(super) fn sent(scheme: &Scheme, text: &str, body: &[u8]) -> Self {
        let request = SignRequest {
            method: "POST",
            target: "/in/itellico",
            body,
            id: Some("id_1"),
            at: UnixMillis::from_secs(AT),
            public_url: None,
            headers: &[],
        };
        Self {
            lines: sign(scheme, &secret("sender", text), &request).unwrap(),
            scheme: itellico(),
            secrets: vec![secret("env:S", SECRET)],
            body: body.to_vec(),
            now: AT,
            presets: Vec::new(),
        }
    }

    /// The receiver has other secrets.
    pub(super) fn with_secret(mut self, text: &[u8]) -> Self {
        self.secrets = vec![Secret { text: SecretText::new(text.to_vec()), ..secret("env:S", "") }];
        self
    }

    /// Another value under a header.
    pub(super) fn with(mut self, name: &str, change: impl Fn(&str) -> String) -> Self {
        for (known, value) in &mut self.lines {
            if known == name {
                *value = change(value);
            }
        }
        self
    }

    pub(super) fn explained(&self) -> Explanation {
        let scheme = Arc::new(self.scheme.clone());
        let lines = self.lines.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let head = Head::from_parts("POST", "/in/itellico", lines).unwrap();
        let settings = Settings {
            tolerance: self.scheme.tolerance,
            future_tolerance: self.scheme.future_tolerance,
            public_url: None,
        };
        let case = Case {
            scheme: &scheme,
            settings: &settings,
            secrets: &self.secrets,
            head: &head,
            body: &self.body,
            now: Now { wall: UnixMillis::from_secs(self.now), mono: Duration::ZERO },
        };
        explain(&case, &self.presets.iter().collect::<Vec<_>>())
    }

    /// The mistake that the explanation names.
    pub(super) fn mistake(&self) -> Option<Mistake> {
        match self.explained() {
            Explanation::Mistaken { finding: Finding { mistake, .. }, .. } => Some(mistake),
            _ => None,
        }
    }
}
