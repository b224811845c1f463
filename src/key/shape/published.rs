//! Secrets that providers print in their documentation or in the tests of their libraries. A public
//! test or a copied example may have brought such a secret into a configuration.

use super::{bare, prefixes};

/// The secrets, each with where it is printed.
const SECRETS: &[(&str, &str)] = &[
    (
        "It's a Secret to Everybody",
        "the documentation of GitHub and Bitbucket",
    ),
    (
        "dGhpc19zZWNyZXRfaXNfZm9yX3Rlc3Rpbmdfb25seQ==",
        "the documentation of Zendesk",
    ),
    (
        "8f742231b10e8888abcd99yyyzzz85a5",
        "the documentation of Slack",
    ),
    (
        "e6b19c573432dcc6b075501d51b51bb8",
        "the documentation of Slack",
    ),
    ("whsec_test_secret", "the tests of Stripe's libraries"),
    (
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
        "the tests of Standard Webhooks and Svix",
    ),
    (
        "whsec_plJ3nmyCDGBKInavdOK15jsl",
        "the documentation of Svix",
    ),
    (
        "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
        "the documentation of Standard Webhooks",
    ),
    (
        "whsec_RdvaYFYUXuIFuEbvZHwMfYFhUf7aMYjYcmM24+Aj40c=",
        "the tests of OpenAI's libraries",
    ),
    (
        "whpk_1SiA4o9hyqTCpIqC5V9HUakiiaeACeqfZTInDBbOir4=",
        "the tests of Svix, beside its private half",
    ),
    ("SamplePrimaryKey", "the tests of Box's libraries"),
    ("SampleSecondaryKey", "the tests of Box's libraries"),
    (
        "74F490DD33F7327BAECC88B2947C011FC02D014A473AAA33A8EC93E4DC069174",
        "the tests of Adyen's libraries",
    ),
    (
        "DFB1EB5485895CFA84146406857104ABB4CBCABDC8AAF103A624C8F6A3EAAB00",
        "the tests of Adyen's libraries",
    ),
    (
        "44782DEF547AAA06C910C43932B1EB0C71FC68D9D0C057550C48EC2ACF6BA056",
        "the documentation of Adyen",
    ),
    (
        "11223344D785FBAE710E7F943F307971BB61B21281C98C9129B3D4018A57B2EB",
        "the tests of Adyen's libraries",
    ),
    (
        "ED7D658C-D8EB-4941-948B-3973214F2D49",
        "the tests of GoCardless' libraries",
    ),
    (
        "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy",
        "the tests of HubSpot's libraries",
    ),
    ("Ibxx_5AKakO-3qeNVR61Dw", "the tests of Square's libraries"),
    (
        "pdl_ntfset_01hs0t3tw21j988db1pam5xg8m_GrOWLNef+vmtjJYq4mSnHNzvc8uWoJ1I",
        "the tests of Paddle's libraries",
    ),
    (
        "36efdd1aace2e26cd490f0d951138253bef2f7c6d34d18981da781555cc4cebb",
        "the tests of MessageBird's libraries",
    ),
    (
        "configcat_whsk_VN3juirnVh5pNvCKd81RYRYchxUX4j3NykbZG2fAy88=",
        "the documentation of ConfigCat",
    ),
    (
        "X7qLTrsES31MzxxkxPPA-pAGGfU",
        "the tests of Cloudinary's libraries",
    ),
    (
        "324e3b0840f065eb51f3fd63231d0d33daa35d4ed10d27718839e81737065782",
        "the tests of Dropbox Sign's libraries",
    ),
    ("foo_secret1234", "the tests of Sinch's libraries"),
    (
        "lDQHScfUeXUKaQRNF+8XIiDKZ7XX3itBAYzwU0TARw8lJqRnkKl2iB1anSb0Z+IK",
        "the tests of PagerDuty's libraries",
    ),
    (
        "hx3snVrI9E2Lgpi1LaL+WfiPWCh88OjI7Bv/3ihq+Qo=",
        "the tests of Kontent.ai's libraries",
    ),
    ("convoy-webhook-secret", "the tests of Convoy"),
    ("another-secret", "the documentation of CircleCI"),
    ("my_auth_token", "the tests of Plivo's libraries"),
];

/// Where a secret is printed for everybody; `None` for a secret that is not known to be. The prefix
/// by which providers mark secrets, marks around the text, and the case of hexadecimal digits make
/// no difference.
pub fn published(text: &[u8]) -> Option<&'static str> {
    let text = plain(text);
    let is_it = |(secret, _): &&(&str, &str)| plain(secret.as_bytes()) == text;
    SECRETS.iter().find(is_it).map(|(_, place)| *place)
}

fn plain(text: &[u8]) -> Vec<u8> {
    let text = bare(text);
    let prefix = prefixes::found(text, prefixes::SIGNING).unwrap_or_default();
    let text = text.strip_prefix(prefix.as_bytes()).unwrap_or(text);
    if text.iter().all(u8::is_ascii_hexdigit) {
        text.to_ascii_lowercase()
    } else {
        text.to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_published_secret_is_known_in_each_of_its_spellings() {
        for (secret, place) in SECRETS {
            let hex_lower = secret.to_ascii_lowercase();
            let quoted = format!("\"{secret}\"\n");
            assert_eq!(published(secret.as_bytes()), Some(*place));
            assert_eq!(published(quoted.as_bytes()), Some(*place));
            if secret.bytes().all(|b| b.is_ascii_hexdigit()) {
                assert_eq!(published(hex_lower.as_bytes()), Some(*place));
            }
        }
        for (spelling, is_known) in [
            ("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true),
            ("v1,whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", true),
            ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSx", false),
            ("it's a secret to everybody", false),
            ("", false),
        ] {
            assert_eq!(
                published(spelling.as_bytes()).is_some(),
                is_known,
                "{spelling}"
            );
        }
    }
}
