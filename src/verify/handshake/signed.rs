//! The handshakes that come signed: Slack, Zoom, Twitch, Discord, Xero, Amazon SNS (SCHEMES 5).
//!
//! Only ever asked of a proved delivery, but for [`is_probe`], which answers nothing.

use super::asked::{Asked, Reply};
use super::challenge::Challenge;
use super::json::{Field, fields};
use super::{Handshake, body, echo, header};
use crate::verdict::Refusal;
use crate::wire::head::{Found, Head};

/// Of Twitch: what kind of message this is. Not signed, so it alone makes no handshake.
const TWITCH_TYPE: &str = "Twitch-Eventsub-Message-Type";

/// The handshake that a proved delivery is.
pub(super) fn in_proved(handshake: Handshake, head: &Head, body: &[u8]) -> Result<Option<Asked>, Refusal> {
    let asked = match handshake {
        Handshake::Slack => match fields(body, ["/type", "/challenge"]) {
            Some([kind, challenge]) if kind.is("url_verification") => {
                Asked::Echo(Reply::text(echo(challenge.bytes())?))
            }
            _ => return Ok(None),
        },
        Handshake::Zoom => match fields(body, ["/event", "/payload/plainToken"]) {
            Some([event, token]) if event.is("endpoint.url_validation") => {
                Asked::Mac(Challenge::new(handshake, token.bytes())?)
            }
            _ => return Ok(None),
        },
        Handshake::Twitch if header(head, TWITCH_TYPE) == Found::One(b"webhook_callback_verification") => {
            match fields(body, ["/challenge"]) {
                Some([challenge]) if challenge != Field::Absent => Asked::Echo(Reply::text(echo(challenge.bytes())?)),
                _ => return Ok(None),
            }
        }
        Handshake::DiscordInteractions if is_discord_ping(body, "1") => {
            Asked::Echo(Reply::raw_json(r#"{"type":1}"#.to_owned()))
        }
        Handshake::DiscordEvents if is_discord_ping(body, "0") => Asked::Echo(Reply::empty(204)),
        Handshake::Xero if is_without_events(body) => Asked::Echo(Reply::empty(200)),
        Handshake::AwsSns => match fields(body, ["/Type"]) {
            Some([kind]) if kind.is("SubscriptionConfirmation") => Asked::ForApp,
            _ => return Ok(None),
        },
        // these come unsigned as well
        Handshake::Lark => return body::lark_in_clear(body),
        Handshake::Monday => return body::monday(body),
        _ => return Ok(None),
    };
    Ok(Some(asked))
}

/// Whether a delivery with a wrong signature is one that the provider sends on purpose.
pub(super) fn is_probe(handshake: Handshake, body: &[u8]) -> bool {
    match handshake {
        Handshake::DiscordInteractions => is_discord_ping(body, "1"),
        Handshake::DiscordEvents => is_discord_ping(body, "0"),
        Handshake::Xero => is_without_events(body),
        _ => false,
    }
}

fn is_discord_ping(body: &[u8], kind: &str) -> bool {
    fields(body, ["/type"]).is_some_and(|[field]| field == Field::Integer(kind.to_owned()))
}

/// Xero's "intent to receive" is a delivery of no events.
fn is_without_events(body: &[u8]) -> bool {
    fields(body, ["/events", "/events/0"]).is_some_and(|found| found == [Field::Array, Field::Absent])
}
