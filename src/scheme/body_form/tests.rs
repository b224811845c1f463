//! Tests of the forms with vectors of Box and Stream, and of the limits on gzip (HB-11).

use std::io::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;

use super::*;
use crate::key::digest::DigestAlgorithm;

const STREAM_001: &[u8] =
    br#"{"id":"evt_0001","type":"conversation.ended","created":"2026-04-19T14:30:00.000000+00:00","data":{"n":1}}"#;
const STREAM_002: &str = "{\"id\":\"evt_0002\",\"name\":\"Zo\u{eb} Mu\u{308}ller \u{2013} 日本語 😀\",\"rtl\":\"\u{202e}abc\"}";
const STREAM_004: &[u8] = b"{\"id\":\"evt_0005\",\"v\":\"\xff\xfe\x80\xc3(\"}";
/// [`STREAM_001`], compressed by Python's gzip module.
const STREAM_001_GZIP: &str = "H4sIAAAAAAACAx2LOwqAMBBE77KtHyYaBPcc9hKSLWwS0SUgIXc3Ot28eVPoCMQkWXcAhnrS55RGfIpZrtvpkeIoMUhom7/EqXyHCdMywA5m3YzlGQyM+NPhK00OTh1xoUhsan0BtIjfqWkAAAA=";
/// The same with a file name and a time in its header.
const STREAM_001_NAMED: &str = "H4sICIDhTmgC/2JvZHkuanNvbgAdizsKgDAQRO+yrR8mGgT3HPYSki1sEtElICF3NzrdvHlT6AjEJFl3AIZ60ueURnyKWa7b6ZHiKDFIaJu/xKl8hwnTMsAOZt2M5RkMjPjT4StNDk4dcaFIbGp9AbSI36lpAAAA";

fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

fn inflated(body: &[u8], limit: usize) -> Option<Vec<u8>> {
    BodyForm::Inflated.apply(body, limit).map(Cow::into_owned)
}

fn escaped(text: &str) -> Option<String> {
    BodyForm::JsonAscii
        .apply(text.as_bytes(), 0)
        .map(|bytes| String::from_utf8(bytes.into_owned()).unwrap())
}

#[test]
fn every_name_leads_back_to_its_form() {
    assert_eq!(
        BodyForm::ALL.map(|f| BodyForm::named(f.name())),
        BodyForm::ALL.map(Some)
    );
    assert_eq!(BodyForm::named("gzip"), None);
}

#[test]
fn a_raw_body_is_taken_as_it_is() {
    for body in [STREAM_004, b""] {
        assert!(matches!(BodyForm::Raw.apply(body, 0), Some(Cow::Borrowed(same)) if same == body));
    }
}

#[test]
fn what_box_signed_is_the_escaped_body_and_its_timestamp() {
    let file = |name: &str| {
        format!(
            r#"{{"webhook":{{"id":"1234567890"}},"trigger":"FILE.UPLOADED","source":{{"id":"1234567890","type":"file","name":"{name}"}}}}"#
        )
    };
    // The bodies box-002, box-003 and box-004 from Box's documentation, with the signed text and
    // the signature of each.
    let rows = [
        (
            "スクリーンショット 2020-08-05.txt",
            r"\u30b9\u30af\u30ea\u30fc\u30f3\u30b7\u30e7\u30c3\u30c8 2020-08-05.txt",
            "LV2uCu+5NJtIHrCXDYgZ0v/PP5THGRuegw3RtdnEyuE=",
        ),
        (
            "😀 2020-08-05.txt",
            r"\ud83d\ude00 2020-08-05.txt",
            "xF/SDZosX4le+v4A0Qn59sZhuD1RqY5KRUKzVMSbh0E=",
        ),
        (
            "test \r",
            r"test \r",
            "SVkbKgy3dEEf2PbbzpNu2lDZS7zZ/aboU7HOZgBGrJk=",
        ),
    ];
    for (sent, signed, signature) in rows {
        let form = escaped(&file(sent)).unwrap();
        assert_eq!(form, file(signed));
        let mut mac = DigestAlgorithm::HmacSha256.mac(b"SamplePrimaryKey");
        mac.update(form.as_bytes());
        mac.update(b"2020-01-01T00:00:00-07:00");
        assert!(mac.verify(&STANDARD.decode(signature).unwrap()), "{sent}");
    }
}

