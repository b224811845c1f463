//! The table `ack`: the answer to a duplicate, for providers that expect certain words (schemes:
//! Acknowledgement).

use super::super::reader::{Findings, Item};
use crate::scheme::Ack;

const EXAMPLE: &str = "ack = { status = 200, body = \"ok\" }";

/// The longest body of the answer, in bytes: more than any provider asks for.
const MAX_BODY: usize = 4096;

/// Reads the answer.
pub(super) fn read(item: &Item<'_>, findings: &mut Findings) -> Option<Ack> {
    let mut table = item.table(findings, EXAMPLE)?;
    let status = match table.item("status") {
        Some(item) => item
            .integer(findings, 200..=299)
            .and_then(|status| u16::try_from(status).ok()),
        None => Some(200),
    };
    let body_item = table.item("body");
    let body = body_item
        .as_ref()
        .map_or(Some(""), |item| item.text(findings, "body = \"ok\""));
    let content_type = table.item("content_type");
    let content_type = content_type.map_or(Some("text/plain"), |item| {
        read_content_type(&item, findings)
    });
    table.finish(findings);
    let (status, body) = (status?, body?);
    if let Some(item) = &body_item {
        // A response with status 204 or 205 has no body (RFC 9110 15.3.5, 15.3.6).
        if matches!(status, 204 | 205) && !body.is_empty() {
            item.refuse(
                findings,
                "cannot be sent: a response with this status has no body",
                "leave it out, or write 200",
            );
            return None;
        }
        if body.len() > MAX_BODY {
            item.refuse(
                findings,
                format_args!("is longer than {MAX_BODY} bytes"),
                "shorten it",
            );
            return None;
        }
    }
    Some(Ack {
        status,
        body: body.to_owned(),
        content_type: content_type?.to_owned(),
    })
}

fn read_content_type<'t>(item: &Item<'t>, findings: &mut Findings) -> Option<&'t str> {
    let text = item.text(findings, "content_type = \"text/plain\"")?;
    let is_fit = text
        .split_once('/')
        .is_some_and(|(kind, of)| !kind.is_empty() && !of.is_empty())
        && text.len() <= 128
        && text.trim() == text
        && text.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    if !is_fit {
        item.refuse(
            findings,
            "is no content type",
            "write it as in `text/plain` or `application/json`",
        );
    }
    is_fit.then_some(text)
}
