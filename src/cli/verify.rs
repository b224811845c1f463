//! `verigate verify`: judges a captured delivery offline, at a chosen time, by the functions of
//! live traffic (contract: Command line).

use anyhow::bail;
use clap::Args;
use serde_json::Value;

use super::Exit;
use super::delivery::{Captured, Delivery};
use super::output::{complain, json_object, note, print};
use super::providers::read_from;
use super::subject::{By, Subject, tolerance};
use crate::explain::{Case, CaseError};
use crate::notation::timestamp::Tolerance;
use crate::verdict::{Code, Refusal};
use crate::verify::envelope::{Event, EventText};

/// Arguments of `verify`.
#[derive(Args, Debug)]
#[command(
    override_usage = "verigate verify --provider NAME --secret SECRET --headers FILE --body FILE \
                      [OPTIONS]\n       \
                      verigate verify --route NAME --headers FILE --body FILE [OPTIONS]",
    after_help = "Exit status: 0 valid, 1 rejected, 2 usage.\n\n\
                  Example:\n  \
                  verigate verify --provider itellico \
                  --secret env:ITELLICO_WEBHOOK_SECRET \\\n    \
                  --headers headers.txt --body event.json --at 1750000000 --json"
)]
pub(super) struct Verify {
    #[command(flatten)]
    judging: Judging,
    /// Let a bad envelope reject the delivery too, as live traffic would
    #[arg(long)]
    envelope: bool,
}

/// The arguments that `verify` and `explain` share.
#[derive(Args, Debug)]
pub(super) struct Judging {
    #[command(flatten)]
    pub(super) by: By,
    #[command(flatten)]
    pub(super) captured: Captured,
    /// Accept a timestamp that is this far off, both ways: 300s, 5m, off [default: the route's or
    /// the provider's]
    #[arg(long, value_parser = tolerance, value_name = "TIME")]
    tolerance: Option<Tolerance>,
    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,
}

/// The verdict on a delivery.
#[derive(Debug)]
pub(super) struct Judgement {
    /// The reason of the refusal; `None` where the delivery is valid.
    pub(super) refusal: Option<Refusal>,
    /// The name of the secret that matched.
    secret: Option<String>,
    /// The event, or the reason why its envelope is refused; `None` where the signature failed.
    envelope: Option<Result<Event, Refusal>>,
    /// Where the value is read that is missing or malformed.
    read_from: Option<String>,
}

impl Judging {
    /// Loads scheme, secrets and settings, and reads the delivery. With `needs_url` the signed URL
    /// must be known.
    pub(super) fn read(&self, needs_url: bool) -> anyhow::Result<(Subject, Delivery)> {
        let captive = self.captured.headers()?;
        let mut subject = self.by.load(captive.origin())?;
        subject.tolerate(self.tolerance);
        if needs_url && subject.scheme.signs_url() && subject.settings.public_url.is_none() {
            bail!(
                "this scheme signs the URL: write the URL that the provider called, with its host, as \
                 `--url`"
            );
        }
        let delivery = self.captured.read(captive, &subject)?;
        Ok((subject, delivery))
    }
}

impl Verify {
    /// Judges the delivery and prints the verdict.
    pub(super) fn run(&self) -> Exit {
        let judged = self.judging.read(true).and_then(|(subject, delivery)| {
            let judgement = judge(&subject, &delivery, self.envelope)?;
            Ok((judgement, delivery))
        });
        let (judgement, delivery) = match judged {
            Ok(judged) => judged,
            Err(error) => {
                complain(&error);
                return Exit::Usage;
            }
        };
        if self.judging.json {
            print(&json_object(&judgement.members()));
        } else {
            print(&judgement.words());
            if let (Some(_), Some(doubt)) = (&judgement.refusal, delivery.doubt()) {
                note(&format!("note: {doubt}"));
            }
        }
        judgement.exit()
    }
}

