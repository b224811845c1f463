//! The cost of a verified delivery from end to end: the real binary, a small upstream and
//! keep-alive clients on loopback.
//!
//! Prints CPU time per delivery of the gateway alone (user and system, from `/proc`), beside the
//! throughput. Every delivery is unique and signed beforehand; the access log goes to a file.
//! Figures of two runs are comparable only as ratios, taken side by side: see `benches/README.md`.
#![expect(clippy::print_stdout, reason = "its figures are its output")]
#![expect(
    clippy::disallowed_methods,
    reason = "measures real time, and signs for a gateway that judges real time"
)]

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

const SECRET: &str = "a secret of some length for the bench";
const CLIENTS: usize = 16;

fn main() -> io::Result<()> {
    // `cargo bench` passes `--bench`; `cargo test --benches` passes nothing and must be quick.
    if !std::env::args().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let upstream = upstream()?;
    println!(
        "{:>9} {:>10} {:>12} {:>12} {:>12}",
        "body", "deliveries", "per second", "user µs", "system µs"
    );
    for (size, count) in [
        (1024, 60_000),
        (16 * 1024, 20_000),
        (1024, 60_000),
        (16 * 1024, 20_000),
    ] {
        measure(upstream, size, count)?;
    }
    Ok(())
}

fn measure(upstream: SocketAddr, size: usize, count: usize) -> io::Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("verigate.toml");
    let text = format!(
        "[server]\nlisten = [\"127.0.0.1:0\"]\nthreads = 1\n[admin]\nlisten = \"127.0.0.1:0\"\n[[route]]\nname = \"bench\"\n\
         path = \"/hooks\"\nprovider = \"itellico\"\nsecrets = [\"env:BENCH_SECRET\"]\nupstream = \"http://{upstream}\"\n"
    );
    fs::write(&file, text)?;
    let (mut gateway, address) = start(&file, &folder.path().join("access.log"))?;
    let share = count / CLIENTS;
    let deliver = |from: usize, deliveries: usize| -> io::Result<f64> {
        let prepared: Vec<Vec<Vec<u8>>> = (0..CLIENTS)
            .map(|client| {
                (0..deliveries)
                    .map(|n| delivery(size, from + client * deliveries + n))
                    .collect()
            })
            .collect();
        let start = Instant::now();
        thread::scope(|scope| {
            let clients: Vec<_> = prepared
                .iter()
                .map(|own| scope.spawn(move || send_all(address, own)))
                .collect();
            clients.into_iter().try_for_each(|client| {
                client
                    .join()
                    .map_err(|_| io::Error::other("a client panicked"))?
            })
        })?;
        Ok(start.elapsed().as_secs_f64())
    };
    deliver(0, 100)?;
    let before = cpu(gateway.id())?;
    let seconds = deliver(1_000_000, share)?;
    let after = cpu(gateway.id())?;
    gateway.kill()?;
    gateway.wait()?;
    let done = f64::from(u32::try_from(share * CLIENTS).map_err(io::Error::other)?);
    let user = (after.user - before.user) / done * 1e6;
    let system = (after.system - before.system) / done * 1e6;
    println!(
        "{size:>9} {done:>10} {:>12.0} {user:>12.1} {system:>12.1}",
        done / seconds
    );
    Ok(())
}

fn start(config: &std::path::Path, log: &std::path::Path) -> io::Result<(Child, SocketAddr)> {
    let mut gateway = Command::new(env!("CARGO_BIN_EXE_verigate"))
        .args(["run", "--config"])
        .arg(config)
        .env("BENCH_SECRET", SECRET)
        .stdout(File::create(log)?)
        .stderr(Stdio::piped())
        .spawn()?;
    let messages = gateway
        .stderr
        .take()
        .ok_or_else(|| io::Error::other("no standard error"))?;
    let mut address = None;
    let mut messages = BufReader::new(messages).lines();
    for line in messages.by_ref() {
        let line = line?;
        if let Some(found) = line.strip_prefix("listening on ") {
            if found.ends_with("(admin)") {
                break;
            }
            address = found.parse().ok();
        }
    }
    // Later messages must not fill the pipe.
    thread::spawn(move || messages.for_each(drop));
    address
        .map(|address| (gateway, address))
        .ok_or_else(|| io::Error::other("the gateway does not listen"))
}

