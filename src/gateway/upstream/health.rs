//! Health checks: a `GET` to each upstream that has them, over a connection of its own (contract:
//! Several upstreams). A check that is not answered 2xx takes the upstream out of service until the next
//! good one.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::{Instant, sleep, timeout_at};

use super::pool::{Connection, Upstream};
use crate::config::Health;
use crate::wire::response::ResponseScanner;

/// The most interim answers before the answer of a check.
const INTERIM_ANSWERS: usize = 16;

/// Begins to check an upstream, unless it has no checks or is being checked. The checks end when
/// nobody uses the upstream any more.
pub(super) fn begin(upstream: &Arc<Upstream>) {
    let Some(health) = upstream.target.health.clone() else {
        return;
    };
    if !upstream.is_checked.swap(true, Ordering::Relaxed) {
        tokio::spawn(watch(Arc::downgrade(upstream), health));
    }
}

async fn watch(upstream: Weak<Upstream>, health: Health) {
    while let Some(upstream) = upstream.upgrade() {
        let found = check(&upstream, &health).await;
        let passes = found.is_ok();
        let passed = upstream.passes_checks.swap(passes, Ordering::Relaxed);
        let label = &upstream.label;
        match found {
            Err(why) if passed => {
                let path = &health.path;
                log::warn!("upstream {label}: the health check of {path} failed: {why}");
            }
            Ok(()) if !passed => {
                log::info!("upstream {label} passes its health check again");
            }
            _ => {}
        }
        // Not held during the pause, so that the checks end with the routes.
        drop(upstream);
        sleep(health.interval).await;
    }
}

/// A check. The error says what was wrong, in words that follow a colon.
async fn check(upstream: &Upstream, health: &Health) -> Result<(), String> {
    let deadline = Instant::now() + health.timeout;
    let asked = async {
        let connected = upstream.connect(deadline).await;
        let mut connection = connected.map_err(|error| error.to_string())?;
        ask(&mut connection, &request(upstream, health)).await
    };
    match timeout_at(deadline, asked).await {
        Ok(Ok(200..=299)) => Ok(()),
        Ok(Ok(status)) => Err(format!("it answered {status}")),
        Ok(Err(why)) => Err(why),
        Err(_) => Err(format!("no answer within {}", written(health.timeout))),
    }
}

fn written(time: Duration) -> String {
    format!("{time:?}")
}

fn request(upstream: &Upstream, health: &Health) -> String {
    let own = || upstream.target.address.authority();
    let host = health.host.clone().unwrap_or_else(own);
    format!(
        "GET {} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: verigate/{}\r\nConnection: close\r\n\r\n",
        health.path,
        env!("CARGO_PKG_VERSION")
    )
}

/// Sends a request and returns the status of its final answer.
async fn ask(connection: &mut Connection, request: &str) -> Result<u16, String> {
    let Connection {
        stream, inbound, ..
    } = connection;
    let broken = |error: std::io::Error| format!("the connection broke: {error}");
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    for _ in 0..=INTERIM_ANSWERS {
        let mut scanner = ResponseScanner::new();
        loop {
            match scanner.take(inbound) {
                Ok(Some(head)) if (100..=199).contains(&head.status()) => break,
                Ok(Some(head)) => return Ok(head.status()),
                Ok(None) => {}
                Err(reason) => return Err(reason.words().to_owned()),
            }
            if stream.read_buf(inbound).await.map_err(broken)? == 0 {
                return Err("it closed the connection without an answer".to_owned());
            }
        }
    }
    Err("it sent too many interim answers".to_owned())
}
