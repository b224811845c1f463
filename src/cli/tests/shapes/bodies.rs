//! The kinds of damage that is done to bodies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::kinds::{Kind, kind};
use super::senders::{Delivery, EVENT};

const ENVELOPE: &[&str] = &["body_in_envelope", "body_is_envelope"];
const PRINTED: &[&str] = &["body_printed", "body_is_printed"];
pub(super) const AGAIN: &[&str] = &["body_reserialised", "body_rewritten"];

/// Changes the body of a delivery whose signature covers all of it.
fn body(delivery: &mut Delivery, change: impl Fn(&str) -> Vec<u8>) -> Option<()> {
    let covers = delivery.scheme.covers_body()
        && !delivery.scheme.is_credential()
        && !matches!(
            delivery.provider,
            "adyen" | "aws-sns" | "mailgun" | "twilio"
        );
    let text = String::from_utf8(delivery.body.clone())
        .ok()
        .filter(|_| covers)?;
    let new = change(&text);
    (new != delivery.body).then(|| delivery.body = new)
}

/// The same for bodies that are JSON, as they are after a parser.
fn parsed(delivery: &mut Delivery, change: impl Fn(&str) -> String) -> Option<()> {
    if !delivery.is_json() {
        return None;
    }
    body(delivery, |text| change(text).into_bytes())
}

/// Signs one body and receives another.
pub(super) fn signed_as(delivery: &mut Delivery, signed: &str, received: &str) -> Option<()> {
    if !delivery.is_mac() {
        return None;
    }
    delivery.sign(signed.as_bytes())?;
    delivery.body = received.as_bytes().to_vec();
    Some(())
}

fn wrapped(delivery: &mut Delivery, envelope: impl Fn(&str) -> Value) -> Option<()> {
    body(delivery, |text| envelope(text).to_string().into_bytes())
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// A literal of a language: words for null and true, the sign behind a name, the quotation mark.
fn literal(value: &Value, null: &str, sign: &str, mark: char) -> String {
    match value {
        Value::Null => null.to_owned(),
        Value::String(text) => format!("{mark}{text}{mark}"),
        Value::Array(items) => {
            let items: Vec<_> = items
                .iter()
                .map(|item| literal(item, null, sign, mark))
                .collect();
            format!("[{}]", items.join(", "))
        }
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, inner)| {
                    format!(
                        "{mark}{name}{mark}{sign}{}",
                        literal(inner, null, sign, mark)
                    )
                })
                .collect();
            format!("{{{}}}", members.join(", "))
        }
        other => other.to_string(),
    }
}

fn go_map(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) => format!(
            "[{}]",
            items.iter().map(go_map).collect::<Vec<_>>().join(" ")
        ),
        Value::Object(members) => {
            let members: Vec<_> = members
                .iter()
                .map(|(name, inner)| format!("{name}:{}", go_map(inner)))
                .collect();
            format!("map[{}]", members.join(" "))
        }
        other => other.to_string(),
    }
}

