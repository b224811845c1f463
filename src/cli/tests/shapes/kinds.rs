//! The kinds of damage: signatures, headers, times, URLs. Those of bodies and secrets are in files
//! of their own.

#![expect(
    clippy::string_slice,
    reason = "test code: signatures are ASCII, and a panic is how a test fails"
)]

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

use super::senders::{AT, Delivery, mac};
use super::{bodies, nulls, secrets};
use crate::key::digest::DigestAlgorithm;
use crate::notation::encoding::Encoding;
use crate::scheme::TimestampAt;

/// A kind of damage.
pub(super) struct Kind {
    pub(super) name: &'static str,
    /// Does the damage; `None` if it cannot be done to this delivery.
    pub(super) spoil: fn(&mut Delivery) -> Option<()>,
    /// The causes that may be named for it.
    pub(super) causes: &'static [&'static str],
}

pub(super) fn all() -> Vec<&'static Kind> {
    KINDS
        .iter()
        .chain(bodies::KINDS)
        .chain(secrets::KINDS)
        .chain(nulls::KINDS)
        .collect()
}

pub(super) const fn kind(
    name: &'static str,
    causes: &'static [&'static str],
    spoil: fn(&mut Delivery) -> Option<()>,
) -> Kind {
    Kind {
        name,
        spoil,
        causes,
    }
}

/// Changes the text of an HMAC in its header: that behind the prefix or the label.
fn text(delivery: &mut Delivery, change: impl Fn(&str) -> Option<String>) -> Option<()> {
    if !delivery.is_mac() {
        return None;
    }
    let value = delivery.signature()?;
    let at = if value.trim_end_matches('=').len() > 50 || value.contains(',') {
        let body = value.trim_end_matches('=');
        body.rfind(['=', ',']).map_or(0, |at| at + 1)
    } else {
        value
            .trim_end_matches('=')
            .rfind(['=', ','])
            .map_or(0, |at| at + 1)
    };
    let (before, signature) = value.split_at(at);
    let new = change(signature)?;
    if new == signature {
        return None;
    }
    *value = format!("{before}{new}");
    Some(())
}

fn encoding(delivery: &Delivery) -> Option<Encoding> {
    Some(delivery.scheme.template()?.signature.encoding)
}

fn in_base64(delivery: &mut Delivery, change: fn(&str) -> String) -> Option<()> {
    if encoding(delivery)? != Encoding::Base64 {
        return None;
    }
    text(delivery, |signature| Some(change(signature)))
}

fn in_hex(delivery: &mut Delivery, change: fn(&str) -> String) -> Option<()> {
    if encoding(delivery)? != Encoding::Hex {
        return None;
    }
    text(delivery, |signature| Some(change(signature)))
}

fn whole(delivery: &mut Delivery, change: fn(&str) -> String) -> Option<()> {
    if !delivery.is_mac() {
        return None;
    }
    let value = delivery.signature()?;
    let new = change(value);
    (new != *value).then(|| *value = new)
}

fn has_list(delivery: &Delivery) -> Option<()> {
    delivery.scheme.items().assign.map(drop)
}

/// Changes the timestamp where it is in a header or under a label.
fn time(delivery: &mut Delivery, change: fn(i64) -> String) -> Option<()> {
    let place = delivery.scheme.timestamp()?.clone();
    if !delivery.scheme.signs_timestamp() {
        return None;
    }
    let millis = !place.unit.write(crate::clock::UnixMillis(1000))?.eq("1");
    match place.at {
        TimestampAt::Headers(names) => {
            let value = delivery.header(names.first()?.as_str())?;
            let seconds = value.parse::<i64>().ok()? / if millis { 1000 } else { 1 };
            *value = change(seconds);
        }
        TimestampAt::Field(_) | TimestampAt::Item(_) => {
            let value = delivery.signature()?;
            *value = value.replace(&AT.to_string(), &change(AT));
        }
        TimestampAt::Json(_) => return None,
    }
    Some(())
}

fn sha1_header(delivery: &mut Delivery, prefix: &str) -> Option<String> {
    if !matches!(delivery.provider, "github" | "meta") {
        return None;
    }
    let mut mac = DigestAlgorithm::HmacSha1.mac(&delivery.secrets[0]);
    mac.update(&delivery.body);
    Some(format!(
        "{prefix}{}",
        hex::encode(mac.finalize().as_bytes())
    ))
}

