//! The values that a template takes from a request before it is signed: the headers made so far,
//! and the request's own.
//!
//! The verifier has a counterpart for a head that arrived. Nothing is decided here.

use super::SignRequest;
use crate::scheme::template::Facts;
use crate::scheme::{Place, PublicUrl, Scheme};
use crate::wire::head::{FieldName, Found};

/// A request in the making, as a template sees it.
pub(super) struct Outgoing<'r> {
    pub(super) scheme: &'r Scheme,
    pub(super) request: &'r SignRequest<'r>,
    pub(super) headers: &'r [(&'r FieldName, String)],
    pub(super) timestamp: Option<&'r str>,
    pub(super) public_url: Option<PublicUrl>,
}

impl Facts for Outgoing<'_> {
    fn method(&self) -> &str {
        self.request.method
    }

    fn target(&self) -> &str {
        self.request.target
    }

    fn timestamp(&self) -> Option<&[u8]> {
        self.timestamp.map(str::as_bytes)
    }

    fn id(&self) -> Found<'_> {
        match &self.scheme.event_id {
            Some(Place::Header(name)) => self.header(name),
            _ => Found::Nothing,
        }
    }

    fn header(&self, name: &FieldName) -> Found<'_> {
        let ours = self
            .headers
            .iter()
            .filter(|(n, _)| *n == name)
            .map(|(_, value)| value.as_str());
        let others = self
            .request
            .headers
            .iter()
            .filter(|(n, _)| name.is_or_aliases(n.as_bytes()))
            .map(|(_, v)| *v);
        let mut values = ours.chain(others);
        match (values.next(), values.next()) {
            (None, _) => Found::Nothing,
            (Some(value), None) => Found::One(value.trim_ascii().as_bytes()),
            (Some(_), Some(_)) => Found::Several,
        }
    }

    fn public_url(&self) -> Option<&PublicUrl> {
        self.public_url.as_ref()
    }
}
