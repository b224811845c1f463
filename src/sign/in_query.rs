//! The target of a request whose signature is a parameter of the URL's query (schemes: Signature).

use super::listed::listed;
use super::{SignError, SignRequest, Signed, by_template};
use crate::key::secret::Secret;
use crate::notation::query::without;
use crate::scheme::{Scheme, TimestampPlace};

/// The target of the request with the signature in its query; `None` where the scheme puts the
/// signature elsewhere.
///
/// # Errors
/// As [`sign`](super::sign) says.
pub fn signed_target(
    scheme: &Scheme,
    secret: &Secret,
    request: &SignRequest<'_>,
) -> Result<Option<String>, SignError> {
    let Some((template, name)) = scheme
        .template()
        .and_then(|template| Some((template, template.signature.query.as_ref()?)))
    else {
        return Ok(None);
    };
    let timestamp = template.timestamp.as_ref();
    let text = timestamp.map(|place| place.unit.write(request.at).ok_or(SignError::Time));
    let text = text.transpose()?;
    let mut headers = Vec::new();
    if let (Some(name), Some(text)) = (timestamp.and_then(TimestampPlace::header), &text) {
        headers.push((name, text.clone()));
    }
    if let (Some(name), Some(id)) = (scheme.id_header(), request.id) {
        headers.push((name, id.to_owned()));
    }
    let signed = Signed {
        scheme,
        template,
        secret,
        request,
        timestamp: text.as_deref(),
    };
    let signature = listed(template, text.as_deref(), by_template(&signed, &headers)?);
    let target = without(request.target, name);
    let sign = if target.contains('?') { '&' } else { '?' };
    Ok(Some(format!("{target}{sign}{name}={signature}")))
}
