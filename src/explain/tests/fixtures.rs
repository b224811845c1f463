//! A good delivery of the reference receiver's scheme, for tests to spoil.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Now, UnixMillis};
use crate::explain::{Around, Case, Explanation, Finding, Mistake, explain};
use crate::key::secret::{Secret, SecretText};
use crate::scheme::tests::fixtures::{itellico, secret};
use crate::scheme::{Scheme, Settings};
use crate::sign::{SignRequest, sign};
use crate::wire::head::Head;

pub(crate) const AT: i64 = 1_750_000_000;
pub(crate) const SECRET: &str = "itellico_test_secret";
pub(crate) const SIGNATURE: &str = "X-Webhook-Signature-256";
pub(crate) const TIMESTAMP: &str = "X-Webhook-Timestamp";

/// The target that samples are sent to.
pub(crate) const TARGET: &str = "/in/itellico";

/// A delivery as it left the sender, and the receiver that judges it.
#[derive(Clone)]
pub(crate) struct Sample {
    pub(crate) scheme: Scheme,
    pub(crate) secrets: Vec<Secret>,
    pub(crate) lines: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    pub(crate) now: i64,
    pub(crate) presets: Vec<Scheme>,
    pub(crate) routes: Vec<(String, Vec<Secret>)>,
    pub(crate) target: String,
    pub(crate) public_url: Option<String>,
}

/// A body as a sender of compact JSON writes it.
pub(crate) const BODY: &str =
    r#"{"type":"conversation.ended","event_id":"e/1","data":{"n":1,"who":"Zoë"}}"#;

impl Sample {
    /// A delivery signed by the reference scheme with [`SECRET`], and received as it was sent.
    pub(crate) fn good() -> Self {
        Self::sent(&itellico(), SECRET, BODY.as_bytes())
    }

    /// A delivery signed by `scheme` with a secret, and received by the reference scheme with the
    /// reference secret.
    pub(crate) fn sent(scheme: &Scheme, text: &str, body: &[u8]) -> Self {
        let request = SignRequest {
            method: "POST",
            target: TARGET,
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
            routes: Vec::new(),
            target: TARGET.to_owned(),
            public_url: None,
        }
    }

    /// The same delivery for a receiver with another secret.
    pub(crate) fn with_secret(mut self, text: &[u8]) -> Self {
        self.secrets = vec![Secret {
            text: SecretText::new(text.to_vec()),
            ..secret("env:S", "")
        }];
        self
    }

    /// The same delivery with another value of a header.
    pub(crate) fn with(mut self, name: &str, change: impl Fn(&str) -> String) -> Self {
        for (known, value) in &mut self.lines {
            if known == name {
                *value = change(value);
            }
        }
        self
    }

