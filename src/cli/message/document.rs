//! JSON documents that hold headers: an object of them, lists of names and values, the event of a
//! serverless function or a workflow, a HAR file.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::{Body, Fault, Field, Message};

/// The members under which a document holds a whole request.
const REQUESTS: &[&str] = &["request", "event", "req"];

/// The members that hold the raw text of a body, where the member `body` is parsed.
const RAW_BODIES: &[&str] = &["rawBody", "raw_body", "bodyRaw", "body_raw", "content"];

pub(super) fn read(document: &Value) -> Result<Message, Fault> {
    match document {
        Value::Object(members) => of_object(members),
        Value::Array(items) => of_list(items),
        _ => Err(Fault::new(
            "this JSON is neither an object nor a list of headers",
        )),
    }
}

fn of_object(members: &Map<String, Value>) -> Result<Message, Fault> {
    if let Some(entries) = document_entries(members) {
        return match entries {
            [Value::Object(entry)] => of_object(entry),
            _ => Err(Fault::new(format!(
                "this HAR file holds {} requests: keep the entry of a single delivery",
                entries.len()
            ))),
        };
    }
    let inner = REQUESTS
        .iter()
        .find_map(|name| members.get(*name)?.as_object());
    if let Some(inner) = inner.filter(|inner| inner.contains_key("headers")) {
        return of_object(inner);
    }
    // The interface of ngrok lists requests, each with its raw bytes in base64.
    if let Some(Value::Array(items)) = members.get("requests")
        && let [Value::Object(only)] = items.as_slice()
    {
        return of_object(only);
    }
    if let Some(sent) = text(members, &["raw"]).and_then(|raw| STANDARD.decode(raw).ok())
        && let Ok(message) = super::lines::read(&sent, false)
        && message.method.is_some()
    {
        return Ok(message);
    }
    let headers = ["multiValueHeaders", "headers", "rawHeaders", "header"];
    let Some(fields) = headers
        .iter()
        .find_map(|name| members.get(*name).filter(|value| !is_empty(value)))
    else {
        // Firefox copies the headers under a heading of its own.
        let inner = members
            .iter()
            .find(|(name, value)| name.starts_with("Request") && value.get("headers").is_some());
        if let Some((_, Value::Object(inner))) = inner {
            return of_object(inner);
        }
        return Ok(Message {
            fields: of_headers(members),
            ..Message::default()
        });
    };
    let fields = match fields {
        Value::Object(named) => of_headers(named),
        Value::Array(items) => of_list(items)?.fields,
        _ => return Err(Fault::new("`headers` is neither an object nor a list")),
    };
    Ok(Message {
        method: text(
            members,
            &["httpMethod", "method", "/requestContext/http/method"],
        ),
        url: url(members),
        fields,
        body: body(members),
    })
}

/// The entries of a HAR file.
fn document_entries(members: &Map<String, Value>) -> Option<&[Value]> {
    let entries = members.get("log")?.get("entries")?.as_array()?;
    Some(entries)
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// The first text at any of these members or pointers.
fn text(members: &Map<String, Value>, places: &[&str]) -> Option<String> {
    let document = |place: &&str| match place.strip_prefix('/') {
        Some(path) => {
            let mut names = path.split('/');
            let first = members.get(names.next()?)?;
            names.try_fold(first, |at, name| at.get(name))?.as_str()
        }
        None => members.get(*place)?.as_str(),
    };
    places.iter().find_map(document).map(str::to_owned)
}

fn url(members: &Map<String, Value>) -> Option<String> {
    if let Some(path) = text(members, &["rawPath"]) {
        let query = text(members, &["rawQueryString"]).filter(|query| !query.is_empty());
        return Some(query.map_or(path.clone(), |query| format!("{path}?{query}")));
    }
    let places = [
        "url",
        "webhookUrl",
        "originalUrl",
        "path",
        "uri",
        "/url/raw",
    ];
    let url = text(members, &places)?;
    let pairs = ["queryStringParameters", "query"]
        .iter()
        .find_map(|name| members.get(*name)?.as_object())
        .filter(|_| !url.contains('?'));
    let pairs = pairs.into_iter().flatten();
    let pairs: Vec<String> = pairs
        .filter_map(|(name, value)| Some(format!("{name}={}", value.as_str()?)))
        .collect();
    Some(if pairs.is_empty() {
        url
    } else {
        format!("{url}?{}", pairs.join("&"))
    })
}

fn body(members: &Map<String, Value>) -> Option<Body> {
    if let Some(raw) = text(members, RAW_BODIES) {
        return Some(Body::Bytes(raw.into_bytes()));
    }
    if let Some(posted) = members.get("postData") {
        return Some(Body::Bytes(
            posted.get("text")?.as_str()?.as_bytes().to_vec(),
        ));
    }
    match members.get("body")? {
        Value::Null => Some(Body::Bytes(Vec::new())),
        Value::String(text) => {
            let is_base64 = members.get("isBase64Encoded").and_then(Value::as_bool);
            let decoded = is_base64
                .filter(|yes| *yes)
                .and_then(|_| STANDARD.decode(text).ok());
            Some(Body::Bytes(
                decoded.unwrap_or_else(|| text.clone().into_bytes()),
            ))
        }
        // Postman keeps the raw text in the mode of that name.
        Value::Object(body) if body.get("mode").and_then(Value::as_str) == Some("raw") => {
            let raw = body.get("raw")?.as_str()?;
            Some(Body::Bytes(raw.as_bytes().to_vec()))
        }
        _ => Some(Body::Parsed),
    }
}

/// The headers of an object: values are texts, numbers, or lists of them.
fn of_headers(members: &Map<String, Value>) -> Vec<Field> {
    let values = |name: &str, value: &Value| -> Vec<Field> {
        let field = |text: String| (name.as_bytes().to_vec(), text.into_bytes());
        match value {
            Value::Array(items) => items
                .iter()
                .filter_map(|item| scalar(item).or_else(|| scalar(item.get("value")?)))
                .map(field)
                .collect(),
            other => scalar(other).map(field).into_iter().collect(),
        }
    };
    members
        .iter()
        .flat_map(|(name, value)| values(name, value))
        .collect()
}

/// A list: pairs, objects with a name and a value, or names and values in turn (Node's
/// `rawHeaders`); or a list of a single request.
fn of_list(items: &[Value]) -> Result<Message, Fault> {
    if let [Value::Object(only)] = items
        && (only.contains_key("headers") || only.contains_key("request"))
    {
        return of_object(only);
    }
    let fields: Option<Vec<Field>> =
        if items.iter().all(Value::is_string) && items.len().is_multiple_of(2) {
            let pair = |pair: &[Value]| match pair {
                [name, value] => Some((bytes(name)?, bytes(value)?)),
                _ => None,
            };
            items.chunks(2).map(pair).collect()
        } else {
            let pair = |item: &Value| match item {
                Value::Array(pair) => match pair.as_slice() {
                    [name, value] => Some((bytes(name)?, bytes(value)?)),
                    _ => None,
                },
                Value::Object(members) => {
                    let name = ["name", "key", "Name", "Key"]
                        .iter()
                        .find_map(|n| members.get(*n))?;
                    let value = ["value", "Value"].iter().find_map(|n| members.get(*n))?;
                    Some((bytes(name)?, bytes(value)?))
                }
                _ => None,
            };
            items.iter().map(pair).collect()
        };
    let fields = fields.ok_or_else(|| {
        Fault::new("this JSON list holds no pairs of a header's name and its value")
    })?;
    Ok(Message {
        fields,
        ..Message::default()
    })
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    scalar(value).map(String::into_bytes)
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}
