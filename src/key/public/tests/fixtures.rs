//! Keys and signatures for the tests of public keys. OpenSSL made them; certificates and forgeries
//! were made with pyca/cryptography and arithmetic. The private keys belong to nobody.

/// The content that every signature here signs.
pub(super) const MESSAGE: &[u8] = b"verigate";
/// Ed25519, by `openssl genpkey -algorithm ed25519`.
pub(super) const ED25519_PRIVATE_PEM: &str = "\
-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIBDNREcFzIEZjl88JO+8dzTT5CJmefzO/U+gAPz7RjOY
-----END PRIVATE KEY-----
";
/// Its public key. The PEM fixtures that follow are public keys too, unless they say otherwise.
pub(super) const ED25519_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VwAyEAzfsXrW6lAx9+kPOzpEKkdhOiXR+Q7DxiGnIsGIifGrE=
-----END PUBLIC KEY-----
";
/// 32 bytes in hexadecimal.
pub(super) const ED25519_HEX: &str =
    "cdfb17ad6ea5031f7e90f3b3a442a47613a25d1f90ec3c621a722c18889f1ab1";
/// SHA-256 of its DER, by `sha256sum`.
pub(super) const ED25519_FINGERPRINT: &str =
    "SHA256:57c9d4546ce58c5cd53e063d5f69ee1a687b858c92ea0a71f7def2075adeb685";
/// Its signature of [`MESSAGE`] in base64, like every signature that follows.
pub(super) const ED25519_SIGNATURE: &str =
    "tr3z270pH+Fn6WNW6bwbe2HyhBZhUTJoxNZNONA0H/hVeOedjGhHZzsGkLmjLcdrgHSWTzfLREoqCKS55dyfDw==";
/// P-256, by `openssl ecparam -name prime256v1 -genkey`.
pub(crate) const P256_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEVZaxE/s077FbZ+Lt62PXGqCkZ1Mw
l90DzkyXZ9ElZO3lx7KE0WpydgkxaOBYzJa9TsF9ujHeKnPyQi4eenC5rg==
-----END PUBLIC KEY-----
";
/// Its coordinates, base64url.
pub(super) const P256_X: &str = "VZaxE_s077FbZ-Lt62PXGqCkZ1Mwl90DzkyXZ9ElZO0";
pub(super) const P256_Y: &str = "5ceyhNFqcnYJMWjgWMyWvU7Bfbox3ipz8kIuHnpwua4";
/// SHA-256 of its DER.
pub(super) const P256_FINGERPRINT: &str =
    "SHA256:a6a68de9b50d732d3ba4b19a95126441f7840bc9598e7793c1991692876e623d";
/// r begins with a set bit, s does not: 71 bytes of DER.
pub(super) const P256_DER_SIGNATURE: &str = "MEUCIQD4xltoxNPAAJUC3adjUNtdotMqRzUaSU9eXKlOKKyP7QIgUI2Ckq1oaQaPPdYzO+ODBb9cQmUBGNvqPAX7+O+uoT8=";
/// The same r and s.
pub(super) const P256_RAW_SIGNATURE: &str =
    "+MZbaMTTwACVAt2nY1DbXaLTKkc1GklPXlypTiisj+1QjYKSrWhpBo891jM744MFv1xCZQEY2+o8Bfv4766hPw==";
