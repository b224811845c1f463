//! What a run has to say: on standard output as it becomes known, and in files at the end.

use std::fs;
use std::io;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::contenders::Contender;
use crate::options::Options;

/// Text and figures of a part of the measurements.
pub(crate) struct Report {
    /// The names of the files, without their endings.
    name: &'static str,
    machine: Value,
    text: String,
    sections: Vec<Value>,
    plot: Option<String>,
}

impl Report {
    /// Begins with the machine, the programs and the settings.
    pub(crate) fn new(
        name: &'static str,
        options: &Options,
        contenders: &[Contender],
        missing: &[String],
    ) -> Self {
        let mut versions: Vec<String> = contenders.iter().map(Contender::version).collect();
        versions.sort();
        versions.dedup();
        let processor = processor();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let kernel = said(Command::new("uname").args(["-s", "-r", "-m"]));
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        let load = load.split(' ').next().unwrap_or_default().to_owned();
        let mut report = Self {
            name,
            machine: json!({
                "processor": processor,
                "cores": cores,
                "kernel": kernel,
                "load_before": load,
                "programs": versions,
                "rounds": options.rounds,
                "seconds": options.seconds,
                "connections": options.connections,
                "threads": options.threads,
                "body": format!("{:?}", options.body),
            }),
            text: String::new(),
            sections: Vec::new(),
            plot: None,
        };
        report.say(&format!(
            "{processor}, {cores} cores, {kernel}, load before the run {load}. {}. {} connections, \
             {} worker thread(s), {} rounds of {} s in turn: medians, quartiles in brackets.",
            versions.join("; "),
            options.connections,
            options.threads,
            options.rounds,
            options.seconds,
        ));
        for sentence in missing {
            report.say(&format!("{sentence}."));
        }
        report
    }

    /// Prints and keeps a paragraph.
    pub(crate) fn say(&mut self, text: &str) {
        println!("{}\n", text.trim_end());
        self.text.push_str(text.trim_end());
        self.text.push_str("\n\n");
    }

    /// Keeps figures for the file in JSON.
    pub(crate) fn add(&mut self, section: Value) {
        self.sections.push(section);
    }

    /// Keeps a plot in SVG.
    pub(crate) fn plot(&mut self, plot: String) {
        self.plot = Some(plot);
    }

    /// Writes the files into `folder`.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        let file = |ending| folder.join(format!("{}.{ending}", self.name));
        fs::write(file("md"), format!("{}\n", self.text.trim_end()))?;
        let all = json!({ "machine": self.machine, "sections": self.sections });
        fs::write(file("json"), format!("{all:#}\n"))?;
        self.plot
            .as_ref()
            .map_or(Ok(()), |plot| fs::write(file("svg"), plot))
    }
}

fn processor() -> String {
    fs::read_to_string("/proc/cpuinfo")
        .unwrap_or_default()
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map_or_else(
            || "unknown processor".to_owned(),
            |(_, name)| name.to_owned(),
        )
}

fn said(command: &mut Command) -> String {
    command
        .output()
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}
