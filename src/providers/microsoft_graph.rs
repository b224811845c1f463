//! Microsoft Graph: a token in the query of an empty POST is answered as text (schemes:
//! Handshakes).

use super::query;
use super::reading::printable;
use crate::scheme::handshake::{Asked, Handshake, Reply};
use crate::verdict::Refusal;
use crate::wire::head::Head;

/// Microsoft Graph's handshake.
#[derive(Debug)]
pub(super) struct MicrosoftGraph;

impl Handshake for MicrosoftGraph {
    fn name(&self) -> &'static str {
        "microsoft-graph"
    }

    fn words(&self) -> &'static str {
        "an empty `POST ?validationToken=…` is answered with the token as text"
    }

    fn in_head(&self, head: &Head) -> Result<Option<Asked>, Refusal> {
        // SharePoint, which sends the same notifications, writes the name in small letters.
        let token = match query::parameter_of(head, "POST", "validationToken")? {
            None => query::parameter_of(head, "POST", "validationtoken")?,
            found => found,
        };
        match token {
            Some(token) => {
                let token = printable(&token, |byte| *byte == b' ' || byte.is_ascii_graphic())?;
                Ok(Some(Asked::Echo(Reply::text(token))))
            }
            None => Ok(None),
        }
    }
}
