//! Values that are shown, and values that are not, by the name of their header.

use super::*;

/// Rows of a header's name, its value, and what is shown of it.
fn judged(rows: &[(&str, &str, &str)]) {
    let mut wrong = Vec::new();
    for (name, value, expected) in rows {
        let shown = shown_value(name, value);
        if shown != *expected {
            wrong.push(format!(
                "{name}: {value}\n    {shown}\n    and not {expected}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_name_that_speaks_of_proof_or_access_hides_the_shortest_value() {
    let names = [
        "Authorization",
        "Proxy-Authorization",
        "Cookie",
        "X-Api-Key",
        "X-ApiKey",
        "x-apikey",
        "X_API_KEY",
        "X-Psk",
        "X-PSK2",
        "X-Pin",
        "X-Pin-Code",
        "X-UserPin",
        "x-userpin",
        "X-Pwd",
        "X-Db-Pwd",
        "X-Otp",
        "X-TOTP",
        "X-Bearer",
        "X-Passcode",
        "X-Pass",
        "X-Passphrase",
        "X-Access-Code",
        "X-Accesscode",
        "X-Otpcode",
        "X-Otpvalue",
        "X-Securitycode",
        "X-Backup-Codes",
        "X-2FA",
        "X-User2fa",
        "X-Code",
        "X-Login",
        "X-Shared-Secret",
        "X-Hub-Signature",
        "X-Content-Mac",
        "X-Session-Id",
        "X-Sid",
        "X-Csrf",
        "X-Auth-Timestamp",
        "X-Token-Id",
        "Idempotency-Secret",
    ];
    for name in names {
        assert_eq!(shown_value(name, "1234"), HIDDEN, "{name}");
        assert_eq!(shown_value(name, "hunter"), HIDDEN, "{name}");
    }
}

#[test]
fn what_an_operator_needs_is_shown() {
    let rows = [
        ("Host", "hooks.example.com:8443"),
        ("Host", "auth:8080"),
        ("Content-Type", "application/json; charset=utf-8"),
        (
            "Content-Type",
            "multipart/form-data; boundary=----WebKitFormBoundary7MA4YWxkTrZu0gW",
        ),
        ("Accept", "application/json, */*;q=0.8"),
        ("Accept-Language", "sk-SK,sk;q=0.9"),
        ("User-Agent", "GitHub-Hookshot/044aadd"),
        (
            "User-Agent",
            "Stripe/1.0 (+https://stripe.com/docs/webhooks)",
        ),
        (
            "User-Agent",
            "Svix-Webhooks/1.62.0 (sender-9YMgn; +https://www.svix.com/http-sender/)",
        ),
        (
            "User-Agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)",
        ),
        ("User-Agent", "Apache-HttpClient/4.5.13 (Java/1.8.0_252)"),
        ("User-Agent", "Amazon Simple Notification Service Agent"),
        ("User-Agent", "PayPal/AUHD-214.0-58843178"),
        ("User-Agent", "Basic Crawler of the Key Company"),
        ("X-Forwarded-For", "203.0.113.7, 2001:db8::8a2e:370:7334"),
        ("X-Real-Ip", "2001:0db8:85a3:0000:0000:8a2e:0370:7334"),
        ("CF-Connecting-IP", "2001:db8:85a3::8a2e:370:7334"),
        (
            "Forwarded",
            "for=203.0.113.7;proto=https;host=auth.example.com:8443",
        ),
        ("Via", "1.1 keycloak:8080"),
        ("X-Forwarded-Port", "443"),
        // Ids, of every form.
        ("Webhook-Id", "msg_2b5Yd9kXw1n0cQ7rT3uV8zA4"),
        ("svix-id", "msg_loFOjxBNrRLzqYUf"),
        ("X-GitHub-Delivery", "0192f0c4-7b1e-7c3a-8000-000000000001"),
        ("X-Own", "0192f0c4-7b1e-7c3a-8000-000000000001"),
        (
            "X-Own",
            "https://a.example/o/0192f0c4-7b1e-7c3a-8000-000000000001/x",
        ),
        ("X-Request-Id", "4bf92f3577b34da6a3ce929d0e0e4736"),
        ("X-Line-Retry-Key", "0192f0c4-7b1e-7c3a-8000-000000000001"),
        ("Range", "bytes=0-1"),
        ("tracestate", "rojo=00f067aa0ba902b7,congo=t61rcWkgMzE"),
        (
            "X-Correlation-Id",
            "a9993e364706816aba3e25717850c26c9cd0d89d",
        ),
        ("x-hookdeck-eventid", "evt_J5hEDvhrTnTgFKuGLGrt"),
        ("X-Hookdeck-EventId", "evt_J5hEDvhrTnTgFKuGLGrt"),
        (
            "X-Zendesk-Webhook-Invocation-Id",
            "01EJFTSCC78X5V07NPY2MHR00M",
        ),
        ("Idempotency-Key", "kZ3q8vX1pLm0aQ7bR5nT"),
        ("X-Idempotency-Key", "kZ3q8vX1pLm0aQ7bR5nT"),
        (
            "I-Twilio-Idempotency-Token",
            "c1af6094-289c-4293-9b7e-d74dfb0c39ae",
        ),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
        (
            "X-Cloud-Trace-Context",
            "105445aa7843bc8bf206b12000100000/1;o=1",
        ),
        (
            "X-Amzn-Trace-Id",
            "Root=1-67891233-abcdef012345678912345678",
        ),
        ("X-B3-TraceId", "80f198ee56343ba864fe8b2a57d3eff7"),
        ("CF-Ray", "230b030023ae2822-SJC"),
        (
            "X-Amz-Sns-Topic-Arn",
            "arn:aws:sns:eu-west-1:123456789012:orders",
        ),
        // Types, topics, tenants.
        ("X-Event-Key", "repo:push"),
        ("X-GitHub-Event", "pull_request_review_comment"),
        ("X-Shopify-Topic", "orders/create"),
        ("X-Contentful-Topic", "ContentManagement.Entry.publish"),
        ("X-Own", "s3:ObjectCreated:Put"),
        ("X-Own", "customer.subscription.trial_will_end"),
        ("X-Own", "NOTIFICATION_ABOUT_SOMETHING"),
        ("X-Own", "my-very-long-shop-name-2024.example.com"),
        ("X-Shopify-Shop-Domain", "example.myshopify.com"),
        (
            "X-Gitlab-Instance",
            "https://gitlab.example.com/v2/webhooks/of-orders",
        ),
        ("X-Own", "this is an order of the shop"),
        ("X-Own", "acc_0001"),
        ("X-Own", "1h30m"),
        ("X-Own", "sha256"),
        ("X-Country-Code", "DE"),
        ("X-Countrycode", "DE"),
        ("X-Barcode", "4006381333931"),
        // Lists, parameters, and words with marks.
        ("X-Own", "en-US,en;q=0.9,de;q=0.8"),
        ("X-Own", "text/html,text/*;q=0.5,*/*;q=0.1"),
        ("X-Own", "Chromium;v=124,Not-A.Brand;v=99"),
        ("X-Own", "iOS;iPadOS;tvOS;PayPal/GitHub"),
        ("X-Own", "10,20,30;40|50|60"),
        ("X-Own", "2g,3g,4g|1x,2x"),
        ("X-Own", "[1,2,3,{\"a\":1,\"b\":[2,3]}]"),
        ("X-Own", "$1,234.56"),
        ("X-Own", "1.2.3-rc.1+build.5"),
        ("X-Own", "W/1;mode=block"),
        ("X-Own", "a&b|c*d!e"),
        ("X-Own", "it's O'Brien's \"shop\""),
        ("X-Own", "orders/v2#created!now"),
        ("User-Agent", "O'Brien's/1.0 (x)"),
        (
            "Content-Disposition",
            "form-data; name=\"a b\"; filename=\"x y.txt\"",
        ),
        ("Host", "key:8080"),
        ("X-Slack-Retry-Num", "2"),
        ("From", "billing@example.com"),
        ("X-Profile", "https://medium.com/@somebody/article"),
        // Times, also where the rest of the name speaks of a signature.
        ("X-Own", "1750000000123"),
        ("X-Own", "2025-06-15T15:06:40.123456789Z"),
        ("X-Own", "Sun, 15 Jun 2025 15:06:40 GMT"),
        ("X-Signature-Timestamp", "1750000000"),
        ("X-Auth-Timestamp", "1750000000"),
        (
            "X-Zendesk-Webhook-Signature-Timestamp",
            "2025-06-15T15:06:40Z",
        ),
        ("Keygen-Date", "Sun, 15 Jun 2025 15:06:40 GMT"),
        ("X-Amz-Date", "20250615T150640Z"),
    ];
    let rows: Vec<_> = rows
        .iter()
        .map(|(name, value)| (*name, *value, *value))
        .collect();
    judged(&rows);
}

#[test]
fn one_word_that_could_be_a_credential_hides_the_value_of_an_unknown_header() {
    let values = [
        // MD5, SHA-1, SHA-256: hex of either case, base64, base64url without padding.
        "900150983cd24fb0d6963f7d28e17f72",
        "kAFQmDzST7DWlj99KOF/cg==",
        "3q2+78r+ur7erb7vyv66vv////8=",
        "a9993e364706816aba3e25717850c26c9cd0d89d",
        "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
        "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0",
        "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD",
        // No digit in it, and no mark.
        "qZkxNkcGgWqxPiVxeFDCbJzQxJxx",
        // With something around it.
        "sha1=a9993e364706816aba3e25717850c26c9cd0d89d",
        "t=1750000000,v1=kAFQmDzST7DWlj99KOF/cg==",
        "v1,qZk+NkcGgWq6PiVxeFDCbJzQ2J0= v1a,qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
        "keyId=\"a\",s=\"qZk+NkcGgWq6PiVxeFDCbJzQ2J0=\"",
        "me:qZk+NkcGgWq6PiVxeFDCbJzQ2J0=",
        "qZk%2BNkcGgWq6PiVxeFDCbJzQ2J0%3D",
        "0192f0c4-7b1e-7c3a-8000-000000000001.a9993e364706816aba3e25717850c26c",
        // In groups.
        "AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89",
        "ab cd ef 01 23 45 67 89 ab cd ef 01 23 45 67 89",
        "2001:0db8:85a3:0000:0000:8a2e:0370:7334",
        "abcd efgh ijkl mnop",
        "kAFQ mDzS T7DW lj99 KOF/ cg==",
        "ABCDE-12345-FGHIJ-67890",
        "kAFQmDzST7 DWlj99KOF cg",
        "1234 5678 9012 3456",
        "a9,99,3e,36,47,06,81,6a,ba,3e,25,71,78,50,c2,6c",
        "169 153 62 54 71 6 129 106 186 62 37 113 120 80 194 108",
        "001A2B3C 4D5E001A 2B3C4D5E",
        "9f|86|d0|81|88|4c|7d|65|9a|2f",
        "9f~86~d0~81~88~4c~7d~65~9a~2f",
        // Passwords with marks.
        "t$9k!Qm#2x^Lp&7z@Rv*4n",
        "x9$Kd!2m@Qz#7p",
        "kQ~7;mW~2;pL~9",
        "user of x9$Kd!2m@Qz#7p",
        // Known forms and words in front.
        "eyJhbGciOiJIUzI1NiJ9.e30.x",
        "Bearer s3cr3t",
        "bearer hunter",
        "Token hunter",
        "Basic dTpw",
        "whsec_abcd",
        "sk_live_abcdEFGH",
        "token=hunter",
        "user=a; password=hunter",
        "{\"token\":\"hunter\"}",
        "api_key: hunter",
        "<token>hunter</token>",
        "'password' => 'hunter'",
        "pw hunter",
        "MFRGGZDFMZTWQKNN",
        // Short mixtures.
        "p4ssw0rd",
        "s3cr3t",
        "tok_5f1c9a7e2b",
        "T0K3NXYZ9",
    ];
    for value in values {
        assert_eq!(shown_value("X-Own", value), HIDDEN, "{value}");
    }
}

#[test]
fn a_trusted_header_loses_the_parts_that_are_credentials() {
    judged(&[
        ("User-Agent", "Bearer hunter", "Bearer …"),
        (
            "User-Agent",
            "Foo/1.0 bearer abc.def (x)",
            "Foo/1.0 bearer … (x)",
        ),
        ("User-Agent", "Basic dXNlcjpwYXNz", "Basic …"),
        ("User-Agent", "xbasic basic s3cr3t", "xbasic basic …"),
        (
            "User-Agent",
            "Foo/1.0 (token: hunter; x)",
            "Foo/1.0 (token: …; x)",
        ),
        ("User-Agent", "Foo/1.0 api_key=hunter", "Foo/1.0 api_key=…"),
        ("User-Agent", "curl/8 sk_live_abcdEFGH1234", "curl/8 …"),
        (
            "User-Agent",
            "x AB:CD:EF:01:23:45:67:89:AB:CD:EF:01:23:45:67:89",
            "x …",
        ),
        (
            "User-Agent",
            "curl/8 ghp_16C7e42F292c6912E7710c838347Ae178B4a",
            "curl/8 …",
        ),
        ("User-Agent", "curl/8 xoxb-1234-5678-abcd", "curl/8 …"),
        ("User-Agent", "x eyJhbGciOiJIUzI1NiJ9.e30.c2ln y", "x … y"),
        (
            "User-Agent",
            "x a9993e364706816aba3e25717850c26c9cd0d89d y",
            "x … y",
        ),
        (
            "Host",
            "user:hunter@hooks.example.com",
            "…@hooks.example.com",
        ),
        (
            "Forwarded",
            "for=203.0.113.7;secret=\"hunter\"",
            "for=203.0.113.7;secret=\"…\"",
        ),
        (
            "X-Request-Id",
            "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
            "…",
        ),
        ("X-Request-Id", "eyJhbGciOiJIUzI1NiJ9.e30.c2ln", "…"),
        ("X-Request-Id", "Bearer hunter", "Bearer …"),
        (
            "X-Request-Id",
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
            "…",
        ),
        ("X-Request-Id", "a:1234;token=hunter", "a:1234;token=…"),
        ("Host", "key:hunter", "key:…"),
        ("Accept", "a/b; secret\t=\thunter", "a/b; secret\t=\t…"),
        ("User-Agent", "Foo/1 x9$Kd!2m@Qz#7p", "Foo/1 …"),
    ]);
}

#[test]
fn a_value_in_quotes_is_hidden_to_the_closing_quote() {
    judged(&[
        (
            "Accept",
            "application/json; secret=\"correct horse staple\"; q=1",
            "application/json; secret=\"…\"; q=1",
        ),
        (
            "Accept",
            "a/b; secret='it's a horse'; q=1",
            "a/b; secret='…'; q=1",
        ),
        ("Accept", "a/b; secret=`a b`; q=1", "a/b; secret=`…`; q=1"),
        (
            "Accept",
            "a/b; secret=\"a\\\" b\"; q=1",
            "a/b; secret=\"…\"; q=1",
        ),
        (
            "Accept",
            "a/b; secret=\"\"a b\"\"; q=1",
            "a/b; secret=\"…\"\"; q=1",
        ),
        ("Accept", "a/b; secret=\"correct horse", "a/b; secret=\"…"),
        (
            "Accept",
            "a/b; secret=\"correct\"horse staple",
            "a/b; secret=\"…",
        ),
        (
            "Accept",
            "a/b; secret=\"\"; q=\"1\"",
            "a/b; secret=\"\"; q=\"1\"",
        ),
        ("Accept", "a/b; secret=(a b); q=1", "a/b; secret=(…); q=1"),
        ("Accept", "a/b; secret=[a, b]; q=1", "a/b; secret=[…]; q=1"),
        ("Accept", "a/b; secret=<a b>; q=1", "a/b; secret=<…>; q=1"),
        (
            "Accept",
            "a/b; secret==\"a b\"; q=1",
            "a/b; secret==\"…\"; q=1",
        ),
        (
            "Accept",
            "{\"secret\": {\"value\": \"a b\"}, \"q\": 1}",
            "{\"secret\": {…}, \"q\": 1}",
        ),
        (
            "Accept",
            "<secret>correct horse</secret> <q>1</q>",
            "<secret>…</secret> <q>1</q>",
        ),
        (
            "Accept",
            "a/b; secret=\"user:p@a horse\"",
            "a/b; secret=\"…\"",
        ),
        ("User-Agent", "Bearer \"correct horse\" x", "Bearer \"…\" x"),
    ]);
}

#[test]
fn a_name_of_access_wins_over_one_of_time() {
    judged(&[
        ("X-Pin-At", "4829139999", HIDDEN),
        ("X-Token-Time", "1750000000", HIDDEN),
        ("X-Backup-Code-Date", "2048-12345", HIDDEN),
        ("X-2fa-At", "4829139999", HIDDEN),
        (
            "X-Pin-At",
            "Sun, 15 Jun 2025 15:06:40 GMT",
            "Sun, 15 Jun 2025 15:06:40 GMT",
        ),
    ]);
}

#[test]
fn urls_in_a_value_lose_what_gives_access() {
    judged(&[
        (
            "Referer",
            "https://a.example/x?token=hunter&y=2",
            "https://a.example/x?token=…&y=…",
        ),
        (
            "Referer",
            "https://a.example/x?hunter",
            "https://a.example/x?…",
        ),
        (
            "Referer",
            "https://a.example/x?s3cr3tName99=1",
            "https://a.example/x?…",
        ),
        (
            "Referer",
            "https://user:hunter@a.example/x",
            "https://…@a.example/x",
        ),
        (
            "Referer",
            "https://hunter@a.example/x",
            "https://…@a.example/x",
        ),
        (
            "Referer",
            "https://user:hun/ter@a.example/x",
            "https://…@a.example/x",
        ),
        ("Origin", "https://a.example", "https://a.example"),
        ("X-Original-Uri", "/hooks?token=hunter", "/hooks?token=…"),
        (
            "X-Forwarded-Uri",
            "/hooks;jsessionid=hunter/x;y",
            "/hooks;jsessionid=…/x;y",
        ),
        ("X-Original-Url", "/hooks?a=1#token=hunter", "/hooks?a=…"),
        (
            "Location",
            "https://a.example/#access_token=hunter",
            "https://a.example/#access_token=…",
        ),
        (
            "Location",
            "https://a.example/go?to=https%3A%2F%2Fb%3Ft%3Dhunter",
            "https://a.example/go?to=…",
        ),
        (
            "X-Own",
            "https%3A%2F%2Fb%3Ftoken%3Dhunter",
            "https%3A%2F%2Fb%3F…",
        ),
        (
            "Link",
            "<https://a.example/?t=hunter>; rel=\"next\", </x?t=hunter>; rel=\"last\"",
            "<https://a.example/?t=…>; rel=\"next\", </x?t=…>; rel=\"last\"",
        ),
        (
            "User-Agent",
            "Foo/1 (+https://a.example/?t=hunter",
            "Foo/1 (+https://a.example/?t=…",
        ),
        (
            "X-Request-Id",
            "https://a.example/?t=hunter",
            "https://a.example/?t=…",
        ),
        ("X-Query-String", "token=hunter&x=1", HIDDEN),
        // Quotes within a URL are part of it.
        (
            "Referer",
            "https://a/?q='hunter2'&k='x'",
            "https://a/?q=…&k=…",
        ),
        ("Referer", "https://a/?q=\"x\"&k=y", "https://a/?q=…&k=…"),
        (
            "Referer",
            "https://a/?next=<hunter2>&k=y",
            "https://a/?next=…&k=…",
        ),
        ("Referer", "/x?a=1`x&k=O'Brien", "/x?a=…&k=…"),
        ("Referer", "https://us'er:hun'ter@a/x", "https://…@a/x"),
        ("Referer", "/x;sid=hun'ter/y", "/x;sid=…/y"),
        (
            "Referer",
            "https://a/?q=\"correct horse\"&k=y",
            "https://a/?q=…&k=…",
        ),
        ("Referer", "https://a/?q='correct horse", "https://a/?q=…"),
        (
            "Link",
            "</x?t=a>b&k='y'>; rel=\"next\"",
            "</x?t=…&k=…>; rel=\"next\"",
        ),
        (
            "Link",
            "'/x?t='a'&k=y'; rel='next'",
            "'/x?t=…&k=…'; rel='next'",
        ),
        (
            "Accept",
            "{\"u\":\"https://a/?t=hunter x\",\"q\":\"1\"}",
            "{\"u\":\"https://a/?t=…\",\"q\":\"1\"}",
        ),
        (
            "Referer",
            "https://hooks.slack.com/services/T000/B000/kZ3q8vX1pLm0aQ7bR5nTkZ3q",
            HIDDEN,
        ),
    ]);
}

#[test]
fn the_target_of_a_request_is_shown_by_the_same_rule() {
    let rows = [
        ("/hooks/a?token=hunter&x", "/hooks/a?token=…&…"),
        ("/webhooks/stripe", "/webhooks/stripe"),
        (
            "/hooks/my-very-long-shop-name-2024/orders",
            "/hooks/my-very-long-shop-name-2024/orders",
        ),
        (
            "/hooks/0192f0c4-7b1e-7c3a-8000-000000000001",
            "/hooks/0192f0c4-7b1e-7c3a-8000-000000000001",
        ),
        ("/hooks/kZ3q8vX1pLm0aQ7bR5nT/x?a=b", "/hooks/…/x?a=…"),
        ("/hooks/whsec_abcd", "/hooks/…"),
        ("/hooks/user:hunter@x/y", "/hooks/…@x/y"),
        ("/hooks/Bearer%20hunter", "/hooks/Bearer%20…"),
        ("/hooks;token=hunter/a", "/hooks;token=…/a"),
        ("/hooks/token=hunter", "/hooks/token=…"),
        (
            "/webhooks/x?name=O'Brien&token=hunter2&api_key=sEcReT",
            "/webhooks/x?name=…&token=…&api_key=…",
        ),
        ("/x?q='x'&k=<y>", "/x?q=…&k=…"),
        ("/x?a=1`x", "/x?a=…"),
        ("/x?a=\"x\"y z", "/x?a=…"),
        ("/O'Brien/us'er:x@y", "/O'Brien/…@y"),
        ("/hooks/x9$Kd!2m@Qz~7p/a", "/hooks/…/a"),
        (
            "/bot123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11/x",
            "/bot123456:…/x",
        ),
        ("/", "/"),
        ("", ""),
    ];
    for (target, expected) in rows {
        assert_eq!(shown_target(target), expected, "{target}");
    }
}

#[test]
fn no_text_makes_it_panic() {
    for text in [
        "",
        "?",
        "#=",
        "://",
        "://@",
        "@",
        "é?é=é&é",
        "é:é@é",
        "%3f",
        "eyJé",
        "Bearer é",
        "bearer  ",
        "/;é=é",
        "a=é",
        "\"token\" : \"é",
        "AB:CD:é",
        "0192f0c4-7b1e-7c3a-8000-00000000000é",
        "…",
        "?…=…",
    ] {
        for name in ["X-Own", "User-Agent", "X-Id", "Host", "é", ""] {
            shown_value(name, text);
        }
        shown_target(text);
    }
}

#[test]
fn a_value_of_any_kind_is_read_in_a_time_that_grows_with_its_length() {
    let parts = [
        "key://",
        "key:1",
        "key=",
        "key= ",
        "key=\"",
        "key=(",
        "<key>",
        "key=….",
        "bearer+",
        "bearer \"",
        "eyJ",
        "whsec_",
        "-----BEGIN ",
        "https://a:b@c/?d=",
        "\"/ ",
        "'/?a= ",
        "?a='b ",
        "/;a=b,",
        "AB:",
        "event-key-",
    ];
    for part in parts {
        let text = part.repeat(16 * 1024 / part.len());
        shown_value("X-Own", &text);
        shown_value("Accept", &text);
        shown_value(&text, "x");
        shown_target(&text);
    }
}