#[test]
fn each_character_is_escaped_in_one_way_or_left_alone() {
    let rows = [
        (
            "\u{0}\u{8}\u{b}\u{c}\u{1f}\u{7f}",
            Some(r"\u0000\u0008\u000b\u000c\u001f\u007f"),
        ),
        ("\n\r\t", Some(r"\n\r\t")),
        ("{\n\"a\": 1\n}", Some(r#"{\n"a": 1\n}"#)),
        (
            "\u{80}\u{e9}\u{ff}\u{2028}\u{feff}\u{ffff}",
            Some(r"\u0080\u00e9\u00ff\u2028\ufeff\uffff"),
        ),
        (
            "\u{10000}\u{1f600}\u{10ffff}",
            Some(r"\ud800\udc00\ud83d\ude00\udbff\udfff"),
        ),
        (r"\\ \/ \n \u00E9 é", Some(r"\\ \/ \n \u00E9 \u00e9")),
        (r#" !"/[\]^~ \n"#, None),
        ("", None),
    ];
    let wrong: Vec<_> = rows
        .iter()
        .filter(|(text, form)| escaped(text).as_deref() != *form)
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_body_that_is_not_utf_8_has_no_escaped_form() {
    for body in [
        STREAM_004,
        b"\xc0\xae",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe9",
    ] {
        assert_eq!(BodyForm::JsonAscii.apply(body, usize::MAX), None);
    }
}

#[test]
fn what_stream_signed_is_the_inflated_body() {
    let rows = [
        (
            STREAM_001,
            "e757b1a41769abeaa61c1be8c3b697d6a4169c9994ebeb6004875ea1ac4fccfd",
        ),
        (
            STREAM_002.as_bytes(),
            "ea79fabd3a4400d3765444b4e9d12f1c1a452283f5b879906331304dcc43cccb",
        ),
        (
            STREAM_004,
            "8868ef22d051715fa59e95278c2b78f4e70cdb623d191886e61c021fbf28e342",
        ),
        (
            b"",
            "97434eb4075ad3b2c298045c0450aeb40edb086feeb58e7489aee918ac49b966",
        ),
    ];
    for (body, signature) in rows {
        let mut mac = DigestAlgorithm::HmacSha256.mac(b"stream_secret");
        mac.update(&inflated(&gzip(body), 1000).unwrap());
        assert!(mac.verify(&hex::decode(signature).unwrap()), "{signature}");
        assert_eq!(inflated(body, 1000), None, "no gzip");
    }
    for other in [STREAM_001_GZIP, STREAM_001_NAMED] {
        assert_eq!(
            inflated(&STANDARD.decode(other).unwrap(), 1000).as_deref(),
            Some(STREAM_001)
        );
    }
}

#[test]
fn hb_11_gzip_is_inflated_whole_or_not_at_all() {
    let whole = STANDARD.decode(STREAM_001_NAMED).unwrap();
    let len = STREAM_001.len();
    assert!(inflated(&whole, len).is_some());
    assert_eq!(inflated(&whole, len - 1), None, "one byte over the limit");
    assert_eq!(inflated(&whole, 0), None);
    for cut in 0..whole.len() {
        assert_eq!(inflated(&whole[..cut], len), None, "cut at {cut}");
    }
    for more in [&b"\0"[..], b"\n", &whole, &gzip(b"")] {
        assert_eq!(
            inflated(&[&whole, more].concat(), 10 * len),
            None,
            "something behind it"
        );
    }
    for at in 0..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0x10;
        // Changes in the header's file name, and in the padding behind the last bit, have no
        // effect.
        let found = inflated(&broken, 10 * len);
        assert!(
            found.is_none_or(|found| found == STREAM_001),
            "another bit in byte {at}"
        );
    }
    for at in whole.len() - 8..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 1;
        assert_eq!(
            inflated(&broken, 10 * len),
            None,
            "another bit in byte {at}"
        );
    }
    let mut zlib = whole;
    zlib[2] = 7;
    assert_eq!(inflated(&zlib, len), None, "another method");
}

#[test]
fn hb_11_a_bomb_costs_no_more_than_the_limit() {
    let bomb = gzip(&vec![0; 1 << 20]);
    assert!(bomb.len() < 4096);
    for limit in [0, 1, PIECE - 1, PIECE, 100_000, (1 << 20) - 1] {
        let mut out = Vec::new();
        assert_eq!(inflate(&bomb, limit, &mut out, &mut AnyRoom), Ok(false));
        assert!(out.capacity() <= limit, "{} for {limit}", out.capacity());
    }
    let mut out = Vec::new();
    assert_eq!(inflate(&bomb, 1 << 20, &mut out, &mut AnyRoom), Ok(true));
    assert_eq!((out.len(), out.capacity()), (1 << 20, 1 << 20));
}

#[test]
fn hb_11_rx_21_a_gzip_body_may_hold_256_kib_or_32_times_its_length() {
    let zeros = |length| gzip(&vec![0; length]);
    let small = zeros(INFLATED_BYTES);
    assert!(small.len() * INFLATED_TIMES < INFLATED_BYTES);
    assert!(inflated(&small, usize::MAX).is_some());
    assert_eq!(inflated(&zeros(INFLATED_BYTES + 1), usize::MAX), None);
    // Bytes that do not shrink, then bytes that do, in two lengths of a member of the same length.
    let noise: Vec<u8> = (0..20_000_u32)
        .flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes())
        .collect();
    let with_zeros = |zeros| gzip(&[noise.as_slice(), &vec![0; zeros]].concat());
    let most = with_zeros(0).len() * INFLATED_TIMES;
    assert!(most > 2 * INFLATED_BYTES);
    assert!(inflated(&with_zeros(most - noise.len()), usize::MAX).is_some());
    assert_eq!(inflated(&with_zeros(most + 300_000), usize::MAX), None);
}

/// Room for this many bytes.
struct Left(usize);

impl Room for Left {
    fn take(&mut self, bytes: usize) -> bool {
        let left = self.0.checked_sub(bytes);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

#[test]
fn rx_21_every_derived_form_asks_for_its_bytes_before_it_takes_them() {
    let body = gzip(&[b'x'; 10_000]);
    for (form, body, most) in [
        (BodyForm::Raw, body.as_slice(), 0),
        (BodyForm::Inflated, &body, 10_000),
        (BodyForm::JsonAscii, "\u{e9}".repeat(100).as_bytes(), 600),
    ] {
        let mut room = Left(most);
        assert!(
            matches!(form.apply_within(body, 10_000, &mut room), Ok(Some(_))),
            "{form:?}"
        );
        assert_eq!(room.0, 0, "{form:?}");
        if let Some(less) = most.checked_sub(1) {
            let refused = form.apply_within(body, 10_000, &mut Left(less));
            assert_eq!(refused, Err(NoRoom), "{form:?}");
        }
    }
}

proptest! {
    #[test]
    fn what_is_compressed_is_inflated_to_the_same(
        part in prop::collection::vec(any::<u8>(), 0..1000), times in 0..20_usize,
    ) {
        let body = part.repeat(times);
        prop_assert_eq!(inflated(&gzip(&body), body.len()), Some(body));
    }

    #[test]
    fn any_bytes_are_taken_without_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200), flags in 0..32_u8, limit in 0..2000_usize,
    ) {
        let gzip = [&[0x1f, 0x8b, 8, flags], &bytes[..]].concat();
        for form in BodyForm::ALL {
            let _ = form.apply(&bytes, limit);
            prop_assert!(form != BodyForm::Inflated || inflated(&gzip, limit).is_none_or(|out| out.len() <= limit));
        }
    }

    /// The escaped text means the same as the sent text: `serde_json` undoes every escape.
    #[test]
    fn an_escaped_text_means_the_same(text in "[^\"\\\\]{0,40}") {
        let form = escaped(&text).unwrap_or(text.clone());
        prop_assert!(form.bytes().all(|b| matches!(b, b' '..=b'~')));
        prop_assert_eq!(serde_json::from_str::<String>(&format!("\"{form}\"")).unwrap(), text);
        prop_assert_eq!(escaped(&form), None);
    }
}