/// RSA of 2048 bits, by `openssl genrsa`.
pub(super) const RSA_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAncTuemjdr1nWmKwrYliK
kRWjnWu4VGa6nYp4JwOC6TrN3JUYfGaaXo1tW8cWULnxaV91qsXfe/Cr7NUAA0wl
QMWYUdlC7tc7t11txVr58693Zj4EZ0UbwNVzWQzyBRqVXB05NBHXcWdXHTDkXUtJ
2Fu6ceQvFoadohgM57fQVqHoX2LUIPE0ABUANi7wJVF0yIMf47/NwBd6FHr4hs6f
LanqhImTDu+JyJI7+SYArBLl7yFMNJ18CTILQduoSziV5PdlaBlPyHbOVa/02Lgy
t3GdgeMak/A9kMtXZFvs0pq39HgiJlvEgbTgMcfmZyqJSkIfMbj/7I5kCv9cNk7p
cQIDAQAB
-----END PUBLIC KEY-----
";
/// The same key as PKCS #1.
pub(super) const RSA_PKCS1_PEM: &str = "\
-----BEGIN RSA PUBLIC KEY-----
MIIBCgKCAQEAncTuemjdr1nWmKwrYliKkRWjnWu4VGa6nYp4JwOC6TrN3JUYfGaa
Xo1tW8cWULnxaV91qsXfe/Cr7NUAA0wlQMWYUdlC7tc7t11txVr58693Zj4EZ0Ub
wNVzWQzyBRqVXB05NBHXcWdXHTDkXUtJ2Fu6ceQvFoadohgM57fQVqHoX2LUIPE0
ABUANi7wJVF0yIMf47/NwBd6FHr4hs6fLanqhImTDu+JyJI7+SYArBLl7yFMNJ18
CTILQduoSziV5PdlaBlPyHbOVa/02Lgyt3GdgeMak/A9kMtXZFvs0pq39HgiJlvE
gbTgMcfmZyqJSkIfMbj/7I5kCv9cNk7pcQIDAQAB
-----END RSA PUBLIC KEY-----
";
/// Its modulus, base64url.
pub(super) const RSA_N: &str = "ncTuemjdr1nWmKwrYliKkRWjnWu4VGa6nYp4JwOC6TrN3JUYfGaaXo1tW8cWULnxaV91qsXfe_Cr7NUAA0wlQMWYUdlC7tc7t11t\
    xVr58693Zj4EZ0UbwNVzWQzyBRqVXB05NBHXcWdXHTDkXUtJ2Fu6ceQvFoadohgM57fQVqHoX2LUIPE0ABUANi7wJVF0yIMf47_N\
    wBd6FHr4hs6fLanqhImTDu-JyJI7-\
    SYArBLl7yFMNJ18CTILQduoSziV5PdlaBlPyHbOVa_02Lgyt3GdgeMak_A9kMtXZFvs0pq39HgiJlvEgbTgMcfmZyqJSkIfMbj_7\
    I5kCv9cNk7pcQ";
/// SHA-256 of its DER.
pub(super) const RSA_FINGERPRINT: &str =
    "SHA256:bdd38e4890c9e131ef852ecc62f7c5ff0380df75844ca317e28ab5c49168072f";
/// With SHA-256.
pub(super) const RSA_SHA256_SIGNATURE: &str = "FilZhLCpRvc+jRLbaVzjmReWzB34oRw7h5ITR7tcablLilHoLdjH3kDhNJ8uByFtDZ1N2RRFRvZoldabCKYo7hbA2TKE1Y0tPqOP\
    KC/JwkpTT6sgpe0rzJgzAYvcKu1Ud4StaDHb0Q3CSMpaXDoqVw7Npz2wkpSJeZXIynTR0xqY9xZy59HZOFSg1mNg8thxhctfbVXh\
    hUNnAzNso799iUZG5hpt3vVXxzyUvHdDoBeTTpcIt1c/sNoT7na+eDkfPsrHaVK1j3mXbtTT5Xa5raJf4nMBdxoFnJGTWiPNZ8u9\
    5V4VlTDNd2c/ulQBw6zQAveObl3fmRnGqeUFqTsvVw==";
pub(super) const RSA_SHA384_SIGNATURE: &str = "bIgJCBiu6W1J1NOavcTb5T2LHy8vjfnTJrab4d63z1TD+Sl0/8T/1cYXgud9UCSyROAsjskmLZ3pi/8BSOJ3Hfm3GJnhDe8KRXvB\
    duFAHyNAC/xrqHTwlbRH6FHFoZuXlQJVtEJ0rde7o3S5EOIRmnHmp4ESPH7YdVXaWAPeV0P67F8x9xY+XjPJDjarKydXZWi2sY9W\
    8mVjH9ViKrCGVyHJpH7ykiYPeDQan/Hi6RBjBnwtQ5PKqqHGawnPFWYEIJfGGpId4KWMkU6Svy5FLoEsOR5SZJi98r4XNm+oE1BI\
    LD1kUY9TlioP2DBBZwO2DW0jZSDB3JH9XHjLNa66Lw==";
pub(super) const RSA_SHA512_SIGNATURE: &str = "ZddahP6twOVn2WMu4hRlOyzOD4zEdz252VgqKZre0RsiGTO0KXCaGakhgdHMXQ6brpnIZmTBy/e2X2IwUmsTy0Q+eMGfW9jpZeEm\
    ceqoUNcExZrX4HnXJknx0vi7rl6w9VKIoqGg6/sz1hgPMdQIaLbILw6VNaMq8pLrHA+uNt1OAcn2zgJGamDe244NIYsCC95yMxb6\
    yILuxBwkBwb8IyKc1KBpZRX/ZdOuiZOcD3ZlCj1hVPdOqZeP4KAGPRtrsjuvBztnuM2GkGSB0c1B0dCJYjvDJ8po2P1F41Num8pK\
    SW/ooLNfbrptzBKPt+hHvD0v6MLr9Tcp+nSgUTRhuw==";