    /// Hands the delivery over as a case.
    pub(crate) fn as_case<T>(&self, with: impl FnOnce(Case<'_>) -> T) -> T {
        let scheme = Arc::new(self.scheme.clone());
        let lines = self
            .lines
            .iter()
            .map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let head = Head::from_parts("POST", &self.target, lines).unwrap();
        let settings = Settings {
            max_body: 1 << 20,
            tolerance: self.scheme.tolerance,
            future_tolerance: self.scheme.future_tolerance,
            public_url: self.public_url.clone(),
        };
        let case = Case {
            scheme: &scheme,
            settings: &settings,
            secrets: &self.secrets,
            head: &head,
            body: &self.body,
            now: Now {
                wall: UnixMillis::from_secs(self.now),
                mono: Duration::ZERO,
            },
        };
        with(case)
    }

    pub(crate) fn explained(&self) -> Explanation {
        let presets: Vec<&Scheme> = self.presets.iter().collect();
        self.as_case(|case| {
            explain(
                &case,
                &Around {
                    presets: &presets,
                    routes: &self.routes,
                    is_unconfirmed: false,
                },
            )
        })
    }

    /// The mistake that the explanation names.
    pub(crate) fn mistake(&self) -> Option<Mistake> {
        match self.explained() {
            Explanation::Mistaken {
                finding: Finding { mistake, .. },
                ..
            } => Some(mistake),
            _ => None,
        }
    }

    /// Panics if a mistake shows a secret of the sender or the receiver, or a signature.
    fn expect_hidden(&self, mistake: Option<&Mistake>) {
        let text =
            mistake.map(|mistake| format!("{mistake:?} {} {}", mistake.sentence, mistake.fix));
        let text = text.unwrap_or_default();
        let own = self
            .secrets
            .iter()
            .map(|secret| String::from_utf8_lossy(secret.text.expose()).into_owned());
        let sent = self
            .lines
            .iter()
            .map(|(_, value)| value.clone())
            .filter(|value| value.len() >= 40);
        let hidden = own
            .chain([SECRET.to_owned()])
            .filter(|text| text.len() >= 6)
            .chain(sent);
        let shown: Vec<_> = hidden
            .filter(|hidden| text.contains(hidden.as_str()))
            .collect();
        assert!(shown.is_empty(), "{shown:?} in {text}");
    }

    /// The mistake that is suspected if no mistake is confirmed.
    pub(crate) fn suspicion(&self) -> Option<Mistake> {
        match self.explained() {
            Explanation::Suspected { mistake, .. } => Some(mistake),
            _ => None,
        }
    }

    /// The same delivery with another header line.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.lines.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same delivery with a header under another name.
    pub(crate) fn renamed(mut self, name: &str, to: &str) -> Self {
        for (known, _) in &mut self.lines {
            if known.eq_ignore_ascii_case(name) {
                to.clone_into(known);
            }
        }
        self
    }
}

/// A delivery sent and received by the same scheme.
pub(crate) fn by(scheme: &Scheme) -> Sample {
    Sample {
        scheme: scheme.clone(),
        ..Sample::sent(scheme, SECRET, BODY.as_bytes())
    }
}

/// A delivery sent by the scheme `sent`, and received by the scheme `received`.
pub(crate) fn between(sent: &Scheme, received: &Scheme) -> Sample {
    Sample {
        scheme: received.clone(),
        ..by(sent)
    }
}

pub(crate) fn with_secret(sample: Sample, text: &str) -> Sample {
    sample.with_secret(text.as_bytes())
}

/// Compares the mistake of each row with the expected one, and collects every row where they
/// differ.
///
/// A row is its name, the sample and the mistake, as [`is_named`] takes it.
pub(crate) fn compare<E: AsRef<str>>(rows: Vec<(&str, Sample, E)>) {
    judged(rows, Sample::mistake);
}

/// Compares the suspicion of each row with the expected one, and collects every row where they
/// differ.
pub(crate) fn compare_suspicions<E: AsRef<str>>(rows: Vec<(&str, Sample, E)>) {
    judged(rows, Sample::suspicion);
}

/// Panics if a mistake is not the expected one.
#[track_caller]
pub(crate) fn expect(mistake: Option<&Mistake>, expected: &str) {
    assert!(
        mistake.is_some_and(|mistake| is_named(mistake, expected)),
        "{mistake:?} is not {expected}"
    );
}

/// Whether a mistake is `name`, or `name: words … words`: sentence and fix hold the words in that
/// order.
fn is_named(mistake: &Mistake, expected: &str) -> bool {
    let (name, words) = expected.split_once(": ").unwrap_or((expected, ""));
    let text = format!("{} {}", mistake.sentence, mistake.fix);
    let mut rest = Some(text.as_str());
    for words in words.split(" … ") {
        rest = rest
            .and_then(|rest| rest.split_once(words))
            .map(|(_, behind)| behind);
    }
    mistake.name == name && rest.is_some()
}

fn judged<E: AsRef<str>>(rows: Vec<(&str, Sample, E)>, judge: fn(&Sample) -> Option<Mistake>) {
    let judged = rows.into_iter().filter_map(|(name, sample, expected)| {
        let found = judge(&sample);
        sample.expect_hidden(found.as_ref());
        let is_right = found
            .as_ref()
            .is_some_and(|found| is_named(found, expected.as_ref()));
        (!is_right).then(|| (name, expected.as_ref().to_owned(), found))
    });
    let wrong: Vec<_> = judged.collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}
