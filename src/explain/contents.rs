//! The values of a body, whatever its form: a JSON document, a form, or documents in the fields of a
//! form.

use serde_json::Value;

use crate::notation::form;
use crate::notation::json::Pointer;
use crate::scheme::{Scheme, Source, TemplateScheme};

/// The values of a body: those of JSON, and those of a form.
pub(super) struct Contents<'b> {
    body: &'b [u8],
    pub(super) documents: Vec<Value>,
    pub(super) fields: Vec<(Vec<u8>, Vec<u8>)>,
}

impl<'b> Contents<'b> {
    pub(super) fn of(body: &'b [u8]) -> Self {
        let document = serde_json::from_slice::<Value>(body).ok();
        let parts = || form::parts(body).map(|(_, fields)| fields.pairs);
        let fields = match document {
            Some(_) => Vec::new(),
            None => parts().or_else(|| form::pairs(body)).unwrap_or_default(),
        };
        // A field of a form may hold a document.
        let in_fields = fields
            .iter()
            .filter_map(|(_, value)| serde_json::from_slice(value).ok());
        let documents = document.into_iter().chain(in_fields);
        Self {
            documents: documents.filter(Value::is_object).collect(),
            body,
            fields,
        }
    }

    /// Whether a place of the body is there, for a scheme that reads it.
    pub(super) fn hold(&self, scheme: &Scheme, source: &Source) -> bool {
        match source {
            Source::Header(_) | Source::Query(_) => false,
            Source::Field(name) => self.has_field(name),
            Source::Json(pointer) => {
                let tokens = pointer.tokens.as_slice();
                let form = scheme.template().and_then(TemplateScheme::form_at);
                let field = form.and_then(|at| tokens.strip_prefix(at.tokens.as_slice()));
                let mut documents = self.documents.iter();
                documents.any(|document| leads(document, tokens))
                    || field.is_some_and(|field| self.has_field(&field.join("/")))
            }
            Source::Body => {
                let text = self.body.trim_ascii();
                text.starts_with(b"eyJ") && text.split(|byte| *byte == b'.').count() == 3
            }
        }
    }

    fn has_field(&self, name: &str) -> bool {
        self.fields
            .iter()
            .any(|(own, value)| own == name.as_bytes() && !value.is_empty())
    }
}

/// Whether the tokens of a pointer lead to a value of a document.
fn leads(document: &Value, tokens: &[String]) -> bool {
    let Some((token, rest)) = tokens.split_first() else {
        return !document.is_null();
    };
    match document {
        Value::Array(items) if token == Pointer::EACH => items.iter().any(|item| leads(item, rest)),
        Value::Array(items) => {
            let item = token.parse::<usize>().ok().and_then(|at| items.get(at));
            item.is_some_and(|item| leads(item, rest))
        }
        Value::Object(members) => members.get(token).is_some_and(|item| leads(item, rest)),
        _ => false,
    }
}
