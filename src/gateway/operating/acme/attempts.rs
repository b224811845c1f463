//! The attempts of the task: to reach the authority by its account, to learn its suggestions, and to
//! order a certificate.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::Account;
use tokio::task::spawn_blocking;
use zeroize::Zeroizing;

use super::http::{self, Http};
use super::order::{self, Failure, Wish};
use super::store::{self, Locked, Store};
use super::{Suggestion, Task, shown};
use crate::acme::certificate::prove;
use crate::acme::file_of;
use crate::acme::ledger::{DAY, Ledger};
use crate::acme::plan;
use crate::config::acme::{Acme, ChallengeKind};
use crate::telemetry::handshakes::AcmeOrder;

impl Task {
    pub(super) async fn account(
        &self,
        settings: &Arc<Acme>,
        store: &Store,
        locked: &Locked,
    ) -> Result<Account, Failure> {
        let own = Arc::clone(settings);
        let tls = spawn_blocking(move || http::tls(own.ca.as_ref())).await;
        let tls = tls
            .map_err(|_| Failure::says("the roots of the system cannot be read"))?
            .map_err(|why| Failure::says(why.to_string()))?;
        let client = Http {
            tls,
            clock: self.running.clock.clone(),
            seen: self.seen.clone(),
        };
        let unusable = |why: io::Error| Failure::says(format!("{}: {why}", store::ACCOUNT));
        let read = at_disk(store, |store| store.read(store::ACCOUNT)).await;
        let file = read.map_err(unusable)?;
        let is_first = file.is_none();
        let result = order::account(client, Arc::clone(settings), file).await;
        let registered = match result {
            Err(failure) if failure.has_no_account && !is_first => {
                set_aside(store, locked).await;
                return Err(failure);
            }
            result => result?,
        };
        if let Some(file) = registered.file {
            write(store, locked, store::ACCOUNT, file)
                .await
                .map_err(unusable)?;
            log::info!(
                "the account at {} is {}",
                settings.directory,
                registered.account.id()
            );
        }
        Ok(registered.account)
    }

    /// Asks the authority when it would renew the certificates that are held. Once it cannot be
    /// reached, it is not asked for the other names either.
    pub(super) async fn ask_for_windows(&mut self, settings: &Acme, account: &Account) {
        let mut is_lost = false;
        for name in &settings.names {
            let Some(own) = self.held.get(name) else {
                continue;
            };
            let now = self.now().wall;
            let known = self.suggestion(name);
            if known.is_some_and(|known| known.again > now) {
                continue;
            }
            let known = known.and_then(|known| known.window);
            let (leaf, of) = (own.leaf().to_vec(), own.not_after);
            let (window, again) = if is_lost {
                (known, Duration::ZERO)
            } else {
                match order::window(account.clone(), self.seen.clone(), leaf).await {
                    Ok(Some((window, again))) => (Some(window), again),
                    Ok(None) => (None, DAY),
                    Err(failure) => {
                        log::debug!("no suggestion when to renew {name}: {}", failure.words);
                        is_lost = failure.is_general;
                        (known, failure.wait.unwrap_or_default())
                    }
                }
            };
            let again = plan::ask_again(now, again);
            let suggestion = Suggestion { window, again, of };
            self.windows.insert(name.clone(), suggestion);
        }
    }

