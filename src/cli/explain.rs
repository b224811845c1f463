//! `verigate explain`: the same as `verify`, and for a refusal also the mistake without which the
//! delivery would match (contract: Command line).

use clap::Args;
use serde_json::Value;

use super::Exit;
use super::candidates;
use super::delivery::Delivery;
use super::output::{complain, json_object, print};
use super::providers::read_from;
use super::subject::Subject;
use super::verify::{Judgement, Judging, case, judge};
use crate::config::presets;
use crate::explain::{Around, CaseError, Explanation, Finding, Mistake, explain};
use crate::scheme::Scheme;
use crate::verdict::Code;
use crate::verify::accounts::Unlisted;
use crate::wire::head::Head;

/// Arguments of `explain`.
#[derive(Args, Debug)]
#[command(
    override_usage = "verigate explain --provider NAME --secret SECRET --headers FILE --body FILE \
                      [OPTIONS]\n       \
                      verigate explain --route NAME --headers FILE --body FILE [OPTIONS]\n       \
                      verigate explain --headers FILE",
    after_help = "Without a secret it names the providers that the headers may come from, the \
                  likeliest first.\n\n\
                  Exit status: 0 valid, or a provider is named; 1 rejected, or no provider fits; 2 \
                  usage. Neither the secret nor the expected signature is shown.\n\n\
                  Example:\n  \
                  verigate explain --provider itellico \
                  --secret env:ITELLICO_WEBHOOK_SECRET \\\n    \
                  --headers headers.txt --body event.json --at 1750000000"
)]
pub(super) struct Explain {
    #[command(flatten)]
    judging: Judging,
}

/// The explanation in words.
#[derive(Debug)]
struct Report {
    mistake: Option<Mistake>,
    /// The name of the secret with which the delivery would match.
    secret: Option<String>,
    lines: Vec<String>,
}

impl Explain {
    /// Judges the delivery and explains a refusal.
    pub(super) fn run(&self) -> Exit {
        if !self.judging.by.is_complete() {
            return candidates::run(&self.judging).unwrap_or_else(|error| {
                complain(&error);
                Exit::Usage
            });
        }
        match self
            .judging
            .read(false)
            .map(|(subject, delivery)| self.show(&subject, &delivery))
        {
            Ok(exit) => exit,
            Err(error) => {
                complain(&error);
                Exit::Usage
            }
        }
    }

    fn show(&self, subject: &Subject, delivery: &Delivery) -> Exit {
        let mut report = report(subject, delivery);
        let doubt = delivery.doubt().filter(|_| report.mistake.is_none());
        report
            .lines
            .extend(doubt.map(|doubt| format!("Note: {doubt}.")));
        // A secret that is not a key cannot be judged, but its mistake can be reported.
        let judgement = judge(subject, delivery, false);
        let exit = judgement.as_ref().map_or(Exit::Usage, Judgement::exit);
        if self.judging.json {
            let mut members = judgement
                .map(|judgement| judgement.members())
                .unwrap_or_default();
            members.extend(report.members());
            print(&json_object(&members));
            return exit;
        }
        match judgement {
            Ok(judgement) => print(&judgement.words()),
            Err(error) => print(&format!("not judged: {error:#}")),
        }
        if !report.lines.is_empty() {
            print(&format!("\n{}", report.lines.join("\n")));
        }
        exit
    }
}

impl Report {
    fn members(&self) -> Vec<(&'static str, Value)> {
        vec![
            (
                "mistake",
                self.mistake.as_ref().map(|mistake| mistake.name).into(),
            ),
            ("mistake_secret", self.secret.clone().into()),
            (
                "explanation",
                if self.lines.is_empty() {
                    Value::Null
                } else {
                    self.lines.join(" ").into()
                },
            ),
        ]
    }
}

