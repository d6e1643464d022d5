//! The README's tables of figures, from results or, before there are any, without.

use crate::aims::{AIMED_AT, AIMS, Aim, NOT_MEASURED};
use crate::figures::{LossLine, gigabytes, lines, milliseconds};
use crate::results::Results;
use serde_json::Value;
use std::error::Error;
use std::fmt::Write;

/// Around the tables in the README.
const BEGIN: &str = "<!-- device_results: begin -->";
const END: &str = "<!-- device_results: end -->";

/// All of them, as Markdown.
pub fn tables(results: Option<&Results>) -> String {
    let mut text = results.map_or_else(|| "**Not yet measured**: no GPU was at hand.\n".to_string(), caption);
    let aimed_at = results.is_none_or(|results| device(results).contains(AIMED_AT));
    text += "\n| | floor | aim | measured |\n|---|---|---|---|\n";
    for Aim { what, floor, aim, figure } in AIMS {
        let measured = results.and_then(figure).unwrap_or_else(|| NOT_MEASURED.to_string());
        // They hold for one GPU.
        let [floor, aim] = if aimed_at { [floor, aim] } else { [""; 2] };
        text += &row(&[what, floor, aim, &measured]);
    }
    if let Some(results) = results {
        for table in [checks(results), operations(results), preference(results), peer(results)].into_iter().flatten() {
            text += "\n";
            text += &table;
        }
    }
    text
}

/// A line of a table.
fn row(cells: &[&str]) -> String {
    let cell = |cell: &&str| if cell.is_empty() { " ".to_string() } else { format!(" {cell} ") };
    format!("|{}|\n", cells.iter().map(cell).collect::<Vec<_>>().join("|"))
}

/// The README with `tables` between its markers.
pub fn inserted(readme: &str, tables: &str) -> Result<String, Box<dyn Error>> {
    let missing = || format!("the README has no `{BEGIN}` with a later `{END}`");
    let (before, rest) = readme.split_once(BEGIN).ok_or_else(missing)?;
    let (_, after) = rest.split_once(END).ok_or_else(missing)?;
    Ok(format!("{before}{BEGIN}\n{tables}{END}{after}"))
}

fn device(results: &Results) -> &str {
    results.known["machine"]["device"].as_str().unwrap_or("an unknown device")
}

/// The command, the machine and the date.
fn caption(results: &Results) -> String {
    let machine = &results.known["machine"];
    let word = |value: &Value| value.as_str().unwrap_or("unknown").to_string();
    let dry = if results.says_no_times() { "**A dry run: its times say nothing.** " } else { "" };
    format!(
        "{dry}Measured on {}, by `hps-cuda/on_a_gpu.sh` of commit `{}`: {}, compute capability {}, driver {} (CUDA {}), \
         NVRTC {}, cuBLAS {}, {}.\n",
        word(&results.known["date"]),
        word(&results.known["commit"]),
        device(results),
        word(&machine["capability"]),
        word(&machine["driver"]),
        word(&machine["cuda"]),
        word(&machine["nvrtc"]),
        word(&machine["cublas"]),
        word(&machine["processor"]),
    )
}

/// What passed and what did not, in a sentence or two.
fn checks(results: &Results) -> Option<String> {
    let all = ["checks", "sanitizer"].map(|part| results.entries(part));
    let ran = |entries: &[Value]| entries.iter().filter(|entry| entry["status"] != "skipped").count();
    let tests = |entries: &[Value]| entries.iter().filter_map(|entry| entry["tests_passed"].as_u64()).sum::<u64>();
    let [checks, sanitized] = all.map(|entries| (ran(entries), tests(entries)));
    let mut text = format!("Checks there: {} programs, {} tests passed; ", checks.0, checks.1);
    text += &match sanitized {
        (0, _) => "compute-sanitizer did not run.".to_string(),
        (_, tests) => {
            format!("{tests} tests passed under memcheck, racecheck, initcheck and synccheck of compute-sanitizer.")
        }
    };
    for entry in
        all.into_iter().flatten().filter(|entry| ["failed", "cut off"].map(Value::from).contains(&entry["status"]))
    {
        let word = |name: &str| entry[name].as_str().unwrap_or_default().to_string();
        write!(text, " **{} {}**.", word("name"), word("status")).ok()?;
    }
    Some(text + "\n")
}

