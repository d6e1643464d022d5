//! One HTML file that needs nothing beside it: figures, charts, tables.

pub(crate) mod chart;

use crate::Result;
use crate::files::write_whole;
use crate::visible_lines;
use std::fmt::Write;
use std::path::Path;

/// A page being written.
pub(crate) struct Page(String);

impl Page {
    /// A page with its title on top.
    pub(crate) fn new(title: &str) -> Page {
        let title = escaped(title);
        let head = "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">";
        let view = "<meta name=\"viewport\" content=\"width=device-width\">";
        Page(format!("{head}<title>{title}</title>\n{view}\n<style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n"))
    }

    /// Numbers that stand out, each under its label.
    pub(crate) fn figures<'a>(&mut self, figures: impl Iterator<Item = (&'a str, String)>) {
        self.0.push_str("<dl>");
        for (label, figure) in figures {
            let _ = write!(self.0, "<div><dt>{}</dt><dd>{}</dd></div>", escaped(label), escaped(&figure));
        }
        self.0.push_str("</dl>\n");
    }

    /// `<svg>` elements, side by side where there is room.
    pub(crate) fn charts(&mut self, charts: impl Iterator<Item = String>) {
        self.0.push_str("<main>\n");
        for svg in charts {
            let _ = writeln!(self.0, "<figure>{svg}</figure>");
        }
        self.0.push_str("</main>\n");
    }

    /// A heading.
    pub(crate) fn heading(&mut self, text: &str) {
        let _ = writeln!(self.0, "<h2>{}</h2>", escaped(text));
    }

    /// A line of text.
    pub(crate) fn note(&mut self, text: &str) {
        let _ = writeln!(self.0, "<p>{}</p>", escaped(text));
    }

    /// Options and their values.
    pub(crate) fn options(&mut self, options: &[(String, String)]) {
        self.0.push_str("<table class=\"options\">");
        for (name, value) in options {
            let _ = write!(self.0, "<tr><td>{}</td><td>{}</td></tr>", escaped(name), escaped(value));
        }
        self.0.push_str("</table>\n");
    }

    /// A table of numbers under their names; the first column is text. Cells may have several lines.
    pub(crate) fn table(&mut self, header: &[String], rows: &[Vec<String>]) {
        let cells = |cells: &[String], tag: &str| -> String {
            cells.iter().map(|cell| format!("<{tag}>{}</{tag}>", escaped(cell).replace('\n', "<br>"))).collect()
        };
        let _ = write!(self.0, "<div class=\"wide\"><table class=\"numbers\"><tr>{}</tr>", cells(header, "th"));
        for row in rows {
            let _ = write!(self.0, "<tr>{}</tr>", cells(row, "td"));
        }
        self.0.push_str("</table></div>\n");
    }

    /// Writes the file, whole or not at all.
    pub(crate) fn write(mut self, path: &Path) -> Result<()> {
        self.0.push_str("</body></html>\n");
        write_whole(path, self.0.as_bytes())
    }
}

/// A number with so many decimals, and without the minus of one that rounds to zero.
pub(crate) fn decimal(value: f64, decimals: usize) -> String {
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('-') {
        Some(rest) if rest.chars().all(|letter| matches!(letter, '0' | '.')) => rest.to_string(),
        _ => text,
    }
}

fn escaped(text: &str) -> String {
    visible_lines(text).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:1280px;padding:0 1rem;color:#222}\
h1{font-weight:500;font-size:1.5rem}h2{font-weight:500;font-size:1.2rem}p{white-space:pre-line;overflow-wrap:anywhere}\
dl{display:flex;flex-wrap:wrap;gap:1rem 2.5rem;margin:1rem 0 2rem}dl div{min-width:6rem}\
dt{color:#666;font-size:.85rem}dd{margin:0;font-size:1.3rem;font-variant-numeric:tabular-nums}\
main{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,520px),1fr));gap:1.5rem;align-items:start}\
figure{margin:0;border:1px solid #ddd;border-radius:6px;overflow:hidden}svg{width:100%;height:auto;display:block}\
table{border-collapse:collapse;font-size:.9rem}td{padding:.15rem 1rem .15rem 0;vertical-align:top}\
.options td:first-child{color:#666}.options td:last-child{font-family:ui-monospace,monospace}\
.wide{overflow-x:auto;margin-bottom:1.5rem}.numbers th{font-weight:500;color:#666;text-align:right;padding:.25rem 0 .25rem 1.5rem}\
.numbers td{text-align:right;white-space:nowrap;padding:.25rem 0 .25rem 1.5rem;font-variant-numeric:tabular-nums;border-top:1px solid #ddd}\
.numbers td:first-child,.numbers th:first-child{text-align:left;padding-left:0}";