fn report(subject: &Subject, delivery: &Delivery) -> Report {
    let head = match &delivery.head {
        Ok(head) => head,
        Err(refusal) => {
            let line = format!(
                "No HTTP request can have this head: {}. Check how it was captured, and the given \
                 URL.",
                refusal.why
            );
            return Report {
                mistake: None,
                secret: None,
                lines: vec![line],
            };
        }
    };
    let schemes = candidates::schemes();
    let around = Around {
        presets: &schemes,
        routes: &subject.others,
        is_unconfirmed: is_unconfirmed(subject),
    };
    let explanation = explain(&case(subject, head, delivery), &around);
    let is_valid = matches!(explanation, Explanation::Valid(_));
    let mut report = reported(subject, (head, delivery), explanation);
    report.lines.extend(refused_method(subject, head));
    report
        .lines
        .extend(is_valid.then(|| unsigned_body(&subject.scheme)).flatten());
    report
}

/// Whether the facts about the provider do not come from the provider itself.
fn is_unconfirmed(subject: &Subject) -> bool {
    let provider = &subject.scheme.provider;
    let mut presets = presets::all().iter();
    let preset = presets.find(|preset| preset.name == *provider);
    subject.scheme.preset && preset.is_some_and(|preset| !preset.is_documented())
}

/// The words for a delivery whose method the route does not take: live traffic refuses it before it
/// looks at the signature. A handshake of another method is answered.
fn refused_method(subject: &Subject, head: &Head) -> Option<String> {
    let handshake = subject.scheme.handshake;
    let asked = handshake.and_then(|handshake| handshake.in_head(head).ok().flatten());
    let method = head.method();
    let default = ["POST".to_owned()];
    let (taken, whose) = match subject.methods.as_slice() {
        [] => (&default[..], "a route without `methods` takes"),
        methods => (methods, "the route takes"),
    };
    if asked.is_some() || taken.iter().any(|known| known == method) {
        return None;
    }
    let all: Vec<String> = taken
        .iter()
        .map(String::as_str)
        .chain([method])
        .map(|method| format!("\"{method}\""))
        .collect();
    Some(format!(
        "But the gateway would answer 405 `method_not_allowed`: the delivery came with {method}, and \
         {whose} {} alone. If the provider sends {method}, write `methods = [{}]` on the route.",
        taken.join(", "),
        all.join(", ")
    ))
}

/// The words for a valid delivery whose body nothing signs.
fn unsigned_body(scheme: &Scheme) -> Option<String> {
    if scheme.covers_body() {
        return None;
    }
    let why = if scheme.is_credential() {
        "the secret itself is sent, so whoever has read it once can send any body with it"
    } else {
        "the signature does not cover it, so whoever has captured a delivery can send another body \
         with it"
    };
    Some(format!(
        "But nothing signs the body: {why}. Have the app ask the provider for each object before it \
         relies on it."
    ))
}

fn reported(
    subject: &Subject,
    (head, delivery): (&Head, &Delivery),
    explanation: Explanation,
) -> Report {
    match explanation {
        Explanation::Valid(proof) => {
            let (body, claims) = (proof.signed_body(&delivery.body), proof.claims());
            let accounts = subject.accounts.as_ref();
            let unlisted = accounts.and_then(|accounts| accounts.judge(head, body, claims).err());
            Report {
                mistake: None,
                secret: None,
                lines: unlisted.map(foreign).unwrap_or_default(),
            }
        }
        Explanation::Mistaken {
            finding: Finding { mistake, secret },
            besides,
            ..
        } => {
            let mut lines = vec![
                mistake.sentence.to_string(),
                format!("Fix: {}", mistake.fix),
            ];
            lines.push(format!("Confirmed with the secret `{secret}`."));
            lines.extend(besides.map(|also| format!("Also: {} {}", also.sentence, also.fix)));
            Report {
                mistake: Some(mistake),
                secret: Some(secret.to_string()),
                lines,
            }
        }
        Explanation::Suspected {
            mistake, besides, ..
        } => {
            // A probe of the provider comes without a signature of its own.
            let mut lines = Vec::new();
            if mistake.name.starts_with("signature_") {
                lines.extend(probed(subject, head, delivery));
            }
            lines.push(mistake.sentence.to_string());
            lines.push(format!("Fix: {}", mistake.fix));
            lines.push(
                "This is likely, but no signature confirms it: no change that was tried makes the \
                 delivery match."
                    .to_owned(),
            );
            lines.extend(besides.map(|also| format!("Also: {} {}", also.sentence, also.fix)));
            Report {
                mistake: Some(mistake),
                secret: None,
                lines,
            }
        }
        Explanation::Unexplained { error, besides } => {
            let mut lines = vec![unexplained(subject, &error)];
            lines.extend(probed(subject, head, delivery));
            lines.extend(besides.map(|also| format!("Also: {}", also.sentence)));
            Report {
                mistake: None,
                secret: None,
                lines,
            }
        }
    }
}

