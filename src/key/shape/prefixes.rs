//! The beginnings by which providers mark what they hand out: signing secrets, API keys, ids.
//!
//! They are published to be recognised (by scanners that look for leaked keys, for instance), so
//! they may be named in a message; the text behind them may not.

/// The beginnings of signing secrets and of keys for verifying. Such a beginning alone is no
/// secret. A longer beginning comes before one that it begins with.
pub(super) const SIGNING: &[&str] = &[
    "v1,whsec_",
    "v1a,whpk_",
    "whsec_",
    "whpk_",
    "whsk_",
    "pdl_ntfset_",
    "polar_whs_",
    "lin_wh_",
    "wsec_",
    "ol_whs_",
    "tskey-webhook-",
    "shpss_",
    "sq0csp-",
    "SharedKey:",
    "base64:",
    "hex:",
];

/// The beginnings of API keys and access tokens, which do not sign deliveries (the few providers
/// that sign with one say so in their scheme).
pub(super) const API_KEYS: &[&str] = &[
    "sk_test_",
    "sk_live_",
    "rk_test_",
    "rk_live_",
    "pk_test_",
    "pk_live_",
    "sk-ant-",
    "sk-proj-",
    "sk-",
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "gldt-",
    "glptt-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxe.",
    "xapp-",
    "SG.",
    "shpat_",
    "shpca_",
    "shppa_",
    "sq0atp-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "lin_api_",
    "lin_oauth_",
    "ntn_",
    "pdl_live_apikey_",
    "pdl_sdbx_apikey_",
    "polar_oat_",
    "pat-na1-",
    "pat-eu1-",
    "figd_",
    "hf_",
    "r8_",
    "PMAK-",
    "npm_",
    "pypi-",
    "dop_v1_",
    "NRAK-",
    "NRII-",
    "sbp_",
    "sb_secret_",
    "sb_publishable_",
    "dp.pt.",
    "dp.st.",
    "pscale_tkn_",
    "bkua_",
    "sntrys_",
    "sntryu_",
    "tskey-api-",
    "tskey-auth-",
    "tskey-client-",
    "tfp_",
    "rzp_live_",
    "rzp_test_",
    "FLWSECK",
    "FLWPUBK",
    "ck_",
    "cal_live_",
];

/// The beginnings of the ids of accounts, endpoints, applications and messages.
pub(super) const IDS: &[&str] = &[
    "we_", "ep_", "wh_", "evt_", "msg_", "acct_", "cus_", "ntfset_", "app_", "org_", "prj_",
    "proj_", "team_", "user_", "whk_", "sub_",
];

/// The beginnings of the addresses of secrets, which another program has to follow.
pub(super) const ADDRESSES: &[&str] = &[
    "env:",
    "file:",
    "plain:",
    "cred:",
    "learn:",
    "op://",
    "vault:",
    "bao:",
    "ref+",
    "sm://",
    "gcp-sm:",
    "secretref:",
    "akv://",
    "kms://",
    "doppler://",
    "infisical://",
    "keyring:",
    "arn:aws:secretsmanager:",
    "arn:aws:ssm:",
    "arn:aws:kms:",
    "@Microsoft.KeyVault(",
    "ENC[",
    "{cipher}",
    "{{resolve:",
];

/// The beginnings of the values of signature headers.
pub(super) const SIGNATURES: &[&str] = &[
    "sha256=",
    "sha1=",
    "sha512=",
    "hmac-sha256=",
    "hmac-sha256-hex=",
    "v0=",
    "v1=",
    "v1,",
    "v1a,",
    "h1=",
];

/// The words in front of a credential in `Authorization`.
pub(super) const AUTHORIZATION: &[&str] = &["Bearer ", "Basic ", "Token ", "bearer ", "basic "];

/// The folders in which the files of secrets are found.
pub(super) const FOLDERS: &[&str] = &[
    "/run/",
    "/etc/",
    "/var/",
    "/home/",
    "/root/",
    "/mnt/",
    "/opt/",
    "/tmp/",
    "/secrets/",
    "/vault/",
    "./",
    "../",
    "~/",
    "C:\\",
    "\\\\",
];

/// The first of these beginnings that `text` has.
pub(super) fn found(text: &[u8], prefixes: &[&'static str]) -> Option<&'static str> {
    prefixes
        .iter()
        .copied()
        .find(|prefix| text.starts_with(prefix.as_bytes()))
}
