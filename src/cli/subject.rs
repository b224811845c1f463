//! The scheme and the secrets by which a delivery is judged or signed: of a preset, of a scheme in
//! a file, or of a configured route (contract: Command line).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use clap::{ArgGroup, Args};

use super::gateway::Gateway;
use super::output::note;
use crate::config;
use crate::config::{Files, Route, Sources, presets, secrets, units};
use crate::key::secret::Secret;
use crate::notation::timestamp::Tolerance;
use crate::routes::PathPattern;
use crate::scheme::{Scheme, Settings};
use crate::sign::MAX_INFLATED;
use crate::verify::accounts::Accounts;
use crate::verify::envelope::Envelope;

/// The arguments that name the scheme and the secrets.
#[derive(Args, Debug)]
#[group(skip)]
#[command(group(ArgGroup::new("subject")))]
pub(super) struct By {
    /// A provider that `verigate providers` lists
    #[arg(long, short, value_name = "NAME", group = "subject")]
    provider: Option<String>,
    /// A TOML file with the keys of [route.scheme]
    #[arg(long, value_name = "FILE", group = "subject")]
    scheme: Option<PathBuf>,
    /// A route of the configuration, with its secrets and settings
    #[arg(long, short, value_name = "NAME", group = "subject")]
    route: Option<String>,
    /// The secret: `env:NAME`, `file:PATH` or `plain:TEXT`; may be given several times
    #[arg(long, short, value_name = "SECRET", conflicts_with = "route")]
    secret: Vec<String>,
    /// A text of the route that the scheme signs, as `params` of a route gives it
    #[arg(long, value_name = "NAME=TEXT", conflicts_with = "route")]
    param: Vec<String>,
    /// The configuration file, for --route
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// The scheme, the secrets and the settings by which a delivery is judged or signed.
#[derive(Debug)]
pub(super) struct Subject {
    pub(super) scheme: Arc<Scheme>,
    pub(super) secrets: Vec<Secret>,
    pub(super) settings: Settings,
    /// The secrets of the other routes, by the name of their route, which `explain` tries as well.
    pub(super) others: Vec<(String, Vec<Secret>)>,
    /// The accounts that the route takes; `None` where it lists none.
    pub(super) accounts: Option<Accounts>,
    pub(super) envelope: Envelope,
    /// The path of the route, or `/`.
    pub(super) path: String,
    /// Whether the route also takes every path below that path, so that the path of a delivery may
    /// be longer.
    pub(super) is_prefix: bool,
    /// The host to which the route is limited.
    pub(super) host: Option<String>,
    /// The methods and the event types that the route takes; empty where no route says.
    pub(super) methods: Vec<String>,
    pub(super) event_types: Vec<String>,
    /// The URL that the provider calls, as the route or the server has it.
    pub(super) public_url: Option<String>,
    /// Where the gateway is reached.
    pub(super) gateway: Gateway,
}

impl By {
    /// Whether a route of the configuration is named.
    pub(super) fn is_route(&self) -> bool {
        self.route.is_some()
    }

    /// Whether a scheme and its secrets are named.
    pub(super) fn is_complete(&self) -> bool {
        let names_scheme = self.provider.is_some() || self.scheme.is_some();
        self.is_route() || (names_scheme && !self.secret.is_empty())
    }

    /// The scheme of `--provider` or `--scheme`, if either is named.
    pub(super) fn scheme(&self) -> anyhow::Result<Option<Scheme>> {
        match (&self.provider, &self.scheme) {
            (Some(name), _) => preset(name).map(Some),
            (None, Some(path)) => Ok(Some(config::load_scheme(path)?)),
            (None, None) => Ok(None),
        }
    }

    /// The secrets of `--secret`.
    pub(super) fn secrets(&self) -> anyhow::Result<Vec<Secret>> {
        let secrets = self.secret.iter().enumerate();
        secrets
            .map(|(place, text)| secret("--secret", text, place + 1))
            .collect()
    }

