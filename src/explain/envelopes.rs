//! Bodies inside of other bodies: the events of serverless functions, queues and workflow tools, in
//! which the signed body is a member, as text, in base64 or parsed.
//!
//! Every text in the received JSON is tried as the body, however deep it lies, and JSON within a
//! text as well. A well-known envelope is named by its members; it is a suspicion if none of its
//! members is the signed body.

use serde_json::Value;

use super::documents;
use super::json;
use super::mistake::{Finding, Mistake, found};
use super::secrets::any_base64;
use super::trials::Trials;
use crate::scheme::BodyForm;

/// How deep members are looked for.
const MAX_DEPTH: usize = 8;
/// The most members that are tried.
const MAX_MEMBERS: usize = 96;
/// The largest body that is looked into.
const MAX_BYTES: usize = 4 << 20;

/// An envelope of a platform, known by members that all must be there.
struct Envelope {
    members: &'static [&'static str],
    words: &'static str,
}

const fn envelope(members: &'static [&'static str], words: &'static str) -> Envelope {
    Envelope { members, words }
}

/// The envelopes, the more exact ones first.
const ENVELOPES: &[Envelope] = &[
    envelope(
        &["/requestContext/elb"],
        "the event that AWS Lambda gets from a load balancer (ALB)",
    ),
    envelope(
        &["/requestContext/http"],
        "the event that AWS Lambda gets from API Gateway or a function URL (payload version 2.0)",
    ),
    envelope(
        &["/routeKey", "/rawPath"],
        "the event that AWS Lambda gets from API Gateway or a function URL (payload version 2.0)",
    ),
    envelope(
        &["/httpMethod", "/requestContext"],
        "the event that AWS Lambda gets from API Gateway (payload version 1.0)",
    ),
    envelope(
        &["/httpMethod", "/isBase64Encoded"],
        "the event that AWS Lambda gets from API Gateway (payload version 1.0)",
    ),
    envelope(
        &["/Records/0/Sns"],
        "the event that AWS Lambda gets from Amazon SNS",
    ),
    envelope(
        &["/Records/0/kinesis"],
        "the event that AWS Lambda gets from Amazon Kinesis",
    ),
    envelope(&["/Records/0/cf"], "the event of Lambda@Edge (CloudFront)"),
    envelope(
        &["/Records/0/messageId"],
        "the event that AWS Lambda gets from Amazon SQS",
    ),
    envelope(
        &["/Records/0/receiptHandle"],
        "the event that AWS Lambda gets from Amazon SQS",
    ),
    envelope(
        &["/Records/0/body"],
        "the event that AWS Lambda gets from Amazon SQS",
    ),
    envelope(
        &["/Messages/0/ReceiptHandle"],
        "an answer of Amazon SQS to ReceiveMessage",
    ),
    envelope(&["/ReceiptHandle", "/Body"], "a message of Amazon SQS"),
    envelope(&["/receiptHandle", "/body"], "a message of Amazon SQS"),
    envelope(&["/MessageId", "/Body"], "a message of Amazon SQS"),
    envelope(&["/TopicArn", "/Message"], "a notification of Amazon SNS"),
    envelope(
        &["/detail-type", "/detail"],
        "an event of Amazon EventBridge",
    ),
    envelope(
        &["/message/data", "/subscription"],
        "a push of Google Pub/Sub",
    ),
    envelope(
        &["/0/eventType", "/0/topic"],
        "an event of Azure Event Grid",
    ),
    envelope(&["/__ow_body"], "the parameters of an OpenWhisk action"),
    envelope(&["/__ow_headers"], "the parameters of an OpenWhisk action"),
    envelope(&["/0/webhookUrl"], "an item of n8n's Webhook node"),
    envelope(&["/0/executionMode"], "an item of n8n's Webhook node"),
    envelope(&["/webhookUrl", "/body"], "an item of n8n's Webhook node"),
    envelope(
        &["/0/headers", "/0/params"],
        "an item of n8n's Webhook node",
    ),
    envelope(&["/0/json/headers"], "an item of n8n"),
    envelope(
        &["/headers", "/params", "/query", "/body"],
        "an item of n8n's Webhook node",
    ),
    envelope(&["/0/json"], "a list of items of n8n"),
    envelope(&["/steps", "/trigger"], "the workflow data of Pipedream"),
    envelope(&["/trigger/event"], "the workflow data of Pipedream"),
    envelope(
        &["/event/client_ip"],
        "the event of Pipedream's HTTP trigger",
    ),
    envelope(
        &["/client_ip", "/headers"],
        "the event of Pipedream's HTTP trigger",
    ),
    envelope(
        &["/event/headers"],
        "the event of a workflow tool such as Pipedream",
    ),
    envelope(&["/bodyRaw"], "the event of Pipedream's HTTP trigger"),
    envelope(&["/body_raw"], "the event of Pipedream's HTTP trigger"),
    envelope(&["/__IMTHEADERS__"], "a bundle of Make (Integromat)"),
    envelope(&["/__IMTMETHOD__"], "a bundle of Make (Integromat)"),
    envelope(&["/0/__IMTHEADERS__"], "a bundle of Make (Integromat)"),
    envelope(&["/__imtHeaders__"], "a bundle of Make (Integromat)"),
    envelope(
        &["/0/headers", "/0/body"],
        "an item of a workflow tool such as n8n or Make",
    ),
    envelope(&["/querystring"], "the data of Zapier's Webhooks trigger"),
    envelope(&["/rawRequest"], "the data of a workflow tool"),
    envelope(&["/raw_body"], "the data of Zapier's Catch Raw Hook"),
    envelope(&["/rawBody"], "the request object of a serverless platform"),
    envelope(
        &["/token_id", "/content"],
        "a request exported from webhook.site",
    ),
    envelope(
        &["/triggerBody"],
        "the trigger's output of Azure Logic Apps or Power Automate",
    ),
    envelope(
        &["/$content-type", "/$content"],
        "a body of Azure Logic Apps or Power Automate",
    ),
    envelope(
        &["/body/$content"],
        "the trigger's output of Azure Logic Apps or Power Automate",
    ),
    envelope(&["/log/entries"], "a HAR file"),
    envelope(&["/request/headers"], "a recorded request"),
    envelope(&["/request/body"], "a recorded request"),
    envelope(
        &["/headers", "/body"],
        "a request as JSON, its headers and its body as members",
    ),
    envelope(
        &["/statusCode", "/body"],
        "the answer of a serverless function",
    ),
    envelope(&["/isBase64Encoded"], "the event of a serverless function"),
    envelope(&["/topic", "/partition", "/value"], "a record of Kafka"),
];

