//! The providers that need code of their own: one file for each, which says what the provider signs, how its handshake
//! asks and is answered, how its secrets are read, and what all that is called in words.
//!
//! A new provider is one file with an implementation of [`ProviderCode`] or [`Handshake`] or both, one line in [`CODES`] or
//! [`HANDSHAKES`], and one preset. The names are looked up by the configuration; everybody else asks the traits.
//!
//! Entered by: a provider's own facts. May import: [`crate::scheme`] and the rooms below it.

mod adyen;
mod asana;
mod aws_sns;
mod braintree;
mod contentful;
mod discord;
mod dropbox;
mod dropbox_sign;
mod lark;
mod mercadopago;
mod meta;
mod microsoft_graph;
mod monday;
mod notion;
mod okta;
mod plivo;
mod query;
mod reading;
mod slack;
mod trello;
mod twilio;
mod twitch;
mod x_twitter;
mod xero;
mod zoom;

#[cfg(test)]
mod tests;

use crate::scheme::code::ProviderCode;
use crate::scheme::handshake::Handshake;

/// Every provider's code, in the order in which they are documented.
pub static CODES: [&dyn ProviderCode; 8] = [
    &twilio::Twilio,
    &plivo::PlivoV3,
    &adyen::Adyen,
    &aws_sns::AwsSns,
    &contentful::Contentful,
    &braintree::Braintree,
    &dropbox_sign::DropboxSign,
    &mercadopago::MercadoPago,
];

/// The code of this name.
pub fn code(name: &str) -> Option<&'static dyn ProviderCode> {
    CODES.into_iter().find(|code| code.name() == name)
}

/// Every handshake, in the order in which they are documented.
pub static HANDSHAKES: [&dyn Handshake; 18] = [
    &slack::Slack,
    &zoom::Zoom,
    &twitch::Twitch,
    &discord::Interactions,
    &discord::Events,
    &aws_sns::AwsSns,
    &xero::Xero,
    &x_twitter::XTwitter,
    &braintree::Braintree,
    &okta::Okta,
    &microsoft_graph::MicrosoftGraph,
    &meta::Meta,
    &lark::Lark,
    &asana::Asana,
    &notion::Notion,
    &trello::Trello,
    &dropbox::Dropbox,
    &monday::Monday,
];

/// The handshake of this name.
pub fn handshake(name: &str) -> Option<&'static dyn Handshake> {
    HANDSHAKES
        .into_iter()
        .find(|handshake| handshake.name() == name)
}
