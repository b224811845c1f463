//! `[[route]]`: which requests are taken, how they are verified, and where they go (contract:
//! Configuration).
//!
//! A route is read by itself here. It is judged as a whole in [`super::judge`], and beside the
//! other routes in [`super::checks`].

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::accounts::Accounts;
use super::handshake::HandshakeSettings;
use super::params;
use super::presets;
use super::public_keys::Taken;
use super::queue;
use super::queue::{Mode, Queue};
use super::reader::{Findings, Item, Table};
use super::replay::{Replay, RouteReplay, read_status};
use super::resign::Resign;
use super::scheme;
use super::scheme::{CUSTOM, Envelope};
use super::secrets;
use super::secrets::{Listed, Sources, Wanted};
use super::server::{Server, read_public_url};
use super::sizes::size;
use super::state::State;
use super::units;
use super::units::UnitFault;
use super::upstream::Upstream;
use super::upstreams::Upstreams;
use super::warning::read_acknowledged;
use super::{upstream_headers, upstream_path, upstreams};
use crate::key::secret::{Secret, SecretText};
use crate::notation::timestamp::Tolerance;
use crate::routes::Pattern;
use crate::scheme::Handshake;
use crate::scheme::{Scheme, Settings};
use crate::wire::head::FieldName;

/// A `[[route]]`, checked.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its unique name: a metrics label, a log field, and a part of the claim key.
    pub name: String,
    /// The host and path that it matches.
    pub pattern: Pattern,
    /// The methods that it takes, `["POST"]` by default.
    pub methods: Vec<String>,
    /// The scheme, from its preset or spelled out.
    pub scheme: Arc<Scheme>,
    /// The names and texts of `params`, which are in the scheme already.
    pub params: Vec<(String, String)>,
    /// The secrets. There is at least one, except where the secret is still to come (`learn`).
    pub secrets: Vec<Secret>,
    /// The upstreams to which proved deliveries are forwarded.
    pub upstreams: Upstreams,
    /// The path that replaces the matched path of what is forwarded, or the matched prefix.
    pub upstream_path: Option<String>,
    /// The `Host` of forwarded requests, in place of the client's.
    pub upstream_host: Option<String>,
    /// Headers that forwarded requests get. Clients' headers of these names and their aliases are
    /// dropped; the values are never logged.
    pub upstream_headers: Vec<(FieldName, SecretText)>,
    /// The keys by which what is valid is signed anew for the application.
    pub resign: Option<Resign>,
    /// The limit on the whole exchange with the upstream.
    pub upstream_timeout: Duration,
    /// The route's own tolerance for the past, or the scheme's.
    pub tolerance: Tolerance,
    /// The route's own tolerance for the future, or the scheme's.
    pub future_tolerance: Tolerance,
    /// The largest body in bytes.
    pub max_body: u64,
    /// Replay protection.
    pub replay: RouteReplay,
    /// Whether refusals are enforced; `false` is shadow mode (contract: Shadow mode).
    pub enforce: bool,
    /// The URL that the provider signed, where the scheme signs it.
    pub public_url: Option<String>,
    /// The event types that are taken; `None`: all of them.
    pub event_types: Option<Vec<String>>,
    /// The accounts whose deliveries are taken.
    pub accounts: Accounts,
    /// The status that answers a delivery of another account.
    pub on_unlisted: u16,
    /// The status that answers an event of another type.
    pub on_ignored: u16,
    /// The settings for the handshake that the scheme names.
    pub handshake: HandshakeSettings,
    /// The file for a secret that comes with a handshake. While it has not come, `secrets` is
    /// empty.
    pub learn: Option<PathBuf>,
    /// Whether deliveries are forwarded at once or kept and delivered later.
    pub mode: Mode,
    /// How kept deliveries are delivered, those too that were kept before the route was switched
    /// back to relay mode.
    pub queue: Queue,
}

impl Route {
    /// The settings that the route verifies with.
    pub fn settings(&self) -> Settings {
        Settings {
            tolerance: self.tolerance,
            future_tolerance: self.future_tolerance,
            public_url: self.public_url.clone(),
            max_body: usize::try_from(self.max_body).unwrap_or(usize::MAX),
        }
    }