const GIVE_THE_BYTES: &str = "Give the raw bytes of the request's body: the member that holds them, \
                              decoded if it is base64 (`isBase64Encoded`). In production put the \
                              gateway where the provider's own request arrives, and not behind the \
                              platform that wraps it; a workflow tool must be set to hand over the \
                              raw body.";

/// The envelope that a document is.
fn named(document: &Value) -> Option<&'static str> {
    ENVELOPES
        .iter()
        .find(|row| {
            row.members
                .iter()
                .all(|member| document.pointer(member).is_some())
        })
        .map(|row| row.words)
}

fn document(case: &Trials<'_>) -> Option<Value> {
    if case.body.len() > MAX_BYTES || case.scheme.is_credential() {
        return None;
    }
    serde_json::from_slice(case.body)
        .ok()
        .filter(|document: &Value| document.is_object() || document.is_array())
}

/// Bodies that a document holds, each with the pointer of its member, and whether it was base64.
fn members(document: &Value, text: &str) -> Vec<(String, Vec<u8>, bool)> {
    let mut found = Vec::new();
    walk(document, "", 0, &mut found);
    // Objects of their own: the bytes that the envelope has them in.
    let objects = documents::objects(text, MAX_MEMBERS);
    found.extend(
        objects
            .into_iter()
            .map(|(at, text)| (at, text.into_bytes(), false)),
    );
    found
}

fn walk(at: &Value, path: &str, depth: usize, found: &mut Vec<(String, Vec<u8>, bool)>) {
    if depth > MAX_DEPTH || found.len() > MAX_MEMBERS {
        return;
    }
    match at {
        Value::String(text) if text.len() > 1 => {
            found.push((path.to_owned(), text.clone().into_bytes(), false));
            if let Some(bytes) = any_base64(text.trim().as_bytes()).filter(|_| text.len() >= 8) {
                let inflated = BodyForm::Inflated.apply(&bytes, MAX_BYTES);
                found.extend(inflated.map(|bytes| (path.to_owned(), bytes.into_owned(), true)));
                // A body in base64 may be JSON with the body in it.
                if let Ok(inner) = serde_json::from_slice::<Value>(&bytes) {
                    walk(&inner, path, depth + 1, found);
                }
                found.push((path.to_owned(), bytes, true));
            }
            if text.starts_with(['{', '[', '"'])
                && let Ok(inner) = serde_json::from_str::<Value>(text)
            {
                walk(&inner, path, depth + 1, found);
            }
        }
        Value::Object(members) => {
            for (name, value) in members {
                walk(value, &format!("{path}/{name}"), depth + 1, found);
            }
        }
        Value::Array(items) => {
            for (place, value) in items.iter().enumerate().take(16) {
                walk(value, &format!("{path}/{place}"), depth + 1, found);
            }
        }
        _ => {}
    }
}

/// The signed body is a member of the received body.
pub(super) fn inside(case: &Trials<'_>) -> Option<Finding> {
    let document = document(case)?;
    let text = std::str::from_utf8(case.body).ok()?;
    let whole = named(&document).unwrap_or("a JSON document with the signed body in it");
    let all = members(&document, text);
    let direct = all.iter().find_map(|(at, body, is_base64)| {
        found(case.with_body(body), || unwrapped(whole, at, *is_base64))
    });
    // A member that was parsed is tried in the forms of common libraries.
    direct.or_else(|| {
        named(&document)?;
        all.iter()
            .filter(|(at, body, _)| !at.is_empty() && body.starts_with(b"{"))
            .take(8)
            .find_map(|(at, body, _)| {
                json::forms(body).find_map(|(form, _)| {
                    found(case.with_body(form.as_bytes()), || {
                        unwrapped(whole, at, false)
                    })
                })
            })
    })
}

fn unwrapped(whole: &str, at: &str, is_base64: bool) -> Mistake {
    let base64 = if is_base64 { ", in base64" } else { "" };
    // Members of a map may have names of any length.
    let at: String = at.chars().filter(char::is_ascii_graphic).take(80).collect();
    let at = if at.is_empty() { "/".to_owned() } else { at };
    Mistake::new(
        "body_in_envelope",
        format!(
            "The body is {whole}, not the request's own; the signed body is its member \
             `{at}`{base64}."
        ),
        GIVE_THE_BYTES,
    )
}

/// The body is a well-known envelope, and no member of it is the signed body.
pub(super) fn looks_wrapped(case: &Trials<'_>) -> Option<Mistake> {
    // Amazon SNS signs its own envelope.
    if !case.scheme.covers_body() || case.scheme.provider == "aws-sns" {
        return None;
    }
    let words = named(&document(case)?)?;
    Some(Mistake::new(
        "body_is_envelope",
        format!(
            "The body looks like {words}, and not like the request's own: a signature covers the \
             raw bytes of the request."
        ),
        GIVE_THE_BYTES,
    ))
}