pub(super) static KINDS: &[Kind] = &[
    kind("empty body", &["body_is_empty"], |d| {
        body(d, |_| Vec::new())
    }),
    kind("empty body with a length", &["body_is_empty"], |d| {
        d.lines
            .push(("Content-Length".to_owned(), d.body.len().to_string()));
        body(d, |_| Vec::new())
    }),
    kind("{} for the body", &["body_is_printed"], |d| {
        body(d, |_| b"{}".to_vec())
    }),
    kind("null for the body", &["body_is_printed"], |d| {
        body(d, |_| b"null".to_vec())
    }),
    kind("undefined for the body", &["body_is_printed"], |d| {
        body(d, |_| b"undefined".to_vec())
    }),
    kind("API Gateway v1", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"resource": "/in", "path": "/in", "httpMethod": "POST", "headers": {"Host": "a"}, "requestContext": {"stage": "prod"}, "body": text, "isBase64Encoded": false}),
        )
    }),
    kind("API Gateway v2 in base64", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"version": "2.0", "routeKey": "POST /in", "rawPath": "/in", "headers": {"host": "a"}, "requestContext": {"http": {"method": "POST"}}, "body": STANDARD.encode(text), "isBase64Encoded": true}),
        )
    }),
    kind("ALB", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"requestContext": {"elb": {"targetGroupArn": "arn"}}, "httpMethod": "POST", "path": "/in", "headers": {}, "body": text, "isBase64Encoded": false}),
        )
    }),
    kind("SQS for Lambda", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"Records": [{"messageId": "1", "receiptHandle": "x", "body": text, "eventSource": "aws:sqs"}]}),
        )
    }),
    kind("SQS message", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"MessageId": "1", "ReceiptHandle": "x", "MD5OfBody": "y", "Body": text}),
        )
    }),
    kind("SNS notification", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:x", "Message": text}),
        )
    }),
    kind("SNS in SQS", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"Records": [{"messageId": "1", "body": json!({"Type": "Notification", "TopicArn": "arn", "Message": text}).to_string()}]}),
        )
    }),
    kind("EventBridge, parsed", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"version": "0", "detail-type": "Webhook", "source": "a", "detail": value(text)}),
        )
    }),
    kind("Kinesis", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"Records": [{"kinesis": {"data": STANDARD.encode(text)}}]}),
        )
    }),
    kind("Pub/Sub", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"message": {"data": STANDARD.encode(text), "messageId": "1"}, "subscription": "projects/a"}),
        )
    }),
    kind("n8n, parsed", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!([{"headers": {"host": "a"}, "params": {}, "query": {}, "body": value(text), "webhookUrl": "https://a", "executionMode": "test"}]),
        )
    }),
    kind("Zapier", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"querystring": {}, "raw_body": text, "headers": {"Http-Host": "a"}}),
        )
    }),
    kind("Make, parsed", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!([{"__IMTHEADERS__": [], "__IMTMETHOD__": "POST", "value": value(text)}]),
        )
    }),
    kind("Pipedream, parsed", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"method": "POST", "path": "/", "client_ip": "1.2.3.4", "headers": {}, "bodyRaw": text, "body": value(text)}),
        )
    }),
    kind("Pipedream's trigger, parsed only", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"trigger": {"event": {"method": "POST", "headers": {}, "body": value(text)}}, "steps": {}}),
        )
    }),
    kind("Azure Logic Apps", ENVELOPE, |d| {
        wrapped(
            d,
            |text| json!({"headers": {}, "body": {"$content-type": "application/json", "$content": STANDARD.encode(text)}}),
        )
    }),
    kind("a request as JSON", ENVELOPE, |d| {
        wrapped(d, |text| json!({"headers": {"a": "b"}, "body": text}))
    }),
    kind("a payload of its own", ENVELOPE, |d| {
        wrapped(d, |text| json!({"received": 1, "payload": text}))
    }),
    kind(
        "base64",
        &["body_still_base64", "body_base64_wrapped"],
        |d| body(d, |text| STANDARD.encode(text).into_bytes()),
    ),
    kind(
        "base64 in lines",
        &["body_base64_wrapped", "body_still_base64"],
        |d| {
            body(d, |text| {
                STANDARD
                    .encode(text)
                    .as_bytes()
                    .chunks(76)
                    .collect::<Vec<_>>()
                    .join(&b"\r\n"[..])
            })
        },
    ),
    kind("base64 twice", &["body_base64_wrapped"], |d| {
        body(d, |text| {
            STANDARD.encode(STANDARD.encode(text)).into_bytes()
        })
    }),
    kind("a data URL", &["body_base64_wrapped"], |d| {
        body(d, |text| {
            format!("data:application/json;base64,{}", STANDARD.encode(text)).into_bytes()
        })
    }),
    kind(
        "base64 in quotes",
        &[
            "body_base64_wrapped",
            "body_in_string",
            "body_printed",
            "body_with_words",
        ],
        |d| {
            body(d, |text| {
                format!("\"{}\"", STANDARD.encode(text)).into_bytes()
            })
        },
    ),
    kind("hex", &["body_in_hex"], |d| {
        body(d, |text| hex::encode(text).into_bytes())
    }),
    kind("Python's bytes", PRINTED, |d| {
        body(d, |text| {
            let escaped: String = text
                .bytes()
                .map(|b| {
                    if b.is_ascii() {
                        char::from(b).to_string()
                    } else {
                        format!("\\x{b:02x}")
                    }
                })
                .collect();
            format!("b'{escaped}'").into_bytes()
        })
    }),
    kind(
        "Python's repr of a string",
        &["body_printed", "body_with_words"],
        |d| body(d, |text| format!("'{text}'").into_bytes()),
    ),
    kind("Python's dictionary", PRINTED, |d| {
        parsed(d, |text| literal(&value(text), "None", ": ", '\''))
    }),
    kind("Ruby's hash", PRINTED, |d| {
        parsed(d, |text| literal(&value(text), "nil", "=>", '"'))
    }),
    kind("Ruby 3.4's hash", PRINTED, |d| {
        parsed(d, |text| literal(&value(text), "nil", " => ", '"'))
    }),
    kind("Go's map", PRINTED, |d| {
        parsed(d, |text| go_map(&value(text)))
    }),
    kind("Go's bytes", PRINTED, |d| {
        body(d, |text| {
            format!(
                "[{}]",
                text.bytes()
                    .map(|b| b.to_string())
                    .collect::<Vec<_>>()
                    .join(" ")
            )
            .into_bytes()
        })
    }),
    kind("Node's Buffer", PRINTED, |d| {
        body(d, |text| {
            format!(
                "<Buffer {}>",
                text.bytes()
                    .map(|b| format!("{b:02x}"))
                    .collect::<Vec<_>>()
                    .join(" ")
            )
            .into_bytes()
        })
    }),
    kind("Node's Buffer, cut", PRINTED, |d| {
        body(d, |_| {
            b"<Buffer 7b 22 69 64 22 ... 120 more bytes>".to_vec()
        })
    }),
    kind("a Buffer as JSON", PRINTED, |d| {
        body(d, |text| {
            json!({"type": "Buffer", "data": text.as_bytes()})
                .to_string()
                .into_bytes()
        })
    }),
    kind("a list of bytes as JSON", PRINTED, |d| {
        body(d, |text| json!(text.as_bytes()).to_string().into_bytes())
    }),
    kind("[object Object]", PRINTED, |d| {
        body(d, |_| b"[object Object]".to_vec())
    }),
    kind("Node's inspect", PRINTED, |d| {
        parsed(d, |_| {
            "{\n  id: 'evt_7',\n  type: 'order.paid',\n  data: { who: 'Zoë', tags: [Array] }\n}"
                .to_owned()
        })
    }),
    kind("PHP's print_r", PRINTED, |d| {
        body(d, |_| {
            b"Array\n(\n    [id] => evt_7\n    [type] => order.paid\n)\n".to_vec()
        })
    }),
    kind("PHP's var_dump of a string", PRINTED, |d| {
        body(d, |text| {
            format!("string({}) \"{text}\"\n", text.len()).into_bytes()
        })
    }),
    kind("PHP's var_dump of an array", PRINTED, |d| {
        body(d, |_| {
            b"array(2) {\n  [\"id\"]=>\n  string(5) \"evt_7\"\n}\n".to_vec()
        })
    }),
    kind("PHP's Array", PRINTED, |d| body(d, |_| b"Array".to_vec())),
    kind("Java's array", PRINTED, |d| {
        body(d, |_| b"[B@1b6d3586".to_vec())
    }),
    kind("Java's map", PRINTED, |d| {
        body(d, |_| b"{id=evt_7, type=order.paid}".to_vec())
    }),
    kind(".NET's array", PRINTED, |d| {
        body(d, |_| b"System.Byte[]".to_vec())
    }),
    kind("Ruby's StringIO", PRINTED, |d| {
        body(d, |_| b"#<StringIO:0x000055d5>".to_vec())
    }),
    kind("Python's stream", PRINTED, |d| {
        body(d, |_| b"<_io.BytesIO object at 0x7f0a>".to_vec())
    }),
    kind("spaces as Python writes", AGAIN, |d| {
        signed_as(
            d,
            EVENT,
            &EVENT.replace("\":", "\": ").replace(",\"", ", \""),
        )
    }),
    kind("received without spaces", AGAIN, |d| {
        signed_as(
            d,
            &EVENT.replace("\":", "\": ").replace(",\"", ", \""),
            EVENT,
        )
    }),
    kind("pretty-printed", AGAIN, |d| {
        parsed(d, |text| {
            serde_json::to_string_pretty(&value(text)).unwrap()
        })
    }),
    kind("signed pretty, received compact", AGAIN, |d| {
        let pretty = serde_json::to_string_pretty(&value(EVENT)).unwrap();
        signed_as(d, &pretty, &value(EVENT).to_string())
    }),
    kind("sorted keys", AGAIN, |d| {
        parsed(d, |text| value(text).to_string())
    }),
    kind("1.50 became 1.5", AGAIN, |d| {
        parsed(d, |text| text.replace("10.50", "10.5"))
            .and_then(|()| (d.provider != "linear").then_some(()))
    }),
    kind("1.0 became 1", AGAIN, |d| {
        signed_as(
            d,
            &EVENT.replace("10.50", "10.0"),
            &EVENT.replace("10.50", "10"),
        )
    }),
    kind("1 became 1.0", AGAIN, |d| {
        signed_as(d, EVENT, &EVENT.replace("\"n\":7", "\"n\":7.0"))
    }),
    kind("a null added", AGAIN, |d| {
        signed_as(d, &EVENT.replace("\"note\":null,", ""), EVENT)
    }),
    kind("a null dropped, with a length", AGAIN, |d| {
        d.lines
            .push(("Content-Length".to_owned(), EVENT.len().to_string()));
        signed_as(d, EVENT, &EVENT.replace("\"note\":null,", ""))
    }),
    kind("{} became []", AGAIN, |d| {
        signed_as(d, EVENT, &EVENT.replace("{}", "[]"))
    }),
    kind("numbers became texts", AGAIN, |d| {
        signed_as(d, EVENT, &EVENT.replace("\"n\":7", "\"n\":\"7\""))
    }),
    kind("characters escaped", AGAIN, |d| {
        signed_as(d, EVENT, &EVENT.replace('ë', "\\u00eb"))
    }),
    kind("characters unescaped", AGAIN, |d| {
        signed_as(d, &EVENT.replace('ë', "\\u00eb"), EVENT)
    }),
    kind("slashes escaped", AGAIN, |d| {
        signed_as(d, EVENT, &EVENT.replace('/', "\\/"))
    }),
    kind("slashes unescaped", AGAIN, |d| {
        signed_as(d, &EVENT.replace('/', "\\/"), EVENT)
    }),
    kind("PHP's escapes lost", AGAIN, |d| {
        signed_as(d, &EVENT.replace('/', "\\/").replace('ë', "\\u00eb"), EVENT)
    }),
    kind("Go's escapes", AGAIN, |d| {
        signed_as(d, EVENT, &EVENT.replace('&', "\\u0026"))
    }),
    kind("Go's escapes lost", AGAIN, |d| {
        signed_as(d, &EVENT.replace('&', "\\u0026"), EVENT)
    }),
    kind("a member moved", AGAIN, |d| {
        signed_as(
            d,
            EVENT,
            &EVENT
                .replacen("\"id\":\"evt_7\",", "", 1)
                .replace("}}}", "}},\"id\":\"evt_7\"}"),
        )
    }),
    kind("a newline gained", &["body_gained_newline"], |d| {
        body(d, |text| format!("{text}\n").into_bytes())
    }),
    kind("a newline lost", &["body_lost_newline"], |d| {
        signed_as(d, &format!("{EVENT}\n"), EVENT)
    }),
    kind(
        "CRLF for LF",
        &["body_line_ends", "body_reserialised"],
        |d| {
            let pretty = serde_json::to_string_pretty(&value(EVENT)).unwrap();
            signed_as(d, &pretty, &pretty.replace('\n', "\r\n"))
        },
    ),
    kind("a byte-order mark gained", &["body_byte_order_mark"], |d| {
        body(d, |text| format!("\u{feff}{text}").into_bytes())
    }),
    kind("a byte-order mark lost", &["body_byte_order_mark"], |d| {
        signed_as(d, &format!("\u{feff}{EVENT}"), EVENT)
    }),
    kind("ISO 8859-1", &["body_charset"], |d| {
        d.is_json().then_some(())?;
        body(d, |text| {
            text.chars()
                .map(|c| u8::try_from(c).unwrap_or(b'?'))
                .collect()
        })
    }),
    kind(
        "encoded as UTF-8 twice",
        &["body_charset", "body_charset_windows"],
        |d| {
            d.is_json().then_some(())?;
            body(d, |text| {
                text.bytes()
                    .map(char::from)
                    .collect::<String>()
                    .into_bytes()
            })
        },
    ),
    kind("UTF-16", &["body_utf16"], |d| {
        body(d, |text| {
            [
                vec![0xFF, 0xFE],
                text.encode_utf16().flat_map(u16::to_le_bytes).collect(),
            ]
            .concat()
        })
    }),
    kind(
        "characters replaced",
        &["body_rewritten", "body_reserialised"],
        |d| {
            d.is_json().then_some(())?;
            body(d, |text| text.replace('ë', "\u{fffd}").into_bytes())
        },
    ),
    kind("HTML escapes", &["body_html_escaped"], |d| {
        d.is_json().then_some(())?;
        body(d, |text| {
            text.replace('&', "&amp;")
                .replace('"', "&quot;")
                .into_bytes()
        })
    }),
    kind("backslashes", &["body_backslashes"], |d| {
        d.is_json().then_some(())?;
        body(d, |text| text.replace('"', "\\\"").into_bytes())
    }),
    kind("in a JSON string", &["body_in_string"], |d| {
        body(d, |text| Value::from(text).to_string().into_bytes())
    }),
    kind("a log line", &["body_with_words"], |d| {
        d.is_json().then_some(())?;
        body(d, |text| {
            format!("2025-06-15 INFO body: {text}").into_bytes()
        })
    }),
    kind("a code fence", &["body_with_words", "body_printed"], |d| {
        body(d, |text| format!("```\n{text}\n```\n").into_bytes())
    }),
    kind(
        "the head in the body file",
        &["body_is_message", "body_with_words"],
        |d| {
            body(d, |text| {
                format!("POST /in HTTP/1.1\r\nHost: a\r\n\r\n{text}").into_bytes()
            })
        },
    ),
    kind(
        "chunk lines",
        &["body_still_chunked", "body_with_words"],
        |d| {
            body(d, |text| {
                format!("{:x}\r\n{text}\r\n0\r\n\r\n", text.len()).into_bytes()
            })
        },
    ),
    kind(
        "percent-encoded",
        &["body_percent_encoded", "body_form_encoding"],
        |d| {
            d.is_json().then_some(())?;
            body(d, |text| {
                let encoded: String = text
                    .bytes()
                    .map(|b| {
                        if b.is_ascii_alphanumeric() {
                            char::from(b).to_string()
                        } else {
                            format!("%{b:02X}")
                        }
                    })
                    .collect();
                format!("{encoded}=").into_bytes()
            })
        },
    ),
    kind(
        "white space around",
        &["body_edges", "body_with_words", "body_gained_newline"],
        |d| body(d, |text| format!("  {text} \n").into_bytes()),
    ),
    kind("typographic quotes", &["body_quotes_typeset"], |d| {
        d.is_json().then_some(())?;
        body(d, |text| text.replace('"', "”").into_bytes())
    }),
    kind(
        "twice in a row",
        &["body_doubled", "body_with_words"],
        |d| body(d, |text| text.repeat(2).into_bytes()),
    ),
    kind("cut at 64", &["body_cut"], |d| {
        d.is_json().then_some(())?;
        body(d, |text| text.bytes().take(64).collect())
    }),
    kind("only the JSON of a form", &["body_form_member"], |d| {
        let json = r#"{"type":"block_actions","n":1}"#;
        signed_as(
            d,
            "payload=%7B%22type%22%3A%22block_actions%22%2C%22n%22%3A1%7D",
            json,
        )
    }),
    kind("a form encoded again", &["body_form_encoding"], |d| {
        signed_as(d, "text=a+b&token=x%2Fy", "text=a%20b&token=x%2Fy")
    }),
    kind("the name of a file", &["body_is_file_name"], |d| {
        body(d, |_| b"@captures/event.json".to_vec())
    }),
    kind("another form of Unicode", &["body_unicode_form"], |d| {
        signed_as(
            d,
            "{\"type\":\"a\",\"who\":\"Zo\u{eb}\"}",
            "{\"type\":\"a\",\"who\":\"Zoe\u{308}\"}",
        )
    }),
    kind("letters lost", &["body_rewritten"], |d| {
        parsed(d, |text| text.replace("Zoë &", "Mu?ler &"))
    }),
    kind("unpacked gzip", &["body_unpacked"], |d| {
        d.lines
            .push(("Content-Encoding".to_owned(), "gzip".to_owned()));
        signed_as(d, "\u{1}packed bytes", EVENT)
    }),
    kind("base64, and another secret", &["body_looks_base64"], |d| {
        d.resign.as_ref()?;
        d.is_json().then_some(())?;
        if d.provider != "discord-interactions" {
            d.set_secret("whsec_AnotherSecretOfSomebodyElse0");
        }
        body(d, |text| {
            STANDARD.encode(text.replace('7', "8")).into_bytes()
        })
    }),
];