/// Judges a delivery as live traffic would: head, signature, freshness and account, then the
/// envelope.
///
/// # Errors
/// A secret that is not a key of the scheme.
pub(super) fn judge(
    subject: &Subject,
    delivery: &Delivery,
    is_envelope_judged: bool,
) -> anyhow::Result<Judgement> {
    let refused = |refusal: Refusal| Judgement {
        refusal: Some(refusal),
        secret: None,
        envelope: None,
        read_from: read_from(&subject.scheme, refusal.code),
    };
    let head = match &delivery.head {
        Ok(head) => head,
        Err(refusal) => return Ok(refused(*refusal)),
    };
    match case(subject, head, delivery).judge() {
        Ok(proof) => {
            let (body, claims) = (proof.signed_body(&delivery.body), proof.claims());
            let accounts = subject.accounts.as_ref();
            let unlisted = accounts.and_then(|accounts| accounts.judge(head, body, claims).err());
            let event = subject.envelope.extract(head, body, claims);
            let refusal = match (unlisted, &event) {
                (Some(_), _) => Some(Code::AccountNotListed.into()),
                (None, Err(refusal)) if is_envelope_judged => Some(*refusal),
                _ => None,
            };
            Ok(Judgement {
                refusal,
                secret: Some(proof.secret.to_string()),
                envelope: Some(event),
                read_from: None,
            })
        }
        Err(CaseError::Refused(refusal)) => Ok(refused(refusal)),
        Err(CaseError::Key(error)) => {
            Err(anyhow::anyhow!("{error}; copy it again from the provider"))
        }
    }
}

/// The delivery as a case for the verifier, with the scheme, secrets and settings of the subject.
pub(super) fn case<'c>(
    subject: &'c Subject,
    head: &'c crate::wire::head::Head,
    delivery: &'c Delivery,
) -> Case<'c> {
    Case {
        scheme: &subject.scheme,
        settings: &subject.settings,
        secrets: &subject.secrets,
        head,
        body: &delivery.body,
        now: delivery.now,
    }
}

impl Judgement {
    /// The exit status: 0 for a valid delivery, 1 for a rejected delivery.
    pub(super) fn exit(&self) -> Exit {
        if self.refusal.is_some() {
            Exit::Failure
        } else {
            Exit::Success
        }
    }

    /// The members of the JSON object (contract: Command line).
    pub(super) fn members(&self) -> Vec<(&'static str, Value)> {
        let event = self.envelope.as_ref().and_then(|event| event.as_ref().ok());
        let part = |part: fn(&Event) -> &Option<EventText>| {
            event.and_then(|event| part(event).as_deref()).into()
        };
        let envelope = self.envelope.as_ref().map(|event| match event {
            Ok(_) => "ok",
            Err(refusal) => refusal.why,
        });
        vec![
            ("valid", self.refusal.is_none().into()),
            (
                "code",
                self.refusal.map(|refusal| refusal.code.name()).into(),
            ),
            ("secret", self.secret.clone().into()),
            ("envelope", envelope.into()),
            ("event_id", part(|event| &event.id)),
            ("event_type", part(|event| &event.event_type)),
            ("account", part(|event| &event.account)),
        ]
    }

    /// The verdict in words, a line for each known fact.
    pub(super) fn words(&self) -> String {
        let mut lines = vec![match &self.refusal {
            None => "valid".to_owned(),
            Some(refusal) => format!("rejected: {refusal}"),
        }];
        let mut line = |name: &str, value: Option<&str>| {
            // The sender chose these values, so they must not move the cursor or imitate another
            // line.
            lines.extend(value.map(|value| format!("{name:<11} {}", value.escape_debug())));
        };
        line("read from", self.read_from.as_deref());
        line("secret", self.secret.as_deref());
        match &self.envelope {
            Some(Ok(event)) => {
                line("event id", event.id.as_deref());
                line("event type", event.event_type.as_deref());
                line("account", event.account.as_deref());
            }
            Some(Err(refusal)) if self.refusal.is_none() => {
                line(
                    "envelope",
                    Some(&format!("live traffic would refuse it: {refusal}")),
                );
            }
            _ => {}
        }
        lines.join("\n")
    }
}

#[cfg(test)]
pub(super) mod tests {
    use clap::Parser as _;

    use super::super::{Cli, Command};
    use super::*;

