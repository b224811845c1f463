//! Every metric (contract: Metrics), declared once with its help text and labels.

/// The declaration of a metric, and its row in the table of docs/operating.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Description {
    /// The full name.
    pub name: &'static str,
    /// `counter`, `gauge` or `histogram`.
    pub kind: &'static str,
    /// The names of its labels.
    pub labels: &'static [&'static str],
    /// One sentence for the operator, without a full stop.
    pub help: &'static str,
}

macro_rules! descriptions {
    ($($place:ident = $kind:literal $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(pub(super) const $place: Description =
            Description { name: $name, kind: $kind, labels: &[$($label),*], help: $help };)*

        /// Every metric, in the order in which the pages list them (contract: Metrics).
        pub const DESCRIPTIONS: &[Description] = &[$($place,)*];
    };
}

descriptions! {
    REQUESTS = "counter" "verigate_requests_total" ["route", "verdict"]
        "Exchanges that ended, by the judgement before forwarding: valid, a refusal's code, or none";
    REQUEST_DURATION = "histogram" "verigate_request_duration_seconds" ["route"]
        "Time from a request's first byte to the last byte of its answer";
    VERIFICATION_DURATION = "histogram" "verigate_verification_duration_seconds" ["route"]
        "Time spent on the judgement of a delivery alone, not on waiting for its bytes";
    UPSTREAM_DURATION = "histogram" "verigate_upstream_duration_seconds" ["route"]
        "Time from asking for an upstream connection to the final status line";
    UPSTREAM_RESPONSES = "counter" "verigate_upstream_responses_total" ["route", "class"]
        "Final statuses of the upstream by class: 2xx, 3xx, 4xx, 5xx, or none where there was no answer";
    BUFFERED_BYTES = "gauge" "verigate_buffered_bytes" []
        "Body bytes held in memory now";
    OPEN_CONNECTIONS = "gauge" "verigate_open_connections" []
        "Client connections open now";
    SECRET_MATCHES = "counter" "verigate_secret_matches_total" ["route", "secret"]
        "Deliveries proved, by the name of the secret that matched";
    REPLAY_ENTRIES = "gauge" "verigate_replay_entries" []
        "Entries in the replay window now";
    REPLAY_EVICTIONS = "counter" "verigate_replay_evictions_total" ["reason"]
        "Entries evicted from the replay window for room: fresh ones were still within their tolerance, capacity is all others";
    EVENT_ID_CONFLICTS = "counter" "verigate_event_id_conflicts_total" ["route"]
        "Event ids seen again with another body";
    LOG_LINES_DROPPED = "counter" "verigate_log_lines_dropped_total" []
        "Access-log lines lost because standard output was blocked or failed";
    CONFIG_RELOADS = "counter" "verigate_config_reloads_total" ["result"]
        "Reloads of the configuration: ok, or error where the running one was kept";
    BUILD_INFO = "gauge" "verigate_build_info" ["version"]
        "Always 1; the label tells the version";
}
