//! Every form in which people have headers, each with the message that it means.

use super::*;

/// A field as text.
fn field(name: &str, value: &str) -> Field {
    (name.into(), value.into())
}

fn shown(fields: &[Field]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let line =
        |(name, value): &Field| format!("{}: {}", text(name).to_lowercase(), text(value).trim());
    fields.iter().map(line).collect()
}

const SIGNATURE: &str = "x-hub-signature-256: sha256=ab12";

#[test]
fn every_form_means_the_same_header() {
    let forms = [
        ("a line", "X-Hub-Signature-256: sha256=ab12"),
        ("a line with CRLF", "X-Hub-Signature-256: sha256=ab12\r\n"),
        ("a tab", "X-Hub-Signature-256\tsha256=ab12"),
        (
            "a byte order mark",
            "\u{feff}X-Hub-Signature-256: sha256=ab12\n",
        ),
        (
            "curl -v",
            "*   Trying 127.0.0.1:80...\n> POST /x?y=1 HTTP/1.1\n> X-Hub-Signature-256: sha256=ab12\n>\n* sent\n< HTTP/1.1 401\n< X-A: 1\n",
        ),
        ("-H lines", "-H 'X-Hub-Signature-256: sha256=ab12' \\\n"),
        (
            "--header lines",
            "--header \"X-Hub-Signature-256: sha256=ab12\"\n",
        ),
        (
            "a curl command",
            "curl -sS -X POST 'https://a.example/x?y=1' \\\n  -H 'X-Hub-Signature-256: sha256=ab12' \\\n  -d '{}'",
        ),
        (
            "curl for Windows",
            "curl \"https://a.example/x\" ^\r\n -H \"X-Hub-Signature-256: sha256=ab12\"",
        ),
        ("a JSON object", r#"{"X-Hub-Signature-256": "sha256=ab12"}"#),
        (
            "lists in a JSON object",
            r#"{"X-Hub-Signature-256": ["sha256=ab12"]}"#,
        ),
        (
            "an event of Lambda",
            r#"{"version":"2.0","rawPath":"/x","headers":{"x-hub-signature-256":"sha256=ab12"},"body":"{}"}"#,
        ),
        (
            "multiValueHeaders",
            r#"{"httpMethod":"POST","headers":null,"multiValueHeaders":{"X-Hub-Signature-256":["sha256=ab12"]}}"#,
        ),
        ("pairs", r#"[["X-Hub-Signature-256","sha256=ab12"]]"#),
        (
            "rawHeaders of Node",
            r#"["X-Hub-Signature-256","sha256=ab12"]"#,
        ),
        (
            "names and values",
            r#"[{"name":"X-Hub-Signature-256","value":"sha256=ab12"}]"#,
        ),
        (
            "CloudFront",
            r#"{"headers":{"x-hub-signature-256":[{"key":"X-Hub-Signature-256","value":"sha256=ab12"}]}}"#,
        ),
        (
            "HAR",
            r#"{"log":{"entries":[{"request":{"method":"POST","url":"https://a.example/x","headers":[{"name":"X-Hub-Signature-256","value":"sha256=ab12"}],"postData":{"text":"{}"}}}]}}"#,
        ),
        (
            "n8n",
            r#"[{"headers":{"x-hub-signature-256":"sha256=ab12"},"params":{},"query":{},"body":{"a":1}}]"#,
        ),
        (
            "a variable",
            "HTTP_X_HUB_SIGNATURE_256=sha256=ab12\nPATH=/usr/bin\nSERVER_NAME=a",
        ),
        (
            "a variable with a colon",
            "HTTP_X_HUB_SIGNATURE_256: sha256=ab12\n",
        ),
        (
            "$_SERVER",
            "$_SERVER['HTTP_X_HUB_SIGNATURE_256'] = 'sha256=ab12';",
        ),
        (
            "print_r",
            "Array\n(\n    [HTTP_X_HUB_SIGNATURE_256] => sha256=ab12\n    [argc] => 1\n)\n",
        ),
        (
            "print_r of lists",
            "Array\n(\n    [x-hub-signature-256] => Array\n        (\n            [0] => sha256=ab12\n        )\n\n)\n",
        ),
        (
            "var_dump",
            "array(1) {\n  [\"HTTP_X_HUB_SIGNATURE_256\"]=>\n  string(11) \"sha256=ab12\"\n}\n",
        ),
        (
            "var_dump of lists",
            "array(1) {\n  [\"x-hub-signature-256\"]=>\n  array(1) {\n    [0]=>\n    string(11) \"sha256=ab12\"\n  }\n}\n",
        ),
        (
            "var_export",
            "array (\n  'HTTP_X_HUB_SIGNATURE_256' => 'sha256=ab12',\n)",
        ),
        ("Python's dict", "{'X-Hub-Signature-256': 'sha256=ab12'}"),
        (
            "Flask",
            "EnvironHeaders([('X-Hub-Signature-256', 'sha256=ab12')])",
        ),
        ("ASGI", "[(b'x-hub-signature-256', b'sha256=ab12')]"),
        (
            "Starlette",
            "Headers({'x-hub-signature-256': 'sha256=ab12'})",
        ),
        (
            "WSGI",
            "{'HTTP_X_HUB_SIGNATURE_256': 'sha256=ab12', 'wsgi.input': <_io.BytesIO object at 0x7f>}",
        ),
        (
            "Ruby's hash",
            r#"{"HTTP_X_HUB_SIGNATURE_256"=>"sha256=ab12", "rack.version"=>[1, 3]}"#,
        ),
        (
            "Ruby 3.4",
            r#"{"HTTP_X_HUB_SIGNATURE_256" => "sha256=ab12"}"#,
        ),
        ("Node", "{\n  'x-hub-signature-256': 'sha256=ab12'\n}"),
        (
            "Fetch",
            "Headers {\n  'x-hub-signature-256': 'sha256=ab12'\n}",
        ),
        ("Go", "map[X-Hub-Signature-256:[sha256=ab12]]"),
        (
            "Go's %#v",
            "http.Header{\"X-Hub-Signature-256\":[]string{\"sha256=ab12\"}}",
        ),
        ("Elixir", r#"[{"x-hub-signature-256", "sha256=ab12"}]"#),
        (
            "nginx",
            "2026/01/01 00:00:00 [debug] 1#1: *1 http header: \"X-Hub-Signature-256: sha256=ab12\"\n",
        ),
    ];
    let wrong: Vec<_> = forms
        .iter()
        .filter_map(|(name, text)| {
            let read = Message::read(text.as_bytes(), true);
            let fields = read.as_ref().map(|message| shown(&message.fields));
            let of_form = "content-type: application/x-www-form-urlencoded";
            let fields = fields.map(|mut fields| {
                fields.retain(|field| field != of_form);
                fields
            });
            (fields != Ok(vec![SIGNATURE.to_owned()])).then_some((*name, read))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The forms that need two headers or more to be recognised, each with `Host` first.
#[test]
fn columns_and_lines_in_turn_are_headers() {
    let forms = [
        (
            "Chrome's panel, in two lines",
            "host:\na.example\nx-hub-signature-256:\nsha256=ab12\n",
        ),
        (
            "Chrome's panel, without colons",
            "Host\na.example\nX-Hub-Signature-256\nsha256=ab12\n",
        ),
        (
            "Chrome's panel, with its headings",
            "Request URL\nhttps://a.example/x\nRequest Method\nPOST\nStatus Code\n401 Unauthorized\nResponse Headers\nserver\nx\nRequest Headers\nhost\na.example\nx-hub-signature-256\nsha256=ab12\n",
        ),
        (
            "Firefox's panel",
            r#"{"Request Headers (99 B)":{"headers":[{"name":"Host","value":"a.example"},{"name":"X-Hub-Signature-256","value":"sha256=ab12"}]}}"#,
        ),
        (
            "a table",
            "| Header | Value |\n| --- | --- |\n| Host | a.example |\n| X-Hub-Signature-256 | sha256=ab12 |\n",
        ),
        (
            "PowerShell",
            "Name                  Value\n----                  -----\nHost                  a.example\nX-Hub-Signature-256   sha256=ab12\n",
        ),
        (
            "C#",
            "[Host, a.example]\n[X-Hub-Signature-256, sha256=ab12]\n",
        ),
        (
            "Java",
            "{host=[a.example], x-hub-signature-256=[sha256=ab12]}",
        ),
        (
            "rawHeaders of Node",
            "[\n  'Host', 'a.example',\n  'X-Hub-Signature-256', 'sha256=ab12'\n]",
        ),
        (
            "a list of YAML",
            "- Host: a.example\n- X-Hub-Signature-256: sha256=ab12\n",
        ),
        (
            "YAML",
            "Host: \"a.example\"\nX-Hub-Signature-256: \"sha256=ab12\"\n",
        ),
        (
            "assignments",
            "Host=a.example\nX-Hub-Signature-256=sha256=ab12\n",
        ),
        (
            "a trace of curl",
            "== Info: Trying\n=> Send header, 74 bytes (0x4a)\n0000: POST /x HTTP/1.1\n0012: Host: a.example\n0023: X-Hub-Signature-256: sha256=ab12\n0045: \n=> Send data, 2 bytes (0x2)\n0000: {}\n== Info: done\n<= Recv header, 5 bytes\n0000: HTTP/1.1 401\n",
        ),
        (
            "the debug output of wget",
            "Connecting...\n---request begin---\nPOST /x HTTP/1.1\nHost: a.example\nX-Hub-Signature-256: sha256=ab12\n\n---request end---\n[POST data: {}]\n",
        ),
    ];
    let expected = vec!["host: a.example".to_owned(), SIGNATURE.to_owned()];
    let wrong: Vec<_> = forms
        .iter()
        .filter_map(|(name, text)| {
            let read = Message::read(text.as_bytes(), true);
            let fields = read.as_ref().map(|message| shown(&message.fields));
            (fields.as_ref() != Ok(&expected)).then_some((*name, read))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
    let utf16: Vec<u8> = "\u{feff}Host: a.example\r\nX-Hub-Signature-256: sha256=ab12\r\n"
        .encode_utf16()
        .flat_map(u16::to_le_bytes)
        .collect();
    assert_eq!(
        shown(&Message::read(&utf16, true).unwrap().fields),
        expected
    );
}

#[test]
fn a_trace_of_curl_gives_back_long_rows_and_the_body() {
    let long = "a".repeat(70);
    let ascii = format!(
        "=> Send header, 90 bytes (0x5a)\n0000: POST /x HTTP/1.1\n0012: X-A: {}\n0052: {}\n0061: \n=> Send data, 70 bytes (0x46)\n0000: {}\n0040: {}\n",
        "b".repeat(59),
        "b".repeat(13),
        "a".repeat(64),
        "a".repeat(6),
    );
    let read = Message::read(ascii.as_bytes(), false).unwrap();
    assert_eq!(shown(&read.fields), [format!("x-a: {}", "b".repeat(72))]);
    assert_eq!(read.body, Some(Body::Bytes(long.into_bytes())));
    // `--trace` shows each byte, so that nothing is lost.
    let row = |at: usize, bytes: &[u8]| {
        let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let digits = digits.join(" ") + " ";
        let shown = ".".repeat(bytes.len());
        format!("{at:04x}: {digits:<48}{shown}\n")
    };
    let head = b"POST /x HTTP/1.1\r\nX-A: 1\r\n\r\n";
    let rows = head.chunks(16).enumerate();
    let rows: Vec<String> = rows.map(|(place, bytes)| row(place * 16, bytes)).collect();
    let rows = rows.concat();
    let hex = format!(
        "12:00:00.000001 => Send header, 28 bytes (0x1c)\n{rows}12:00:00.000002 => Send data, 3 bytes (0x3)\n{}",
        row(0, b"\xc3\xa9\n")
    );
    let read = Message::read(hex.as_bytes(), false).unwrap();
    assert_eq!(shown(&read.fields), ["x-a: 1"]);
    assert_eq!(read.body, Some(Body::Bytes(b"\xc3\xa9\n".to_vec())));
}

#[test]
fn a_raw_message_with_a_body_of_json_goes_with_a_body_of_its_own() {
    let text = "POST /x HTTP/1.1\r\nX-Hub-Signature-256: sha256=ab12\r\n\r\n{\"a\":1}\n";
    let read = Message::read(text.as_bytes(), true).unwrap();
    assert_eq!(shown(&read.fields), [SIGNATURE.to_owned()]);
}

#[test]
fn a_whole_request_brings_its_method_its_url_and_its_body() {
    let body = |text: &str| Some(Body::Bytes(text.into()));
    let rows = [
        (
            "a raw message",
            "POST /x?y=1 HTTP/1.1\r\nHost: a\r\n\r\n{\"a\": 1}\r\n",
            "POST",
            "/x?y=1",
            body("{\"a\": 1}\r\n"),
        ),
        (
            "with a length",
            "POST /x HTTP/1.1\nContent-Length: 2\n\n{}\n",
            "POST",
            "/x",
            body("{}"),
        ),
        (
            "chunked",
            "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            "POST",
            "/x",
            body("{}"),
        ),
        (
            "without a request line",
            "Host: a\n\n{}",
            "",
            "",
            body("{}"),
        ),
        (
            "with an empty body",
            "POST /x HTTP/1.1\nHost: a\n\n",
            "POST",
            "/x",
            body(""),
        ),
        (
            "without a body",
            "POST /x HTTP/1.1\nHost: a\n",
            "POST",
            "/x",
            body(""),
        ),
        (
            "a curl command",
            "curl https://a.example/x -H 'A: 1' --data-raw '{\"a\":\"it'\\''s\"}'",
            "",
            "https://a.example/x",
            body("{\"a\":\"it's\"}"),
        ),
        (
            "the newlines of -d @FILE",
            "curl a.example/x -H 'A: 1' -d @b.json",
            "",
            "http://a.example/x",
            Some(Body::File {
                path: "b.json".into(),
                without_newlines: true,
            }),
        ),
        (
            "an event of Lambda",
            r#"{"version":"2.0","rawPath":"/x","rawQueryString":"y=1","headers":{"a":"1"},"requestContext":{"http":{"method":"PUT"}},"body":"e30=","isBase64Encoded":true}"#,
            "PUT",
            "/x?y=1",
            body("{}"),
        ),
        (
            "HAR",
            r#"{"request":{"method":"POST","url":"https://a.example/x","headers":[{"name":"A","value":"1"}],"postData":{"text":"{}"}}}"#,
            "POST",
            "https://a.example/x",
            body("{}"),
        ),
        (
            "n8n",
            r#"[{"headers":{"a":"1"},"query":{},"body":{"a":1}}]"#,
            "",
            "",
            Some(Body::Parsed),
        ),
        (
            "CGI",
            "REQUEST_METHOD=PUT\nREQUEST_URI=/x?y=1\nHTTP_A=1\n",
            "PUT",
            "/x?y=1",
            None,
        ),
        ("HTTP/2", ":method: PUT\n:path: /p\nx: 1", "PUT", "/p", None),
    ];
    let wrong: Vec<_> = rows
        .into_iter()
        .filter_map(|(name, text, method, url, body)| {
            let read = Message::read(text.as_bytes(), false).unwrap();
            let found = (
                read.method.clone().unwrap_or_default(),
                read.url.clone().unwrap_or_default(),
                read.body.clone(),
            );
            (found != (method.to_owned(), url.to_owned(), body)).then_some((name, read))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn lines_are_names_and_values_under_an_optional_request_line() {
    let text = b"POST /in/x?y=1 HTTP/1.1\r\nX-A: 1\r\n\r\nx-b:2: \t\n  \nX-C:\n:authority: a\n: 3";
    let message = Message::read(text, true).unwrap();
    assert_eq!(message.url.as_deref(), Some("/in/x?y=1"));
    // A line whose name is empty is left for the head to refuse.
    assert_eq!(
        message.fields,
        [
            field("X-A", " 1"),
            field("x-b", "2: \t"),
            field("X-C", ""),
            field("", " 3")
        ]
    );
}

#[test]
fn values_keep_their_equals_signs_colons_and_quotation_marks() {
    let rows = [
        (
            "HTTP_HOST=a.example:8080\nHTTP_X_SIG=t=1,v1=2==",
            vec!["host: a.example:8080", "x-sig: t=1,v1=2=="],
        ),
        (
            "X-Sig: t=1,v1=2\nX-B: \"quoted\"",
            vec!["x-sig: t=1,v1=2", "x-b: \"quoted\""],
        ),
        (
            "{'Date': 'Mon, 01 Jan 2026 10:00:00 GMT', 'X': \"it's\"}",
            vec!["date: Mon, 01 Jan 2026 10:00:00 GMT", "x: it's"],
        ),
        (
            "map[Date:[Mon, 01 Jan 2026 10:00:00 GMT] X:[a b]]",
            vec!["date: Mon, 01 Jan 2026 10:00:00 GMT", "x: a b"],
        ),
        (
            "-H 'A: x=\"1\"' -H \"B: $'2\\\"\"",
            vec!["a: x=\"1\"", "b: $'2\""],
        ),
        (
            "{ host: 'a', 'x-sig': 't=1,v1=2' }",
            vec!["host: a", "x-sig: t=1,v1=2"],
        ),
    ];
    for (text, expected) in rows {
        let read = Message::read(text.as_bytes(), true).unwrap();
        assert_eq!(shown(&read.fields), expected, "{text}");
    }
}

#[test]
fn what_is_no_header_is_named_by_its_line() {
    let line = |text: &str| Message::read(text.as_bytes(), true).unwrap_err().line;
    assert_eq!(line("A: 1\n\nB 2\nC: 3"), Some(3));
    assert_eq!(
        line("A: 1\nPOST / HTTP/1.1"),
        Some(2),
        "a request line comes first"
    );
    assert_eq!(Message::read(b"", true).unwrap().fields.len(), 0);
    for broken in [
        "[1, 2]",
        "{\"log\":{\"entries\":[{},{}]}}",
        "curl 'x",
        "curl x",
        "{}{",
    ] {
        assert!(
            Message::read(broken.as_bytes(), true).is_err() || broken == "{}{",
            "{broken}"
        );
    }
}

#[test]
fn no_text_makes_the_reader_panic() {
    let seeds = [
        "{'a': [",
        "map[a:[b",
        "array(1) { [\"a\"]=>",
        "curl -H",
        "[x] =>",
        "> ",
        "HTTP_A",
        "$'\\u12",
        "[(",
        "\\",
        "a=>",
        ":",
    ];
    for first in seeds {
        for second in seeds {
            for text in [
                format!("{first}{second}"),
                format!("{first}\n{second}}}"),
                format!("{{{first}{second}]}}"),
            ] {
                let _ = Message::read(text.as_bytes(), false);
            }
        }
    }
}