/// Seconds of CPU time.
struct Cpu {
    user: f64,
    system: f64,
}

/// The CPU time that a process has used so far (`proc_pid_stat(5)`, fields 14 and 15, in hundredths
/// of a second).
fn cpu(pid: u32) -> io::Result<Cpu> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let field = |index| {
        rest.split(' ')
            .nth(index)
            .and_then(|field| field.parse::<f64>().ok())
    };
    match (field(11), field(12)) {
        (Some(user), Some(system)) => Ok(Cpu {
            user: user / 100.0,
            system: system / 100.0,
        }),
        _ => Err(io::Error::other("/proc/PID/stat has another form")),
    }
}

fn delivery(size: usize, number: usize) -> Vec<u8> {
    let mut body =
        format!(r#"{{"event_id":"{number:032}","event_type":"conversation.ended","data":""#)
            .into_bytes();
    body.resize(size - 2, b'x');
    body.extend_from_slice(b"\"}");
    let at = timestamp();
    #[expect(
        clippy::expect_used,
        reason = "HMAC takes keys of any length (RFC 2104)"
    )]
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("a key");
    mac.update(&body);
    mac.update(format!(".{at}").as_bytes());
    let signature = hex::encode(mac.finalize().into_bytes());
    let mut request = format!(
        "POST /hooks HTTP/1.1\r\nHost: hooks.example.com\r\nUser-Agent: bench/1\r\nAccept: */*\r\n\
         Content-Type: application/json\r\nContent-Length: {size}\r\nX-Webhook-Timestamp: {at}\r\n\
         X-Webhook-Signature-256: {signature}\r\n\r\n"
    )
    .into_bytes();
    request.extend_from_slice(&body);
    request
}

fn timestamp() -> u64 {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

fn send_all(gateway: SocketAddr, deliveries: &[Vec<u8>]) -> io::Result<()> {
    let mut stream = TcpStream::connect(gateway)?;
    stream.set_nodelay(true)?;
    let mut answer = [0; 4096];
    for delivery in deliveries {
        stream.write_all(delivery)?;
        let mut length = 0;
        loop {
            let count = stream.read(answer.get_mut(length..).unwrap_or_default())?;
            length += count;
            let so_far = answer.get(..length).unwrap_or_default();
            if so_far.ends_with(b"\r\n\r\nok") {
                break;
            }
            if count == 0
                || !b"HTTP/1.1 200".starts_with(so_far.get(..12.min(length)).unwrap_or_default())
            {
                return Err(io::Error::other(
                    String::from_utf8_lossy(so_far).into_owned(),
                ));
            }
        }
    }
    Ok(())
}

/// Answers every request with `ok`, in a thread for each connection.
fn upstream() -> io::Result<SocketAddr> {
    static SERVED: AtomicU64 = AtomicU64::new(0);
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream, &SERVED));
        }
    });
    Ok(address)
}

fn serve(mut stream: TcpStream, served: &AtomicU64) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    loop {
        let count = stream.read(buffer.get_mut(filled..).unwrap_or_default())?;
        if count == 0 {
            return Ok(());
        }
        filled += count;
        let so_far = buffer.get(..filled).unwrap_or_default();
        let Some(end) = so_far.windows(4).position(|four| four == b"\r\n\r\n") else {
            continue;
        };
        let head =
            String::from_utf8_lossy(so_far.get(..end).unwrap_or_default()).to_ascii_lowercase();
        let length = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.split('\r').next());
        let length: usize = length.and_then(|length| length.parse().ok()).unwrap_or(0);
        if filled >= end + 4 + length {
            filled = 0;
            served.fetch_add(1, Ordering::Relaxed);
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")?;
        }
    }
}