/// P-256, from 2026-01-01T00:00:00Z to 2026-12-31T23:59:59Z.
pub(super) const P256_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIIBDDCBs6ADAgECAgEFMAoGCCqGSM49BAMCMBAxDjAMBgNVBAMMBWhvb2tzMB4X
DTI2MDEwMTAwMDAwMFoXDTI2MTIzMTIzNTk1OVowEDEOMAwGA1UEAwwFaG9va3Mw
WTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARVlrET+zTvsVtn4u3rY9caoKRnUzCX
3QPOTJdn0SVk7eXHsoTRanJ2CTFo4FjMlr1OwX26Md4qc/JCLh56cLmuMAoGCCqG
SM49BAMCA0gAMEUCIBOVpY5gPAE6jOe1KZIgngI6aifLYX8TDagdaPz5gsVKAiEA
nMet2ftSorkVEPxMq9Sh6oqEgKanUxnxDkDP9Ipmcjw=
-----END CERTIFICATE-----
";
/// Ed25519, from 2026-01-01T00:00:00Z to 2050-01-01T00:00:00Z, which is a `GeneralizedTime`.
pub(super) const ED25519_CERTIFICATE: &str = "\
-----BEGIN CERTIFICATE-----
MIHOMIGBoAMCAQICAQUwBQYDK2VwMBAxDjAMBgNVBAMMBWhvb2tzMCAXDTI2MDEw
MTAwMDAwMFoYDzIwNTAwMTAxMDAwMDAwWjAQMQ4wDAYDVQQDDAVob29rczAqMAUG
AytlcAMhAM37F61upQMffpDzs6RCpHYTol0fkOw8YhpyLBiInxqxMAUGAytlcANB
ADVLGI4UrQPD5ePWsv4uN+/SM2goOmN1ZKtJ4xUvokijdIGqZKCuXQyvoDZuJzHO
1LezcAAVl2x31JOAWBwjdww=
-----END CERTIFICATE-----
";
/// The private half of [`P256_PEM`], as PKCS #8. It signs, and is refused where a public key is
/// wanted.
pub(crate) const P256_PRIVATE_PEM: &str = "\
-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgTAFBwiQd0eHY6xVA
qsf0N1zjMzCAUxvBRArcUZa8qSWhRANCAARVlrET+zTvsVtn4u3rY9caoKRnUzCX
3QPOTJdn0SVk7eXHsoTRanJ2CTFo4FjMlr1OwX26Md4qc/JCLh56cLmu
-----END PRIVATE KEY-----
";
/// Refused: the same as SEC 1.
pub(super) const P256_SEC1_PEM: &str = "\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIEwBQcIkHdHh2OsVQKrH9Ddc4zMwgFMbwUQK3FGWvKkloAoGCCqGSM49
AwEHoUQDQgAEVZaxE/s077FbZ+Lt62PXGqCkZ1Mwl90DzkyXZ9ElZO3lx7KE0Wpy
dgkxaOBYzJa9TsF9ujHeKnPyQi4eenC5rg==
-----END EC PRIVATE KEY-----
";
/// Refused: P-384.
pub(super) const P384_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEUWtf8TuLF5LUMTS5MgWA1C2/RPdc9Zlc
aSegTM54GSQD9pvyrBP4vZzMGwj45k0VGPT8Bf+WMGujFpfVV25tpAZaDVmDypt9
mORdd2x2hBn9LV5/GpczXD400DZrYO0H
-----END PUBLIC KEY-----
";
/// Refused: a compressed point.
pub(super) const P256_COMPRESSED_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MDkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDIgACVZaxE/s077FbZ+Lt62PXGqCkZ1Mw
l90DzkyXZ9ElZO0=
-----END PUBLIC KEY-----
";
/// Refused: the curve spelled out.
pub(super) const P256_EXPLICIT_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBSzCCAQMGByqGSM49AgEwgfcCAQEwLAYHKoZIzj0BAQIhAP////8AAAABAAAA
AAAAAAAAAAAA////////////////MFsEIP////8AAAABAAAAAAAAAAAAAAAA////
///////////8BCBaxjXYqjqT57PrvVV2mIa8ZR0GsMxTsPY7zjw+J9JgSwMVAMSd
NgiG5wSTamZ44ROdJreBn36QBEEEaxfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5
RdiYwpZP40Li/hp/m47n60p8D54WK84zV2sxXs7LtkBoN79R9QIhAP////8AAAAA
//////////+85vqtpxeehPO5ysL8YyVRAgEBA0IABFWWsRP7NO+xW2fi7etj1xqg
pGdTMJfdA85Ml2fRJWTt5ceyhNFqcnYJMWjgWMyWvU7Bfbox3ipz8kIuHnpwua4=
-----END PUBLIC KEY-----
";
/// Refused: RSA of 1024 bits, too weak.
pub(super) const RSA_1024_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCzanbn0MrTgDoJWv+t8Lf0Bdrj
8TlsWcudpFsAQS/MAK81pbQtJBAD/40zefVg9yyOj6vTKbadZTMtuBMtFxjJ1NMQ
I6XIfOnbWvIAMCNh7rEKvxI3PlUIuER58kqUqV2R59L2Zs97Hxh5Vj/74xepZu1J
T8t6UQn94E3akuvWFQIDAQAB
-----END PUBLIC KEY-----
";
/// Refused: a key for key agreement.
pub(super) const X25519_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MCowBQYDK2VuAyEAcTT8o0XeUUyoG+n167U2MA7HIc2PtFx1c9k1k5pwiB8=
-----END PUBLIC KEY-----
";
/// Refused: an RSA key for PSS alone.
pub(super) const RSA_PSS_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIDALBgkqhkiG9w0BAQoDggEPADCCAQoCggEBAOidRZZ/Whmm7G7YV4rQrqAp
QqsMcjUm7hQ81KNMe9RdtXqm04gU9XbLG7+BWZVqpjhxbK+YLh498Y+B1rL+SXMo
lpOnblyuB4oK5dp/sGrTpsQnV4+hzaPymNIP816oofEC/yMzFSOJGnabraGO+8XE
BrCIb3ythT+kfgMweUk1cFXhwY8QoC0dBn/zd8gMb0pyRZQa7SYCDO4uDXY95O6E
E4BAIy8PZFF6oyS/lOXL+kFx/FuJhp+Z6eB+q6Qa7K5a/RROKIlsmYv7S+pMY3Ml
EDRK7TSO7PfLytWiXYFCwPY5xdorU+Dla5EF5yx2S3+DyZEFmJB7qIZCUVZgCsMC
AwEAAQ==
-----END PUBLIC KEY-----
";
/// Refused: the parameters of a curve, which are no key.
pub(super) const EC_PARAMETERS_PEM: &str = "\
-----BEGIN EC PARAMETERS-----
BggqhkjOPQMBBw==
-----END EC PARAMETERS-----
";
/// Refused for signing: an encrypted private key.
pub(super) const ED25519_ENCRYPTED_PEM: &str = "\
-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjAKB7xowFZWgICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEELu7LPd/tk/mZ05P2F75nVQEQK7C
kDY1GBqsV/+TflVJ1Fmr45QKWU6QquSXxZCKugo5fWlsj6m2BE7g/JHWuoWHFFWP
o3eP8M5KW/N5dRaxFs4=
-----END ENCRYPTED PRIVATE KEY-----
";
/// Padded blocks of [`MESSAGE`] under the RSA key, each raised to the private exponent: the first
/// is the right one.
pub(super) const RSA_BLOCKS: [(&str, &str); 12] = [
    (
        "the right one",
        "FilZhLCpRvc+jRLbaVzjmReWzB34oRw7h5ITR7tcablLilHoLdjH3kDhNJ8uByFtDZ1N2RRFRvZoldabCKYo7hbA2TKE1Y0tPqOP\
         KC/JwkpTT6sgpe0rzJgzAYvcKu1Ud4StaDHb0Q3CSMpaXDoqVw7Npz2wkpSJeZXIynTR0xqY9xZy59HZOFSg1mNg8thxhctfbVXh\
         hUNnAzNso799iUZG5hpt3vVXxzyUvHdDoBeTTpcIt1c/sNoT7na+eDkfPsrHaVK1j3mXbtTT5Xa5raJf4nMBdxoFnJGTWiPNZ8u9\
         5V4VlTDNd2c/ulQBw6zQAveObl3fmRnGqeUFqTsvVw==",
    ),
    (
        "NULL missing",
        "Sa8I09WBSbpffveFTKLTJz2BcdE+Mm7tWfwdt2x1AZ08FOE/NG388OcVMwQhysP48uWEKYBaEMQfmIlwP/D+SAPIQkAVOFy874zt\
         89HPrt0JuRBlaqlqmqrzpGv6DfsPQsMpvl+6s+WpJ2PPALm2aEGAVaRXwzgdv4z+S9AwK4+eEgczXRLeyrU8KALCD0aWah9H1JxH\
         X/yK/WZiRvk+ZK3vz5T8gGS5aIdmiuOfQrObiXUDpWyYMLvcOdSreX63edBu8lgjFiUdSKwU5ZxpYmAswxA5LnjEEwXEW3xfzq+s\
         PcJVSlpInGr2BXVZdzBQ8PTQ0Mfkio+H+VUpPHXxWg==",
    ),
    (
        "garbage after a digest moved to the front",
        "fJL31t8RGqaBSs6VdJcrWQRCuGolx88wPqKfUQ/5keyuDu8RS6CQH3kC2OuXEOlW6hMmLjsto9/tT7hWs8TNgVdRBPn4/D9VfqL4\
         6SjLKkzpM0/+6JKuCSPsq3itlVafJsCRshgRnBSJ5uqVu5RjRhdxdERA5ELvND15A86KjtnlZ44oZk9Ohfp3b+CbIYlBMlH9XTlB\
         QlwcG5rsBJcgLsqkAjT8k0ReOjnqw8x8vlu5K7259k7uHKnzzpLi8xxbADemaAa7JgO2xlp5hhbh5nLRx4zhnuDZpPs8QHiwjsTr\
         27ABcYgyzTN/fm1/KcL0XNpSwxnnrUl1SVlG0W/QhQ==",
    ),
    (
        "zeros after a digest moved to the front",
        "FcOV4gwbnqC8cfryC6mTqsqwTqCI9vGwSV+Rqq/gdHC+MZRMgpHlh7ERnX6ZzHENIq6j98BcSEBJZpU3wMzuDv0Q2DrbtI8yqrMJ\
         0AV7cKSXTrAbAvt76MDVvZr4fb+xTvuqh+vXYivBHCEoFm6Cca+53RwQ38N9dHMBwOlSFElyna81MlUThTMJTFYpUmY5wzizl19d\
         9+1rt23+vjIjQ8X3b/QJTeunvAx3JnZRqqbmYE29lEzMZRAwjUc9jqbfjdz48FUoD8+GOQ58DSyM84HC0JrmnEGeNBpuezT4OP+A\
         fC7Gltf+p4A6bqcjGsWPfyHfovkl4ym1k6MfgdbDlw==",
    ),
    (
        "block type 2",
        "KNLCso2mYzJKTD2hNyIDd8dBIIiB6OU8B9gnEk/8jKsuj/ZP2tnj/QphSwwFgN0vz4FecFBkq1lOOZw3lm4M1FzMI0+Qw4gRMrst\
         D4K9cne+qNaS5vR5YsFHzwhc/zcRaTQDvHBvbAzMMvxmlSpel+eZQqJEDL7L+z+3gGefRnyDqLgzROURgxB+mfZKhm35YGACMOWs\
         RAy8n0dcC6DGL3WiIam1RNr40xkiyF1D5q1AR5Ae0HEhbADQh0QPcy88A6z/AG5HsA4TeT1V04oIVY/xx4qNA9WISc2ATlus0zkw\
         NBtk34K4bvvG9KqobioU5fSbEJVSOl6a7IZN1Wb+6g==",
    ),
    (
        "padding not all ones",
        "G7FvRaFGI/Cz6NIGBV/zxjaNOZYUNgjI+9ee0lwtxJTKjqj6NqmT0Hh4+3g/dLqmxAnU9SmZ5lO2MQCiaGpP1Z2z2w2RMisw18GC\
         8EZH4PtAs0e+J6llagopck0MvOU+IX5Z0BDeQQ0JVPHe6rLXrsttVt8Su4ursCY74/ouDKaRb6eHR9xRGEKTy4uH1csO7671YFBL\
         9NWc+tpfRz7m6eEruiEQfA44YmcN3V6cZysgXv8T2/Au+EvUO4BMNdcrtdS1MzaJ1U3TB9I0Q9rQwp7gPwY5NHXs1AqO/EG2Epiy\
         h1BshFFvKa2O9zPbfa1G6FxmVcIkBsSpNzGkK+esFA==",
    ),
    (
        "no zero after the padding",
        "FCyaLP7B03TMhG+DNLExK3nKDJHkxImXHedwgK2SaQNlpWY1PUHs7zYWzlnB7DTMTj89CUxoXZ99MBBXU1aTmwDfBmQ/eRi7tvza\
         9BwHrJWIQwFUNWMJ3GnqTaMLvvGkpKENvMdSJm0/NfSNnVxW5QvHD21zKmq6nxYz5lfgDyWtz/K+/aQUKG7O3OgEW4hGXPbvzZKR\
         uG/3suN+Iicg4ezp5uJisGq+Q+35OXd8oVeQnbj1qf97eiyJ8LYvPSEgeMokBN/xooYnmwD5wuCi2DoUmFtqDYv2GxRY6kkcf6oh\
         VSdPLfVHHyjhTb6wudVFdTYqisDemabzkH8jdhczDg==",
    ),
    (
        "digest without its algorithm",
        "Ho88ikTmb9rJvphfagY0pFauHVRWntOXJDL7ds/F86/b69/CpSYTg/zlaJiPmcWohX6xQZUJZC62MjYHmB1OIh/fOJrGHXitb87Y\
         hF3J+FDxMy6ma9am94OFz6yPr+Gxnghzi8jYZ412ICgMY6H+g5c485sQWGn4YeiW9l8ZS10dBYcKhYwvPuokVKUxGnp+760tjVTl\
         BatvugtfYnyY8jUoZNQBLtLaKLG/haVCWBKsIAZHXTe0jAKKNWU/aqUcPTOByjI/K39W0DLE9xTWJhy0jIR/SES4l6Ldj/Mh/wlj\
         u0bAP4Tz7Al2vrE1p0gc8gnIvx/4/wPu+vmx9m87Zw==",
    ),
    (
        "algorithm of SHA-512 before a SHA-256 digest",
        "bULrUm+7Eny7ZOTxN80vhaaR1pMNDjQcTSi33kYDuA+FjbNYnVlSGhtxZ3Fz3U4P6sgoClSx8/byDdNI4WMXB/nOjYPj3tc+ol0P\
         D02oUt/LWri2mixBhaMYDbX1DYnOGxvN+fg5T7nu/n9FKBplh1KIFcJres+trrhBOxlWCOAVLLE0IWoNBQ+DO3ERfw+bIhb4bTAZ\
         Gjrn2Y7Xg5RYqIejpne1o5e2lSQ5EIyzP1xrc+zhYki8pi43+oQ0hwL6eYsiKA8U45reMIsyKFKiphBxjadQniM/2+wU74Zc5dSJ\
         1QUVH8HJk478lsNunr1GGVZOuhkSW2NPS617OX54xA==",
    ),
    (
        "length of the digest in two bytes (BER)",
        "A/Jj4ARPgwiIMLk9byltLVJM6oJ38tOkO64eXzTFASpSEXqpDqXsUu5CVVEJh+6Aj+JpIPbE759X9cddSqYYZhFv4n/Fo/ok5CXX\
         ers4+gwNJKTSSBV8dTZOfFWSutt1N0L/0+FtdB8leRNnJB8jmLiZN5fIOzhGDyigKGhtZWuUj3um1dg3g/p5OC0PPva7vhagW2sh\
         MHy+Efc0/V4SLAGuDx58ehythj13iZl6ve73mf/XLLv8zZhmCen25lN5I3nnB3wmgVNLTL55xhazR+J1jFp0PVwRNrssrLOw9txD\
         0uT/UuFR7R/HL5mJ8EmoAu3xHOmuTapF5IKJ2kwWCg==",
    ),
    (
        "indefinite length (BER)",
        "N4sd51g+fdIjNKYAcetHNow/hHsOvYStVlEeWqNSdfoyu5tXH7VVDurR5VPbUAMPLALTlReKYJpa3KdPH88ww6T9BLs4h8eWuwdF\
         c+yi9gGKJeCYq/JoJX+t0kYWsc3DaDidTux+XEsiE4ne0MI6A3BBKseF6WtkeGDbC6kVH0rJBtJWq02a/6UFhT6XzAIsNwOgJSnS\
         h7GiMaiKO5Mphad+jZRyX/q+mu/0nZSqFBoqRhAVWwexksofdeVd2QQkBsDlzqrAgmRbqfi7S7fgvZYwFG7q/91963IgcKSlDIK+\
         JF7X0R4gIIBqwpRIN6WwsnEJX0fTOwvCl7fY42Dtqw==",
    ),
    (
        "garbage in the parameters",
        "TndPKi4I5E1eLswf21fdBQiTnAivQRU+igXLA1439KtyErSy7xZZOzi4yoeq+w/UD7jVe2eB6mpC3x6U0FgQV+6UqUB+7ATMj7Fz\
         E8038ccrDyUUNXQUPsMvrrFD3ZQ8WrjH7k5yR+EZCwnzOuETDUGvb2cdlu4f+ix081IxqcF8hD2uJ1P0wA/cXyvG/wynA1MZE3+l\
         UiDJty+qkHET1e/LiUdiOZl4pLw1n57rMc8ruCiN3oaBKNLoVfuEwSCzpJ1+CNcXxfCB7AUxQ9CUqT7ubybsfss530FrPRFS3Jp2\
         rglhP55VdT1r4bX5Byo26VX6T7SQKOMg8ZHp/Be9aQ==",
    ),
];
/// RSA with exponent 3.
pub(super) const RSA_E3_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIDANBgkqhkiG9w0BAQEFAAOCAQ0AMIIBCAKCAQEAncyC0bwIRPFU0xKSQ/e/
6lHE2MGA+m6eLHdMdnAs8Bj9rzDvLdqbFrNiC/LrmVv1oSE1ywGZF5LQJCwU6LIJ
/HBv3IMvNMlNKB5P2rR1BKBqvCmqd6OtupnyNTBW6yLF2IxMIKfEa3jMTOmRdGlp
rKCt/wvEjjfyKGZg47Wvs6Oy2BgQZFB42ClzXGKdFDjhYjd5PhBC9bbE7CGQPRKw
P5YI22QJf+y8ib0CXom03ujqJpog1/21ZAK7uZt/HSvqTCetSh5uLL0BXDXrN1SI
Ue73sfX+sBpQ3blLYDfenuhOl4QrfRCweh6kLTeF2vNooZifTFXnaQi+yaZVnBZd
dwIBAw==
-----END PUBLIC KEY-----
";
/// A forgery made without the private key: a cube that begins like a padded block, by
/// Bleichenbacher (2006).
pub(super) const RSA_E3_FORGERY: &str = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\
    AAAAAAAAAAAAAAAAAAAAAAAAAAAAMsv9SnrceQVYPXZ1IPUWQHWRdtN4JvLvY649x6zCT+FekhsWgGadkLGLKo1xkV4Dx86VJ4qD\
    LJI+uS2kV/QjrKs8mSNu++q/h3IoaBxVKDf3Qqg4/g==";
