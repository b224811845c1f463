//! Plots as SVG, drawn by hand: bars of CPU time, and lines of growth.

use std::fmt::Write as _;

/// A program's CPU time.
pub(crate) struct Bar {
    pub(crate) name: String,
    pub(crate) user: f64,
    pub(crate) kernel: f64,
    pub(crate) ours: bool,
}

/// Bars on one scale.
pub(crate) struct Bars {
    pub(crate) title: String,
    pub(crate) bars: Vec<Bar>,
}

/// A line of growth.
pub(crate) struct Line {
    pub(crate) name: String,
    /// Whole numbers above 0, and what was measured there.
    pub(crate) points: Vec<(f64, f64)>,
}

/// Lines on one pair of axes.
pub(crate) struct Lines {
    pub(crate) title: String,
    pub(crate) x: &'static str,
    pub(crate) all: Vec<Line>,
}

const STYLE: &str = "<style>text{font:13px sans-serif;fill:#333}.title{font-weight:bold;font-size:15px}\
    .end{text-anchor:end}.middle{text-anchor:middle}.ours{font-weight:bold}</style>";
const WIDTH: f64 = 760.0;
const COLOURS: [&str; 5] = ["#0b7285", "#e8590c", "#5f3dc4", "#2b8a3e", "#c2255c"];

/// Panels of horizontal bars, user and kernel side by side.
pub(crate) fn bars(title: &str, panels: &[Bars]) -> String {
    let mut body = String::new();
    let _ = write!(
        body,
        "<text class=\"title\" x=\"10\" y=\"22\">{}</text>\
         <rect x=\"10\" y=\"34\" width=\"12\" height=\"12\" fill=\"#0b7285\"/><text x=\"27\" y=\"45\">user</text>\
         <rect x=\"70\" y=\"34\" width=\"12\" height=\"12\" fill=\"#99c9d1\"/><text x=\"87\" y=\"45\">kernel</text>",
        escaped(title)
    );
    let mut y = 62.0;
    for panel in panels {
        let _ = write!(
            body,
            "<text class=\"title\" x=\"10\" y=\"{:.0}\">{}</text>",
            y + 12.0,
            escaped(&panel.title)
        );
        y += 22.0;
        let most = panel
            .bars
            .iter()
            .map(|bar| bar.user + bar.kernel)
            .fold(f64::MIN_POSITIVE, f64::max);
        let scale = 450.0 / most;
        for bar in &panel.bars {
            let total = bar.user + bar.kernel;
            let class = if bar.ours { "end ours" } else { "end" };
            let _ = write!(
                body,
                "<text class=\"{class}\" x=\"200\" y=\"{:.0}\">{}</text>",
                y + 13.0,
                escaped(&bar.name)
            );
            if total <= 0.0 {
                let _ = write!(body, "<text x=\"208\" y=\"{:.0}\">cannot</text>", y + 13.0);
            } else {
                let _ = write!(
                    body,
                    "<rect x=\"208\" y=\"{y:.0}\" width=\"{user:.1}\" height=\"16\" fill=\"#0b7285\"/>\
                     <rect x=\"{middle:.1}\" y=\"{y:.0}\" width=\"{kernel:.1}\" height=\"16\" fill=\"#99c9d1\"/>\
                     <text x=\"{end:.1}\" y=\"{text:.0}\">{total}</text>",
                    user = bar.user * scale,
                    middle = 208.0 + bar.user * scale,
                    kernel = bar.kernel * scale,
                    end = 214.0 + total * scale,
                    text = y + 13.0,
                    total = number(total),
                );
            }
            y += 21.0;
        }
        y += 12.0;
    }
    document(y, &body)
}

/// Panels of lines over a logarithmic axis.
pub(crate) fn lines(title: &str, panels: &[Lines]) -> String {
    let mut body = format!(
        "<text class=\"title\" x=\"10\" y=\"22\">{}</text>",
        escaped(title)
    );
    let mut top = 40.0;
    for panel in panels {
        panel_of_lines(&mut body, panel, top);
        top += 230.0;
    }
    document(top, &body)
}

fn panel_of_lines(body: &mut String, panel: &Lines, top: f64) {
    let (left, width, height) = (80.0, 470.0, 140.0);
    let base = top + 24.0 + height;
    let points = || panel.all.iter().flat_map(|line| &line.points);
    let first = points().map(|(x, _)| *x).fold(f64::INFINITY, f64::min);
    let last = points().map(|(x, _)| *x).fold(1.0, f64::max);
    let most = points().map(|(_, y)| *y).fold(f64::MIN_POSITIVE, f64::max) * 1.1;
    let across = |x: f64| {
        let span = (last / first).ln();
        left + if span > 0.0 {
            (x / first).ln() / span * width
        } else {
            0.0
        }
    };
    let up = |y: f64| base - y / most * height;
    let _ = write!(
        body,
        "<text class=\"title\" x=\"10\" y=\"{:.0}\">{}</text>\
         <text class=\"middle\" x=\"{:.0}\" y=\"{:.0}\">{}</text>",
        top + 12.0,
        escaped(&panel.title),
        left + width / 2.0,
        base + 36.0,
        escaped(panel.x)
    );
    for quarter in 0..=4 {
        let value = most * f64::from(quarter) / 4.0;
        let _ = write!(
            body,
            "<line x1=\"{left}\" x2=\"{:.0}\" y1=\"{y:.1}\" y2=\"{y:.1}\" stroke=\"#ddd\"/>\
             <text class=\"end\" x=\"{:.0}\" y=\"{:.1}\">{}</text>",
            left + width,
            left - 6.0,
            up(value) + 4.0,
            number(value),
            y = up(value),
        );
    }
    let mut marks: Vec<f64> = points().map(|(x, _)| *x).collect();
    marks.sort_by(f64::total_cmp);
    marks.dedup();
    for x in marks {
        let _ = write!(
            body,
            "<text class=\"middle\" x=\"{:.1}\" y=\"{:.0}\">{}</text>",
            across(x),
            base + 17.0,
            round_number(x)
        );
    }
    for (place, line) in panel.all.iter().enumerate() {
        let colour = COLOURS
            .get(place % COLOURS.len())
            .copied()
            .unwrap_or_default();
        let mut path = String::new();
        for (x, y) in &line.points {
            let _ = write!(path, "{:.1},{:.1} ", across(*x), up(*y));
        }
        let _ = write!(
            body,
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>",
            path.trim_end()
        );
        for (x, y) in &line.points {
            let _ = write!(
                body,
                "<circle cx=\"{:.1}\" cy=\"{:.1}\" r=\"3\" fill=\"{colour}\"/>",
                across(*x),
                up(*y)
            );
        }
        let _ = write!(
            body,
            "<text x=\"{:.0}\" y=\"{:.1}\" style=\"fill:{colour}\">{}</text>",
            left + width + 12.0,
            top + 40.0 + 18.0 * place as f64,
            escaped(&line.name)
        );
    }
}

fn document(height: f64, body: &str) -> String {
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height:.0}\" width=\"{WIDTH}\" \
         height=\"{height:.0}\">{STYLE}<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>{body}</svg>\n"
    )
}

/// Three digits or so.
fn number(value: f64) -> String {
    match value {
        value if value >= 100.0 => round_number(value),
        value if value >= 10.0 => format!("{value:.1}"),
        value => format!("{value:.2}"),
    }
}

/// A whole number, its thousands apart.
fn round_number(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
