//! What the operator is told of a configuration that takes effect, at the start and at each reload
//! (contract: Reload).

use crate::config::{Config, Warning};
use crate::key::shape::{Suspicion, concealed};

/// What the operator is to know of a configuration that takes effect.
pub(crate) struct Notes {
    warnings: Vec<Warning>,
    /// A sentence for each route that acknowledges warnings.
    acknowledged: Vec<String>,
}

impl Notes {
    /// The warnings of a configuration, and the names of those that its routes acknowledge.
    pub(crate) fn of(config: &Config) -> Self {
        let named = config.acknowledged_names().into_iter();
        let sentence = |(route, names): (&str, Vec<_>)| {
            let route = concealed(route, Suspicion::Plain);
            format!("route `{route}` acknowledges: {}", names.join(", "))
        };
        Self {
            warnings: config.warnings.clone(),
            acknowledged: named.map(sentence).collect(),
        }
    }

    /// Logs them.
    pub(crate) fn show(&self) {
        for warning in &self.warnings {
            log::warn!("{warning}");
        }
        for sentence in &self.acknowledged {
            log::info!("{sentence}");
        }
    }
}