/// The words for a delivery that may only try the endpoint: a handshake that the gateway answers,
/// or the provider's probes that stay refused.
fn probed(subject: &Subject, head: &Head, delivery: &Delivery) -> Vec<String> {
    let asked = subject.scheme.handshake.map(|handshake| {
        let in_head = handshake.in_head(head).ok().flatten();
        in_head.or_else(|| handshake.asked_in_body(&delivery.body).ok().flatten())
    });
    if asked.flatten().is_some() {
        return vec![
            "It is a handshake of the provider, which needs no signature: a running gateway answers \
             it."
                .to_owned(),
        ];
    }
    let provider = &subject.scheme.provider;
    let preset = presets::all()
        .iter()
        .find(|preset| preset.name == *provider);
    let probes = preset.map_or(&[][..], |preset| &preset.probes);
    probes
        .iter()
        .map(|probe| format!("A request that only tries the endpoint is refused too: {probe}"))
        .collect()
}

/// The words for a genuine delivery of an account that the route does not list.
fn foreign(unlisted: Unlisted) -> Vec<String> {
    let sentence = match unlisted.account {
        Some(account) => format!(
            "The signature is right, but the delivery is of the account `{}`, which `accounts` of \
             this route does not list.",
            account.escape_debug()
        ),
        None => {
            "The signature is right, but the delivery names no account, or names it twice, and \
                 this route takes only those of its `accounts`."
                .to_owned()
        }
    };
    let fix = "Fix: add the account to `accounts` if it is yours; if it is not, somebody else's \
               subscription sends to your URL.";
    vec![sentence, fix.to_owned()]
}

/// The words for a delivery that no known mistake explains: its refusal, and where to look.
fn unexplained(subject: &Subject, error: &CaseError) -> String {
    let scheme = &subject.scheme;
    let place = |code| read_from(scheme, code).unwrap_or_else(|| "elsewhere".to_owned());
    let refusal = match error {
        CaseError::Key(error) => {
            return format!(
                "The secret is not a key of this scheme ({}), and no common mistake explains why: \
                 copy it again from the provider.",
                error.why
            );
        }
        CaseError::Refused(refusal) => refusal,
    };
    match refusal.code {
        Code::MissingSignature => format!(
            "There is no signature, which is read from {}: the sender has no secret set, something on \
             the way or the capture dropped it, or the delivery comes from another provider.",
            place(refusal.code)
        ),
        Code::MissingTimestamp => format!(
            "There is no timestamp, which is read from {}: something on the way or the capture \
             dropped it, or the delivery comes from another provider.",
            place(refusal.code)
        ),
        Code::MalformedSignature | Code::MalformedTimestamp | Code::InvalidEnvelope => format!(
            "No common mistake would make the delivery match: {}. Compare the delivery with the \
             documentation of the provider.",
            refusal.why
        ),
        _ => forged(subject),
    }
}

