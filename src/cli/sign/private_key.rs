//! The private key of `sign --route`, whose route has only the public key.

use anyhow::bail;

use crate::cli::subject::secret;
use crate::config::public_keys;
use crate::key::secret::Secret;
use crate::scheme::Scheme;
use crate::sign::public_half;

/// The reason why a route that has a public key signs nothing by itself, with help.
pub(super) const OF_A_ROUTE: &str = "the route has the public key, which verifies: name with \
    `--private-key FILE` the private key that belongs to it. If the provider alone has that key, make \
    a pair of your own for the test (`openssl genpkey`), and give its public half to the route";

/// Reads the key that `--private-key` names, a file or a reference to a secret.
///
/// # Errors
/// Why it cannot be read, or signs nothing under this scheme.
pub(super) fn private_key(named: &str, scheme: &Scheme) -> anyhow::Result<Secret> {
    let forms = ["env:", "file:", "cred:", "plain:"];
    let is_reference = forms.iter().any(|form| named.starts_with(form));
    let reference = if is_reference {
        named.to_owned()
    } else {
        format!("file:{named}")
    };
    let key = secret("--private-key", &reference, 1)?;
    let wanted = scheme.wanted();
    if !wanted.public {
        bail!(
            "`--private-key` has no place: this scheme signs with a shared secret, which the route has"
        );
    }
    if wanted.shared && public_half(scheme, &key).is_none() {
        bail!(
            "`--private-key` holds no private key that this scheme takes: write PEM of PKCS #8, or \
             `whsk_…`"
        );
    }
    Ok(key)
}

/// Whether one of these secrets holds the public key.
pub(super) fn verifying(scheme: &Scheme, secrets: &[Secret], public: &Secret) -> bool {
    let prints = |secret: &Secret| -> Vec<String> {
        let keys = public_keys(scheme, secret);
        keys.iter()
            .map(crate::key::public::PublicKey::fingerprint)
            .collect()
    };
    let wanted = prints(public);
    let mut known = secrets.iter().flat_map(prints);
    known.any(|known| wanted.contains(&known))
}
