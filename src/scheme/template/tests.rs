//! Tests of templates: how they are parsed, refused and rendered.

use proptest::prelude::*;

use super::*;
use crate::scheme::tests::fixtures::field;

struct Given {
    target: &'static str,
    id: Found<'static>,
    header: Found<'static>,
    public_url: Option<PublicUrl>,
}

impl Default for Given {
    fn default() -> Self {
        Self {
            target: "/in/x?a=1&b=?",
            id: Found::One(b"evt-1"),
            header: Found::One(b"nonce"),
            public_url: None,
        }
    }
}

impl Facts for Given {
    fn method(&self) -> &'static str {
        "POST"
    }
    fn target(&self) -> &str {
        self.target
    }
    fn timestamp(&self) -> Option<&[u8]> {
        Some(b"1750000000")
    }
    fn id(&self) -> Found<'_> {
        self.id
    }
    fn header(&self, name: &FieldName) -> Found<'_> {
        if name.as_str() == "x-nonce" {
            self.header
        } else {
            Found::Nothing
        }
    }
    fn public_url(&self) -> Option<&PublicUrl> {
        self.public_url.as_ref()
    }
}

fn rendered(template: &str, given: &Given) -> Result<(String, String), Refusal> {
    let template = Template::parse(template).expect("the rows below can be read");
    let content = template.render(given)?;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Ok((text(content.before()), text(content.after())))
}

#[test]
fn a_template_is_split_into_its_parts() {
    let template = Template::parse("v0:{timestamp}.{body}{{}}{header:X-Nonce}}}").unwrap();
    let literal = |text: &str| Part::Literal(text.into());
    assert_eq!(
        template.parts(),
        [
            literal("v0:"),
            Part::Timestamp,
            literal("."),
            Part::Body,
            literal("{}"),
            Part::Header(field("x-nonce")),
            literal("}"),
        ]
    );
    assert!(template.covers_body());
    assert_eq!(
        template.text(),
        "v0:{timestamp}.{body}{{}}{header:X-Nonce}}}"
    );
}

