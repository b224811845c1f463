//! What is answered to each provider that makes sure of the endpoint, in words (SCHEMES 5).

use crate::verify::handshake::Handshake;

/// What the provider asks and what it is answered, as a clause.
pub(super) const fn words(handshake: Handshake) -> &'static str {
    match handshake {
        Handshake::Slack => "a signed `url_verification` is answered with its challenge as text",
        Handshake::Zoom => "a signed `endpoint.url_validation` is answered with its token and an HMAC of the token",
        Handshake::Twitch => "a signed `webhook_callback_verification` is answered with its challenge as text",
        Handshake::DiscordInteractions => {
            "a signed PING (type 1) is answered `{\"type\":1}`; those signed wrongly on purpose get 401"
        }
        Handshake::DiscordEvents => "a signed PING (type 0) is answered 204; those signed wrongly on purpose get 401",
        Handshake::AwsSns => "a signed `SubscriptionConfirmation` is forwarded: your app or you confirm it",
        Handshake::Xero => {
            "what is signed is answered 200, what is signed wrongly on purpose 401, both with an empty body"
        }
        Handshake::XTwitter => {
            "`GET ?crc_token=…` is answered with an HMAC of the token; a delivery that such a token could be is refused"
        }
        Handshake::Braintree => "`GET ?bt_challenge=…` is answered with the public key and an HMAC of the challenge",
        Handshake::Okta => "a GET with `X-Okta-Verification-Challenge` is answered with its value as JSON",
        Handshake::MicrosoftGraph => "an empty `POST ?validationToken=…` is answered with the token as text",
        Handshake::Meta => {
            "`GET ?hub.mode=subscribe&…` is answered with its challenge as text if it brings your `verify_token`, else 403"
        }
        Handshake::Lark => {
            "a `url_verification` is answered with its challenge if it brings your `verify_token`; encrypted ones are forwarded"
        }
        Handshake::Asana => {
            "the POST that brings `X-Hook-Secret` is forwarded; with `learn:PATH` as the secret it is answered and kept, once"
        }
        Handshake::Notion => {
            "the POST that brings `verification_token` is forwarded; with `learn:PATH` as the secret it is answered and kept, once"
        }
        Handshake::Trello => "HEAD is answered 200 without a body",
        Handshake::Dropbox => "`GET ?challenge=…` is answered with the challenge as text",
        Handshake::Monday => "a POST of `{\"challenge\":…}` is answered with the same",
    }
}

/// Whether it is answered only to somebody who knows the route's `verify_token`.
pub(super) const fn needs_verify_token(handshake: Handshake) -> bool {
    matches!(handshake, Handshake::Meta | Handshake::Lark)
}

/// Whether the secret itself comes with it.
pub(super) const fn brings_the_secret(handshake: Handshake) -> bool {
    matches!(handshake, Handshake::Asana | Handshake::Notion)
}
