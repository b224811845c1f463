//! The programs that are compared: each started from its recipe, on a port of its own.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::support::events::{SECRET, Scheme};
use crate::support::gateway::{self, Started};
use crate::support::process::{Process, pinned};
use crate::support::wire::{Identity, Transport};

/// How long a program may take until it accepts connections.
const START: Duration = Duration::from_secs(10);

/// Where Debian keeps nginx's modules.
const NGINX_MODULES: &str = "/usr/lib/nginx/modules";

/// A way to put a proxy in front of an app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    HaproxyPassing,
    HaproxyPassingLogged,
    HaproxyVerifying,
    NginxPassing,
    NginxVerifying,
    /// Debian's `json2file-go`, which writes each body into a file of its own.
    Json2File,
    Verigate,
}

/// What verigate keeps on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Nothing: a route in relay mode without a state directory.
    Nothing,
    /// The claims of a route in relay mode.
    Claims,
    /// The deliveries of a route in queue mode, which are delivered meanwhile.
    Deliveries,
    /// The same, and nothing is delivered meanwhile.
    Waiting,
}

/// A program that takes part.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) kind: Kind,
    /// The row's heading.
    pub(crate) name: String,
    /// The binary; found in `PATH` if it is a bare name.
    pub(crate) program: PathBuf,
}

/// The goals compare with this row.
pub(crate) const BASE: &str = "HAProxy passing on";

impl Contender {
    /// verigate by the path of its binary.
    pub(crate) fn verigate(name: &str, program: &Path) -> Self {
        Self {
            kind: Kind::Verigate,
            name: name.to_owned(),
            program: program.to_owned(),
        }
    }

    /// The recipes of others whose programs are installed, and a sentence about each that is not.
    pub(crate) fn installed() -> (Vec<Self>, Vec<String>) {
        let mut found = Vec::new();
        let mut missing = Vec::new();
        for (kind, name, program) in [
            (Kind::HaproxyPassing, BASE, "haproxy"),
            (
                Kind::HaproxyPassingLogged,
                "HAProxy passing on, logged",
                "haproxy",
            ),
            (Kind::HaproxyVerifying, "HAProxy verifying", "haproxy"),
            (Kind::NginxPassing, "nginx passing on", "nginx"),
            (Kind::NginxVerifying, "nginx + Lua verifying", "nginx"),
        ] {
            let has_modules = kind != Kind::NginxVerifying
                || Path::new(NGINX_MODULES)
                    .join("ngx_http_lua_module.so")
                    .exists();
            match find(program).filter(|_| has_modules) {
                Some(program) => found.push(Self {
                    kind,
                    name: name.to_owned(),
                    program,
                }),
                None => missing.push(format!("{name}: not measured, it is not installed")),
            }
        }
        (found, missing)
    }

    /// What else is installed here that takes webhooks and keeps them.
    pub(crate) fn keeper() -> Option<Self> {
        let program = find("json2file-go")?;
        Some(Self {
            kind: Kind::Json2File,
            name: "json2file-go: a file each, no signature, no sync".to_owned(),
            program,
        })
    }

    /// `true` where the recipe judges deliveries, and does not only pass them on.
    pub(crate) fn verifies(&self) -> bool {
        !matches!(
            self.kind,
            Kind::HaproxyPassing
                | Kind::HaproxyPassingLogged
                | Kind::NginxPassing
                | Kind::Json2File
        )
    }

    /// Why the recipe cannot take bodies of this size.
    pub(crate) fn cannot(&self, size: usize) -> Option<&'static str> {
        (self.kind == Kind::HaproxyVerifying && size > 16 * 1024)
            .then_some("cannot: a body that is verified must fit into one buffer")
    }

    /// The first line that the program says about its version.
    pub(crate) fn version(&self) -> String {
        let flag = if self.kind == Kind::Verigate {
            "--version"
        } else {
            "-v"
        };
        let Ok(output) = Command::new(&self.program).arg(flag).output() else {
            return String::new();
        };
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text)
            .lines()
            .next()
            .unwrap_or_default()
            .to_owned()
    }

    /// Starts the program and waits until it accepts.
    pub(crate) fn start(&self, setting: &Setting) -> io::Result<Started> {
        let started = match self.kind {
            Kind::Verigate => gateway::start(
                &self.program,
                &setting.verigate()?,
                &setting.scheme.secret(),
                setting.core,
            ),
            _ => self.start_other(setting),
        };
        started.map_err(|error| io::Error::other(format!("{} does not start: {error}", self.name)))
    }

    fn start_other(&self, setting: &Setting) -> io::Result<Started> {
        let folder = tempfile::tempdir()?;
        let template = match self.kind {
            Kind::HaproxyPassing => include_str!("haproxy-passing.cfg.in"),
            Kind::HaproxyPassingLogged => include_str!("haproxy-passing-logged.cfg.in"),
            Kind::HaproxyVerifying => include_str!("haproxy-verifying.cfg.in"),
            Kind::NginxPassing => include_str!("nginx-passing.conf.in"),
            Kind::NginxVerifying => include_str!("nginx-verifying.conf.in"),
            Kind::Verigate => include_str!("verigate.toml.in"),
            Kind::Json2File => "",
        };
        let port = free_port()?;
        let file = folder.path().join("configuration");
        fs::write(&file, setting.fill(template, port, folder.path())?)?;
        let mut command = Command::new(&self.program);
        if self.kind == Kind::Json2File {
            fs::create_dir(folder.path().join("hooks"))?;
            command
                .env("J2F_BASEDIR", folder.path())
                .env("J2F_DIRLIST", "hooks")
                .env("J2F_BIND", format!("127.0.0.1:{port}"));
        } else if self.program.ends_with("haproxy") {
            command.args(["-db", "-f"]).arg(&file);
        } else {
            command.arg("-p").arg(folder.path()).arg("-c").arg(&file);
        }
        let messages = folder.path().join("messages");
        command
            .stdin(Stdio::null())
            .stdout(File::create(folder.path().join("access.log"))?)
            .stderr(File::create(&messages)?);
        let mut process = Process::asked(pinned(setting.core, || command.spawn())??);
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        wait_until_it_accepts(&mut process, address).map_err(|error| {
            let said = fs::read_to_string(&messages).unwrap_or_default();
            io::Error::other(format!("{error}; it said: {said}"))
        })?;
        Ok(Started {
            process,
            address,
            folder,
        })
    }
}

