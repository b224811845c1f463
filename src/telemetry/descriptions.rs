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
        "Time from the end of a request's head to the last byte of its answer";
    VERIFICATION_DURATION = "histogram" "verigate_verification_duration_seconds" ["route"]
        "Time spent on the judgement of a delivery alone, not on waiting for its bytes";
    UPSTREAM_DURATION = "histogram" "verigate_upstream_duration_seconds" ["route"]
        "Time from asking for an upstream connection to the final status line";
    UPSTREAM_RESPONSES = "counter" "verigate_upstream_responses_total" ["route", "class"]
        "Final statuses of the upstream by class: 2xx, 3xx, 4xx, 5xx, or none where there was no answer";
    UPSTREAM_ADDRESSES_AGE = "gauge" "verigate_upstream_addresses_age_seconds" ["upstream"]
        "Time since the upstream's name was last resolved; above 30 where the resolver does not answer";
    UPSTREAM_HEALTHY = "gauge" "verigate_upstream_healthy" ["route", "upstream"]
        "1 while the upstream is in service, 0 while it fails its health checks or is left out after failures to connect";
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
    PROCESS_CPU = "counter" "process_cpu_seconds_total" []
        "CPU time of the process, user and system, in seconds";
    PROCESS_OPEN_FDS = "gauge" "process_open_fds" []
        "File descriptors open now";
    PROCESS_MAX_FDS = "gauge" "process_max_fds" []
        "The limit on open file descriptors";
    PROCESS_VIRTUAL = "gauge" "process_virtual_memory_bytes" []
        "Virtual memory of the process";
    PROCESS_RESIDENT = "gauge" "process_resident_memory_bytes" []
        "Resident memory of the process";
    PROCESS_START = "gauge" "process_start_time_seconds" []
        "The start of the process in Unix time";
    PROCESS_THREADS = "gauge" "process_threads" []
        "Threads of the process now";
    RELOAD_SUCCESSFUL = "gauge" "verigate_config_last_reload_successful" []
        "1 if the last reload, or the start, put its configuration in force, otherwise 0";
    RELOAD_SUCCESS_TIME = "gauge" "verigate_config_last_reload_success_timestamp_seconds" []
        "The time at which the configuration in force was loaded, in Unix time";
    SECRET_NOT_AFTER = "gauge" "verigate_secret_not_after_timestamp_seconds" ["route", "secret"]
        "The time from which a secret proves nothing any more, in Unix time; only for secrets that have an end";
    SECRET_LAST_MATCH = "gauge" "verigate_secret_last_match_timestamp_seconds" ["route", "secret"]
        "The time of the last delivery that the secret proved, in Unix time; 0 if there was none since the start";
    SECRETS_ACTIVE = "gauge" "verigate_secrets_active" ["route"]
        "Secrets of the route that can prove a delivery now";
    LAST_VALID = "gauge" "verigate_route_last_valid_timestamp_seconds" ["route"]
        "The time of the last event with the verdict valid, in Unix time; 0 if there was none since the start";
    REPLAY_CAPACITY = "gauge" "verigate_replay_capacity" []
        "Entries that the replay window can hold";
    MAX_BUFFERED = "gauge" "verigate_max_buffered_bytes" []
        "Body bytes that may be held in memory at one time";
    MAX_CONNECTIONS = "gauge" "verigate_max_connections" []
        "Client connections that may be open at one time";
    TLS_HANDSHAKES = "counter" "verigate_tls_handshakes_total" ["result"]
        "TLS handshakes that ended: full, resumed, failed, unknown_name, late, left (the client went away), not_tls, or challenge (of an ACME authority)";
    ACME_ORDERS = "counter" "verigate_acme_orders_total" ["result"]
        "Orders of certificates that ended: issued, failed, or limited where the authority refused for their number";
    CERTIFICATE_NOT_AFTER = "gauge" "verigate_certificate_not_after_timestamp_seconds" ["name"]
        "The time from which a TLS certificate counts no more, in Unix time";
    QUEUE_DELIVERIES = "gauge" "verigate_queue_deliveries" ["route", "state"]
        "Deliveries in the queue now: waiting (never tried), retrying, or dead";
    QUEUE_OLDEST = "gauge" "verigate_queue_oldest_seconds" ["route"]
        "Age of the oldest delivery that is not dead; 0 where none waits";
    QUEUE_BYTES = "gauge" "verigate_queue_bytes" []
        "Bytes of all deliveries in the queue, dead ones included";
    QUEUE_MAX_BYTES = "gauge" "verigate_queue_max_bytes" []
        "Bytes that the queue may hold";
    QUEUE_MAX_DELIVERIES = "gauge" "verigate_queue_max_deliveries" []
        "Deliveries that the queue may hold";
    QUEUE_ROUTE_BYTES = "gauge" "verigate_queue_route_bytes" ["route"]
        "Bytes of the route's deliveries in the queue, dead ones included";
    QUEUE_ROUTE_MAX_BYTES = "gauge" "verigate_queue_route_max_bytes" ["route"]
        "Bytes that the queue may hold of the route; 0 where the route stores nothing more";
    QUEUE_ROUTE_MAX_DELIVERIES = "gauge" "verigate_queue_route_max_deliveries" ["route"]
        "Deliveries that the queue may hold of the route; 0 where the route stores nothing more";
    QUEUE_ATTEMPTS = "counter" "verigate_queue_attempts_total" ["route", "class"]
        "Attempts to deliver from the queue by the app's answer: 2xx, 3xx, 4xx, 5xx, or none";
    QUEUE_DEAD = "counter" "verigate_queue_dead_total" ["route", "reason"]
        "Deliveries that became dead letters: by a status of dead_on, by their age, or since they are damaged on disk";
    QUEUE_HELD = "gauge" "verigate_queue_held" ["route"]
        "Deliveries that could not be read when they were due, and are held: their key is missing, or the file is damaged";
    QUEUE_PAUSED = "gauge" "verigate_queue_paused" ["route", "reason"]
        "1 while the route waits: an operator paused it, the app asked for it, or it was removed from the configuration";
    QUEUE_BREAKER_OPEN = "gauge" "verigate_queue_breaker_open" ["route"]
        "1 while the app is only probed because it did not take deliveries";
    QUEUE_ACCEPT_DURATION = "histogram" "verigate_queue_accept_duration_seconds" []
        "Time from the proof of a delivery to the sync that lets it be acknowledged";
    STATE_SYNC_DURATION = "histogram" "verigate_state_sync_duration_seconds" []
        "Time of a commit of queue.db, its sync included, and of a sync of window.db";
    STATE_ERRORS = "counter" "verigate_state_errors_total" ["kind"]
        "Errors of queue.db and window.db: full, sync, io, busy, damaged, other";
}