/// The right signature of the key with exponent 3.
pub(super) const RSA_E3_SIGNATURE: &str = "BxaRrg6jgMdWp5SN8x6OSqNUPyOrnh3VZEITISz3zM83SC/eS9bxHNeAdk7+Bx6wgBFIPhpLiJjR9mTAs5aunp944zE+fxovolDu\
    Js0nPw0K9QzYX4YUIq0pMW59r6qrn22gcyIPVKCgm94MdobQXgD1wuCsKox76f1CuwBXC6VGi/3M8vE2g4JMTjj0NiI4u5Q4rCFK\
    jzO/iIUEifKVxHz71vRbpgjtqPNweiCwWtLTZ1SVt6hsxGjGYnCdh+m1i5vcPIcsBRwaKoVoRe645HCWxFbVE4dkL0o6mbEf1aIZ\
    rHWw1xPsfaZa9yqIQDQmk++8nIe3U+riLdF2jIY2ow==";
/// A signature whose R is the neutral point, with s = h a. The equation holds, and the owner of the
/// private key can make such a signature for every message.
pub(super) const ED25519_SMALL_R: &str =
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAACVfufD1Hf12quU0RcMnE671rYUL9/DPpxr8IY80gbnAA==";
/// The same signature with y = 1 written as p + 1.
pub(super) const ED25519_SMALL_R_NOT_CANONICAL: &str =
    "7v///////////////////////////////////////3/vF2tIzIGv+puTjp7kdHlu26pw1rwl+ljXgpxbsemABg==";