fn operations(results: &Results) -> Option<String> {
    let lines = lines(results, "operations")?;
    let figures = results.entries("operations").iter().find_map(|entry| entry["figures"].as_object())?;
    let mut text = "By `benches/operations.rs`".to_string();
    if let [Some(product), Some(copy)] =
        ["product_flops_per_second", "copy_bytes_per_second"].map(|name| figures.get(name).and_then(Value::as_f64))
    {
        write!(
            text,
            ", at {:.0} TFLOP/s and {:.2} TB/s, this run's best product and copy",
            product / 1e12,
            copy / 1e12
        )
        .ok()?;
    }
    text += ":\n\n| 4,096 tokens of Llama-3-8B's shape in bfloat16 | floor, µs | measured, µs | ratio |\n";
    text += "|---|---|---|---|\n";
    for line in lines {
        let [floor, seconds] = ["floor_seconds", "seconds"].map(|name| line[name].as_f64());
        let (floor, seconds) = (floor?, seconds?);
        let name = line["name"].as_str()?;
        let microseconds = |seconds: f64| format!("{:.1}", 1e6 * seconds);
        text += &row(&[name, &microseconds(floor), &microseconds(seconds), &format!("{:.2}", seconds / floor)]);
    }
    Some(text)
}

/// Numbers of responses of which the table has columns.
const SIZES: [u64; 3] = [100, 100_000, 10_000_000];

fn preference(results: &Results) -> Option<String> {
    let all = LossLine::all(results)?;
    let mut sizes: Vec<[u64; 2]> = Vec::new();
    for line in all.iter().filter(|line| SIZES.contains(&line.responses())) {
        if !sizes.contains(&line.size) {
            sizes.push(line.size);
        }
    }
    let mut text = "By `benches/preference.rs`, a call and its share of a copy's bandwidth:\n\n".to_string();
    text += "| prompts × responses |";
    for [prompts, responses] in &sizes {
        write!(text, " {prompts} × {responses} |").ok()?;
    }
    text += &format!("\n|---|{}\n", "---|".repeat(sizes.len()));
    let mut names: Vec<&str> = Vec::new();
    for line in &all {
        if !names.contains(&line.name) {
            names.push(line.name);
        }
    }
    for name in names {
        write!(text, "| {name} |").ok()?;
        for size in &sizes {
            match all.iter().find(|line| line.name == name && line.size == *size) {
                Some(line) => write!(text, " {:.1} µs, {:.0} % |", 1e6 * line.seconds, 100.0 * line.of_a_copy),
                None => write!(text, " {NOT_MEASURED} |"),
            }
            .ok()?;
        }
        text += "\n";
    }
    Some(text)
}