/// The words for a delivery that may be a forgery, and what else may be wrong.
fn forged(subject: &Subject) -> String {
    let scheme = &subject.scheme;
    let given = scheme.template().map(|own| own.signed.given());
    let params: Vec<String> = given
        .unwrap_or_default()
        .iter()
        .map(|(name, _)| format!("`{name}`"))
        .collect();
    let params = if params.is_empty() {
        String::new()
    } else {
        format!(
            "that the text of {} in `params` is exactly the one that the provider signs (it is \
             neither in the delivery nor spelled otherwise), ",
            params.join(" and ")
        )
    };
    let or = if is_unconfirmed(subject) {
        format!(
            ", or `{}` signs in another way than is known here: the facts about it are unconfirmed",
            scheme.provider
        )
    } else {
        String::new()
    };
    format!(
        "No common mistake would make the delivery match. Check that this is the secret of this very \
         endpoint (each endpoint has its own, and test and live mode differ), {params}that the body \
         is the raw bytes as they came, and that all headers were captured. If so, the delivery is a \
         forgery{or}."
    )
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::super::verify::tests::{BODY, SIGNATURE, command};
    use super::*;

    /// The report on these headers with this secret.
    fn reported(secret: &str, headers: &str) -> Report {
        let secret = format!("plain:{secret}");
        let (_folder, command) =
            command("explain", headers.as_bytes(), BODY, &["--secret", &secret]).unwrap();
        let Command::Explain(explain) = command else {
            panic!("another command")
        };
        let (subject, delivery) = explain.judging.read(false).unwrap();
        report(&subject, &delivery)
    }

    fn headers(signature: &str) -> String {
        format!("X-Webhook-Timestamp: 1750000000\nX-Webhook-Signature-256: {signature}\n")
    }

    #[test]
    fn a_mistake_is_reported_with_its_fix_and_without_the_secret() {
        let report = reported(" itellico_test_secret", &headers(SIGNATURE));
        assert_eq!(
            report.mistake.as_ref().map(|mistake| mistake.name),
            Some("secret_in_space")
        );
        let text = json_object(&report.members());
        assert!(
            text.contains(r#""mistake":"secret_in_space","mistake_secret":"plain-1""#),
            "{text}"
        );
        assert!(
            text.contains("Fix: ")
                && !text.contains("itellico_test_secret")
                && !text.contains(SIGNATURE),
            "{text}"
        );
    }

    #[test]
    fn what_no_mistake_explains_says_what_to_check() {
        let rows = [
            ("valid", SIGNATURE.to_owned(), "itellico_test_secret", ""),
            (
                "forged",
                "0".repeat(64),
                "itellico_test_secret",
                "the secret of this very endpoint",
            ),
        ];
        for (name, signature, secret, expected) in rows {
            let report = reported(secret, &headers(&signature));
            assert_eq!(report.mistake, None, "{name}");
            let text = report.lines.join(" ");
            assert!(
                text.contains(expected) && text.is_empty() == expected.is_empty(),
                "{name}: {text}"
            );
        }
        for (signature, mistake) in [("00", "signature_cut"), ("", "signature_missing")] {
            let report = reported("itellico_test_secret", &headers(signature));
            let found = report.mistake.map(|mistake| mistake.name);
            assert_eq!(found, Some(mistake), "{signature}");
        }
        let report = reported("itellico_test_secret", "X-A : 1\n");
        assert!(
            report
                .lines
                .join(" ")
                .contains("No HTTP request can have this head"),
            "{:?}",
            report.lines
        );
    }

    #[test]
    fn what_no_signature_confirms_is_said_to_be_so() {
        let report = reported("whpk_tops3cret", &headers(SIGNATURE));
        assert_eq!(
            report.mistake.as_ref().map(|mistake| mistake.name),
            Some("public_key_for_secret")
        );
        let text = json_object(&report.members());
        assert!(
            text.contains(r#""mistake":"public_key_for_secret","mistake_secret":null"#),
            "{text}"
        );
        assert!(
            text.contains("no signature confirms it") && !text.contains("tops3cret"),
            "{text}"
        );
    }
}
