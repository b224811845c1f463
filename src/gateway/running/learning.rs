//! Secrets that come with a handshake (`secrets = ["learn:PATH"]`). A route waits for its secret,
//! keeps it in a file when it comes, and verifies with it from then on (schemes: Handshakes).
//!
//! A reload may run while a secret comes, and may look for the file just before it is written. Its
//! routes would then wait in vain. Three things prevent that. [`keep`] gives the secret to the routes
//! that are in force after the file was written, and looks once more whether others are in force by
//! then. A reload takes over what the routes before it have learned ([`Awaited::take_over`]), and
//! calls [`Awaited::is_missed`] before and after its routes are in force. Whichever of the two comes
//! last sees the work of the other.

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

/// The source of a route's secret.
pub(crate) enum SecretSource {
    /// The configuration names the route's secrets.
    Configuration,
    /// A handshake brought the secret before the configuration was loaded.
    KeptFile,
    /// A handshake is expected to bring the secret.
    Handshake(Arc<Awaited>),
}

/// A secret that a handshake is expected to bring.
pub(crate) struct Awaited {
    /// The file in which the secret will be kept.
    path: PathBuf,
    /// The route's verifier without a secret: its scheme and its settings.
    keyless: Verifier,
    /// The secret and the verifier with it, once it has come. The first secret counts, so the cell
    /// is written only once.
    keyed: OnceLock<(Secret, Verifier)>,
}

impl SecretSource {
    /// The source of a route's secret. `verifier` is the route's verifier with the secrets of the
    /// configuration.
    pub(crate) fn of(route: &Route, verifier: &Verifier) -> Self {
        match &route.learn {
            None => Self::Configuration,
            // The loader finds no secret only if the file does not exist yet.
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

    /// The secret that a handshake is expected to bring, or has brought since the configuration was
    /// loaded.
    pub(crate) fn awaited(&self) -> Option<&Arc<Awaited>> {
        match self {
            Self::Configuration | Self::KeptFile => None,
            Self::Handshake(awaited) => Some(awaited),
        }
    }

    /// Whether a handshake may bring the route's secret now.
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
    /// The name of the secret in logs and metrics.
    pub(crate) fn name(&self) -> String {
        config::learned_name(&self.path)
    }

    /// The verifier with the secret; `None` until the secret has come.
    pub(crate) fn verifier(&self) -> Option<&Verifier> {
        self.keyed.get().map(|(_, verifier)| verifier)
    }

    /// The secret that has come since the configuration was loaded.
    pub(crate) fn secret(&self) -> Option<&Secret> {
        self.keyed.get().map(|(secret, _)| secret)
    }

    /// A secret as the route uses it, without a time limit.
    pub(crate) fn named(&self, text: SecretText) -> Secret {
        Secret {
            written: None,
            name: self.name(),
            text,
            not_before: None,
            not_after: None,
        }
    }

    /// Whether the file exists, although the loader did not find it.
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

    /// Takes the secret that another snapshot of the same route has learned, if there is one.
    /// A secret of its own stays: the first one counts.
    pub(crate) fn take_over(&self, other: &Self) {
        if let Some(secret) = other.secret().filter(|_| other.is_for(self)) {
            self.learn(secret);
        }
    }

    /// Whether both wait for the secret of the same file.
    pub(crate) fn is_for(&self, other: &Self) -> bool {
        self.path == other.path
    }

    /// Puts a secret in force that another snapshot of the same route has learned.
    pub(crate) fn learn(&self, secret: &Secret) {
        if self.keyed.get().is_none()
            && let Ok(verifier) = self.verifier_with(secret.clone())
        {
            self.put_in_force(secret.clone(), verifier);
        }
    }

    /// Puts a secret and the verifier with it in force, unless a secret has come already.
    fn put_in_force(&self, secret: Secret, verifier: Verifier) {
        // An error means that another secret was faster, and the first one counts.
        let _ = self.keyed.set((secret, verifier));
    }
}

/// Keeps the secret of a handshake in its file and verifies with it from then on.
///
/// `route` is the route's name. `in_force` returns the secrets that the routes in force still wait
/// for; it is called after the secret was written to its file.
///
/// # Errors
/// `malformed_handshake` if the scheme cannot use the secret as a key, `bad_signature` if another
/// secret was faster, `internal_error` if the secret cannot be written.
pub(crate) async fn keep(
    awaited: &Arc<Awaited>,
    secret: &Secret,
    route: &str,
    warnings: &Warnings,
    now: Now,
    in_force: impl Fn() -> Vec<Arc<Awaited>> + Send,
) -> Result<(), Refusal> {
    let verifier = awaited.verifier_with(secret.clone()).map_err(|fault| {
        warnings.learning(route, &fault, now);
        Refusal::because(
            Code::MalformedHandshake,
            "the secret of the handshake is no key of this route's scheme",
        )
    })?;
    let (own, named) = (Arc::clone(awaited), secret.clone());
    // Both steps run on a blocking thread, which finishes them even if this future is dropped.
    let storing = tokio::task::spawn_blocking(move || {
        config::store_learned(&own.path, &named.text)?;
        own.put_in_force(named, verifier);
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
    // A reload may have read the configuration before the file existed. Its routes still lack the
    // secret, so they get it here. The second look is for a reload that came between: one that comes
    // later takes the secret over from the routes of the first look.
    for _ in 0..2 {
        for other in in_force() {
            if other.is_for(awaited) {
                other.learn(secret);
            }
        }
    }
    log::info!("route {route}: its secret has come with a handshake and is kept in {path}");
    Ok(())
}
