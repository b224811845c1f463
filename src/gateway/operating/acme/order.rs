//! The conversation with an authority: the account, one order from its beginning to the certificate,
//! and the suggestion when to renew (RFC 8555, RFC 9773).
//!
//! Whatever the authority answers is bounded by the client below (`http`) and by the limits here.
//! The protocol's own client may panic at an answer that no authority gives, so each attempt is a
//! task of its own.

use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType, Error,
    ExternalAccountKey, Identifier, NewAccount, NewOrder, Order, OrderStatus, RetryPolicy,
};
use serde_json::{Value, json};
use tokio::time::timeout;
use tokio_rustls::rustls::pki_types::CertificateDer;
use zeroize::Zeroizing;

use super::http::{Http, Seen};
use crate::acme::certificate;
use crate::acme::challenges::{Challenges, Open};
use crate::acme::plan::Window;
use crate::acme::words::fit_for_log;
use crate::clock::UnixMillis;
use crate::config::acme::{Acme, ChallengeKind};

/// The time for the account, and for an order from its beginning to the certificate.
const ACCOUNT_LIMIT: Duration = Duration::from_secs(90);
const ORDER_LIMIT: Duration = Duration::from_secs(300);

/// The time for the authority to look at a challenge, and to issue a certificate.
const PATIENCE: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));

/// The most authorizations of an order. It needs one.
const MAX_AUTHORIZATIONS: usize = 4;

/// The reason why an attempt came to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Failure {
    /// What happened, fit for a log.
    pub(super) words: String,
    /// The wait that the authority asked for.
    pub(super) wait: Option<Duration>,
    /// Whether the authority refused because of the number of requests.
    pub(super) is_limited: bool,
    /// Whether the authority does not know the account.
    pub(super) has_no_account: bool,
    /// Whether another name would fare no better now.
    pub(super) is_general: bool,
}

impl Failure {
    fn of(error: &Error, seen: &Seen) -> Self {
        let kind = |name: &str| match error {
            Error::Api(problem) => {
                let own = problem.r#type.as_deref().unwrap_or_default();
                own.strip_prefix("urn:ietf:params:acme:error:") == Some(name)
            }
            _ => false,
        };
        let words = match (error, seen.refusal()) {
            (Error::Json(_), Some(status)) => {
                format!("it answered {status} and nothing of the protocol")
            }
            (Error::Json(_), None) => "its answer is none of the protocol".to_owned(),
            (Error::Api(problem), _) => {
                let words = problem.to_string();
                let own = words.strip_prefix("API error: ").map(str::to_owned);
                own.unwrap_or(words)
            }
            (error, _) => error.to_string(),
        };
        let is_limited = kind("rateLimited") || seen.refusal() == Some(429);
        let has_no_account = kind("accountDoesNotExist");
        let is_about_the_name = matches!(
            error,
            Error::Api(_) | Error::Timeout(_) | Error::Unsupported(_) | Error::Str(_)
        );
        let is_busy = seen.refusal().is_some_and(|status| status >= 500);
        Self {
            words: fit_for_log(&words),
            wait: seen.wait(),
            is_limited,
            has_no_account,
            is_general: is_limited || has_no_account || is_busy || !is_about_the_name,
        }
    }

    pub(super) fn says(words: impl Into<String>) -> Self {
        Self {
            words: words.into(),
            ..Self::default()
        }
    }
}

/// Runs an attempt as a task of its own, within a limit.
async fn attempt<T: Send + 'static>(
    limit: Duration,
    seen: Seen,
    work: impl Future<Output = Result<T, Error>> + Send + 'static,
) -> Result<T, Failure> {
    seen.forget();
    let mut task = tokio::spawn(work);
    match timeout(limit, &mut task).await {
        Ok(Ok(result)) => result.map_err(|error| Failure::of(&error, &seen)),
        Ok(Err(_)) => Err(Failure::says("its answer is none of the protocol")),
        Err(_) => {
            task.abort();
            let seconds = limit.as_secs();
            Err(Failure::says(format!(
                "it took longer than {seconds} seconds"
            )))
        }
    }
}

/// The account in force, as the directory keeps it.
pub(super) struct Registered {
    pub(super) account: Account,
    /// The text of its file, if that must be written.
    pub(super) file: Option<Zeroizing<String>>,
}

/// The account of a file, or a new one where there is none, where it is bound to another external
/// account, or where the file cannot be read.
pub(super) async fn account(
    http: Http,
    settings: Arc<Acme>,
    file: Option<Zeroizing<Vec<u8>>>,
) -> Result<Registered, Failure> {
    let seen = http.seen.clone();
    let work = async move {
        let key_id = settings.eab.as_ref().map(|eab| eab.key_id.clone());
        let contact: Vec<&str> = settings.contact.iter().map(String::as_str).collect();
        let text = |credentials: &AccountCredentials| {
            let contact = &settings.contact;
            let whole = json!({ "contact": contact, "eab": key_id, "credentials": credentials });
            Zeroizing::new(format!("{whole:#}\n"))
        };
        let known = file.and_then(|file| serde_json::from_slice::<Value>(&file).ok());
        let known = known.filter(|known| known.get("eab") == Some(&json!(key_id)));
        let credentials = |known: &Value| {
            let own = known.get("credentials")?.clone();
            serde_json::from_value::<AccountCredentials>(own).ok()
        };
        if let Some((known, own)) =
            known.and_then(|known| credentials(&known).map(|own| (known, own)))
        {
            let builder = Account::builder_with_http(Box::new(http));
            let is_same = known.get("contact") == Some(&json!(contact));
            let file = (!is_same).then(|| text(&own));
            let account = builder.from_credentials(own).await?;
            if !is_same {
                account.update_contacts(&contact).await?;
            }
            return Ok(Registered { account, file });
        }
        let eab = settings.eab.as_ref();
        let eab = eab.map(|eab| ExternalAccountKey::new(eab.key_id.clone(), eab.key.expose()));
        let new = NewAccount {
            contact: &contact,
            terms_of_service_agreed: true,
            only_return_existing: false,
        };
        let builder = Account::builder_with_http(Box::new(http));
        let directory = settings.directory.clone();
        let (account, own) = builder.create(&new, directory, eab.as_ref()).await?;
        Ok(Registered {
            file: Some(text(&own)),
            account,
        })
    };
    attempt(ACCOUNT_LIMIT, seen, work).await
}