/// What is the same for all programs of a round.
#[derive(Clone, Debug)]
pub(crate) struct Setting {
    pub(crate) upstream: SocketAddr,
    pub(crate) threads: usize,
    pub(crate) scheme: Scheme,
    /// The core that the program keeps to.
    pub(crate) core: Option<usize>,
    /// verigate's secrets in front of the one that signs.
    pub(crate) further_secrets: usize,
    /// verigate's routes beside the one that takes the deliveries.
    pub(crate) further_routes: usize,
    /// How deliveries get to the program.
    pub(crate) transport: Transport,
    /// What verigate keeps on disk.
    pub(crate) kept: Kept,
}

impl Setting {
    fn fill(&self, template: &str, port: u16, folder: &Path) -> io::Result<String> {
        let folder = folder
            .to_str()
            .ok_or_else(|| io::Error::other("the folder for temporary files has no UTF-8 name"))?;
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .iter()
            .fold(String::new(), |text, kind| {
                text + kind + "_temp_path " + folder + "/" + kind + "; "
            });
        let tls = if self.transport.is_tls() {
            let both = Identity::shared()?.path("both.pem");
            format!(" ssl crt {both} alpn {}", self.transport.alpn())
        } else {
            String::new()
        };
        Ok(template
            .replace("@PORT@", &port.to_string())
            .replace("@TLS@", &tls)
            .replace("@UPSTREAM@", &self.upstream.to_string())
            .replace("@THREADS@", &self.threads.to_string())
            .replace("@SECRET_BASE64@", &STANDARD.encode(SECRET))
            .replace("@SECRET@", SECRET)
            .replace("@MODULES@", NGINX_MODULES)
            .replace("@TEMPORARY@", &temporary)
            .replace("@FOLDER@", folder))
    }

    /// Whether the app gets deliveries after they were acknowledged, and not before.
    pub(crate) fn is_queue(&self) -> bool {
        matches!(self.kept, Kept::Deliveries | Kept::Waiting)
    }

    /// verigate's configuration.
    pub(crate) fn verigate(&self) -> io::Result<String> {
        let mut secrets = String::new();
        for number in 0..self.further_secrets {
            let _ = write!(
                secrets,
                "\"plain:another secret, which does not match: {number}\", "
            );
        }
        secrets += "\"env:BENCH_SECRET\"";
        let listen = if self.transport.is_tls() {
            let identity = Identity::shared()?;
            format!(
                "listen = []\n\n[[server.tls]]\nlisten = [\"127.0.0.1:0\"]\ncertificate = {:?}\nkey = {:?}",
                identity.path("certificate.pem"),
                identity.path("key.pem"),
            )
        } else {
            "listen = [\"127.0.0.1:0\"]".to_owned()
        };
        let mut text = include_str!("verigate.toml.in")
            .replace("@LISTEN@", &listen)
            .replace("@THREADS@", &self.threads.to_string())
            .replace("@PROVIDER@", self.scheme.provider())
            .replace("@SECRETS@", &secrets)
            .replace("@UPSTREAM@", &self.upstream.to_string());
        let most = "max_deliveries = 2_000_000\nmax_bytes = \"30GiB\"\n";
        text += match self.kept {
            Kept::Nothing | Kept::Claims => "",
            Kept::Deliveries | Kept::Waiting => "mode = \"queue\"\n\n[route.queue]\n",
        };
        if self.is_queue() {
            text += most;
        }
        if self.kept == Kept::Waiting {
            text += "rate = \"1/h\"\n";
        }
        if self.kept != Kept::Nothing {
            text += "\n[state]\ndir = \"state\"\n";
            text += most;
        }
        // As short as can be: a file of 10,000 routes must not exceed 1 MiB. No request comes to them.
        for number in 0..self.further_routes {
            let _ = write!(
                text,
                "[[route]]\nname=\"{number}\"\npath=\"/{number}\"\nprovider=\"gh\"\n\
                 secrets=[\"plain:s{number}\"]\nupstream=\"http://[::1]:1\"\n"
            );
        }
        Ok(text)
    }
}

/// A program of this name in `PATH`, or where Debian keeps those of administrators.
fn find(program: &str) -> Option<PathBuf> {
    #[expect(
        clippy::disallowed_methods,
        reason = "the product's own environment is not concerned"
    )]
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(program))
        .find(|file| file.is_file())
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?
        .local_addr()?
        .port())
}

fn wait_until_it_accepts(process: &mut Process, address: SocketAddr) -> io::Result<()> {
    let until = Instant::now() + START;
    while TcpStream::connect(address).is_err() {
        if !process.runs() {
            return Err(io::Error::other("it ended"));
        }
        if Instant::now() > until {
            return Err(io::Error::other(format!("no connection within {START:?}")));
        }
        thread::sleep(Duration::from_millis(5));
    }
    Ok(())
}
