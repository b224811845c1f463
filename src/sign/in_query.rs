//! The target of a request whose signature is a parameter of the URL's query (schemes: Signature).

use super::{SignError, SignRequest, id, required, value_by_template};
use crate::key::secret::Secret;
use crate::notation::query::without;
use crate::scheme::Scheme;

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
    let mut headers = required(scheme);
    headers.extend(id(scheme, request));
    let signature = value_by_template(scheme, template, secret, request, &mut headers)?;
    let target = without(request.target, name);
    let sign = if target.contains('?') { '&' } else { '?' };
    Ok(Some(format!("{target}{sign}{name}={signature}")))
}