/// What an order needs besides the account.
pub(super) struct Wish {
    pub(super) name: String,
    pub(super) kind: ChallengeKind,
    /// The certificate that the new one replaces, in DER, where the authority wants to know.
    pub(super) replaces: Option<Vec<u8>>,
    pub(super) challenges: Arc<Challenges>,
}

/// Orders a certificate. Returns the file of the certificate: its key and its chain, not yet proved.
/// The challenge is open no longer than the authority needs to look at it.
pub(super) async fn order(
    account: Account,
    seen: Seen,
    wish: Wish,
) -> Result<Zeroizing<String>, Failure> {
    let work = async move {
        let identifiers = [Identifier::Dns(wish.name.clone())];
        let mut new = NewOrder::new(&identifiers);
        let replaced = wish.replaces.as_deref().and_then(identifier);
        if let Some(replaced) = replaced {
            new = new.replaces(replaced);
        }
        let mut order = account.new_order(&new).await?;
        if order.state().authorizations.len() > MAX_AUTHORIZATIONS {
            return Err(Error::Str("the order has more authorizations than names"));
        }
        let open = open_challenges(&mut order, &wish).await?;
        let status = order.poll_ready(&PATIENCE).await;
        drop(open);
        match status {
            Ok(OrderStatus::Ready) => {}
            Ok(_) => return Err(refusal(&mut order).await),
            Err(error) => return Err(reason(&mut order, error).await),
        }
        let request = certificate::request(&wish.name).map_err(|why| Error::Other(why.into()))?;
        order.finalize_csr(&request.der).await?;
        let chain = order.poll_certificate(&PATIENCE).await?;
        Ok(certificate::file(&request.key, &chain))
    };
    attempt(ORDER_LIMIT, seen, work).await
}

/// Opens a challenge of the wished kind, or of any that is answered, for each authorization that is
/// not valid yet, and tells the authority.
async fn open_challenges(order: &mut Order, wish: &Wish) -> Result<Vec<Open>, Error> {
    let mut open = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        match authorization.status {
            AuthorizationStatus::Valid => continue,
            AuthorizationStatus::Pending => {}
            _ => return Err(Error::Str("a pending authorization")),
        }
        let kind = match wish.kind {
            ChallengeKind::TlsAlpn => ChallengeType::TlsAlpn01,
            ChallengeKind::Http => ChallengeType::Http01,
        };
        let Some(mut challenge) = authorization.challenge(kind) else {
            return Err(Error::Unsupported(
                "the kind of challenge that `challenge` names",
            ));
        };
        let key = challenge.key_authorization();
        let opened = match wish.kind {
            ChallengeKind::TlsAlpn => {
                let digest = key.digest();
                let digest = digest.as_ref().try_into();
                let digest: &[u8; 32] = digest.map_err(|_| Error::Crypto)?;
                let settings = certificate::for_challenge(&wish.name, digest)
                    .map_err(|why| Error::Other(why.into()))?;
                wish.challenges.open_handshake(&wish.name, settings)
            }
            ChallengeKind::Http => {
                let opened = wish.challenges.open_answer(&challenge.token, key.as_str());
                opened.ok_or(Error::Str("a token of the challenge"))?
            }
        };
        open.push(opened);
        challenge.set_ready().await?;
    }
    Ok(open)
}

/// The authority's reason for an order that is invalid.
async fn refusal(order: &mut Order) -> Error {
    reason(order, Error::Str("the order is invalid, without a reason")).await
}

/// The reason that a challenge of the order gives, which says more than that of the order.
async fn reason(order: &mut Order, error: Error) -> Error {
    let mut authorizations = order.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let Ok(state) = authorization.refresh().await else {
            break;
        };
        let problem = state
            .challenges
            .iter()
            .find_map(|challenge| challenge.error.clone());
        if let Some(problem) = problem {
            return Error::Api(problem);
        }
    }
    error
}

/// The certificate as the authority knows it (RFC 9773 4.1).
fn identifier(certificate: &[u8]) -> Option<CertificateIdentifier<'static>> {
    let certificate = CertificateDer::from(certificate.to_vec());
    let found = CertificateIdentifier::try_from(&certificate).ok();
    found.map(CertificateIdentifier::into_owned)
}

/// The authority's suggestion when to renew a certificate, with the wait until it should be asked
/// again; `None` if it makes no suggestions.
pub(super) async fn window(
    account: Account,
    seen: Seen,
    certificate: Vec<u8>,
) -> Result<Option<(Window, Duration)>, Failure> {
    let Some(own) = identifier(&certificate) else {
        return Ok(None);
    };
    let work = async move {
        let (info, again) = match account.renewal_info(&own).await {
            Err(Error::Unsupported(_)) => return Ok(None),
            found => found?,
        };
        let millis = |seconds: i64| UnixMillis::from_secs(seconds);
        let window = Window {
            start: millis(info.suggested_window.start.unix_timestamp()),
            end: millis(info.suggested_window.end.unix_timestamp()),
        };
        Ok(Some((window, again)))
    };
    attempt(ACCOUNT_LIMIT, seen, work).await
}
