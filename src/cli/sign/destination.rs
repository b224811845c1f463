//! The place to which a signed request goes, which may be another than the URL that is signed.

use anyhow::anyhow;

use crate::cli::delivery::split_url;
use crate::cli::output::note;
use crate::cli::subject::Subject;

/// The parts of a URL to send to, as far as they are known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Destination {
    /// `http://ADDRESS`.
    pub(super) origin: Option<String>,
    /// The path and the query.
    pub(super) target: Option<String>,
}

impl Destination {
    /// The parts of `--url`; nothing where it is not given.
    ///
    /// # Errors
    /// Why the text is no URL.
    pub(super) fn given(url: Option<&str>) -> anyhow::Result<Self> {
        let Some(url) = url else {
            return Ok(Self::default());
        };
        let (origin, target) = split_url(url).map_err(|why| anyhow!("`--url` {why}"))?;
        Ok(Self {
            origin: origin.map(str::to_owned),
            target: Some(target),
        })
    }

    /// Whether nothing is given.
    pub(super) fn is_empty(&self) -> bool {
        self.target.is_none()
    }

    /// The scheme and the host.
    pub(super) fn origin(&self) -> Option<String> {
        self.origin.clone()
    }

    /// The place to which the request for this route goes. A URL at the host of the route's
    /// `public_url` is the one that the provider calls: it says what is signed, and the request goes
    /// to the gateway, of which a note tells where a whole command is printed.
    pub(super) fn of(self, subject: &Subject, is_command: bool) -> Self {
        let own = subject.public_url.as_deref();
        let Some(own) = own.filter(|own| self.is_at(own)) else {
            return self;
        };
        if is_command {
            note(&format!(
                "note: the URL of the provider is signed, and the command goes to the gateway, {}",
                subject.gateway.origin
            ));
        }
        let target = self.target.map(|target| {
            let (path, query) = target
                .split_once('?')
                .map_or((target.as_str(), None), |(path, query)| (path, Some(query)));
            // A proxy changes the path between the provider and the gateway.
            let is_changed =
                own.strip_suffix(path).is_some_and(is_origin) && path != "/" && !subject.is_prefix;
            match (is_changed, query) {
                (true, Some(query)) => format!("{}?{query}", subject.path),
                (true, None) => subject.path.clone(),
                (false, _) => target.clone(),
            }
        });
        Self {
            origin: None,
            target,
        }
    }

    /// Whether the origin is that of this URL.
    fn is_at(&self, url: &str) -> bool {
        let Some((scheme, rest)) = url.split_once("://") else {
            return false;
        };
        let authority = rest.split('/').next().unwrap_or_default();
        let own = format!("{scheme}://{authority}");
        self.origin
            .as_deref()
            .is_some_and(|origin| without_port(origin).eq_ignore_ascii_case(without_port(&own)))
    }
}

/// Whether a text is a scheme and a host alone.
fn is_origin(text: &str) -> bool {
    text.split_once("://")
        .is_some_and(|(_, rest)| !rest.is_empty() && !rest.contains('/'))
}

/// An origin without the port that its scheme has anyway.
fn without_port(origin: &str) -> &str {
    let port = if origin.len() >= 6 && origin.as_bytes().get(4) == Some(&b's') {
        ":443"
    } else {
        ":80"
    };
    origin.strip_suffix(port).unwrap_or(origin)
}
