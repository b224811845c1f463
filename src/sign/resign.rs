//! Signing anew: the headers by which an app knows a delivery that the gateway has proved, in the
//! form of Standard Webhooks (contract: Signing anew). A pure function of the keys, the event key,
//! the time of the attempt and the body.
//!
//! Which deliveries are signed is decided where they are forwarded, and the keys are judged where
//! the configuration is read.

use crate::clock::UnixMillis;
use crate::key::digest::{DigestAlgorithm, Mac};
use crate::notation::decimal::push_number;
use crate::notation::encoding::Encoding;
use crate::verify::claim::EventKey;

/// The keys of a route that signs anew, each as a state that has absorbed it. They are wiped on
/// drop and never printed.
#[derive(Clone, Debug)]
pub struct Resigner {
    macs: Vec<Mac>,
}

/// The values of the three headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resigned {
    /// The key of the event, the same at each attempt.
    pub id: EventKey,
    /// The time of the attempt, in seconds since 1970.
    pub timestamp: Vec<u8>,
    /// A signature for each key, in their order, with a blank between two.
    pub signature: Vec<u8>,
}

impl Resigner {
    /// The signer with these keys, in the order in which their signatures are written.
    pub fn new<'k>(keys: impl IntoIterator<Item = &'k [u8]>) -> Self {
        let mac = |key| DigestAlgorithm::HmacSha256.mac(key);
        Self {
            macs: keys.into_iter().map(mac).collect(),
        }
    }

    /// The number of bytes that are hashed to sign a body of `length` bytes.
    pub fn work(&self, length: usize) -> u64 {
        (length as u64).saturating_mul(self.macs.len() as u64)
    }

    /// Signs the event `id` with `body` for an attempt that is made at `at`.
    pub fn sign(&self, id: EventKey, at: UnixMillis, body: &[u8]) -> Resigned {
        let mut timestamp = Vec::with_capacity(10);
        let seconds = u64::try_from(at.0 / 1000).unwrap_or_default();
        push_number(&mut timestamp, seconds);
        let mut signature = Vec::with_capacity(48 * self.macs.len());
        for mac in &self.macs {
            let mut mac = mac.clone();
            for part in [id.as_bytes(), b".", &timestamp, b".", body] {
                mac.update(part);
            }
            if !signature.is_empty() {
                signature.push(b' ');
            }
            signature.extend_from_slice(b"v1,");
            let text = Encoding::Base64.encode(mac.finalize().as_bytes());
            signature.extend_from_slice(text.as_bytes());
        }
        Resigned {
            id,
            timestamp,
            signature,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::verify::claim::{Beside, RouteIdentities};

    fn key_of(id: &str) -> EventKey {
        let beside = Beside::default();
        let identity = RouteIdentities::new("itellico", beside).by_id(id);
        identity.event_key(beside, None, b"")
    }

    /// Both signatures are those of Python's library `standardwebhooks` 1.1.0, which was given the
    /// base64 of these keys and the id `625d248fdfc26a84e1a08e97248fb091`.
    #[test]
    fn the_signatures_are_those_of_the_library() {
        let (new, old) = ([7_u8; 32], [9_u8; 24]);
        let at = UnixMillis(1_795_392_000_999);
        let signer = Resigner::new([&new[..], &old]);
        let signed = signer.sign(key_of("evt_1"), at, "{\"a\":\"é\"}".as_bytes());
        assert_eq!(signed.id.as_str(), "625d248fdfc26a84e1a08e97248fb091");
        assert_eq!(signed.timestamp, b"1795392000");
        assert_eq!(
            String::from_utf8(signed.signature).unwrap(),
            "v1,MAZPpcjxU92tq31LQh9mBexHdL0Q/z1RqekKeSznzsM= \
             v1,KoBXwV75aQurUaouZe5y4WbMi1KEORHy2Jx2EYmovso="
        );
        assert_eq!(signer.work(1000), 2000);
    }

    #[test]
    fn each_of_id_time_and_body_is_signed() {
        let signer = Resigner::new([&[7_u8; 32][..]]);
        let sign = |id, seconds, body: &[u8]| {
            let signed = signer.sign(key_of(id), UnixMillis::from_secs(seconds), body);
            signed.signature
        };
        let plain = sign("evt_1", 1, b"{}");
        assert_eq!(plain, sign("evt_1", 1, b"{}"));
        for other in [
            sign("evt_2", 1, b"{}"),
            sign("evt_1", 2, b"{}"),
            sign("evt_1", 1, b"[]"),
        ] {
            assert_ne!(plain, other);
        }
        assert_eq!(format!("{signer:?}"), "Resigner { macs: [Mac(hidden)] }");
    }
}