fn push(delivery: &mut Delivery, name: &str, value: &str) {
    delivery.lines.push((name.to_owned(), value.to_owned()));
}

fn remove(delivery: &mut Delivery, name: &str) {
    delivery
        .lines
        .retain(|(known, _)| !known.eq_ignore_ascii_case(name));
}

fn rename(delivery: &mut Delivery, from: &str, to: &str) {
    for (name, _) in &mut delivery.lines {
        let lower = name.to_ascii_lowercase();
        if let Some(rest) = lower.strip_prefix(from) {
            *name = format!("{to}{rest}");
        }
    }
}

/// Sends to another URL than the one that was signed.
fn received_at(delivery: &mut Delivery, origin: &str, target: &str) -> Option<()> {
    delivery.scheme.signs_url().then_some(())?;
    delivery.origin = Some(origin.to_owned());
    delivery.target = target.to_owned();
    Some(())
}

const URL: &[&str] = &[
    "url_scheme",
    "url_port",
    "url_host",
    "url_slash",
    "url_path",
    "url_other",
    "url_encoding",
    "url_unknown",
    "url_query_not_signed",
    "url_query_changed",
];

pub(super) static KINDS: &[Kind] = &[
    kind(
        "damaged 256 header beside a good SHA-1 header",
        &["older_signature_beside"],
        |d| {
            let old = sha1_header(d, "sha1=")?;
            push(d, "X-Hub-Signature", &old);
            whole(d, |value| value[..value.len() - 9].to_owned())
        },
    ),
    kind(
        "256 header with a wrong digit beside a good SHA-1 header",
        &["older_signature_beside"],
        |d| {
            let old = sha1_header(d, "sha1=")?;
            push(d, "X-Hub-Signature", &old);
            whole(d, |value| {
                format!("{}0", &value[..value.len() - 1]).replace("00", "10")
            })
        },
    ),
    kind("only the SHA-1 header", &["older_signature_beside"], |d| {
        let old = sha1_header(d, "sha1=")?;
        remove(d, "X-Hub-Signature-256");
        push(d, "X-Hub-Signature", &old);
        Some(())
    }),
    kind(
        "only the SHA-1 header, another secret",
        &["only_older_signature"],
        |d| {
            let old = sha1_header(d, "sha1=")?;
            remove(d, "X-Hub-Signature-256");
            push(d, "X-Hub-Signature", &old);
            d.set_secret("quite another one");
            Some(())
        },
    ),
    kind(
        "sha1= in the 256 header",
        &["older_signature_inside", "signature_of_other_hash"],
        |d| {
            let old = sha1_header(d, "sha1=")?;
            *d.signature()? = old;
            Some(())
        },
    ),
    kind(
        "a SHA-1 digest behind sha256=",
        &["older_signature_inside"],
        |d| {
            let old = sha1_header(d, "sha256=")?;
            *d.signature()? = old;
            Some(())
        },
    ),
    kind("a space after a comma", &["list_spaces"], |d| {
        has_list(d)?;
        whole(d, |value| value.replace(',', ", ").replace(';', "; "))
    }),
    kind("svix- for webhook-", &["other_header_family"], |d| {
        (d.provider == "standard-webhooks").then_some(())?;
        rename(d, "webhook-", "svix-");
        Some(())
    }),
    kind("webhook- for svix-", &["other_header_family"], |d| {
        (d.provider == "svix").then_some(())?;
        rename(d, "svix-", "webhook-");
        Some(())
    }),
    kind("another header name", &["other_header"], |d| {
        if !d.is_mac() {
            return None;
        }
        let names = d.signature_names();
        let line = d
            .lines
            .iter_mut()
            .find(|(name, _)| names.iter().any(|own| own.is(name.as_bytes())))?;
        line.0 = "X-Custom-Sig".to_owned();
        Some(())
    }),
    kind(
        "no signature header",
        &["signature_missing", "looks_like_provider"],
        |d| {
            let names = d.signature_names();
            if names.is_empty() {
                return None;
            }
            d.lines
                .retain(|(name, _)| !names.iter().any(|own| own.is(name.as_bytes())));
            Some(())
        },
    ),
    kind("no timestamp header", &["timestamp_missing"], |d| {
        let place = d.scheme.timestamp()?.header()?.as_str().to_owned();
        remove(d, &place);
        Some(())
    }),
    kind("no id header", &["header_missing"], |d| {
        matches!(d.provider, "svix" | "standard-webhooks").then_some(())?;
        remove(d, "svix-id");
        remove(d, "webhook-id");
        Some(())
    }),
    kind("id and timestamp swapped", &["headers_swapped"], |d| {
        let family = match d.provider {
            "svix" => "svix",
            "standard-webhooks" => "webhook",
            _ => return None,
        };
        let id = d.header(&format!("{family}-id"))?.clone();
        let time = d.header(&format!("{family}-timestamp"))?.clone();
        *d.header(&format!("{family}-id"))? = time;
        *d.header(&format!("{family}-timestamp"))? = id;
        Some(())
    }),
    kind("the signature twice in lines", &["header_twice"], |d| {
        if !d.is_mac() {
            return None;
        }
        let value = d.signature()?.clone();
        let name = d.signature_names().first()?.as_str().to_owned();
        push(d, &name, &value);
        Some(())
    }),
    kind(
        "joined values",
        &["header_joined", "signature_doubled"],
        |d| {
            if has_list(d).is_some() {
                return None;
            }
            whole(d, |value| format!("{value}, {value}"))
        },
    ),
    kind("upper case", &["signature_upper_case"], |d| {
        in_hex(d, str::to_ascii_uppercase)
    }),
    kind("in double quotes", &["signature_in_quotes"], |d| {
        whole(d, |value| format!("\"{value}\""))
    }),
    kind("in single quotes", &["signature_in_quotes"], |d| {
        whole(d, |value| format!("'{value}'"))
    }),
    kind("in brackets", &["signature_decorated"], |d| {
        whole(d, |value| format!("[{value}]"))
    }),
    kind(
        "as Python's bytes",
        &["signature_decorated", "signature_in_quotes"],
        |d| whole(d, |value| format!("b'{value}'")),
    ),
    kind(
        "with a line end in two signs",
        &["signature_decorated"],
        |d| whole(d, |value| format!("{value}\\n")),
    ),
    kind(
        "with a comma at the end",
        &["signature_decorated", "header_joined"],
        |d| whole(d, |value| format!("{value},")),
    ),
    kind("0x before digits", &["signature_decorated"], |d| {
        in_hex(d, |s| format!("0x{s}"))
    }),
    kind("digits with colons", &["signature_decorated"], |d| {
        in_hex(d, |s| {
            s.as_bytes()
                .chunks(2)
                .map(|pair| String::from_utf8_lossy(pair).into_owned())
                .collect::<Vec<_>>()
                .join(":")
        })
    }),
    kind("percent-encoded", &["signature_percent_encoded"], |d| {
        whole(d, |value| {
            value
                .replace('+', "%2B")
                .replace('/', "%2F")
                .replace('=', "%3D")
                .replace(',', "%2C")
        })
    }),
    kind("without padding", &["signature_padding"], |d| {
        in_base64(d, |s| s.trim_end_matches('=').to_owned())
    }),
    kind(
        "URL-safe",
        &[
            "signature_alphabet",
            "signature_encoding",
            "signature_padding",
        ],
        |d| in_base64(d, |s| s.replace('+', "-").replace('/', "_")),
    ),
    kind(
        "URL-safe and unpadded",
        &[
            "signature_alphabet",
            "signature_encoding",
            "signature_padding",
        ],
        |d| in_base64(d, |s| URL_SAFE_NO_PAD.encode(STANDARD.decode(s).unwrap())),
    ),
    kind("base64 for hex", &["signature_encoding"], |d| {
        in_hex(d, |s| STANDARD.encode(hex::decode(s).unwrap()))
    }),
    kind("hex for base64", &["signature_encoding"], |d| {
        in_base64(d, |s| hex::encode(STANDARD.decode(s).unwrap()))
    }),
    kind("base64 of the text", &["signature_encoded_twice"], |d| {
        text(d, |s| Some(STANDARD.encode(s)))
    }),
    kind("hex of the text", &["signature_encoded_twice"], |d| {
        text(d, |s| Some(hex::encode(s)))
    }),
    kind("escaped slashes", &["signature_escaped"], |d| {
        in_base64(d, |s| s.replace('/', "\\/").replace('=', "\\u003d"))
    }),
    kind("plus became space", &["signature_plus_lost"], |d| {
        in_base64(d, |s| s.replace('+', " "))
    }),
    kind(
        "cut at the end",
        &["signature_cut", "signature_padding"],
        |d| {
            text(d, |s| {
                Some(s.trim_end_matches('=')[..s.trim_end_matches('=').len() - 7].to_owned())
            })
        },
    ),
    kind(
        "cut in half",
        &["signature_cut", "signature_of_other_length"],
        |d| text(d, |s| Some(s[..s.len() / 2].to_owned())),
    ),
    kind("cut at the start", &["signature_cut"], |d| {
        text(d, |s| Some(s[5..].to_owned()))
    }),
    kind("masked", &["signature_masked"], |d| {
        text(d, |s| Some(format!("{}***", &s[..6])))
    }),
    kind("with an ellipsis", &["signature_masked"], |d| {
        text(d, |s| Some(format!("{}...", &s[..12])))
    }),
    kind(
        "small letters only",
        &["signature_case_lost", "signature_characters"],
        |d| in_base64(d, str::to_ascii_lowercase),
    ),
    kind(
        "without the prefix",
        &["signature_prefix", "label_missing"],
        |d| {
            if d.scheme.signature_prefix().is_empty() {
                return None;
            }
            let prefix = d.scheme.signature_prefix().to_owned();
            let value = d.signature()?;
            *value = value.strip_prefix(&prefix)?.to_owned();
            Some(())
        },
    ),
    kind("a prefix too many", &["signature_prefix"], |d| {
        if !d.scheme.signature_prefix().is_empty() || has_list(d).is_some() {
            return None;
        }
        whole(d, |value| format!("sha256={value}"))
    }),
    kind(
        "the prefix twice",
        &["signature_prefix_doubled", "signature_prefix"],
        |d| {
            let prefix = d.scheme.signature_prefix().to_owned();
            if prefix.is_empty() {
                return None;
            }
            let value = d.signature()?;
            *value = format!("{prefix}{value}");
            Some(())
        },
    ),
    kind(
        "the name in the value",
        &["signature_has_name", "signature_prefix"],
        |d| whole(d, |value| format!("X-Signature: {value}")),
    ),
    kind(
        "milliseconds sent",
        &[
            "other_unit_signed",
            "timestamp_other_form",
            "milliseconds_for_seconds",
        ],
        |d| time(d, |at| format!("{at}000")),
    ),
    kind("microseconds signed and sent", &["finer_unit"], |d| {
        (d.provider == "slack").then_some(())?;
        let body = d.body.clone();
        time(d, |at| format!("{at}000000"));
        let name = "x-slack-request-timestamp";
        let at = d.header(name)?.clone();
        let text = format!("v0:{at}:{}", String::from_utf8(body).ok()?);
        *d.signature()? = format!("v0={}", hex::encode(mac(d.secret().as_bytes(), &text)));
        Some(())
    }),
    kind("the label in capitals", &["label_case"], |d| {
        matches!(d.provider, "svix" | "standard-webhooks").then_some(())?;
        whole(d, str::to_ascii_uppercase)
    }),
    kind(
        "the whole list in capitals",
        &["signature_case", "label_case"],
        |d| {
            matches!(d.provider, "stripe" | "paddle").then_some(())?;
            whole(d, str::to_ascii_uppercase)
        },
    ),
    kind(
        "a list without its timestamp",
        &["timestamp_missing"],
        |d| {
            matches!(d.provider, "stripe" | "paddle").then_some(())?;
            let value = d.signature()?;
            *value = value.split_once([',', ';'])?.1.to_owned();
            Some(())
        },
    ),
    kind("a time in another zone", &["timestamp_other_form"], |d| {
        (d.provider == "zendesk").then_some(())?;
        *d.header("x-zendesk-webhook-signature-timestamp")? =
            "2025-06-15T17:06:40.000+02:00".to_owned();
        Some(())
    }),
    kind("microseconds sent", &["timestamp_other_form"], |d| {
        time(d, |at| format!("{at}000000"))
    }),
    kind(
        "ISO time sent",
        &["timestamp_other_form", "timestamp_malformed"],
        |d| time(d, |_| "2025-06-15T15:06:40Z".to_owned()),
    ),
    kind(
        "ISO time with an offset sent",
        &["timestamp_other_form", "timestamp_malformed"],
        |d| time(d, |_| "2025-06-15T17:06:40+02:00".to_owned()),
    ),
    kind(
        "a local time sent",
        &["timestamp_other_form", "timestamp_malformed"],
        |d| time(d, |_| "2025-06-15 17:06:40".to_owned()),
    ),
    kind(
        "a date in words sent",
        &["timestamp_other_form", "timestamp_malformed"],
        |d| {
            // A comma would end the item of a list.
            d.scheme.timestamp()?.header()?;
            time(d, |_| "Sun, 15 Jun 2025 15:06:40 GMT".to_owned())
        },
    ),
    kind(
        "a fraction sent",
        &["timestamp_other_form", "timestamp_malformed"],
        |d| time(d, |at| format!("{at}.0")),
    ),
    kind(
        "an exponent sent",
        &["timestamp_other_form", "timestamp_malformed"],
        |d| time(d, |_| "1.75E+09".to_owned()),
    ),
    kind("captured a day ago", &["stale", "late_retry"], |d| {
        d.scheme.has_timestamp().then_some(())?;
        d.resign.as_ref()?;
        d.now += 86_400 + 777;
        Some(())
    }),
    kind("a clock two hours ahead", &["time_zone", "future"], |d| {
        d.scheme.has_timestamp().then_some(())?;
        d.resign.as_ref()?;
        d.now -= 7_200;
        Some(())
    }),
    kind("a clock ten minutes ahead", &["future"], |d| {
        d.scheme.has_timestamp().then_some(())?;
        d.resign.as_ref()?;
        d.now -= 600;
        Some(())
    }),
    kind("http for https", URL, |d| {
        received_at(d, "http://hooks.example.com", &d.target.clone())
    }),
    kind("an inner host", URL, |d| {
        received_at(d, "http://app.internal:8080", &d.target.clone())
    }),
    kind("a tunnel's host", URL, |d| {
        received_at(d, "https://1234.ngrok.app", &d.target.clone())
    }),
    kind("the host in X-Forwarded-Host", URL, |d| {
        push(d, "X-Forwarded-Host", "hooks.example.com");
        push(d, "X-Forwarded-Proto", "https");
        received_at(d, "http://10.0.0.7:3000", &d.target.clone())
    }),
    kind("a port", URL, |d| {
        received_at(d, "https://hooks.example.com:8443", &d.target.clone())
    }),
    kind("a stripped prefix", URL, |d| {
        received_at(
            d,
            "https://hooks.example.com",
            &d.target.replace("/in/", "/"),
        )
    }),
    kind("an added prefix", URL, |d| {
        received_at(
            d,
            "https://hooks.example.com",
            &format!("/api/v1{}", d.target),
        )
    }),
    kind("a closing slash", URL, |d| {
        received_at(d, "https://hooks.example.com", &d.target.replace('?', "/?"))
    }),
    kind("the query in another order", URL, |d| {
        received_at(
            d,
            "https://hooks.example.com",
            &d.target.replace("b=2&a=1", "a=1&b=2"),
        )
    }),
    kind("the query dropped", URL, |d| {
        received_at(
            d,
            "https://hooks.example.com",
            &d.target.replace("?b=2&a=1", ""),
        )
    }),
    kind("a parameter added", URL, |d| {
        received_at(
            d,
            "https://hooks.example.com",
            &format!("{}&utm=x", d.target),
        )
    }),
    kind("the query encoded in another way", URL, |d| {
        received_at(
            d,
            "https://hooks.example.com",
            &d.target.replace("b=2", "%62=2"),
        )
    }),
    kind("no URL known", URL, |d| {
        d.scheme.signs_url().then_some(())?;
        push(d, "Host", "app.internal");
        d.origin = None;
        Some(())
    }),
    kind("the method changed", &["method_changed"], |d| {
        (d.provider == "hubspot").then_some(())?;
        d.method = "GET".to_owned();
        Some(())
    }),
    kind(
        "a hash named by its prefix",
        &["signature_of_other_hash", "other_algorithm"],
        |d| {
            (d.provider == "github").then_some(())?;
            let mut mac = DigestAlgorithm::HmacSha512.mac(&d.secrets[0]);
            mac.update(&d.body);
            *d.signature()? = format!("sha512={}", hex::encode(mac.finalize().as_bytes()));
            Some(())
        },
    ),
    kind("with more behind it", &["signature_too_long"], |d| {
        in_hex(d, |s| format!("{s}{}", "0a".repeat(8)))
    }),
];
