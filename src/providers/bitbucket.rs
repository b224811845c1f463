//! Bitbucket Data Center: the unsigned body of "Test connection" is answered 200 (schemes:
//! Handshakes).
//!
//! Bitbucket sends it with `X-Event-Key: diagnostics:ping` and without a signature, even where the
//! webhook has a secret. Its body says nothing but that it is a test.

use crate::scheme::handshake::{Asked, Handshake, Reply, SmallBody};
use crate::verdict::Refusal;

/// Bitbucket's handshake.
#[derive(Debug)]
pub(super) struct Bitbucket;

/// The longest body that counts as a test, in bytes: the test and some white space.
const MAX_TEST: usize = 64;

impl Handshake for Bitbucket {
    fn name(&self) -> &'static str {
        "bitbucket"
    }

    fn words(&self) -> &'static str {
        "the unsigned `{\"test\": true}` of \"Test connection\" (Data Center) is answered 200"
    }

    fn reads_body(&self) -> bool {
        true
    }

    fn in_body(&self, body: SmallBody<'_>) -> Result<Option<Asked>, Refusal> {
        let bytes = body.bytes();
        // The names and values of the test hold no white space, so that it is only between them.
        let is_test = bytes.len() <= MAX_TEST
            && bytes
                .iter()
                .filter(|byte| !byte.is_ascii_whitespace())
                .eq(br#"{"test":true}"#);
        Ok(is_test.then(|| Asked::Probe(Reply::empty(200))))
    }
}
