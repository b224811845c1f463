//! The results of TLS handshakes, as a metric counts them (contract: Metrics).

/// The end of a TLS handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HandshakeResult {
    /// A session began.
    Full,
    /// An earlier session was resumed by its ticket.
    Resumed,
    /// The two sides did not agree.
    Failed,
    /// No certificate is for the server name.
    UnknownName,
    /// The client was too slow.
    Late,
    /// The client left without a word, or in the middle.
    Left,
    /// The client does not speak TLS.
    NotTls,
}

impl HandshakeResult {
    /// Every result, in the order of its number.
    pub(super) const ALL: [Self; 7] = [
        Self::Full,
        Self::Resumed,
        Self::Failed,
        Self::UnknownName,
        Self::Late,
        Self::Left,
        Self::NotTls,
    ];

    /// The result as the label of the metric has it.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Resumed => "resumed",
            Self::Failed => "failed",
            Self::UnknownName => "unknown_name",
            Self::Late => "late",
            Self::Left => "left",
            Self::NotTls => "not_tls",
        }
    }
}
