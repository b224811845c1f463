//! Secrets that come with a handshake (`secrets = ["learn:PATH"]`): awaited, kept in their file, in force from then on.
//!
//! A reload may run at the same moment. If it looked for the file too early, its routes wait in vain: [`keep`] gives the
//! secret to the routes that are in force by the time it is kept, and a reload asks [`Awaited::is_missed`] before and
//! after its routes are in force. Whichever of the two comes last finds what the other did.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};

use super::warnings::Warnings;
use crate::clock::Now;
use crate::config;
use crate::config::Route;
use crate::key::secret::{Secret, SecretText};
use crate::verdict::{Code, Refusal};
use crate::verify::handshake::Learning;
use crate::verify::verifier::{KeyError, Verifier};

/// Where a route's secret comes from.
pub(crate) enum SecretSource {
    /// The configuration names its secrets.
    Configuration,
    /// A handshake brought it before the configuration was loaded.
    KeptFile,
    /// A handshake is to bring it.
    Handshake(Arc<Awaited>),
}

/// A secret that a handshake is to bring.
pub(crate) struct Awaited {
    /// Where it will be kept.
    path: PathBuf,
    /// The route's verifier without a secret: a scheme and its settings.
    keyless: Verifier,
    /// The verifier with the secret, once that has come. The first secret counts, so the cell is written once.
    keyed: OnceLock<Verifier>,
}

impl SecretSource {
    /// The source of a route's secret; `verifier` is the route's own with what is configured.
    pub(crate) fn of(route: &Route, verifier: &Verifier) -> Self {
        match &route.learn {
            None => Self::Configuration,
            // The loader finds no secret only where no file is kept yet.
            Some(path) if route.secrets.is_empty() => {
                let (path, keyless) = (path.clone(), verifier.clone());
                Self::Handshake(Arc::new(Awaited {
                    path,
                    keyless,
                    keyed: OnceLock::new(),
                }))
            }
            Some(_) => Self::KeptFile,
        }
    }

    /// The secret that a handshake is to bring, or has brought since the configuration was loaded.
    pub(crate) fn awaited(&self) -> Option<&Arc<Awaited>> {
        match self {
            Self::Configuration | Self::KeptFile => None,
            Self::Handshake(awaited) => Some(awaited),
        }
    }

    /// What a handshake that brings a secret meets.
    pub(crate) fn learning(&self) -> Learning {
        match self {
            Self::Configuration => Learning::Never,
            Self::KeptFile => Learning::Done,
            Self::Handshake(awaited) => awaited
                .verifier()
                .map_or(Learning::Open, |_| Learning::Done),
        }
    }
}

impl Awaited {
    /// What logs and metrics call the secret.
    pub(crate) fn name(&self) -> String {
        config::learned_name(&self.path)
    }

    /// The verifier with the secret; `None` until that has come.
    pub(crate) fn verifier(&self) -> Option<&Verifier> {
        self.keyed.get()
    }

    /// Whether the file is there, although the loader did not find it.
    pub(crate) fn is_missed(&self) -> bool {
        config::is_learned(&self.path)
    }

    fn verifier_with(&self, secret: Secret) -> Result<Verifier, KeyError> {
        Verifier::new(
            Arc::clone(self.keyless.scheme()),
            vec![secret],
            self.keyless.settings().clone(),
        )
    }

    /// Verifies by the secret from now on.
    fn put_in_force(&self, verifier: Verifier) {
        // An error means that another secret was faster, and the first one counts.
        let _ = self.keyed.set(verifier);
    }
}

/// Keeps the secret of a handshake and verifies by it from then on.
///
/// `route` is the route's name. `in_force` gives what the routes in force still wait for; it is called once the secret
/// is kept.
///
/// # Errors
/// `malformed_handshake` for a secret that is no key of the scheme, `bad_signature` where another secret was faster,
/// `internal_error` where it cannot be kept.
pub(crate) async fn keep(
    awaited: &Arc<Awaited>,
    secret: SecretText,
    route: &str,
    warnings: &Warnings,
    now: Now,
    in_force: impl FnOnce() -> Vec<Arc<Awaited>> + Send,
) -> Result<(), Refusal> {
    let named = Secret {
        name: awaited.name(),
        text: secret.clone(),
        not_before: None,
        not_after: None,
    };
    let verifier = awaited.verifier_with(named.clone()).map_err(|fault| {
        warnings.learning(route, &fault, now);
        Refusal::because(
            Code::MalformedHandshake,
            "the secret of the handshake is no key of this route's scheme",
        )
    })?;
    let own = Arc::clone(awaited);
    // Both happen on a thread of their own, in one go, even if this future is dropped.
    let storing = tokio::task::spawn_blocking(move || {
        config::store_learned(&own.path, &secret)?;
        own.put_in_force(verifier);
        Ok(())
    });
    let path = awaited.path.display();
    match storing
        .await
        .unwrap_or_else(|panicked| Err(io::Error::other(panicked)))
    {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            return Err(Refusal::because(
                Code::BadSignature,
                "the secret of this route has come already",
            ));
        }
        Err(error) => {
            warnings.learning(route, &format_args!("{path}: {error}"), now);
            return Err(Refusal::because(
                Code::InternalError,
                "the secret of the handshake could not be kept",
            ));
        }
    }
    // A reload may have read the configuration before the file was there: its routes still lack the secret.
    for other in in_force()
        .into_iter()
        .filter(|other| other.path == awaited.path)
    {
        if let Ok(verifier) = other.verifier_with(named.clone()) {
            other.put_in_force(verifier);
        }
    }
    log::info!("route {route}: its secret has come with a handshake and is kept in {path}");
    Ok(())
}
