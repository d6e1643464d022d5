//! What is aimed at on one GPU, and what its arithmetic alone takes there.

use crate::figures::{LossLine, beside, gigabytes, lines, milliseconds, step_seconds};
use crate::results::Results;

/// On which the floors and aims stand.
pub const AIMED_AT: &str = "H200";

pub const NOT_MEASURED: &str = "not yet measured";

/// What is aimed at: its name, its floor, the aim, and the figure.
pub struct Aim {
    pub what: &'static str,
    pub floor: &'static str,
    pub aim: &'static str,
    pub figure: fn(&Results) -> Option<String>,
}

pub const AIMS: [Aim; 7] = [
    Aim {
        what: "LoRA step of Llama-3-8B's shape, r 8 on q, v, one pair of 2 × 2,048 tokens, reference known \
               (`hps bench --shape llama3-8b --backend cuda --dtype bfloat16 --parts throughput --pairs 1 --tokens 1,2047`)",
        floor: "184 ms",
        aim: "≤ 250 ms",
        figure: |results| step_seconds(results, "one pair").map(milliseconds),
    },
    Aim {
        what: "the same with a shared prompt of 1,024 and responses of 1,024 (`--pairs 1 --tokens 1024,1024`)",
        floor: "133 ms",
        aim: "≤ 190 ms",
        figure: |results| step_seconds(results, "a shared prompt").map(milliseconds),
    },
    Aim {
        what: "peak memory of the first",
        floor: "",
        aim: "≤ 40 GB",
        figure: |results| results.figures("step", "one pair")?["device_peak_mib"].as_f64().map(gigabytes),
    },
    Aim {
        what: "fused head, 4,096 tokens, with unit gradients",
        floor: "10.9 ms",
        aim: "≤ 18 ms",
        figure: |results| {
            let mut lines = lines(results, "operations")?.iter();
            let head = lines.find(|line| line["name"] == "head, with unit gradients")?;
            head["seconds"].as_f64().map(milliseconds)
        },
    },
    Aim {
        what: "loss kernels up to 10⁵ responses; at 10⁷",
        floor: "2–5 µs",
        aim: "≤ 8 µs; ≥ 70 % of a copy",
        figure: losses,
    },
    Aim {
        what: "HPS over BT, a whole run \
               (`hps bench --shape llama3.2-1b --backend cuda --dtype bfloat16 --parts losses`)",
        floor: "1.00",
        aim: "≤ 1.03",
        figure: |results| Some(format!("{:.3}", results.figures("step", "losses")?["run_hps_over_bt"].as_f64()?)),
    },
    Aim {
        what: "PyTorch + transformers + PEFT, the first two steps on the same GPU in the same run \
               (`benches/peft_step.py`), reference known, activations kept",
        floor: "",
        aim: "",
        figure: peers,
    },
];

/// The slowest up to 10⁵ responses, and the least share of a copy at 10⁷.
fn losses(results: &Results) -> Option<String> {
    let all: Vec<LossLine<'_>> = LossLine::all(results)?.into_iter().filter(|line| line.name != "copy").collect();
    let small = all.iter().filter(|line| line.responses() <= 100_000).map(|line| line.seconds);
    let slowest = small.reduce(f64::max).map(|seconds| format!("at most {:.1} µs", 1e6 * seconds))?;
    let large = all.iter().filter(|line| line.responses() == 10_000_000).map(|line| line.of_a_copy);
    let least = large.reduce(f64::min).map(|share| format!("at least {:.0} % of a copy", 100.0 * share));
    Some(format!("{slowest}; {}", least.unwrap_or_else(|| NOT_MEASURED.to_string())))
}

fn peers(results: &Results) -> Option<String> {
    let told = ["one pair", "a shared prompt"].map(|name| {
        let [peer, ours] = beside(results, name)?;
        Some(format!("{}, {:.2} times ours", milliseconds(peer), peer / ours))
    });
    match told {
        [None, None] => None,
        told => Some(told.map(|told| told.unwrap_or_else(|| NOT_MEASURED.to_string())).join("; ")),
    }
}
