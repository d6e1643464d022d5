//! The table as a picture: of each number, before and after, a line a seed.

use super::{METRICS, Run, change, mean};
use hps_llama::evaluate::Interval;
use std::fmt::Write;

const WIDTH: f64 = 900.0;
/// Heights of the title and of a metric's seed.
const HEAD: f64 = 74.0;
const SEED: f64 = 16.0;
/// From the names to the numbers.
const LEFT: f64 = 270.0;
const RIGHT: f64 = 690.0;
const GREY: &str = "#767676";
const BLUE: &str = "#0072b2";

/// An SVG of its own. Each metric has its own scale, from the lowest number of it to the highest.
pub fn picture(title: &str, runs: &[Run]) -> String {
    let shown: Vec<Row> = METRICS.iter().filter_map(|metric| Row::of(metric, runs)).collect();
    let step = SEED * runs.len() as f64 + 30.0;
    let height = HEAD + step * shown.len() as f64 + 14.0;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" \
         font-size=\"15\" fill=\"#222\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n\
         <text x=\"24\" y=\"32\" font-size=\"18\">{}</text>\n",
        title.replace('&', "&amp;").replace('<', "&lt;")
    );
    let key = HEAD - 18.0;
    dot(&mut svg, 30.0, key, GREY);
    text(&mut svg, 42.0, key, "start", "before");
    dot(&mut svg, 110.0, key, BLUE);
    text(&mut svg, 122.0, key, "start", "after, a line a seed, with the 95 % interval of the change");
    for (number, row) in shown.iter().enumerate() {
        row.draw(&mut svg, HEAD + step * number as f64);
    }
    svg.push_str("</svg>\n");
    svg
}

/// A metric: its name, its mean before, and the change of each seed.
struct Row {
    name: &'static str,
    before: f64,
    changes: Vec<Interval>,
}

impl Row {
    fn of(metric: &super::Metric, runs: &[Run]) -> Option<Row> {
        let befores: Vec<f64> = runs.iter().map(|run| (metric.1)(run)).flat_map(|[before, _]| before).collect();
        let changes = || runs.iter().map(|run| change(run, metric)).collect();
        (!befores.is_empty()).then(|| Row { name: metric.0, before: mean(&befores), changes: changes() })
    }

    fn draw(&self, svg: &mut String, top: f64) {
        let Row { name, before, changes } = self;
        let ends = || changes.iter().flat_map(|change| [change.low, change.high]).chain([0.0]);
        let (low, high) = (ends().fold(0.0, f64::min), ends().fold(0.0, f64::max));
        let x = |change: f64| LEFT + (RIGHT - LEFT) * (change - low) / (high - low).max(f64::MIN_POSITIVE);
        let (middle, bottom) = (top + SEED * changes.len() as f64 / 2.0, top + SEED * changes.len() as f64);
        text(svg, 24.0, middle, "start", name);
        let _ = writeln!(svg, "<path d=\"M{:.1} {top}V{bottom}\" stroke=\"{GREY}\"/>", x(0.0));
        for (seed, change) in changes.iter().enumerate() {
            let y = top + SEED * (seed as f64 + 0.5);
            let [low, mean, high] = [change.low, change.mean, change.high].map(x);
            let _ = writeln!(svg, "<path d=\"M{low:.1} {y}H{high:.1}\" stroke=\"{BLUE}\" stroke-width=\"2.5\"/>");
            dot(svg, mean, y, BLUE);
        }
        dot(svg, x(0.0), middle, GREY);
        let after = before + mean(&changes.iter().map(|change| change.mean).collect::<Vec<_>>());
        text(svg, RIGHT + 30.0, middle, "start", &format!("{before:.2} → {after:.2}").replace('-', "−"));
    }
}

fn dot(svg: &mut String, x: f64, y: f64, colour: &str) {
    let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" fill=\"{colour}\"/>");
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, text: &str) {
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{:.1}\" text-anchor=\"{anchor}\">{text}</text>", y + 5.0);
}