    /// Whether each attempt of a delivery counts as stamped anew, and is stale in time: after a loss of
    /// power a delivery can then be refused that the window may lack, and its next attempt comes through.
    pub fn is_stamped_by_attempt(&self) -> bool {
        self.scheme.has_timestamp()
            && !self.scheme.may_retry_unchanged()
            && self.tolerance != Tolerance::Off
    }
}

/// The default of `max_body`. Whether a body fits the budget is judged in `checks`.
const DEFAULT_MAX_BODY: u64 = 1 << 20;

/// The default of a route's `max_body`: as much as its provider sends, but no more than a single
/// client may hold of the budget.
fn default_max_body(scheme: Option<&Scheme>, server: &Server) -> u64 {
    let provider = scheme.filter(|scheme| scheme.provider != CUSTOM);
    let preset = provider.and_then(|scheme| presets::find(&scheme.provider));
    let largest = preset.and_then(|preset| preset.max_body).unwrap_or(0);
    DEFAULT_MAX_BODY.max(largest.min(server.max_buffered / 4))
}

/// A route as far as it could be read, for the judgements on it and on the whole file.
#[derive(Debug)]
pub(super) struct Draft<'t> {
    pub(super) table: Table<'t>,
    pub(super) name: Option<String>,
    pub(super) pattern: Option<Pattern>,
    /// The address of each upstream with its place in the file.
    pub(super) upstreams: Vec<(Range<usize>, Upstream)>,
    /// Each secret with its place in the file.
    pub(super) secrets: Vec<(Item<'t>, Secret)>,
    /// The whole route, if no part of it was missing.
    pub(super) route: Option<Route>,
}

/// Reads a `[[route]]`.
pub(super) fn read<'t>(
    mut table: Table<'t>,
    findings: &mut Findings,
    sources: &Sources<'_>,
    server: &Server,
    window: &Replay,
    state: &State,
) -> Draft<'t> {
    let name = table
        .required(findings, "name", "\"billing\"")
        .and_then(|item| read_name(&item, findings));
    let pattern = read_pattern(&mut table, findings);
    let upstreams::Read {
        addresses,
        upstreams,
    } = upstreams::read(&mut table, findings, sources);
    let upstream_path = table
        .item("upstream_path")
        .and_then(|item| upstream_path::read(&item, pattern.as_ref(), findings));
    let methods = table
        .item("methods")
        .and_then(|item| read_methods(&item, findings));
    let timeout = table
        .item("upstream_timeout")
        .and_then(|item| item.unit(findings, "\"10s\"", units::timeout));
    let enforce = table
        .item("enforce")
        .and_then(|item| item.flag(findings))
        .unwrap_or(true);
    let upstream_host = table
        .item("upstream_host")
        .and_then(|item| read_upstream_host(&item, findings));
    let public_url = table
        .item("public_url")
        .and_then(|item| read_public_url(&item, findings));
    let (scheme, params) = read_scheme(&mut table, findings).unzip();
    let max_body = size(
        &mut table,
        findings,
        "max_body",
        1..=u64::MAX,
        default_max_body(scheme.as_ref(), server),
    );
    let secrets = table.required(findings, "secrets", "[\"env:WEBHOOK_SECRET\"]");
    let wanted = wanted(scheme.as_ref());
    let Listed { secrets, learn } = secrets
        .map(|item| secrets::read_list(&item, findings, sources, wanted))
        .unwrap_or_default();
    let own_tolerance = scheme::read_tolerance(&mut table, findings, "tolerance");
    let own_future = scheme::read_tolerance(&mut table, findings, "future_tolerance");
    let headers = table.item("upstream_headers");
    let upstream_headers = headers
        .map(|item| upstream_headers::read(&item, findings, sources, scheme.as_ref()))
        .unwrap_or_default();
    let resign = table.item("resign");
    let resign = resign.and_then(|item| Resign::read(&item, findings, sources));
    let replay = table.item("replay");
    let replay = RouteReplay::read(
        replay.as_ref(),
        findings,
        window,
        scheme.as_ref(),
        server.body_timeout,
    );
    let event_types = table
        .item("event_types")
        .and_then(|item| read_event_types(&item, findings, scheme.as_ref()));
    let accounts = table.item("accounts");
    let accounts = accounts.and_then(|item| Accounts::read(&item, findings));
    let on_unlisted = table
        .item("on_unlisted")
        .and_then(|item| read_status(&item, findings));
    let on_ignored = table
        .item("on_ignored")
        .and_then(|item| read_status(&item, findings));
    let repeats = table
        .item("repeats")
        .and_then(|item| scheme::repeats::read(&item, findings));
    let mode = table
        .item("mode")
        .and_then(|item| queue::read_mode(&item, findings));
    let queue = table.item("queue");
    let queue = Queue::read(queue.as_ref(), findings, state);
    let handshake = table.item("handshake");
    let handshake =
        handshake.map(|item| HandshakeSettings::read(&item, findings, sources, scheme.as_ref()));
    if let Some(item) = table.item("acknowledge") {
        read_acknowledged(&item, findings);
    }
    table.finish(findings);

    let route = scheme
        .zip(name.clone())
        .zip(pattern.clone())
        .zip(upstreams)
        .map(|(((mut scheme, name), pattern), mut upstreams)| {
            if let Some(health) = &mut upstreams.health {
                health.host.clone_from(&upstream_host);
            }
            if let Some(repeats) = repeats {
                scheme.repeats = repeats.repeats();
            }
            // The route's own tolerance for the past applies to the future too, unless
            // `future_tolerance` is set, or the tolerance is there for the provider's late retries.
            let own_future = own_future.or(own_tolerance.filter(|_| !scheme.is_stamped_by_event()));
            let tolerance = own_tolerance.unwrap_or(scheme.tolerance);
            Route {
                name,
                pattern,
                methods: methods.unwrap_or_else(|| vec!["POST".to_owned()]),
                tolerance,
                future_tolerance: own_future.unwrap_or(scheme.future_tolerance),
                scheme: Arc::new(scheme),
                params: params.unwrap_or_default(),
                secrets: secrets.iter().map(|(_, secret)| secret.clone()).collect(),
                upstreams,
                upstream_path,
                upstream_host,
                upstream_headers,
                resign,
                upstream_timeout: timeout.unwrap_or(Duration::from_secs(10)),
                max_body,
                replay,
                enforce,
                public_url: public_url.or_else(|| server.public_url.clone()),
                event_types,
                accounts: accounts.unwrap_or_default(),
                on_unlisted: on_unlisted.unwrap_or(403),
                on_ignored: on_ignored.unwrap_or(200),
                handshake: handshake.unwrap_or_default(),
                learn,
                mode: mode.unwrap_or_default(),
                queue,
            }
        });
    Draft {
        table,
        name,
        pattern,
        upstreams: addresses,
        secrets,
        route,
    }
}

