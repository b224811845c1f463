//! The kinds of damage that is done to configured secrets.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::kinds::{Kind, kind};
use super::senders::Delivery;

/// Changes the configured text of a shared secret.
fn secret(delivery: &mut Delivery, change: impl Fn(&str) -> String) -> Option<()> {
    if delivery.resign.is_none() || delivery.provider == "discord-interactions" {
        return None;
    }
    let text = delivery.secret();
    let new = change(&text);
    (new != text).then(|| delivery.set_secret(new))
}

/// Another secret altogether, which betrays itself by its look.
fn other(delivery: &mut Delivery, text: &str) -> Option<()> {
    secret(delivery, |_| text.to_owned())
}

const API_KEY: &[&str] = &["api_key_for_secret"];
const ID: &[&str] = &["id_for_secret"];
const ADDRESS: &[&str] = &["address_for_secret"];
const PLACEHOLDER: &[&str] = &["placeholder_for_secret"];

pub(super) static KINDS: &[Kind] = &[
    kind(
        "a newline behind the secret",
        &["secret_ends_in_newline"],
        |d| secret(d, |s| format!("{s}\n")),
    ),
    kind("spaces around the secret", &["secret_in_space"], |d| {
        secret(d, |s| format!(" {s} "))
    }),
    kind("the secret in quotes", &["secret_in_quotes"], |d| {
        secret(d, |s| format!("\"{s}\""))
    }),
    kind(
        "the secret in typographic quotes",
        &["secret_typographic"],
        |d| secret(d, |s| format!("“{s}”")),
    ),
    kind(
        "the secret in German quotes",
        &["secret_typographic"],
        |d| secret(d, |s| format!("„{s}“")),
    ),
    kind(
        "NAME=secret",
        &["secret_has_name", "secret_assigned"],
        |d| secret(d, |s| format!("WEBHOOK_SECRET={s}")),
    ),
    kind(
        "export NAME",
        &["secret_has_name", "secret_assigned"],
        |d| secret(d, |s| format!("export WEBHOOK_SECRET='{s}'")),
    ),
    kind("$env:NAME", &["secret_has_name", "secret_assigned"], |d| {
        secret(d, |s| format!("$env:WEBHOOK_SECRET = \"{s}\""))
    }),
    kind("a zero-width space", &["secret_invisible_signs"], |d| {
        secret(d, |s| format!("\u{200b}{s}"))
    }),
    kind("a space without a break", &["secret_in_space"], |d| {
        secret(d, |s| format!("{s}\u{a0}"))
    }),
    kind(
        "a byte-order mark",
        &["secret_has_byte_order_mark", "secret_invisible_signs"],
        |d| secret(d, |s| format!("\u{feff}{s}")),
    ),
    kind("a semicolon behind", &["secret_trailing_sign"], |d| {
        secret(d, |s| format!("{s};"))
    }),
    kind(
        "a comment behind",
        &["secret_trailing_sign", "secret_several"],
        |d| secret(d, |s| format!("{s} # production")),
    ),
    kind("two secrets with a comma", &["secret_several"], |d| {
        secret(d, |s| format!("some_older_secret,{s}"))
    }),
    kind("two secrets in lines", &["secret_several"], |d| {
        secret(d, |s| format!("{s}\nsome_older_secret"))
    }),
    kind("the secret twice", &["secret_doubled"], |d| {
        secret(d, |s| s.repeat(2))
    }),
    kind(
        "whsec_ twice",
        &["secret_prefix_doubled", "secret_prefix"],
        |d| {
            secret(d, |s| {
                if s.starts_with("whsec_") {
                    format!("whsec_{s}")
                } else {
                    s.to_owned()
                }
            })
        },
    ),
    kind("whsec_ cut off", &["secret_prefix"], |d| {
        (d.provider == "stripe")
            .then_some(())
            .and_then(|()| secret(d, |s| s.replace("whsec_", "")))
    }),
    kind(
        "a prefix too many",
        &["secret_prefix", "secret_prefix_foreign"],
        |d| {
            secret(d, |s| {
                if s.starts_with("whsec_") {
                    s.to_owned()
                } else {
                    format!("whsec_{s}")
                }
            })
        },
    ),
    kind(
        "base64 as in Kubernetes",
        &["secret_base64_once_more"],
        |d| secret(d, |s| STANDARD.encode(s)),
    ),
    kind(
        "base64 of the secret and a newline",
        &["secret_base64_once_more"],
        |d| secret(d, |s| STANDARD.encode(format!("{s}\n"))),
    ),
    kind("hex of the secret", &["secret_hex_once_more"], |d| {
        secret(d, |s| hex::encode(s.as_bytes()))
    }),
    kind("percent-encoded", &["secret_percent_encoded"], |d| {
        secret(d, |s| {
            s.replace('+', "%2B")
                .replace('_', "%5F")
                .replace('-', "%2D")
        })
    }),
    kind("capitals", &["secret_case"], |d| {
        let text = d.secret();
        if text.bytes().any(|b| b.is_ascii_uppercase()) {
            return None;
        }
        secret(d, str::to_ascii_uppercase)
    }),
    kind(
        "a document of a secret manager",
        &["secret_in_document"],
        |d| {
            secret(d, |s| {
                serde_json::json!({"username": "x", "webhook_secret": s}).to_string()
            })
        },
    ),
    kind(
        "decoded already",
        &["secret_decoded_already", "secret_not_decoded"],
        |d| {
            (d.provider == "svix").then_some(())?;
            secret(d, |s| {
                hex::encode(STANDARD.decode(s.trim_start_matches("whsec_")).unwrap())
            })
        },
    ),
    kind("escapes of JSON", &["secret_escaped"], |d| {
        secret(d, |s| s.replace('_', "\\u005f"))
    }),
    kind(
        "a plus became a space",
        &["secret_encoded_for_url", "secret_invisible_signs"],
        |d| secret(d, |s| s.replace('+', " ")),
    ),
    kind("Stripe's API key", API_KEY, |d| {
        other(d, "sk_live_51Habcdefghijklmnop")
    }),
    kind("Stripe's restricted key", API_KEY, |d| {
        other(d, "rk_live_51Habcdefghijklmnop")
    }),
    kind("GitHub's token", API_KEY, |d| {
        other(d, "ghp_16C7e42F292c6912E7710c838347Ae178B4a")
    }),
    kind("GitHub's app token", API_KEY, |d| {
        other(d, "ghs_16C7e42F292c6912E7710c838347Ae178B4a")
    }),
    kind("Slack's bot token", API_KEY, |d| {
        other(d, "xoxb-123456789012-1234567890123-abc")
    }),
    kind("Shopify's token", API_KEY, |d| {
        other(d, "shpat_0123456789abcdef0123456789abcdef")
    }),
    kind("GitLab's token", API_KEY, |d| {
        other(d, "glpat-abcdefghij0123456789")
    }),
    kind("SendGrid's key", API_KEY, |d| {
        other(d, "SG.abcdefghijklmnopqrstuv.abcdefghijklmnop")
    }),
    kind("Mailgun's key", API_KEY, |d| {
        other(d, "key-0123456789abcdef0123456789abcdef")
    }),
    kind("Linear's key", API_KEY, |d| {
        other(d, "lin_api_0123456789abcdef0123456789abcdef")
    }),
    kind("Square's token", API_KEY, |d| {
        other(d, "EAAAEOuLQObrVwJvCvoio3H13b8Ssqz1ighmTBKZ")
    }),
    kind("HubSpot's token", API_KEY, |d| {
        other(d, "pat-na1-01234567-89ab-cdef-0123-456789abcdef")
    }),
    kind("Paddle's key", API_KEY, |d| {
        other(d, "pdl_live_apikey_01gtgztp8f4kek3yd4g1wrksa3_q6TGTJ")
    }),
    kind("OpenAI's key", API_KEY, |d| {
        other(d, "sk-proj-abcdefghijklmnop")
    }),
    kind("a Google key", API_KEY, |d| {
        other(d, "AIzaSyA0123456789abcdefghijklmnopqrstuv")
    }),
    kind("an AWS key", API_KEY, |d| other(d, "AKIAIOSFODNN7EXAMPLE")),
    kind("Twilio's account id", ID, |d| {
        other(d, "AC0123456789abcdef0123456789abcdef")
    }),
    kind("Stripe's endpoint id", ID, |d| {
        other(d, "we_1Habcdefghijklmnop")
    }),
    kind("Svix's endpoint id", ID, |d| {
        other(d, "ep_2f8a1c0123456789")
    }),
    kind("a Slack app id", ID, |d| other(d, "A0123456789")),
    kind("an account id", ID, |d| other(d, "acct_1Habcdefghijklmnop")),
    kind("a notification set", ID, |d| {
        other(d, "ntfset_01h9xyz0123456789")
    }),
    kind("a placeholder", PLACEHOLDER, |d| {
        other(d, "your_webhook_secret_here")
    }),
    kind("changeme", PLACEHOLDER, |d| other(d, "changeme")),
    kind("an unreplaced variable", PLACEHOLDER, |d| {
        other(d, "${WEBHOOK_SECRET}")
    }),
    kind("an unreplaced variable of a shell", PLACEHOLDER, |d| {
        other(d, "$WEBHOOK_SECRET")
    }),
    kind("an unreplaced template", PLACEHOLDER, |d| {
        other(d, "{{ .Values.secret }}")
    }),
    kind("an angle placeholder", PLACEHOLDER, |d| {
        other(d, "<webhook-signing-secret>")
    }),
    kind("whsec_ with dots", PLACEHOLDER, |d| other(d, "whsec_...")),
    kind("a masked secret", PLACEHOLDER, |d| {
        other(d, "whsec_••••••••")
    }),
    kind("asterisks", PLACEHOLDER, |d| other(d, "**********")),
    kind("a reference to a vault", ADDRESS, |d| {
        other(d, "op://vault/webhook/secret")
    }),
    kind("an ARN", ADDRESS, |d| {
        other(d, "arn:aws:secretsmanager:eu-central-1:1:secret:x")
    }),
    kind("env:NAME as text", ADDRESS, |d| {
        other(d, "env:WEBHOOK_SECRET")
    }),
    kind("the endpoint's URL", &["url_for_secret"], |d| {
        other(d, "https://hooks.example.com/in/x")
    }),
    kind(
        "a public key",
        &["public_key_for_secret", "needs_shared_secret"],
        |d| {
            if !d.is_mac() {
                return None;
            }
            other(
                d,
                "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE\n-----END PUBLIC KEY-----\n",
            )
        },
    ),
    kind(
        "a shared secret for a public key",
        &["secret_for_public_key"],
        |d| {
            matches!(d.provider, "discord-interactions" | "sendgrid").then_some(())?;
            d.set_secret("a-client-secret");
            Some(())
        },
    ),
    kind("a path", &["path_for_secret"], |d| {
        other(d, "/run/secrets/webhook_secret")
    }),
    kind("a token", &["jwt_for_secret"], |d| {
        other(d, "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJhIn0.c2lnbmF0dXJl")
    }),
    kind("the signature", &["signature_for_secret"], |d| {
        other(
            d,
            "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        )
    }),
    kind(
        "a word of a header before the secret",
        &["secret_of_header"],
        |d| secret(d, |s| format!("Bearer {s}")),
    ),
    kind("the first character cut", &["secret_cut"], |d| {
        (d.provider != "gitlab").then_some(())?;
        secret(d, |s| s.chars().skip(1).collect())
    }),
    kind("the last character cut", &["secret_cut"], |d| {
        (d.provider != "gitlab").then_some(())?;
        secret(d, |s| s.chars().take(s.chars().count() - 1).collect())
    }),
    kind(
        "a value without the beginning of all secrets",
        &["secret_begins_otherwise"],
        |d| {
            matches!(d.provider, "stripe" | "paddle" | "linear").then_some(())?;
            other(d, "Kq82nXwPz5LmT9vB")
        },
    ),
    kind(
        "a UUID",
        &["uuid_for_secret", "secret_begins_otherwise"],
        |d| {
            if d.provider == "hubspot" || d.scheme.signs_url() {
                return None;
            }
            other(d, "123e4567-e89b-12d3-a456-426614174000")
        },
    ),
    kind(
        "a secret of another provider that is decoded there",
        &["secret_looks_otherwise"],
        |d| {
            matches!(d.provider, "github" | "itellico" | "slack").then_some(())?;
            other(d, "whsec_Kq82nXwPz5LmT9vBKq82nXwP")
        },
    ),
    kind(
        "hexadecimal digits for base64",
        &["secret_looks_otherwise"],
        |d| {
            matches!(d.provider, "svix" | "standard-webhooks").then_some(())?;
            other(d, "6b1f5cd02e97a3486b1f5cd02e97a3486b1f5cd02e97a348")
        },
    ),
    kind(
        "an encoded line end behind the secret",
        &["secret_percent_encoded"],
        |d| secret(d, |s| format!("{s}%0A")),
    ),
    kind("a client id", ID, |d| other(d, "Iv1.8a61f9b3a7aba766")),
    kind("Meta's access token", API_KEY, |d| {
        other(d, "EAABsbCS1iHgBAKabcdefgh1jklmnop")
    }),
    kind("digits", ID, |d| other(d, "4815162342")),
    kind("Atlassian's token", API_KEY, |d| {
        other(d, "ATATT3xFfGF0abcdefghijklmnop")
    }),
    kind("Plaid's access token", API_KEY, |d| {
        other(d, "access-sandbox-0123-4567-89ab")
    }),
    kind("Supabase's key", API_KEY, |d| {
        other(d, "sbp_0123456789abcdef0123456789abcdef")
    }),
];
