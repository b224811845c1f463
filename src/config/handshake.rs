//! `[route.handshake]`: who answers a provider's handshake, and with which values (schemes:
//! Handshakes).

use super::reader::{Findings, Item, Table};
use super::secrets;
use super::secrets::Sources;
use crate::key::secret::{Secret, SecretText};
use crate::scheme::Scheme;

/// The settings of a route for the handshake of its scheme.
#[derive(Clone, Debug, Default)]
pub struct HandshakeSettings {
    /// The side that answers.
    pub mode: HandshakeMode,
    /// The token that the provider sends along to show who it is (Meta, Lark).
    pub verify_token: Option<SecretText>,
    /// The public half of a pair of keys (Braintree).
    pub public_key: Option<String>,
}

/// The side that answers a handshake. Without meaning where the scheme has no handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HandshakeMode {
    /// `answer`: the gateway.
    #[default]
    Answer,
    /// `forward`: the application behind it.
    Forward,
    /// `off`: nobody; it is judged like any delivery.
    Off,
}

const EXAMPLE: &str = "[route.handshake]\nmode = \"answer\"";

impl HandshakeSettings {
    /// Reads the table of a route whose scheme is `scheme`.
    pub(super) fn read(
        item: &Item<'_>,
        findings: &mut Findings,
        sources: &Sources<'_>,
        scheme: Option<&Scheme>,
    ) -> Self {
        let handshake = scheme.map(|scheme| scheme.handshake);
        if matches!(handshake, Some(None)) {
            findings.hide_all(item.value);
            let message = format!(
                "the route has `{}`, but its scheme has no handshake",
                item.path
            );
            let help = "leave the table out, or name the handshake in the scheme, as in `handshake = \"slack\"`";
            findings.problem(item.key_span.clone(), message, help);
            return Self::default();
        }
        let Some(mut table) = item.table(findings, EXAMPLE) else {
            return Self::default();
        };
        let mode = table.item("mode").and_then(|item| {
            item.one_of(
                findings,
                &["answer", "forward", "off"],
                &[],
                |name| match name {
                    "answer" => Some(HandshakeMode::Answer),
                    "forward" => Some(HandshakeMode::Forward),
                    "off" => Some(HandshakeMode::Off),
                    _ => None,
                },
            )
        });
        let token_item = table.item("verify_token");
        let verify_token = token_item.as_ref().and_then(|item| {
            let token = secrets::read_reference(item, findings, sources)?;
            secrets::judge_token(item, &token, findings).map(|()| token)
        });
        let key_item = table.item("public_key");
        let public_key = key_item
            .as_ref()
            .and_then(|item| read_public_key(item, findings));
        table.finish(findings);
        if let Some(handshake) = handshake.flatten() {
            let uses = [
                (token_item, handshake.wants_verify_token()),
                (key_item, handshake.wants_public_key()),
            ];
            for item in uses
                .into_iter()
                .filter(|(_, is_used)| !is_used)
                .filter_map(|(item, _)| item)
            {
                let message =
                    format_args!("means nothing for the handshake `{}`", handshake.name());
                item.refuse(findings, message, "leave it out");
            }
        }
        Self {
            mode: mode.unwrap_or_default(),
            verify_token,
            public_key,
        }
    }

    /// Refuses a route that lacks a value which the gateway needs to answer the handshake of
    /// `scheme`.
    pub(super) fn judge(
        &self,
        scheme: &Scheme,
        secrets: &[Secret],
        table: &Table<'_>,
        findings: &mut Findings,
    ) {
        let Some(handshake) = scheme
            .handshake
            .filter(|_| self.mode == HandshakeMode::Answer)
        else {
            return;
        };
        let span = table.span_of("handshake");
        let name = handshake.name();
        // A token that could not be read has its own problem.
        let says_token = table.span_of("handshake.verify_token") != span;
        if handshake.wants_verify_token() && self.verify_token.is_none() && !says_token {
            findings.absence(
                span,
                format!(
                    "the handshake `{name}` carries a token that must be checked, and the route has no \
                     `verify_token`"
                ),
                "write `verify_token = \"env:VERIFY_TOKEN\"` under `[route.handshake]`, or `mode = \"forward\"` there to \
                 let the application answer",
            );
        } else if handshake.wants_public_key() && self.public_key.is_none() && !secrets.is_empty() {
            let says_key = table.span_of("handshake.public_key") != span;
            let brings_public = secrets
                .iter()
                .all(|secret| handshake.public_half(&secret.text).is_some());
            if !brings_public && !says_key {
                findings.absence(
                    span,
                    format!(
                        "the handshake `{name}` is answered with the public key, and the route has no \
                         public key"
                    ),
                    "write the secret as `PUBLIC_KEY:PRIVATE_KEY`, or `public_key = \"…\"` under `[route.handshake]`, or \
                     `mode = \"forward\"` there to let the application answer",
                );
            }
        }
    }
}

fn read_public_key(item: &Item<'_>, findings: &mut Findings) -> Option<String> {
    let text = item.text(findings, "public_key = \"integration_public_key\"")?;
    // The answer of the handshake has a `|` behind the public key, and a secret has a `:` behind
    // it.
    let is_fit = (1..=256).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_graphic() && !b"|:".contains(&b));
    if !is_fit {
        item.refuse(
            findings,
            "is no public key of Braintree",
            "copy it from the control panel: letters and digits",
        );
    }
    is_fit.then(|| text.to_owned())
}