    /// Orders a certificate for the name, and puts it in force. Returns why none came.
    ///
    /// # Errors
    /// The order cannot be written down, so it is not sent.
    pub(super) async fn order(
        &mut self,
        settings: &Arc<Acme>,
        store: &Store,
        locked: &Locked,
        account: &Account,
        name: &str,
    ) -> io::Result<Option<Failure>> {
        let now = self.now().wall;
        let kind = self.kind(settings, name);
        let before = self.held.get(name);
        let has_window = self
            .suggestion(name)
            .is_some_and(|own| own.window.is_some());
        let may_replace = has_window && self.without_replaces.as_deref() != Some(name);
        let replaces = before
            .filter(|_| may_replace)
            .map(|own| own.leaf().to_vec());
        self.without_replaces = replaces.is_some().then(|| name.to_owned());
        let ledger = self.ledger.get_or_insert_default();
        ledger.tidy(settings.names.iter().map(String::as_str), now);
        ledger.order(name, now);
        self.save(store, locked).await?;
        // The mark is for a directory that is emptied later: the order itself is written.
        let _ = at_disk(store, move |store| {
            store.mark(now);
            Ok(())
        })
        .await;
        log::info!(
            "ordering a certificate for {name} from {}",
            settings.directory
        );
        let wish = Wish {
            name: name.to_owned(),
            kind,
            replaces,
            challenges: Arc::clone(&self.running.acme.challenges),
        };
        let result = order::order(account.clone(), self.seen.clone(), wish).await;
        let now = self.now().wall;
        let proved = result.and_then(|file| match prove(file.as_bytes(), name, now) {
            Ok(identity) => Ok((identity, file)),
            Err(why) => Err(Failure::says(format!("the certificate that came {why}"))),
        });
        let failure = match proved {
            Ok((identity, file)) => {
                let end = shown(identity.not_after);
                if let Err(why) = write(store, locked, &file_of(name), file).await {
                    log::warn!(
                        "the certificate for {name} could not be kept in {}: {why}; it is in force \
                         until the end of this process",
                        store.folder().display()
                    );
                }
                self.held.insert(name.to_owned(), identity);
                self.put_in_force();
                self.ledger.get_or_insert_default().issued(name);
                self.without_replaces = None;
                self.count(AcmeOrder::Issued);
                log::info!("the certificate for {name} is in force; it counts until {end}");
                None
            }
            Err(failure) => {
                if failure.has_no_account {
                    set_aside(store, locked).await;
                }
                if let Some(wait) = failure.wait {
                    self.ledger.get_or_insert_default().wait(name, now, wait);
                }
                self.count(if failure.is_limited {
                    AcmeOrder::Limited
                } else {
                    AcmeOrder::Failed
                });
                self.warn_of_order(name, &failure);
                Some(failure)
            }
        };
        self.save(store, locked).await?;
        Ok(failure)
    }

    /// The kind of challenge for the next order: the preferred one, and after each failure the next
    /// of the list.
    fn kind(&self, settings: &Acme, name: &str) -> ChallengeKind {
        let ledger = self.ledger.as_ref();
        let failures = ledger.map_or(0, |ledger| ledger.failures(name));
        let count = settings.challenges.len().max(1);
        let place = usize::try_from(failures).unwrap_or(0) % count;
        let found = settings.challenges.get(place).copied();
        found.unwrap_or(ChallengeKind::TlsAlpn)
    }

    pub(super) async fn save(&self, store: &Store, locked: &Locked) -> io::Result<()> {
        let text = self.ledger.as_ref().map(Ledger::text).unwrap_or_default();
        write(store, locked, store::ORDERS, Zeroizing::new(text)).await
    }

    fn count(&self, order: AcmeOrder) {
        self.running.telemetry.metrics.count_acme_order(order);
    }

    fn warn_of_order(&self, name: &str, failure: &Failure) {
        let now = self.now().wall;
        let earliest = self.ledger.as_ref();
        let earliest = earliest.map_or(now, |ledger| ledger.earliest(name, now));
        let until = match self.held.get(name) {
            Some(own) => format!("the one in force counts until {}", shown(own.not_after)),
            None => "there is none in force".to_owned(),
        };
        log::warn!(
            "no certificate for {name}: {}; the next order is at {} at the earliest; {until}",
            failure.words,
            shown(earliest)
        );
    }
}

/// Writes a file under the lock.
async fn write(store: &Store, _: &Locked, name: &str, text: Zeroizing<String>) -> io::Result<()> {
    let name = name.to_owned();
    at_disk(store, move |store| store.write(&name, text.as_bytes())).await
}

/// Puts the file of an account that the authority does not know out of the way. If that fails, the next
/// attempt finds it again.
async fn set_aside(store: &Store, _: &Locked) {
    let _ = at_disk(store, |store| store.set_aside(store::ACCOUNT)).await;
}

/// Does something with the files of an authority, on a thread that may block.
async fn at_disk<T: Send + 'static>(
    store: &Store,
    work: impl FnOnce(&Store) -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let store = store.clone();
    let done = spawn_blocking(move || work(&store)).await;
    done.unwrap_or_else(|_| Err(io::Error::other("the thread for its files broke")))
}
