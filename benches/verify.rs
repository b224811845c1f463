//! The cost of judging a delivery: its signature over 1 KiB, 64 KiB and 1 MiB, and the scan for the
//! event's id.
#![expect(
    clippy::expect_used,
    reason = "a bench whose preparation fails has nothing to measure"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use sha2::Digest as _;
use verigate::clock::{Now, UnixMillis};
use verigate::config::presets;
use verigate::key::secret::{Secret, SecretText};
use verigate::notation::timestamp::Tolerance;
use verigate::scheme::Settings;
use verigate::sign::{SignRequest, sign};
use verigate::verify::envelope::Envelope;
use verigate::verify::verifier::Verifier;
use verigate::wire::head::{Head, Limits};

const AT: UnixMillis = UnixMillis::from_secs(1_750_000_000);

fn body(size: usize) -> Vec<u8> {
    let start = br#"{"event_id":"00000000-0000-4000-8000-000000000001","event_type":"conversation.ended","organization_uuid":"6f1c0c7e","data":""#;
    let mut body = start.to_vec();
    body.resize(size - 2, b'x');
    body.extend_from_slice(b"\"}");
    body
}

fn judging(c: &mut Criterion) {
    let scheme = Arc::new(presets::find("itellico").expect("a preset").scheme.clone());
    let text = SecretText::new(b"a secret of some length".to_vec());
    let secret = Secret {
        written: None,
        name: "bench".into(),
        text,
        not_before: None,
        not_after: None,
    };
    let tolerance = Tolerance::Within(Duration::from_secs(300));
    let settings = Settings {
        tolerance,
        future_tolerance: tolerance,
        public_url: None,
        max_body: 1 << 20,
    };
    let verifier =
        Verifier::new(Arc::clone(&scheme), vec![secret.clone()], settings).expect("a key");
    let envelope = Envelope::of(&scheme);
    let now = Now {
        wall: AT,
        mono: Duration::ZERO,
    };
    let mut group = c.benchmark_group("verify");
    for size in [1024, 64 * 1024, 1024 * 1024] {
        let body = body(size);
        let request = SignRequest {
            method: "POST",
            target: "/",
            body: &body,
            id: None,
            at: AT,
            public_url: None,
            headers: &[],
        };
        let headers = sign(&scheme, &secret, &request).expect("a signature");
        let head = Head::from_parts(
            "POST",
            "/",
            headers.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes())),
        )
        .expect("a head");
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_with_input(BenchmarkId::new("signature", size), &body, |b, body| {
            b.iter(|| {
                let mut verification = verifier.begin(black_box(&head), now).expect("fresh");
                verification.update(body);
                black_box(verification.finish(body, now).expect("valid"))
            });
        });
        group.bench_with_input(BenchmarkId::new("envelope", size), &body, |b, body| {
            b.iter(|| {
                black_box(
                    envelope
                        .extract(&head, black_box(body), None)
                        .expect("an id"),
                )
            });
        });
    }
    group.finish();
}

/// A body of 11 KiB in the manner of a push: many small members, nearly all of them off the path.
fn many_members() -> Vec<u8> {
    let url = "https://api.example.com/repos/someone/something";
    let member = |n: usize| {
        format!(
            r#","k{n}_url":"{url}/k{n}{{/sha}}","n{n}":{n},"has_{n}":true,"o{n}":{{"id":null}}"#
        )
    };
    let members: String = (0..100).map(member).collect();
    format!(r#"{{"event_id":"1"{members}}}"#).into_bytes()
}

fn scanning(c: &mut Criterion) {
    let scheme = &presets::find("itellico").expect("a preset").scheme;
    let envelope = Envelope::of(scheme);
    let head = Head::from_parts("POST", "/", std::iter::empty::<(&[u8], &[u8])>());
    let head = head.expect("a head");
    let mut group = c.benchmark_group("members");
    let body = many_members();
    group.throughput(Throughput::Bytes(body.len() as u64));
    group.bench_function("envelope", |b| {
        b.iter(|| {
            envelope
                .extract(&head, black_box(&body), None)
                .expect("an id")
        });
    });
    group.finish();
}

/// The hash that signatures use, beside the one of the crate that verifies public keys.
fn hashing(c: &mut Criterion) {
    let mut group = c.benchmark_group("sha256");
    for size in [1024, 16 * 1024, 1024 * 1024] {
        let body = body(size);
        group.throughput(Throughput::Bytes(size as u64));
        group.bench_with_input(BenchmarkId::new("sha2", size), &body, |b, body| {
            b.iter(|| sha2::Sha256::digest(black_box(body)));
        });
        group.bench_with_input(BenchmarkId::new("ring", size), &body, |b, body| {
            b.iter(|| ring::digest::digest(&ring::digest::SHA256, black_box(body)));
        });
    }
    group.finish();
}

fn parsing(c: &mut Criterion) {
    let head = Bytes::from_static(
        b"POST /webhooks/itellico HTTP/1.1\r\nHost: hooks.example.com\r\nUser-Agent: itellico/1.0\r\n\
          Content-Type: application/json\r\nContent-Length: 1024\r\nAccept: */*\r\nAccept-Encoding: gzip\r\n\
          X-Webhook-Timestamp: 1750000000\r\n\
          X-Webhook-Signature-256: d3ec594e8e68e8755a398faf52aa698755a57a0b6bf5397a276cdcac95107966\r\n\r\n",
    );
    c.bench_function("head", |b| {
        b.iter(|| Head::parse(black_box(head.clone()), &Limits::default()).expect("a head"));
    });
}

criterion_group!(benches, judging, scanning, hashing, parsing);
criterion_main!(benches);
