//! Whose delivery is it? The accounts that a route takes, and the judgement on a proved delivery
//! (contract: Accounts).
//!
//! A key that signs for every customer of a provider proves the provider, not the customer. So a
//! route may list the accounts that are the operator's own. The account is read from the bytes that
//! were verified, by the code that reads the envelope, and before the envelope is judged.

use crate::scheme::{ProviderCode, Scheme};
use crate::verify::envelope::{Envelope, EventText, MAX_LABEL_BYTES};
use crate::wire::head::Head;

/// The longest account that a route may list, in bytes. It is shorter than the length at which an
/// account of a delivery is cut, so that a cut account is never taken for a listed one.
pub const MAX_ACCOUNT_BYTES: usize = 512;
const _: () = assert!(MAX_ACCOUNT_BYTES < MAX_LABEL_BYTES);

/// The accounts of a route, and where a delivery names its own.
#[derive(Clone, Debug)]
pub struct Accounts {
    listed: Vec<String>,
    /// Reads the account alone.
    place: Envelope,
    code: Option<&'static dyn ProviderCode>,
}

/// A proved delivery of an account that its route does not list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlisted {
    /// The account, at most [`MAX_LABEL_BYTES`] long, with any
    /// character in it. `None` where the delivery names no account, or names it in two ways.
    pub account: Option<EventText>,
}

impl Accounts {
    /// The accounts of a route with this scheme. The caller has made sure that the scheme signs the
    /// place of the account.
    pub fn of(scheme: &Scheme, listed: Vec<String>) -> Self {
        let account_alone = Scheme {
            event_id: None,
            event_id_required: false,
            event_type: None,
            event_type_required: false,
            account_required: true,
            ..scheme.clone()
        };
        Self {
            listed,
            place: Envelope::of(&account_alone),
            code: scheme.code(),
        }
    }

    /// Judges a proved delivery. `body` is the body in the form that was signed; `claims` are those
    /// of the token that signs the delivery.
    ///
    /// # Errors
    /// [`Unlisted`] where the account, byte for byte, is not in the list. The part of an account
    /// that names its holder may be listed too.
    pub fn judge(&self, head: &Head, body: &[u8], claims: Option<&[u8]>) -> Result<(), Unlisted> {
        let event = self.place.extract(head, body, claims);
        let account = event.ok().and_then(|event| event.account);
        let is_own = account.as_deref().is_some_and(|account| {
            let holder = self.code.and_then(|code| code.account_holder(account));
            self.lists(account) || holder.is_some_and(|holder| self.lists(holder))
        });
        if is_own {
            Ok(())
        } else {
            Err(Unlisted { account })
        }
    }

    /// The work of [`judge`](Self::judge), estimated as a number of bytes that take as long to hash.
    pub fn work(&self, body: &[u8]) -> u64 {
        self.place.work(body)
    }

    fn lists(&self, account: &str) -> bool {
        self.listed.iter().any(|listed| listed == account)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::notation::json::Pointer;
    use crate::scheme::tests::fixtures::plain;
    use crate::scheme::{Place, ProofBy};

    /// A scheme that signs the body, with the account at this place of it.
    fn scheme(account: &str) -> Scheme {
        Scheme {
            account: Some(Place::Json(vec![Pointer::parse(account).unwrap()])),
            ..plain("{body}")
        }
    }

    fn judged(scheme: &Scheme, listed: &[&str], body: &str) -> Result<(), Option<String>> {
        let head = Head::from_parts("POST", "/", std::iter::empty::<(&[u8], &[u8])>()).unwrap();
        let listed = listed.iter().map(|account| (*account).to_owned()).collect();
        let judged = Accounts::of(scheme, listed).judge(&head, body.as_bytes(), None);
        judged.map_err(|unlisted| unlisted.account.map(|account| account.to_string()))
    }

    #[test]
    fn au_40_an_account_is_compared_byte_for_byte_and_read_from_a_single_place() {
        let of = |id: &str| format!("{{\"broadcaster\":{{\"user_id\":{id}}}}}");
        let rows = [
            ("listed", of("12345"), Ok(())),
            ("listed, as text", of("\"12345\""), Ok(())),
            ("another", of("12346"), Err(Some("12346"))),
            ("longer", of("123456"), Err(Some("123456"))),
            ("a space", of("\"12345 \""), Err(Some("12345 "))),
            ("a leading zero", of("\"012345\""), Err(Some("012345"))),
            ("a fraction", of("12345.0"), Err(None)),
            ("null", of("null"), Err(None)),
            ("empty", of("\"\""), Err(None)),
            ("absent", "{\"broadcaster\":{}}".to_owned(), Err(None)),
            ("no object", "[]".to_owned(), Err(None)),
            ("no JSON", "broadcaster=12345".to_owned(), Err(None)),
            ("nothing", String::new(), Err(None)),
            (
                "the key twice",
                "{\"broadcaster\":{\"user_id\":1,\"user_id\":12345}}".to_owned(),
                Err(None),
            ),
            (
                "its object twice",
                "{\"broadcaster\":{\"user_id\":12345},\"broadcaster\":{}}".to_owned(),
                Err(None),
            ),
        ];
        let mut wrong = Vec::new();
        for (name, body, expected) in rows {
            let found = judged(&scheme("/broadcaster/user_id"), &["999", "12345"], &body);
            let found = found.as_ref().copied().map_err(Option::as_deref);
            if found != expected {
                wrong.push((name, format!("{found:?}")));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
    }

    #[test]
    fn au_40_a_topic_is_listed_by_its_arn_or_by_the_aws_account_that_holds_it() {
        const ARN: &str = "arn:aws:sns:eu-west-1:123456789012:orders";
        let sns = Scheme {
            proof: ProofBy::Code(crate::providers::code("aws-sns").unwrap()),
            ..scheme("/TopicArn")
        };
        let is_own = |listed: &[&str], topic: &str| {
            let body = format!("{{\"Type\":\"Notification\",\"TopicArn\":\"{topic}\"}}");
            judged(&sns, listed, &body).is_ok()
        };
        assert!(is_own(&[ARN], ARN));
        assert!(is_own(&["123456789012"], ARN));
        assert!(is_own(
            &["123456789012"],
            "arn:aws-cn:sns:cn-north-1:123456789012:x.fifo"
        ));
        let foreign = [
            "arn:aws:sns:eu-west-1:999999999999:orders",
            "arn:aws:sns:eu-west-1:999999999999:123456789012",
            "arn:aws:sns:eu-west-1:999999999999:x:123456789012",
            "arn:aws:sns:123456789012:999999999999:x",
            "arn:aws:sqs:eu-west-1:123456789012:x",
            "arn:aws:sns:eu-west-1:123456789012",
            "arn:aws:sns:eu-west-1:0123456789012:x",
            "123456789012",
            "",
        ];
        for topic in foreign {
            let listed: &[&str] = if topic == "123456789012" {
                &[ARN]
            } else {
                &["123456789012", ARN]
            };
            assert!(!is_own(listed, topic), "{topic}");
        }
    }
}
