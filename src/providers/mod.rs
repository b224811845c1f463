//! The providers that need code of their own, one file for each: how a delivery and its signatures
//! are read, how a handshake is recognised and answered, how secrets are read, and the words for
//! all this in `verigate providers`.
//!
//! A new provider is a file that implements [`ProviderCode`] or [`Handshake`] or both, a line in
//! [`CODES`] or [`HANDSHAKES`], and a preset. Only the configuration looks a provider up by its
//! name; all other rooms call the traits.
//!
//! What enters: facts about a single provider and, in `reading` and `query`, the readers that
//! several providers share. Keys, comparison, freshness and rotation stay in the verifier. May
//! import: [`crate::scheme`] and the rooms below it.

mod adyen;
mod asana;
mod aws_sns;
mod bitbucket;
mod braintree;
mod contentful;
mod discord;
mod dropbox_sign;
mod front;
mod hook0;
mod intercom;
mod keygen;
mod lark;
mod linkedin;
mod mandrill;
mod mercadopago;
mod message_signatures;
mod meta;
mod microsoft_graph;
mod monday;
mod notion;
mod okta;
mod plivo;
mod query;
mod query_echo;
mod quoted;
mod reading;
mod slack;
mod smartcar;
mod trello;
mod twilio;
mod twitch;
mod url_parts;
mod woocommerce;
mod x_twitter;
mod xero;
mod zoom;

#[cfg(test)]
mod tests;

use crate::scheme::code::ProviderCode;
use crate::scheme::handshake::Handshake;

/// Every provider's code, in the order in which they are documented.
pub static CODES: [&dyn ProviderCode; 12] = [
    &twilio::Twilio,
    &plivo::PlivoV3,
    &adyen::Adyen,
    &aws_sns::AwsSns,
    &contentful::Contentful,
    &braintree::Braintree,
    &dropbox_sign::DropboxSign,
    &mercadopago::MercadoPago,
    &hook0::Hook0,
    &keygen::Keygen,
    &message_signatures::MessageSignatures,
    &mandrill::Mandrill,
];

/// The code of this name.
pub fn code(name: &str) -> Option<&'static dyn ProviderCode> {
    CODES.into_iter().find(|code| code.name() == name)
}

/// Every handshake, in the order in which they are documented.
pub static HANDSHAKES: [&dyn Handshake; 27] = [
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
    &intercom::Intercom,
    &query_echo::DROPBOX,
    &query_echo::ADOBE_IO_EVENTS,
    &query_echo::NYLAS,
    &query_echo::ONFLEET,
    &front::Front,
    &linkedin::LinkedIn,
    &smartcar::Smartcar,
    &monday::Monday,
    &woocommerce::WooCommerce,
    &bitbucket::Bitbucket,
];

/// The handshake of this name.
pub fn handshake(name: &str) -> Option<&'static dyn Handshake> {
    HANDSHAKES
        .into_iter()
        .find(|handshake| handshake.name() == name)
}