    /// The names and texts of `--param` where no scheme is complete: for the named scheme, or for
    /// every provider that signs a text of this name.
    pub(super) fn texts(&self) -> anyhow::Result<Vec<(&str, &str)>> {
        if let Some(scheme) = self.scheme()? {
            return texts(&self.param, &scheme.params(), "this scheme, which signs");
        }
        let all = presets::all().iter();
        let mut wanted: Vec<&str> = all.flat_map(|preset| preset.scheme.params()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        texts(&self.param, &wanted, "any provider; the providers sign")
    }

    /// Loads scheme, secrets and settings. `origin` is the scheme and host of `--url`, used for
    /// signed URLs where no route has a `public_url`.
    pub(super) fn load(&self, origin: Option<String>) -> anyhow::Result<Subject> {
        if let Some(name) = &self.route {
            return self.load_route(name, origin);
        }
        let scheme = self.scheme()?.context(
            "no scheme is named: write `--provider NAME`, `--scheme FILE` or `--route NAME`",
        )?;
        if self.secret.is_empty() {
            bail!("no secret is named: write `--secret env:NAME` or `--secret file:PATH`");
        }
        let scheme = with_params(scheme, &self.param)?;
        let settings = Settings {
            tolerance: scheme.tolerance,
            future_tolerance: scheme.future_tolerance,
            public_url: origin,
            max_body: MAX_INFLATED,
        };
        Ok(Subject {
            secrets: self.secrets()?,
            accounts: None,
            envelope: Envelope::of(&scheme),
            scheme: Arc::new(scheme),
            settings,
            others: Vec::new(),
            path: "/".to_owned(),
            is_prefix: false,
            host: None,
            methods: Vec::new(),
            event_types: Vec::new(),
            public_url: None,
            gateway: Gateway::default(),
        })
    }

    fn load_route(&self, name: &str, origin: Option<String>) -> anyhow::Result<Subject> {
        let config = config::load(&self.config.clone().unwrap_or_else(super::default_file))?;
        let wanted = config.routes.iter().find(|route| route.name == name);
        let gateway = wanted.map_or_else(Gateway::default, |route| {
            let public = route.public_url.as_deref().and_then(host_of);
            let wanted: Vec<&str> = route
                .pattern
                .host
                .as_deref()
                .into_iter()
                .chain(public)
                .collect();
            Gateway::of(&config, &wanted)
        });
        let names: Vec<String> = config
            .routes
            .iter()
            .map(|route| route.name.clone())
            .collect();
        let shown = config::shown_path(&config.path);
        let (named, others): (Vec<_>, Vec<_>) = config
            .routes
            .into_iter()
            .partition(|route| route.name == name);
        let Route {
            scheme,
            secrets,
            tolerance,
            future_tolerance,
            public_url,
            pattern,
            max_body,
            accounts,
            methods,
            event_types,
            ..
        } = named.into_iter().next().with_context(|| {
            format!(
                "{shown} has no route `{name}`; its routes: {}",
                names.join(", ")
            )
        })?;
        Ok(Subject {
            accounts: accounts
                .listed()
                .map(|listed| Accounts::of(&scheme, listed.to_vec())),
            envelope: Envelope::of(&scheme),
            scheme,
            secrets,
            others: others
                .into_iter()
                .map(|route| (route.name, route.secrets))
                .collect(),
            settings: Settings {
                tolerance,
                future_tolerance,
                public_url: public_url.clone().or(origin),
                max_body: usize::try_from(max_body).unwrap_or(usize::MAX),
            },
            is_prefix: matches!(pattern.path, PathPattern::Prefix(_)),
            path: match pattern.path {
                PathPattern::Exact(path) | PathPattern::Prefix(path) => path,
            },
            host: pattern.host,
            methods,
            event_types: event_types.unwrap_or_default(),
            public_url,
            gateway,
        })
    }
}

/// The host of a URL, without its port.
fn host_of(url: &str) -> Option<&str> {
    let (_, rest) = url.split_once("://")?;
    let authority = rest.split('/').next()?;
    Some(authority.split(':').next().unwrap_or(authority))
}

impl Subject {
    /// Replaces both tolerances by that of the command line, if it is given.
    pub(super) fn tolerate(&mut self, tolerance: Option<Tolerance>) {
        if let Some(tolerance) = tolerance {
            self.settings.tolerance = tolerance;
            self.settings.future_tolerance = tolerance;
        }
    }
}

/// Reads `--tolerance`: a duration, which may be zero here, or `off`.
pub(super) fn tolerance(text: &str) -> Result<Tolerance, String> {
    if text == "off" {
        return Ok(Tolerance::Off);
    }
    units::duration(text)
        .map(Tolerance::Within)
        .map_err(|fault| {
            format!(
                "it {}: write a time with its unit, as in `300s` or `5m`, or `off`",
                fault.message
            )
        })
}

fn preset(name: &str) -> anyhow::Result<Scheme> {
    let preset = presets::find(name).with_context(|| {
        format!(
            "`{name}` is not a provider that this version knows: {}; a scheme of your own goes into a \
             file, `--scheme FILE`",
            presets::why_not(name)
        )
    })?;
    Ok(preset.scheme.clone())
}

/// The scheme with the texts of `--param`. Each that it signs must be there, and no other.
fn with_params(scheme: Scheme, given: &[String]) -> anyhow::Result<Scheme> {
    let texts = texts(given, &scheme.params(), "this scheme, which signs")?;
    let scheme = scheme.with_params(|name| text_of(&texts, name));
    if let Some(missing) = scheme.params().first() {
        bail!(
            "the scheme signs a text of the route, which is not given: add `--param \
             {missing}=TEXT`"
        );
    }
    Ok(scheme)
}

/// The text of this name among those that were given.
pub(super) fn text_of<'t>(texts: &[(&str, &'t str)], name: &str) -> Option<&'t str> {
    let mut texts = texts.iter();
    texts.find(|(own, _)| *own == name).map(|(_, text)| *text)
}