#[test]
fn what_cannot_be_read_is_named_with_its_place() {
    let rows = [
        ("", 0, "nothing is signed"),
        ("{timestamp}.{boddy}", 12, "`{boddy}` is not known"),
        ("é{body", 2, "this `{` is not closed"),
        ("{body}{", 6, "this `{` is not closed"),
        ("{bo{body}", 0, "this `{` is not closed"),
        ("{body}}", 6, "this `}` closes nothing"),
        ("{body}.{body}", 7, "`{body}` is here a second time"),
        ("{body}{header:}", 14, "this is not a header name"),
        ("{header:a b}", 8, "this is not a header name"),
        ("{body}{json:id}", 12, "this is no JSON pointer"),
        ("{json:}", 6, "this is no JSON pointer"),
        ("{Body}", 0, "`{Body}` is not known"),
        ("{ body }", 0, "`{ body }` is not known"),
        ("{}", 0, "`{}` is not known"),
    ];
    let mut wrong = Vec::new();
    for (text, offset, message) in rows {
        match Template::parse(text) {
            Err(problem)
                if problem.offset == offset
                    && problem.message == message
                    && !problem.help.is_empty() => {}
            other => wrong.push((
                text,
                other.map(|t| t.text).map_err(|p| (p.offset, p.message)),
            )),
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_part_is_rendered_as_received() {
    let url = |text: &str| Given {
        public_url: Some(PublicUrl::new(text)),
        ..Given::default()
    };
    let rows = [
        ("{body}", Given::default(), ("", "")),
        ("{body}.{timestamp}", Given::default(), ("", ".1750000000")),
        (
            "v0:{timestamp}:{body}",
            Given::default(),
            ("v0:1750000000:", ""),
        ),
        (
            "{id}.{timestamp}.{body}!",
            Given::default(),
            ("evt-1.1750000000.", "!"),
        ),
        (
            "{method}\n{path}\n{query}\n{body}",
            Given::default(),
            ("POST\n/in/x\na=1&b=?\n", ""),
        ),
        (
            "{path}|{query}|{body}",
            Given {
                target: "/in/x",
                ..Given::default()
            },
            ("/in/x||", ""),
        ),
        (
            "{url}{body}",
            url("https://a.example"),
            ("https://a.example/in/x?a=1&b=?", ""),
        ),
        (
            "{body}{url}",
            url("https://a.example/y"),
            ("", "https://a.example/y?a=1&b=?"),
        ),
        ("{header:X-Nonce}.{body}", Given::default(), ("nonce.", "")),
        (
            "{header:X-Nonce}.{body}",
            Given {
                header: Found::One(b""),
                ..Given::default()
            },
            (".", ""),
        ),
        ("{timestamp}", Given::default(), ("1750000000", "")),
        ("{{{body}}}", Given::default(), ("{", "}")),
    ];
    let mut wrong = Vec::new();
    for (template, given, (before, after)) in rows {
        let found = rendered(template, &given);
        if found != Ok((before.to_owned(), after.to_owned())) {
            wrong.push((template, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_value_that_is_missing_doubled_or_holds_a_delimiter_is_refused() {
    use Code::{InvalidEnvelope, MalformedSignature};
    let id = |id| Given {
        id,
        ..Given::default()
    };
    let header = |header| Given {
        header,
        ..Given::default()
    };
    let target = |target| Given {
        target,
        ..Given::default()
    };
    let rows = [
        (
            "no id",
            "{id}.{body}",
            id(Found::Nothing),
            Some(InvalidEnvelope),
        ),
        (
            "empty id",
            "{id}.{body}",
            id(Found::One(b"")),
            Some(InvalidEnvelope),
        ),
        (
            "two ids",
            "{id}.{body}",
            id(Found::Several),
            Some(InvalidEnvelope),
        ),
        (
            "delimiter in the id",
            "{id}.{body}",
            id(Found::One(b"a.b")),
            Some(InvalidEnvelope),
        ),
        (
            "delimiter before the id",
            "{body}.{id}",
            id(Found::One(b"a.b")),
            Some(InvalidEnvelope),
        ),
        (
            "only the first byte counts",
            "{id}.:{body}",
            id(Found::One(b"a:b")),
            None,
        ),
        (
            "what begins the template divides nothing",
            "v0:{id}.{body}",
            id(Found::One(b"v0:1")),
            None,
        ),
        (
            "what ends the template divides nothing",
            "{body}.{id}-end",
            id(Found::One(b"a-b")),
            None,
        ),
        (
            "behind the method too",
            "{method}.{id}:{body}",
            id(Found::One(b"a.b")),
            None,
        ),
        (
            "no header",
            "{header:X-Nonce}.{body}",
            header(Found::Nothing),
            Some(MalformedSignature),
        ),
        (
            "two of a header",
            "{header:X-Nonce}.{body}",
            header(Found::Several),
            Some(MalformedSignature),
        ),
        (
            "a body's tail moved into a nonce",
            "{body}.{header:X-Nonce}.{timestamp}",
            header(Found::One(b"tail.nonce")),
            Some(MalformedSignature),
        ),
        (
            "delimiter in the query",
            "{query}.{body}",
            target("/x?a.b"),
            Some(MalformedSignature),
        ),
        (
            "question mark behind the path",
            "{path}?{query}\n{body}",
            target("/x?a?b"),
            None,
        ),
        (
            "url that is not known",
            "{url}{body}",
            Given::default(),
            Some(MalformedSignature),
        ),
    ];
    let mut wrong = Vec::new();
    for (name, template, given, expected) in rows {
        let found = rendered(template, &given).err().map(|refusal| refusal.code);
        if found != expected {
            wrong.push((name, found));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused_within_it(text in "[{}a-zé:.]{0,24}|(\\{body\\}|\\{id\\}|\\{\\{|[{}.é]){0,8}") {
        match Template::parse(&text) {
            Ok(template) => prop_assert!(!template.parts().is_empty()),
            Err(problem) => prop_assert!(text.is_char_boundary(problem.offset)),
        }
    }
}
