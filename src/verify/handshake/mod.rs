//! How providers make sure of an endpoint, and what each is answered (SCHEMES 5).
//!
//! A request is recognised here by its exact form, as an [`Asked`]; what becomes of it is an [`Asked::step`], a value.
//! Unsigned handshakes are told from the head alone ([`Handshake::in_head`]) or from a small body
//! ([`Handshake::in_body`]), signed ones from a delivery that is proved ([`Handshake::in_proved`]). Nothing here writes
//! an answer, a file or a log, and what a route is set to (answer, forward, off) is not known.
//!
//! A MAC under the route's secret is what signs deliveries, too. So it is computed for a [`Challenge`] alone, a text
//! of the exact form of SCHEMES 5, and a delivery that could be such a text proves nothing
//! ([`Handshake::forbids`]).

mod asked;
mod body;
mod challenge;
mod json;
mod learned;
mod query;
mod signed;

#[cfg(test)]
mod tests;

pub use asked::{Asked, Context, Learning, Passage, Reply, Step};
pub use challenge::Challenge;

use crate::verdict::{Code, Refusal};
use crate::wire::head::{FieldName, Found, Head};

/// The largest body, in bytes, in which an unsigned handshake is looked for.
pub const MAX_OPEN_BODY: usize = 4 * 1024;

/// The largest body, in bytes, in which a signed handshake is looked for.
const MAX_SIGNED_BODY: usize = 16 * 1024;

/// The longest text that is sent back, in bytes.
const MAX_ECHO: usize = 1024;

/// The handshakes known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handshake {
    /// `slack`
    Slack,
    /// `zoom`
    Zoom,
    /// `twitch`
    Twitch,
    /// `discord-interactions`
    DiscordInteractions,
    /// `discord-events`
    DiscordEvents,
    /// `aws-sns`
    AwsSns,
    /// `xero`
    Xero,
    /// `x-twitter`
    XTwitter,
    /// `braintree`
    Braintree,
    /// `okta`
    Okta,
    /// `microsoft-graph`
    MicrosoftGraph,
    /// `meta`
    Meta,
    /// `lark`
    Lark,
    /// `asana`
    Asana,
    /// `notion`
    Notion,
    /// `trello`
    Trello,
    /// `dropbox`
    Dropbox,
    /// `monday`
    Monday,
}

impl Handshake {
    /// Every one, in the order in which they are documented.
    pub const ALL: [Self; 18] = [
        Self::Slack,
        Self::Zoom,
        Self::Twitch,
        Self::DiscordInteractions,
        Self::DiscordEvents,
        Self::AwsSns,
        Self::Xero,
        Self::XTwitter,
        Self::Braintree,
        Self::Okta,
        Self::MicrosoftGraph,
        Self::Meta,
        Self::Lark,
        Self::Asana,
        Self::Notion,
        Self::Trello,
        Self::Dropbox,
        Self::Monday,
    ];

    /// Its name in a configuration file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Slack => "slack",
            Self::Zoom => "zoom",
            Self::Twitch => "twitch",
            Self::DiscordInteractions => "discord-interactions",
            Self::DiscordEvents => "discord-events",
            Self::AwsSns => "aws-sns",
            Self::Xero => "xero",
            Self::XTwitter => "x-twitter",
            Self::Braintree => "braintree",
            Self::Okta => "okta",
            Self::MicrosoftGraph => "microsoft-graph",
            Self::Meta => "meta",
            Self::Lark => "lark",
            Self::Asana => "asana",
            Self::Notion => "notion",
            Self::Trello => "trello",
            Self::Dropbox => "dropbox",
            Self::Monday => "monday",
        }
    }

    /// The one of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|handshake| handshake.name() == name)
    }

    /// The unsigned handshake that a head asks for, before a byte of its body is read; `None` where it is none.
    ///
    /// # Errors
    /// `malformed_handshake` where it is one by its name and not by its form.
    pub fn in_head(self, head: &Head) -> Result<Option<Asked>, Refusal> {
        match self {
            Self::Asana => learned::in_head(head),
            _ => query::in_head(self, head),
        }
    }

    /// Whether an unsigned request may be one by its body.
    pub fn reads_body(self) -> bool {
        matches!(self, Self::Lark | Self::Monday | Self::Notion)
    }

    /// The unsigned handshake that a body asks for, of a request that carries no signature; `None` where it is none, or
    /// larger than [`MAX_OPEN_BODY`].
    ///
    /// # Errors
    /// `malformed_handshake` where it is one by its type and not by its form.
    pub fn in_body(self, body: &[u8]) -> Result<Option<Asked>, Refusal> {
        if body.len() > MAX_OPEN_BODY {
            return Ok(None);
        }
        match self {
            Self::Lark => body::lark(body),
            Self::Monday => body::monday(body),
            Self::Notion => learned::in_body(body),
            _ => Ok(None),
        }
    }

    /// The handshake that a proved delivery is; `None` where it is an event.
    ///
    /// # Errors
    /// `malformed_handshake` where it is one by its type and not by its form.
    pub fn in_proved(self, head: &Head, body: &[u8]) -> Result<Option<Asked>, Refusal> {
        if body.len() > MAX_SIGNED_BODY {
            return Ok(None);
        }
        signed::in_proved(self, head, body)
    }

    /// Whether a delivery with a wrong signature is one that the provider sends on purpose, to see it refused.
    pub fn is_probe(self, body: &[u8]) -> bool {
        body.len() <= MAX_SIGNED_BODY && signed::is_probe(self, body)
    }

    /// Whether the provider takes a refusal of the signature only with an empty body.
    pub fn refuses_without_words(self) -> bool {
        self == Self::Xero
    }

    /// Whether a signature over this content proves nothing, because it may have been got from the answer to a
    /// handshake. `body` is empty where it is not signed; `before` and `after` are what is signed around it.
    pub fn forbids(self, before: &[u8], body: &[u8], after: &[u8]) -> bool {
        let length = before.len() + body.len() + after.len();
        length <= challenge::MAX_TEXT && challenge::is_text_of(self, &[before, body, after].concat())
    }
}

/// What stands under a header's name.
fn header<'h>(head: &'h Head, name: &str) -> Found<'h> {
    FieldName::new(name).map_or(Found::Nothing, |name| head.find(&name))
}

/// A text that may be sent back: visible ASCII, not empty, at most [`MAX_ECHO`] bytes.
fn echo(text: &[u8]) -> Result<String, Refusal> {
    printable(text, u8::is_ascii_graphic)
}

/// As [`echo`], of the bytes that `takes` takes, all of them ASCII.
fn printable(text: &[u8], takes: impl Fn(&u8) -> bool) -> Result<String, Refusal> {
    let fits = !text.is_empty() && text.len() <= MAX_ECHO && text.is_ascii() && text.iter().all(takes);
    let text = fits.then(|| std::str::from_utf8(text).ok()).flatten();
    text.map(str::to_owned).ok_or(NO_ECHO)
}

const NO_ECHO: Refusal =
    Refusal::because(Code::MalformedHandshake, "the challenge is not visible ASCII of 1 to 1024 bytes");