/// The kinds of entries that `secrets` may have. Where the scheme is not known, every kind is
/// allowed, since the scheme might allow it.
fn wanted(scheme: Option<&Scheme>) -> Wanted {
    let Some(scheme) = scheme else {
        return Wanted {
            taken: Taken::Either,
            learns: true,
        };
    };
    Wanted {
        taken: Taken::by(scheme),
        learns: scheme.handshake.is_some_and(Handshake::brings_secret),
    }
}

fn read_name(item: &Item<'_>, findings: &mut Findings) -> Option<String> {
    let name = item.label(findings, 128, "billing")?;
    if name == "-" {
        item.refuse(
            findings,
            "is the name that logs and metrics use where no route matched",
            "choose another name",
        );
        return None;
    }
    Some(name.to_owned())
}

fn read_pattern(table: &mut Table<'_>, findings: &mut Findings) -> Option<Pattern> {
    let path_item = table.required(findings, "path", "\"/webhooks/itellico\"");
    let host_item = table.item("host");
    let host = host_item
        .as_ref()
        .map(|item| item.text(findings, "\"hooks.example.com\""));
    let path_item = path_item?;
    let path = path_item.text(findings, "\"/webhooks/itellico\"");
    let mut parse = |host, path, item: &Item<'_>| match Pattern::parse(host, path) {
        Ok(pattern) => Some(pattern),
        Err(problem) => {
            item.refuse(
                findings,
                format_args!("cannot be matched: {}", problem.message),
                problem.help,
            );
            None
        }
    };
    let alone = parse(None, path?, &path_item);
    match (host, host_item) {
        (Some(host), Some(item)) => {
            parse(Some(host?), "/", &item).and_then(|_| Pattern::parse(host, path?).ok())
        }
        _ => alone,
    }
}