    pub(in crate::cli) const BODY: &str =
        r#"{"event_id":"e1","event_type":"x","organization_uuid":"o"}"#;
    // printf '%s.1750000000' BODY | openssl dgst -sha256 -hmac itellico_test_secret
    pub(in crate::cli) const SIGNATURE: &str =
        "5d406f62eb5c5593d5cd4acb2209fc78f57aa6a074f39adf1be48cc055df7c0f";

    /// A command that judges these files, which are removed together with the folder.
    pub(in crate::cli) fn command(
        name: &str,
        headers: &[u8],
        body: &str,
        more: &[&str],
    ) -> anyhow::Result<(tempfile::TempDir, Command)> {
        let folder = tempfile::tempdir()?;
        let file = |name: &str, bytes: &[u8]| -> anyhow::Result<String> {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes)?;
            Ok(path.display().to_string())
        };
        let (headers, body) = (file("headers", headers)?, file("body", body.as_bytes())?);
        let fixed = [
            "verigate",
            name,
            "--provider",
            "itellico",
            "--at",
            "1750000000",
        ];
        let files = ["--headers", &headers, "--body", &body];
        let arguments = fixed.into_iter().chain(files).chain(more.iter().copied());
        Ok((folder, Cli::try_parse_from(arguments)?.command))
    }

    /// The judgement of `verify` on these files, with the secret that the tests sign with.
    fn judged(headers: &[u8], body: &str, more: &[&str]) -> anyhow::Result<Judgement> {
        let more = [&["--secret", "plain:itellico_test_secret"], more].concat();
        let (_folder, command) = command("verify", headers, body, &more)?;
        let Command::Verify(verify) = command else {
            panic!("another command")
        };
        let (subject, delivery) = verify.judging.read(true)?;
        judge(&subject, &delivery, verify.envelope)
    }

    #[test]
    fn a_packed_body_is_read_as_live_traffic_reads_it() {
        use std::io::Write as _;
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        packer.write_all(br#"{"type":"message.new"}"#).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, bytes: &[u8]| {
            std::fs::write(folder.path().join(name), bytes).unwrap();
            folder.path().join(name).display().to_string()
        };
        let body = file("body", &packer.finish().unwrap());
        // printf '{"type":"message.new"}' | openssl dgst -sha256 -hmac k
        let headers = file(
            "headers",
            b"X-Signature: 49ae507dcf418ac2d0f37dfccd5bb52b824f234d873c71f62a8d060ecd8e8549\n",
        );
        let arguments = [
            "verigate",
            "verify",
            "-p",
            "stream",
            "-s",
            "plain:k",
            "--headers",
            &headers,
            "--body",
            &body,
        ];
        let Command::Verify(verify) = Cli::parse_from(arguments).command else {
            panic!("verify")
        };
        let (subject, delivery) = verify.judging.read(true).unwrap();
        let judgement = judge(&subject, &delivery, false).unwrap();
        let kind = judgement
            .members()
            .into_iter()
            .find(|(name, _)| *name == "event_type")
            .unwrap()
            .1;
        assert_eq!(kind, "message.new", "{judgement:?}");
    }

    #[test]
    fn cf_13_a_headers_file_gets_the_codes_of_the_wire() {
        let time = "X-Webhook-Timestamp: 1750000000\n";
        let sign = format!("X-Webhook-Signature-256: {SIGNATURE}\n");
        let rows: &[(&str, String, Option<&str>)] = &[
            ("good", format!("{time}{sign}"), None),
            (
                "CRLF and blank lines",
                format!("{time}\n{sign}\n").replace('\n', "\r\n"),
                None,
            ),
            (
                "no line end at the end",
                format!("{time}{}", sign.trim_end()),
                None,
            ),
            (
                "white space around values",
                format!("{time}X-Webhook-Signature-256:\t {SIGNATURE} \t\n"),
                None,
            ),
            (
                "names in any case",
                format!("{time}{sign}").to_ascii_lowercase(),
                None,
            ),
            (
                "a request line",
                format!("POST /in/x HTTP/1.1\r\nHost: a\r\n{time}{sign}"),
                None,
            ),
            ("AU-01 none", time.into(), Some("missing_signature")),
            (
                "AU-01 white space",
                format!("{time}X-Webhook-Signature-256: \t\n"),
                Some("missing_signature"),
            ),
            (
                "AU-03 capitals",
                format!("{time}{}", sign.to_ascii_uppercase()),
                Some("malformed_signature"),
            ),
            (
                "AU-04 two lines",
                format!("{time}{sign}{sign}"),
                Some("malformed_signature"),
            ),
            (
                "AU-04 two timestamps",
                format!("{time}{time}{sign}"),
                Some("malformed_timestamp"),
            ),
            (
                "an alias beside",
                format!("{time}{sign}X_Webhook_Signature_256: 1\n"),
                Some("malformed_signature"),
            ),
            (
                "an alias alone",
                format!("{time}{}", sign.replace('-', "_")),
                Some("missing_signature"),
            ),
            (
                "AU-05 other bits",
                format!("{time}{}", sign.replace("5d40", "5d41")),
                Some("bad_signature"),
            ),
            (
                "AU-12 no timestamp",
                sign.clone(),
                Some("missing_timestamp"),
            ),
            (
                "AU-13 a sign",
                format!("X-Webhook-Timestamp: +1750000000\n{sign}"),
                Some("malformed_timestamp"),
            ),
            (
                "AU-14 milliseconds",
                format!("X-Webhook-Timestamp: 1750000000000\n{sign}"),
                Some("future_timestamp"),
            ),
            (
                "AU-15 zero",
                format!("X-Webhook-Timestamp: 0\n{sign}"),
                Some("stale_timestamp"),
            ),
            (
                "white space before a colon",
                format!("{time}{sign}X-A : 1\n"),
                Some("bad_request"),
            ),
            (
                "a folded line",
                format!("{time}{sign} x: 1\n"),
                Some("bad_request"),
            ),
            (
                "a carriage return inside",
                format!("{time}{sign}X-A: 1\r2\n"),
                Some("bad_request"),
            ),
            (
                "two lengths",
                format!("{time}{sign}Content-Length: 1\nContent-Length: 1\n"),
                Some("bad_request"),
            ),
        ];
        let mut wrong = Vec::new();
        for (name, headers, expected) in rows {
            let judgement = judged(headers.as_bytes(), BODY, &["--envelope"]).unwrap();
            let code = judgement.refusal.map(|refusal| refusal.code.name());
            if code != *expected {
                wrong.push((name, expected, code));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn an_envelope_rejects_only_where_it_is_asked_to() {
        let headers = "X-Webhook-Timestamp: 1750000000\nX-Webhook-Signature-256: \
                       b77330893dbeefc42e604b1636f166dc4ad0eef711228e7b10820bb5649790d0\n";
        let shown = |more| json_object(&judged(headers.as_bytes(), "{}", more).unwrap().members());
        let rest = r#""secret":"plain-1","envelope":"the event id is missing","event_id":null,"event_type":null,"account":null}"#;
        assert_eq!(shown(&[]), format!(r#"{{"valid":true,"code":null,{rest}"#));
        assert_eq!(
            shown(&["--envelope"]),
            format!(r#"{{"valid":false,"code":"invalid_envelope",{rest}"#)
        );
    }

    #[test]
    fn what_the_sender_chose_cannot_fake_a_line() {
        let event = Event {
            id: Some("a\nvalid\u{1b}[2J".into()),
            ..Event::default()
        };
        let judgement = Judgement {
            refusal: None,
            secret: Some("s".into()),
            envelope: Some(Ok(event)),
            read_from: None,
        };
        assert_eq!(
            judgement.words(),
            "valid\nsecret      s\nevent id    a\\nvalid\\u{1b}[2J"
        );
    }

    #[test]
    fn a_url_s_fragment_and_a_line_without_a_colon_are_usage_errors() {
        assert!(
            judged(b"a: 1\nb", BODY, &[])
                .unwrap_err()
                .to_string()
                .contains("headers:2: ")
        );
        assert!(judged(b"", BODY, &["--url", "https://a/#b"]).is_err());
        assert!(judged(b"", BODY, &["--tolerance", "5"]).is_err());
        assert!(
            judged(b"", BODY, &["--route", "x"]).is_err(),
            "either a provider or a route"
        );
    }
}
