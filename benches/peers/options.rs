//! The command line of `benches/peers/run`.

use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};

use crate::contenders::{Contender, Kept, Kind, Setting};
use crate::rounds::{Deliveries, Plan};
use crate::support::events::{Filling, Scheme};
use crate::support::upstream::Upstream;
use crate::support::wire::Transport;

/// Measures verigate beside HAProxy and nginx, in turn.
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of its own")]
#[derive(Clone, Debug, Parser)]
#[command(name = "benches/peers/run")]
pub(crate) struct Options {
    /// What is measured
    #[arg(value_enum, default_value = "compare")]
    pub(crate) what: Vec<What>,
    /// How often each program is measured
    #[arg(long, default_value_t = 7)]
    pub(crate) rounds: usize,
    /// How long each measurement takes
    #[arg(long, default_value_t = 3.0)]
    pub(crate) seconds: f64,
    /// How long each program runs under load before that
    #[arg(long, default_value_t = 1.0)]
    pub(crate) warm_up: f64,
    /// Sizes of bodies
    #[arg(long, value_delimiter = ',', default_value = "1KiB,16KiB,1MiB", value_parser = size)]
    pub(crate) sizes: Vec<usize>,
    /// How deliveries come in `tls`
    #[arg(
        long,
        value_delimiter = ',',
        value_enum,
        default_value = "plain,tls,http2,tls-resumed,tls-each"
    )]
    pub(crate) transports: Vec<Transport>,
    /// Kept-alive connections; of HTTP/2 a tenth, each with ten requests at a time
    #[arg(long, default_value_t = 32)]
    pub(crate) connections: usize,
    /// Clients at a time in `queue`
    #[arg(long, value_delimiter = ',', default_value = "1,16,64,256")]
    pub(crate) clients: Vec<usize>,
    /// Deliveries that wait in `backlog`
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) deliveries: usize,
    /// Worker threads of each program
    #[arg(long, default_value_t = 1)]
    pub(crate) threads: usize,
    /// A binary of verigate, as PATH or NAME=PATH; this build's by default. May be repeated
    #[arg(long, value_name = "[NAME=]PATH")]
    pub(crate) ours: Vec<String>,
    /// Of the others, only HAProxy that passes everything on without a log
    #[arg(long)]
    pub(crate) only_passing: bool,
    /// None of the others
    #[arg(long, conflicts_with = "only_passing")]
    pub(crate) only_ours: bool,
    /// What the bodies hold
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) body: Filling,
    /// The rate of `latency`, in deliveries a second: 70 % of HAProxy's capacity by default. With it, `queue` sends at that
    /// rate too
    #[arg(long)]
    pub(crate) rate: Option<f64>,
    /// Keeps each program on this core, and load and upstream off it
    #[arg(long, value_name = "CORE")]
    pub(crate) pin: Option<usize>,
    /// Without the deliveries that say what each recipe accepts and refuses
    #[arg(long)]
    pub(crate) no_check: bool,
    /// A few seconds for all: shows that everything runs, and no figures worth reading
    #[arg(long)]
    pub(crate) smoke: bool,
    /// Claims in a window of so many entries, and nothing else; `growth` runs it in processes of their own
    #[arg(long, hide = true)]
    pub(crate) claims: Option<u64>,
    /// Where Markdown, JSON and plots are written
    #[arg(long, value_name = "FOLDER", default_value = "target/peers")]
    pub(crate) out: PathBuf,
}

/// A part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum What {
    /// All programs, at each size
    Compare,
    /// A refusal before the body beside a forwarded delivery
    Refusals,
    /// Two worker threads beside one
    Threads,
    /// Latencies at a fixed rate
    Latency,
    /// GitHub's and Standard Webhooks' schemes beside itellico's
    Schemes,
    /// TLS on kept connections, on resumed ones and with whole handshakes, and HTTP/2
    Tls,
    /// Deliveries that are kept on disk and acknowledged, beside those that are passed on
    Queue,
    /// Many deliveries that wait, a restart, and the way to the app for all of them
    Backlog,
    /// How cost grows with claims, routes, secrets, headers and connections
    Growth,
    /// All of these
    All,
}

impl Options {
    /// Shortens everything where only a smoke run is wanted.
    pub(crate) fn judged(mut self) -> Self {
        if self.smoke {
            self.rounds = 1;
            self.seconds = 0.1;
            self.warm_up = 0.05;
            self.what = vec![What::All];
            self.sizes.retain(|size| *size == 1024);
            self.clients = vec![16];
            self.deliveries = 2_000;
        }
        self
    }

    /// `true` where this part is to be measured.
    pub(crate) fn wants(&self, what: What) -> bool {
        self.what.contains(&what) || self.what.contains(&What::All)
    }

    /// All programs that take part, in the order of the rows, and what is said about the others.
    pub(crate) fn contenders(&self) -> (Vec<Contender>, Vec<String>) {
        let (mut all, mut missing) = Contender::installed();
        if self.only_ours {
            all.clear();
            missing.clear();
        }
        if self.only_passing {
            all.retain(|contender| contender.kind == Kind::HaproxyPassing);
        }
        all.extend(self.ours());
        (all, missing)
    }

    /// The row that others are compared with, where it takes part, and the binaries of verigate.
    pub(crate) fn base_and_ours(&self) -> Vec<Contender> {
        let (mut all, _) = self.contenders();
        all.retain(|contender| matches!(contender.kind, Kind::HaproxyPassing | Kind::Verigate));
        all
    }

    /// The binaries of verigate.
    pub(crate) fn ours(&self) -> Vec<Contender> {
        if self.ours.is_empty() {
            let own = Path::new(env!("CARGO_BIN_EXE_verigate"));
            return vec![Contender::verigate("verigate", own)];
        }
        self.ours
            .iter()
            .map(|text| match text.split_once('=') {
                Some((name, path)) => Contender::verigate(name, Path::new(path)),
                None => Contender::verigate(&format!("verigate {text}"), Path::new(text)),
            })
            .collect()
    }

    /// How programs are set, before a part of the measurements changes something.
    pub(crate) fn setting(&self, upstream: &Upstream) -> Setting {
        Setting {
            upstream: upstream.address,
            threads: self.threads,
            scheme: Scheme::Itellico,
            core: self.pin,
            further_secrets: 0,
            further_routes: 0,
            transport: Transport::Plain,
            kept: Kept::Nothing,
        }
    }

    /// What is sent, before a part of the measurements changes something.
    pub(crate) fn plan(&self, size: usize) -> Plan {
        Plan {
            size,
            filling: self.body,
            further_headers: 0,
            connections: self.connections,
            warm_up: self.warm_up,
            seconds: self.seconds,
            deliveries: Deliveries::Good,
            rate: None,
        }
    }
}

/// A size such as `16KiB`, in bytes.
fn size(text: &str) -> Result<usize, String> {
    let digits = text
        .find(|letter: char| !letter.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let unit = match unit {
        "" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => return Err("a size is a number of bytes, KiB or MiB".to_owned()),
    };
    number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(unit))
        .filter(|size| (512..=1 << 20).contains(size))
        .ok_or_else(|| "a body has 512 bytes to 1 MiB here".to_owned())
}

/// A size as it is written.
pub(crate) fn size_text(bytes: usize) -> String {
    match bytes {
        bytes if bytes % (1 << 20) == 0 => format!("{} MiB", bytes >> 20),
        bytes if bytes % (1 << 10) == 0 => format!("{} KiB", bytes >> 10),
        bytes => format!("{bytes} B"),
    }
}
