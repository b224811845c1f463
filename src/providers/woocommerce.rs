//! WooCommerce: the unsigned ping by which it tries an endpoint when a webhook is saved is answered
//! 200 (schemes: Handshakes; `WC_Webhook::deliver_ping` of the plugin).
//!
//! The ping is a form of one field, `webhook_id=N`, and holds no event. WooCommerce saves the
//! webhook only if the answer is 200.

use crate::scheme::handshake::{Asked, Handshake, Reply, SmallBody};
use crate::verdict::Refusal;

/// WooCommerce's handshake.
#[derive(Debug)]
pub(super) struct WooCommerce;

/// The most digits of a webhook's number, which is a 64-bit integer.
const MAX_DIGITS: usize = 20;

impl Handshake for WooCommerce {
    fn name(&self) -> &'static str {
        "woocommerce"
    }

    fn words(&self) -> &'static str {
        "the unsigned form `webhook_id=N`, sent when a webhook is saved, is answered 200"
    }

    fn reads_body(&self) -> bool {
        true
    }

    fn in_body(&self, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        let number = body.bytes().strip_prefix(b"webhook_id=");
        let is_ping = number.is_some_and(|number| {
            (1..=MAX_DIGITS).contains(&number.len())
                && number.iter().all(u8::is_ascii_digit)
                && !number.starts_with(b"0")
        });
        Ok(is_ping.then(|| Asked::Probe(Reply::empty(200))))
    }
}