fn read_upstream_host(item: &Item<'_>, findings: &mut Findings) -> Option<String> {
    let host = item.text(findings, "\"app.internal\"")?;
    // `Host` may hold an authority, with or without a port, as an upstream's URL does.
    let parsed = Upstream::parse(&format!("http://{host}")).map_err(|_| UnitFault {
        message: "is no value for `Host`".to_owned(),
        help: "write a host, with a port if need be, as in `app.internal` or `app.internal:8443`"
            .to_owned(),
    });
    item.checked(findings, parsed).map(|_| host.to_owned())
}

fn read_methods(item: &Item<'_>, findings: &mut Findings) -> Option<Vec<String>> {
    let entries = item.list(findings, "methods = [\"POST\"]")?;
    if entries.is_empty() {
        item.refuse(
            findings,
            "is empty: no request could be taken",
            "write at least one, as in `[\"POST\"]`",
        );
    }
    let mut methods: Vec<String> = Vec::new();
    for entry in entries {
        let Some(method) = entry.text(findings, "\"POST\"") else {
            continue;
        };
        let is_name =
            !method.is_empty() && method.bytes().all(|b| b.is_ascii_uppercase() || b == b'-');
        if !is_name || method.len() > 32 {
            entry.refuse(
                findings,
                "is no method",
                "write it in capitals, as in `POST`: methods are case-sensitive",
            );
        } else if matches!(method, "CONNECT" | "TRACE") {
            entry.refuse(
                findings,
                "is a method that carries no delivery",
                "leave it out",
            );
        } else if !methods.iter().any(|known| known == method) {
            methods.push(method.to_owned());
        }
    }
    (!methods.is_empty()).then_some(methods)
}

/// Reads the scheme and the texts of the route that it signs.
fn read_scheme(
    table: &mut Table<'_>,
    findings: &mut Findings,
) -> Option<(Scheme, Vec<(String, String)>)> {
    let (provider, own) = (table.item("provider"), table.item("scheme"));
    let (envelope, params) = (Envelope::read(table, findings), table.item("params"));
    let mut scheme = match (provider, own) {
        (Some(provider), None) => read_provider(&provider, findings)?,
        (None, Some(item)) => {
            let mut own = item.table(findings, "[route.scheme]")?;
            scheme::read(&mut own, findings, CUSTOM, false)?
        }
        (Some(provider), Some(item)) => {
            let message = format!("the route has both `{}` and `{}`", provider.path, item.path);
            findings.problem(
                item.key_span.clone(),
                message,
                "keep one: a preset, or a scheme spelled out",
            );
            return None;
        }
        (None, None) => {
            let message =
                "the route has neither `provider` nor `[route.scheme]`: nothing could be verified";
            findings.absence(
                table.span(),
                message,
                "add a preset, as in `provider = \"itellico\"`, or a scheme",
            );
            return None;
        }
    };
    if !envelope.is_usable {
        return None;
    }
    // An id place that the operator wrote may be a wrong pointer, even where a preset supplies the
    // rest of the scheme (contract: Seen again).
    scheme.preset &= !envelope.has_id();
    envelope.set(&mut scheme);
    let params = params.map(|item| params::read(&item, findings, &mut scheme));
    Some((scheme, params.unwrap_or_default()))
}

fn read_provider(item: &Item<'_>, findings: &mut Findings) -> Option<Scheme> {
    let name = item.text(findings, "\"itellico\"")?;
    let scheme = presets::find(name).map(|preset| preset.scheme.clone());
    if scheme.is_none() {
        item.refuse(
            findings,
            "is not a provider that this version knows",
            presets::why_not(name),
        );
    }
    scheme
}

fn read_event_types(
    item: &Item<'_>,
    findings: &mut Findings,
    scheme: Option<&Scheme>,
) -> Option<Vec<String>> {
    const EXAMPLE: &str = "event_types = [\"conversation.ended\"]";
    let entries = item.list(findings, EXAMPLE)?;
    if entries.is_empty() {
        item.refuse(
            findings,
            "is empty: no delivery could be taken",
            format!("leave it out, or write `{EXAMPLE}`"),
        );
    }
    if scheme.is_some_and(|scheme| scheme.event_type.is_none()) {
        let help = "say where it is, as in `event_type = { json = \"/type\" }`";
        item.refuse(
            findings,
            "needs an event type, and the scheme names no place for it",
            help,
        );
    }
    let label = |entry: &Item<'_>| {
        entry
            .label(findings, 256, "conversation.ended")
            .map(ToOwned::to_owned)
    };
    Some(entries.iter().filter_map(label).collect())
}