/// The names and texts of `--param`; `wanted` are the names that `whose` text has a use for.
///
/// # Errors
/// A text without a name, of another name, given twice, or that no route would take.
fn texts<'g>(
    given: &'g [String],
    wanted: &[&str],
    whose: &str,
) -> anyhow::Result<Vec<(&'g str, &'g str)>> {
    let mut texts: Vec<(&str, &str)> = Vec::new();
    for param in given {
        let (name, text) = param
            .split_once('=')
            .with_context(|| format!("`--param {param}` has no `=`: write `--param NAME=TEXT`"))?;
        if !wanted.contains(&name) {
            let known = match wanted {
                [] => "no text of a route".to_owned(),
                names => format!("`{}`", names.join("`, `")),
            };
            bail!("`--param {name}` is no param of {whose} {known}");
        }
        if texts.iter().any(|(own, _)| *own == name) {
            bail!("`--param {name}` is given twice");
        }
        if let Some((what, help)) = config::params::fault(text) {
            bail!("the text of `--param {name}` {what}: {help}");
        }
        texts.push((name, text));
    }
    Ok(texts)
}

/// Resolves a secret reference of this option of the command line; relative paths start at the
/// current directory. A literal is named by its place among the references, counted from 1.
pub(super) fn secret(option: &str, reference: &str, place: usize) -> anyhow::Result<Secret> {
    let forms = ["env:", "file:", "cred:", "plain:"];
    if !forms.iter().any(|form| reference.starts_with(form)) {
        bail!(
            "`{option}` is not a reference to a secret (its text is not shown): write `env:NAME`, \
             `file:PATH` or `plain:TEXT`"
        );
    }
    let resolved = secrets::resolve(
        reference,
        &Sources::of_process(Path::new(""), &Files::default()),
    )
    .map_err(|fault| anyhow!("`{option}` {}: {}", fault.message, fault.help))?;
    let is_named = resolved.name.is_some();
    let name = resolved.name.unwrap_or_else(|| format!("plain-{place}"));
    // A literal is warned about because a file holds it, which does not apply to the command line.
    for (_, words) in resolved
        .warnings
        .iter()
        .chain(resolved.exposures.iter().filter(|_| is_named))
    {
        note(&format!("warning: the secret `{name}` {words}"));
    }
    Ok(Secret {
        written: None,
        name,
        text: resolved.text,
        not_before: None,
        not_after: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_tolerance_is_a_time_zero_included_or_off() {
        assert_eq!(
            tolerance("300s"),
            Ok(Tolerance::Within(Duration::from_secs(300)))
        );
        assert_eq!(tolerance("0s"), Ok(Tolerance::Within(Duration::ZERO)));
        assert_eq!(tolerance("off"), Ok(Tolerance::Off));
        assert!(tolerance("300").unwrap_err().contains("300s"));
    }

    #[test]
    fn every_signed_text_of_a_route_is_given_once() {
        let scheme = || {
            let text = "algorithm = \"hmac-sha256\"\nsigned = \"{param:app_key}{body}\"\n\
                        signature = { header = \"X-S\" }";
            config::parse_scheme("s.toml", text).unwrap()
        };
        let with = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(ToString::to_string).collect();
            with_params(scheme(), &given).map_err(|error| error.to_string())
        };
        assert_eq!(with(&["app_key=a=b"]).unwrap().params(), Vec::<&str>::new());
        let rows: [(&[&str], &str); 6] = [
            (&[], "add `--param app_key=TEXT`"),
            (&["app_key"], "has no `=`"),
            (&["key=a"], "which signs `app_key`"),
            (&["app_key=a", "app_key=b"], "given twice"),
            (&["app_key="], "is empty"),
            (&["app_key=env:KEY"], "a param is no secret"),
        ];
        for (given, expected) in rows {
            let message = with(given).unwrap_err();
            assert!(message.contains(expected), "{given:?}: {message}");
        }
    }

    #[test]
    fn a_literal_secret_is_named_by_its_place_and_never_repeated() {
        assert_eq!(secret("--secret", "plain:abc", 2).unwrap().name, "plain-2");
        let message = format!("{:#}", secret("--secret", "tops3cret", 1).unwrap_err());
        assert!(
            !message.contains("tops3cret") && message.contains("env:NAME"),
            "{message}"
        );
    }
}
