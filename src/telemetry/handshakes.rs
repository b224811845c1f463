//! The results of TLS handshakes and of orders of certificates, as metrics count them (contract:
//! Metrics).

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
    /// An authority looked at an open challenge.
    Challenge,
}

impl HandshakeResult {
    /// Every result, in the order of its number.
    pub(super) const ALL: [Self; 8] = [
        Self::Full,
        Self::Resumed,
        Self::Failed,
        Self::UnknownName,
        Self::Late,
        Self::Left,
        Self::NotTls,
        Self::Challenge,
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
            Self::Challenge => "challenge",
        }
    }
}

/// The end of an order of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcmeOrder {
    /// A certificate came and is in force.
    Issued,
    /// None came, or none that could be used.
    Failed,
    /// The authority refused because of the number of orders or requests.
    Limited,
}
