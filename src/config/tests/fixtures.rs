//! Public keys for tests. Each belongs to a pair made for this purpose, whose private half is used
//! for nothing else.

/// 32 bytes in hex, as Discord gives it.
pub(crate) const ED25519_HEX: &str =
    "c461dc6b3b11b8b11a667ee84fb0d79627b83f31c4fd3093496ceacd90e1ca72";

/// The same key as PEM.
pub(crate) const ED25519_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
    MCowBQYDK2VwAyEAxGHcazsRuLEaZn7oT7DXlie4PzHE/TCTSWzqzZDhynI=\n\
    -----END PUBLIC KEY-----\n";

/// Its fingerprint, by `openssl pkey -pubin -outform DER | sha256sum`.
pub(crate) const ED25519_FINGERPRINT: &str =
    "05d6233f451cc9cf555eaf7eadc05bfe77440261a99de6955355e233a47a3703";

/// The private half of the pair.
pub(crate) const ED25519_PRIVATE: &str = "-----BEGIN PRIVATE KEY-----\n\
    MC4CAQAwBQYDK2VwBCIEIP7mwrAr6xOaRhFGomZDgFuOnCgEISa/Cv9/+Nj4Os93\n\
    -----END PRIVATE KEY-----\n";

/// A key on P-256, as PEM.
pub(crate) const P256_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
    MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEsUHuvSfnI0hWwNr2QI0stVAmQKr/\n\
    KFhsbhkAZAlMBREuJAphl5lTmxm8NbcLVo35MzCXuzJ+dWwb9A+KK9BaBA==\n\
    -----END PUBLIC KEY-----\n";

/// A certificate of the P-256 key, from the year 2020.
pub(crate) const P256_CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----\n\
    MIIBCjCBsgIBATAKBggqhkjOPQQDAjASMRAwDgYDVQQDDAdleHBpcmVkMB4XDTIw\n\
    MDEwMTAwMDAwMFoXDTIxMDEwMTAwMDAwMFowEjEQMA4GA1UEAwwHZXhwaXJlZDBZ\n\
    MBMGByqGSM49AgEGCCqGSM49AwEHA0IABLFB7r0n5yNIVsDa9kCNLLVQJkCq/yhY\n\
    bG4ZAGQJTAURLiQKYZeZU5sZvDW3C1aN+TMwl7syfnVsG/QPiivQWgQwCgYIKoZI\n\
    zj0EAwIDRwAwRAIgC91EVtsyoESo60O3N29S8pTGlZQKzbeHyDIQMFBNVewCIEr2\n\
    4NdAH2jkytFAjMxfvkpxhwWx1qV9mygRDnFNCBum\n\
    -----END CERTIFICATE-----\n";

/// An RSA key of 2048 bits, as PEM.
pub(crate) const RSA_PEM: &str = "-----BEGIN PUBLIC KEY-----\n\
    MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAwY17O3azwY1or/QaZ2nF\n\
    iDrVkU1IQZDZttaUt4vc7WZxgh1K1WzwaM4BksJPFu4Bn/E9AlLfymzNb9T078t+\n\
    hPyHsWkWJlcPL6BtdUoXunjAMPyRXxLnGlQ4cz6qf7Yor3fECFL8PzP1o4DvUMw1\n\
    3l3XNv7YLPkyqS43VgNMDS2OT4Zt2ghYxyg7zYepDl7RUTa517wureo50tDysyhV\n\
    WXKgBiXJ3MIyC8D38yloJN8pceWHgwo3TqAf+mXHsu70q6zxC5Hxn3z/bkARUf49\n\
    76LzZtVDjYlwmE7P/3Cqit3C/60FjXS6lky/lSFaPEDkLZz9Dj/1Bn+QKxDCExV7\n\
    IQIDAQAB\n\
    -----END PUBLIC KEY-----\n";
