//! A route's `accounts`: who must name them, and where they could prove nothing (AU-42).

use super::problems::{each_says, problems};
use super::{CUSTOM, ROUTE, good, warned};
use crate::config::accounts::Accounts;
use crate::config::presets::{KeyOwner, all, find};
use crate::config::tests::fixtures::{P256_PEM, RSA_PEM};

/// A route of a preset with a key that fits it.
fn of(provider: &str, more: &str) -> String {
    let key = if provider == "plaid" {
        P256_PEM
    } else {
        RSA_PEM
    };
    let secret = format!("\"{}\"", key.replace('\n', "\\n"));
    let route = ROUTE
        .replace("itellico", provider)
        .replace("\"env:S\"", &secret);
    format!("{route}{more}\n")
}

#[test]
fn au_42_a_key_of_the_providers_own_needs_accounts_to_start() {
    let mut names: Vec<_> = all()
        .iter()
        .filter(|preset| preset.key_owner == KeyOwner::Provider)
        .map(|preset| preset.name.as_str())
        .collect();
    names.sort_unstable();
    let expected = [
        "aws-sns",
        "kick",
        "lago",
        "mailchannels",
        "plaid",
        "shipstation",
    ];
    assert_eq!(names, expected);
    for name in names {
        if WITHOUT_A_PLACE.contains(&name) {
            continue;
        }
        assert!(find(name).unwrap().scheme.account_is_signed(), "{name}");
        let shown = problems(&of(name, ""));
        let example = find(name).unwrap().account_example.as_ref().unwrap();
        let help = format!("accounts = [\"{example}\"]");
        assert!(
            shown.contains("signs for all of its customers with one key") && shown.contains(&help),
            "{name}: {shown}"
        );
        let listed = &good(&of(name, "accounts = [\"a\", \"b\"]")).routes[0];
        let expected = Accounts::Listed(vec!["a".into(), "b".into()]);
        assert_eq!((&listed.accounts, listed.on_unlisted), (&expected, 403));
        let any = good(&of(name, "accounts = \"any\""));
        assert_eq!(any.routes[0].accounts, Accounts::Any);
        assert!(
            warned(&any).contains("[accounts-any]"),
            "{:?}",
            any.warnings
        );
        let shown = problems(&of(
            name,
            "accounts = \"any\"\nacknowledge = [\"accounts-any\"]",
        ));
        assert!(shown.contains("cannot be acknowledged"), "{shown}");
    }
}

/// Presets of a key of the provider's own whose deliveries name no account at all.
const WITHOUT_A_PLACE: [&str; 1] = ["shipstation"];

#[test]
fn au_42_where_no_delivery_names_an_account_only_a_loud_way_is_open() {
    for name in WITHOUT_A_PLACE {
        assert!(find(name).unwrap().scheme.account.is_none(), "{name}");
        let shown = problems(&of(name, ""));
        assert!(
            shown.contains("nothing that it signs names an account")
                && shown.contains("accounts = \"any\""),
            "{name}: {shown}"
        );
        let shown = problems(&of(name, "accounts = [\"a\"]"));
        assert!(shown.contains("names no place for it"), "{name}: {shown}");
        let any = good(&of(name, "accounts = \"any\""));
        assert!(warned(&any).contains("[accounts-any]"), "{name}");
    }
}

#[test]
fn au_42_an_account_that_nothing_signs_pins_nothing() {
    let custom = |place: &str| {
        format!("{CUSTOM}account = {place}\n")
            .replace("[route.scheme]", "accounts = [\"a\"]\n[route.scheme]")
    };
    let route = |provider: &str, more: &str| {
        format!(
            "{}accounts = [\"a\"]\n{more}\n",
            ROUTE.replace("itellico", provider)
        )
    };
    let token = "algorithm = \"token\"\nsignature = { header = \"X-Token\" }\naccount = { json = \"/a\" }\n";
    let token = format!(
        "{}accounts = [\"a\"]\n[route.scheme]\n{token}",
        CUSTOM.split("[route.scheme]").next().unwrap()
    );
    let no_place = CUSTOM.replace("[route.scheme]", "accounts = [\"a\"]\n[route.scheme]");
    each_says(&[
        (
            custom("{ header = \"X-Account\" }"),
            "`x-account`, where the account is, is not signed",
        ),
        (no_place, "names no place for it"),
        (token, "the secret itself is sent"),
        (
            route("shopify", ""),
            "`x-shopify-shop-domain`, where the account is, is not signed",
        ),
        (route("gitlab", ""), "the secret itself is sent"),
        (route("mailgun", ""), "names no place for it"),
        // The body is signed, but not this header of the route's own.
        (
            route("github", "account = { header = \"X-GitHub-Hook-ID\" }"),
            "is not signed",
        ),
        // A field that the code of the scheme does not sign.
        (
            of(
                "aws-sns",
                "accounts = [\"a\"]\naccount = { json = \"/Subject\" }",
            ),
            "is not signed",
        ),
        (
            of(
                "kick",
                "accounts = [\"a\"]\naccount = { header = \"Kick-Event-Subscription-Id\" }",
            ),
            "is not signed",
        ),
        // The words of the reader.
        (
            route("github", "").replace("[\"a\"]", "[]"),
            "is empty: no delivery could be taken",
        ),
        (
            route("github", "").replace("[\"a\"]", "\"all\""),
            "is neither `\"any\"` nor a list",
        ),
        (route("github", "").replace("[\"a\"]", "[\"\"]"), "is empty"),
        (route("github", "on_unlisted = 600"), "from 200 to 599"),
    ]);
    for signed in [
        custom("{ json = \"/a\" }"),
        route("github", ""),
        route("shopify", "account = { json = \"/id\" }"),
        of("aws-sns", "accounts = [\"a\"]"),
        of("kick", "accounts = [\"a\"]\non_unlisted = 200"),
    ] {
        assert!(good(&signed).routes[0].accounts.listed().is_some());
    }
}

#[test]
fn a_public_key_whose_owner_is_unknown_is_doubted() {
    let scheme = |more: &str| {
        let key = format!("\"{}\"", RSA_PEM.replace('\n', "\\n"));
        CUSTOM
            .replace("hmac-sha256", "rsa-pkcs1-sha256")
            .replace("\"env:S\"", &key)
            .replace("[route.scheme]", &format!("{more}\n[route.scheme]"))
            + "account = { json = \"/a\" }\n"
    };
    assert!(warned(&good(&scheme(""))).contains("[unknown-key-owner]"));
    for more in [
        "accounts = [\"a\"]",
        "acknowledge = [\"unknown-key-owner\"]",
    ] {
        assert!(
            !warned(&good(&scheme(more))).contains("[unknown-key-owner]"),
            "{more}"
        );
    }
    let idle = warned(&good(&format!("{ROUTE}on_unlisted = 200\n")));
    assert!(idle.contains("`on_unlisted` has no effect"), "{idle}");
}
