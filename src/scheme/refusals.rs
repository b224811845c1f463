//! The refusals that templates, providers' code and the verifier share word for word.

use crate::verdict::{Code, Refusal};

/// A signature header on several lines, where the scheme allows a single line.
pub const SEVERAL_SIGNATURES: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signature header is there more than once",
);

/// A signature in several parameters of a query, where the scheme has one.
pub const SEVERAL_PARAMETERS: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the parameter of the query that holds the signature is there more than once, or under another \
     spelling of its name",
);

/// A query without the parameter that holds the signature.
pub const NO_PARAMETER: Refusal = Refusal::because(
    Code::MissingSignature,
    "the query of the URL has no parameter with the signature",
);

/// A signature in another spelling than the scheme's.
pub const NO_SIGNATURE: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signature does not have the encoding and length that this scheme gives it",
);

/// A list without a signature that counts.
pub const NONE_IN_LIST: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signature header lists no signature of the label, encoding and length that this scheme gives it",
);

/// A signed URL that the route does not know.
pub const NO_PUBLIC_URL: Refusal = Refusal::because(
    Code::MalformedSignature,
    "the signed URL is not known: the route has no public_url",
);