/// The same signature with the sign bit of x = 0 set.
pub(super) const ED25519_SMALL_R_SIGNED: &str =
    "AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAID3IhhmH1OyIlSbzc9qhd5UqoEkVOwV7eie8EEDZxzuAQ==";
/// The y of every point of small order, little-endian.
pub(super) const ED25519_SMALL_Y: [&str; 5] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
];
/// P-256 without its public half, by `openssl ec -no_public` and `openssl pkcs8 -topk8 -nocrypt`.
pub(super) const P256_PRIVATE_ALONE_PEM: &str = "\
-----BEGIN PRIVATE KEY-----
MEECAQAwEwYHKoZIzj0CAQYIKoZIzj0DAQcEJzAlAgEBBCCUcsRrlqPXJUm+Jt4h
xVDZTJcLMANz+sv6mXnqSNsrow==
-----END PRIVATE KEY-----
";
/// RSA, by `openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048`.
pub(crate) const RSA_PRIVATE_PEM: &str = "\
-----BEGIN PRIVATE KEY-----
MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQCKbGY++FhRSqEw
q/AH+nwofkd86rmwlCNXqC6T1wmadHTjhXzyNw3zCBJKQ/8W1y7RLwkKm3ICvX0u
o6mbWORH21rJj971B8MGeR/yIv9vYhUOfkbX0A+MhkV/wdRvfFtjdcHT6Kwp5HRO
Wm/oLsxkiDDxez5/M0Jz9+H9xEORNiVBGZZWeUJa/plsWDVuN7ozHp/MX0O37i5n
febIesNLYuNaPIsRCLZetkJC814r78TaR5vJLcEjdOLdWZRueGcToDh/qO8bq+3w
UwqCBQFQqFU0nYOqYQNfKWta7xuRsmK8uZzTNID3nMGwEakOKtNRulWpS2Gq+CSM
aK3TeJyZAgMBAAECggEAG+QNkgCOIwsLgXgTbDgfTjVriBLviVG/8UiU4fsBF1sB
tlpOO6u2JtLohIhA3MRMzZ9Rjg6WIVE26O/XG9MEZCohl91iSjLfK+257xr4JuQ3
Y+0zrwZgK6teU4ilmjUPYPH4NQ97qRE8EhGM3NaZHmSGoBF6HT0h1aYLpgsmphpb
69ade323rRDJRJl1u0RShATDDYZh8mfIPcKN44JHjqAh6Gid8Fg9y9+HHB5WAGnh
xXtAABZIVo11cGpN4/Y05zpaD6x8h2mBSGvH6McTm1pz2Um70zmJ4HUSUdQm8qJH
9s5kBGuUDp7xbFCZUJAEF17WxR1UQaPPdbwRy5HbEQKBgQDDVgUqsUAG7sUaSjSs
xykSmzo8b7U7Bcu9AMEY4aU/pCCW6XGYtZ6GLJ8PAcjOwI1DteNwc1tOMajtoHcW
acqEIpztrthAIQj9P5AQwAKx8Feq7ByXcG7EiT7NBPKgKRyJ9lpWOZGgRq3dhKlS
LM2r+1YgtaQ9nI2b+LucVx1W7QKBgQC1aZsN3tE4RFZgTRrSoxnxHr1rcMxlsowC
hNRYsGmgZ9ALBQ0gNQadsF5eZYbgesykehRiVBdXOZHgOabzOXeRX6WwKxaClfEc
5LJzq1irfjVEmwVjoRNu7w/YV67hwSiDoJSwdGIPHkER+Z9TsqLCHNCJUrkL/4ak
YtS5FwKa3QKBgF2HjqnGfTXUliPkbBxesFfsY5IUmt5MBCXXep4DTTCP0drwpCfO
rrzoGLEC1bfJktpc+S4azhk+xfgh4WOl/AYQ3LsiAQGTz84S5VRf2+p/fjqlG3uX
pjIM1TktqU7u4G9euhqXLhdkQFPU9Y4XTdOPYMoAr0eg8l1AV/Sf8bhxAoGAZAqp
7Ds9K4dcDt1WdmRlkPe/w7k/rrGIznbL12DpzwCQ1RLjCyjSzjENyYa5m598rRN5
nEP9XyerT3jbnXPKgUu6xmzsi/T+M03XLzyFuITwATZwAWI5okqJdWfdVDe+DOCI
PsrfrLCld7Et8O0pHlzfj2skCv7OFGdAIhYTZK0CgYBVt5zt2zCGZXuRq7yESeEa
XSfm5EVRkQ8KPzOxHKDHHGpb8hUPUGhp+4U162o7X4vi+iJWhAZ5F/HPP0z5Pw7s
YDuKEtX3Xk9MiPcaPvPqr+H7NnlKCz5MbFpG3nLwLhYt790NH3QkVhZ0pfIPFoRD
lkb19iYECch+J3ZRlpLu6A==
-----END PRIVATE KEY-----
";
/// The public half of [`RSA_PRIVATE_PEM`], by `openssl pkey -pubout`.
pub(crate) const RSA_PUBLIC_PEM: &str = "\
-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAimxmPvhYUUqhMKvwB/p8
KH5HfOq5sJQjV6guk9cJmnR044V88jcN8wgSSkP/Ftcu0S8JCptyAr19LqOpm1jk
R9tayY/e9QfDBnkf8iL/b2IVDn5G19APjIZFf8HUb3xbY3XB0+isKeR0Tlpv6C7M
ZIgw8Xs+fzNCc/fh/cRDkTYlQRmWVnlCWv6ZbFg1bje6Mx6fzF9Dt+4uZ33myHrD
S2LjWjyLEQi2XrZCQvNeK+/E2kebyS3BI3Ti3VmUbnhnE6A4f6jvG6vt8FMKggUB
UKhVNJ2DqmEDXylrWu8bkbJivLmc0zSA95zBsBGpDirTUbpVqUthqvgkjGit03ic
mQIDAQAB
-----END PUBLIC KEY-----
";
/// The signature of [`RSA_PRIVATE_PEM`], by `openssl dgst -sha256 -sign`.
pub(super) const RSA_PRIVATE_SIGNATURE: &str = "\
XhjQUpstgWvwraqQZn21IcFWkXu3eygDjUu2uzhYi0GNealQ0PT9XS1NW3E1RTt96/01b3OdkPdmY/aXC0EXOxNj\
pgGBnQw+ZYwEprMpjUTMJb5MAA/vOuTeN5AIHeoc5rQs0D0saSIBp1UBq0DwYUG1qZKASHZh9YlWNrr042OnAmBX\
Lj2SZR/zVPjr46XoNGu344EW+umBNprwMuTovM7sg/CZFKr4vc/+LRQynuwWRmlnIy81o/Q5y5D1llyK8LEZ35eU\
zOs9DrdLfQIEiXhyPSCqn6Og2l40rK878o/sB/F6zqhl66bVR7LXAa6A25gzZP8SolPBueFXPmhjTw==";
