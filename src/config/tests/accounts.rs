//! A route's `accounts`: who must name them, and where they could prove nothing (AU-42).

use super::problems::{each_says, problems};
use super::{CUSTOM, ROUTE, good, warned};
use crate::config::accounts::Accounts;
use crate::config::presets::{KeyOwner, all, find};
use crate::config::tests::fixtures::{P256_PEM, RSA_PEM};

/// A route of a preset with a key that fits it.
fn of(provider: &str, more: &str) -> String {
    let key = match provider {
        "circle" | "plaid" => P256_PEM,
        "integrated-finance" => crate::cli::tests::samples::ED25519,
        _ => RSA_PEM,
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
        "adobe-io-events",
        "aws-sns",
        "circle",
        "constant-contact",
        "dyte",
        "fireblocks",
        "integrated-finance",
        "kick",
        "lago",
        "mailchannels",
        "plaid",
        "shipstation",
        "videosdk",
        "wise",
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
const WITHOUT_A_PLACE: [&str; 2] = ["integrated-finance", "shipstation"];

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

/// Bodies of every documented type of event, as the provider sends them for another tenant: `THEIRS`
/// where the tenant is named. The types of Circle, Fireblocks and Wise share an envelope, so a few of
/// each are here.
const OF_TENANTS: [(&str, &str); 24] = [
    (
        "adobe-io-events",
        r#"{"event_id":"e","recipient_client_id":"THEIRS","event":{}}"#,
    ),
    (
        "circle",
        r#"{"subscriptionId":"THEIRS","notificationId":"n","notificationType":"transactions.outbound","notification":{},"version":2}"#,
    ),
    (
        "circle",
        r#"{"subscriptionId":"THEIRS","notificationId":"n","notificationType":"challenges.initialize","notification":{},"version":2}"#,
    ),
    (
        "circle",
        r#"{"subscriptionId":"THEIRS","notificationId":"n","notificationType":"webhooks.test","notification":{},"version":2}"#,
    ),
    (
        "constant-contact",
        r#"{"url":"THEIRS","event_type":"tier.increase"}"#,
    ),
    (
        "constant-contact",
        r#"{"url":"THEIRS","event_type":"tier.decrease"}"#,
    ),
    (
        "constant-contact",
        r#"{"url":"THEIRS","event_type":"account.cancel"}"#,
    ),
    (
        "constant-contact",
        r#"{"url":"THEIRS","event_type":"account.disable"}"#,
    ),
    (
        "dyte",
        r#"{"event":"meeting.started","meeting":{"id":"m","organizedBy":{"id":"THEIRS","name":"x"}}}"#,
    ),
    (
        "dyte",
        r#"{"event":"meeting.ended","meeting":{"id":"m","organizedBy":{"id":"THEIRS"}},"reason":"ALL_PARTICIPANTS_LEFT"}"#,
    ),
    (
        "dyte",
        r#"{"event":"meeting.participantJoined","meeting":{"id":"m","organizedBy":{"id":"THEIRS"}},"participant":{}}"#,
    ),
    (
        "dyte",
        r#"{"event":"meeting.participantLeft","meeting":{"id":"m","organizedBy":{"id":"THEIRS"}},"participant":{}}"#,
    ),
    (
        "dyte",
        r#"{"event":"recording.statusUpdate","meeting":{"id":"m","organizedBy":{"id":"THEIRS"}},"recording":{}}"#,
    ),
    (
        "fireblocks",
        r#"{"id":"i","workspaceId":"THEIRS","eventType":"transaction.created","resourceId":"r","data":{}}"#,
    ),
    (
        "fireblocks",
        r#"{"id":"i","workspaceId":"THEIRS","eventType":"vault_account.asset.added","data":{}}"#,
    ),
    ("kick", r#"{"broadcaster":{"user_id":"THEIRS"}}"#),
    (
        "videosdk",
        r#"{"webhookType":"participant-joined","data":{"meetingId":"THEIRS","participantId":"p"}}"#,
    ),
    (
        "videosdk",
        r#"{"webhookType":"session-started","data":{"sessionId":"s","meetingId":"THEIRS"}}"#,
    ),
    (
        "videosdk",
        r#"{"webhookType":"recording-stopped","data":{"meetingId":"THEIRS","filePath":"/x"}}"#,
    ),
    (
        "wise",
        r#"{"data":{"resource":{"id":1,"profile_id":2,"type":"transfer"}},"subscription_id":"THEIRS","event_type":"transfers#state-change"}"#,
    ),
    (
        "wise",
        r#"{"data":{"resource":{"id":1,"profile_id":2,"type":"balance-account"}},"subscription_id":"THEIRS","event_type":"balances#credit"}"#,
    ),
    (
        "wise",
        r#"{"data":{"resource":{"id":2,"type":"profile"}},"subscription_id":"THEIRS","event_type":"profiles#verification-state-change"}"#,
    ),
    (
        "wise",
        r#"{"data":{"resource":{"id":2,"type":"user"}},"subscription_id":"THEIRS","event_type":"users#state-change"}"#,
    ),
    (
        "plaid",
        r#"{"webhook_type":"ITEM","webhook_code":"ERROR","item_id":"THEIRS"}"#,
    ),
];

#[test]
fn au_43_a_genuine_delivery_of_another_tenant_is_refused_for_every_type_of_event() {
    use crate::verify::accounts::Accounts as Listed;
    let head =
        crate::wire::head::Head::from_parts("POST", "/", [(&b"dyte-webhook-id"[..], &b"ours"[..])]);
    let head = head.unwrap();
    let mut wrong = Vec::new();
    for (name, body) in OF_TENANTS {
        let listed = Listed::of(&find(name).unwrap().scheme, vec!["ours".to_owned()]);
        let of = |body: String| listed.judge(&head, body.as_bytes(), None).is_ok();
        // Without the place of the tenant a delivery is nobody's; in another place the name counts
        // for nothing.
        let elsewhere = format!(r#"{{"ours":"ours","account":"ours","x":{body}}}"#);
        let found = [
            of(body.replace("THEIRS", "ours")),
            of(body.to_owned()),
            of(body.replace("\"THEIRS\"", "null")),
            of(elsewhere.replace("THEIRS", "ours")),
        ];
        if found != [true, false, false, false] {
            wrong.push((name, body, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    // Every preset whose key is the provider's own is here, but for those with tests of their own.
    let own = all()
        .iter()
        .filter(|preset| preset.key_owner == KeyOwner::Provider);
    let missing: Vec<_> = own
        .map(|preset| preset.name.as_str())
        .filter(|name| {
            ![
                "aws-sns",
                "integrated-finance",
                "lago",
                "mailchannels",
                "shipstation",
            ]
            .contains(name)
        })
        .filter(|name| OF_TENANTS.iter().all(|(tried, _)| tried != name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
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