fn peer(results: &Results) -> Option<String> {
    let mut text = String::new();
    for entry in results.entries("peer") {
        for line in entry["figures"]["lines"].as_array().into_iter().flatten() {
            let name = entry["name"].as_str()?;
            let kept = if line["checkpointing"] == true { "computed again" } else { "kept" };
            let reference = if line["reference_known"] == true { "known" } else { "computed" };
            let seconds = line["seconds"].as_f64().map_or_else(|| "out of memory".to_string(), milliseconds);
            let peak = line["peak_mib"].as_f64().map_or_else(String::new, gigabytes);
            text += &row(&[name, kept, reference, &seconds, &peak]);
        }
    }
    let head = "PyTorch's step by `benches/peft_step.py`:\n\n| | activations | reference | a step | peak memory |\n";
    (!text.is_empty()).then(|| format!("{head}|---|---|---|---|---|\n{text}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::path::Path;
    use std::{env, fs, process};

    /// A run on a device, with figures that are told apart.
    fn results(device: &str) -> Results {
        let machine = json!({
            "device": device, "capability": "9.0", "driver": "580.95.05", "cuda": "13.0", "nvrtc": "13.0",
            "cublas": "13.1.0", "processor": "a processor",
        });
        let mut results = Results::begin("nowhere.json", machine, ["abc", "2026-12-01"], false).unwrap();
        let operations = json!({
            "product_flops_per_second": 790e12, "copy_bytes_per_second": 4.3e12,
            "lines": [{ "name": "head, with unit gradients", "floor_seconds": 0.0109, "seconds": 0.0164 }],
        });
        let line = |name: &str, prompts: u64, seconds: f64, of_a_copy: f64| {
            let mut line = json!({ "name": name, "prompts": prompts, "responses": 100 });
            line["seconds"] = seconds.into();
            line["of_a_copy"] = of_a_copy.into();
            line
        };
        let losses = json!({ "lines": [
            line("copy", 1, 2e-6, 1.0), line("dpo-hps", 1, 3e-6, 0.5), line("dpo-pl", 1, 4e-6, 0.25),
            line("copy", 100_000, 2e-5, 1.0), line("dpo-hps", 100_000, 3e-5, 0.84), line("dpo-pl", 100_000, 4e-5, 0.73),
        ] });
        let step = |seconds: f64| json!({ "step_seconds": seconds, "device_peak_mib": 30_000 });
        let peer = json!({ "lines": [
            { "checkpointing": false, "reference_known": true, "seconds": 0.5, "peak_mib": 60_000 },
            { "checkpointing": true, "reference_known": false, "seconds": null, "peak_mib": null },
        ] });
        for (part, name, figures) in [
            ("operations", "operations", operations),
            ("preference", "preference", losses),
            ("step", "one pair", step(0.25)),
            ("step", "a shared prompt", step(0.2)),
            ("step", "losses", json!({ "run_hps_over_bt": 1.021 })),
            ("peer", "one pair", peer),
        ] {
            let file = env::temp_dir().join(format!("hps-device-results-{}-{device}.json", process::id()));
            fs::write(&file, figures.to_string()).unwrap();
            results.add([part, name], 0, 1.0, "", Some(&file)).unwrap();
            fs::remove_file(file).unwrap();
        }
        let log = "running 3 tests\ntest result: ok. 3 passed; 0 failed\n";
        results.add(["checks", "hps"], 0, 1.0, log, None).unwrap();
        results.add(["checks", "hps-cuda"], 124, 1.0, "running 2 tests\ntest a ... ok\n", None).unwrap();
        results.skip(["sanitizer", "all"], "it is not installed").unwrap();
        results
    }

    #[test]
    fn figures_come_into_their_places() {
        let text = tables(Some(&results("NVIDIA H200")));
        for told in [
            "Measured on 2026-12-01, by `hps-cuda/on_a_gpu.sh` of commit `abc`: NVIDIA H200, compute capability 9.0",
            "| 184 ms | ≤ 250 ms | 250.0 ms |",
            "| 133 ms | ≤ 190 ms | 200.0 ms |",
            "| peak memory of the first | | ≤ 40 GB | 31.5 GB |",
            "| 10.9 ms | ≤ 18 ms | 16.4 ms |",
            "| at most 4.0 µs; at least 73 % of a copy |",
            "| 1.00 | ≤ 1.03 | 1.021 |",
            "| | | 500.0 ms, 2.00 times ours; not yet measured |",
            "Checks there: 2 programs, 4 tests passed; compute-sanitizer did not run. **hps-cuda cut off**.",
            "at 790 TFLOP/s and 4.30 TB/s",
            "| head, with unit gradients | 10900.0 | 16400.0 | 1.50 |",
            "| prompts × responses | 1 × 100 | 100000 × 100 |\n|---|---|---|\n",
            "| copy | 2.0 µs, 100 % | 20.0 µs, 100 % |",
            "| dpo-pl | 4.0 µs, 25 % | 40.0 µs, 73 % |",
            "| one pair | kept | known | 500.0 ms | 62.9 GB |",
            "| one pair | computed again | computed | out of memory | |",
        ] {
            assert!(text.contains(told), "`{told}` is not in\n{text}");
        }
    }

    /// They were computed for one GPU.
    #[test]
    fn floors_of_another_gpu_are_not_told() {
        let text = tables(Some(&results("NVIDIA A100")));
        assert!(text.contains("| peak memory of the first | | | 31.5 GB |"), "{text}");
        assert!(!text.contains("184 ms"), "{text}");
    }

    #[test]
    fn tables_go_between_the_markers() {
        let readme = format!("before\n{BEGIN}\nold\n{END}\nafter\n");
        let new = inserted(&readme, "new\n").unwrap();
        assert_eq!(new, format!("before\n{BEGIN}\nnew\n{END}\nafter\n"));
        assert_eq!(inserted(&new, "new\n").unwrap(), new);
        for broken in ["before", BEGIN, &format!("{END}{BEGIN}")] {
            assert!(inserted(broken, "new").is_err(), "{broken}");
        }
    }

    /// What nobody has measured has one wording, and the aims stand in one place. `BLESS=1` writes it, without figures.
    #[test]
    fn the_readme_has_these_tables() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
        let readme = fs::read_to_string(&file).unwrap();
        if env::var_os("BLESS").is_some() {
            fs::write(&file, inserted(&readme, &tables(None)).unwrap()).unwrap();
        } else if readme.contains("**Not yet measured**") {
            assert_eq!(inserted(&readme, &tables(None)).unwrap(), readme);
        }
        for aim in AIMS {
            assert!(readme.contains(aim.what), "{}", aim.what);
        }
    }
}
