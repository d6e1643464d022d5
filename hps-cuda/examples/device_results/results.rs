//! One JSON file: the machine, and for each part the programs that ran there, with how they ended and what they measured.
//!
//! It is written whole after every entry, so that a run that is cut off leaves what it has.

use serde_json::{Map, Value, json};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

/// The parts, in their order, and whether each entry that passed has figures.
pub const PARTS: [(&str, bool); 6] = [
    ("checks", false),
    ("sanitizer", false),
    ("operations", true),
    ("preference", true),
    ("step", true),
    ("peer", true),
];

/// The name by which the emulator of `tests/cuda_emulator` goes.
const EMULATOR: &str = "PTX emulator";
/// Statuses of programs that their time limit ended, politely and not.
const CUT_OFF: [i32; 2] = [124, 137];
/// Of programs that lack what they need.
const SKIPPED: i32 = 3;
/// Lines of a log that are kept, from its end, and of compute-sanitizer's from its beginning.
const KEPT: usize = 40;
const LONGEST: usize = 240;

/// What there is so far.
#[derive(Debug)]
pub struct Results {
    file: PathBuf,
    pub known: Value,
}

impl Results {
    /// No entry yet.
    pub fn begin(file: &str, machine: Value, [commit, date]: [&str; 2], dry_run: bool) -> Result<Self, Box<dyn Error>> {
        let parts: Map<String, Value> = PARTS.iter().map(|(part, _)| ((*part).to_string(), json!([]))).collect();
        let known = json!({
            "format": 1, "commit": commit, "date": date, "dry_run": dry_run, "machine": machine, "parts": parts,
            "complete": false,
        });
        Ok(Results { file: file.into(), known })
    }

    /// Refuses what is no such file.
    pub fn read(file: &str) -> Result<Self, Box<dyn Error>> {
        let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
        let known: Value = serde_json::from_str(&text).map_err(|error| format!("{file}: {error}"))?;
        if known["format"] != 1 {
            return Err(format!("{file}: `format` is {}, and 1 is read", known["format"]).into());
        }
        if let Some((part, _)) = PARTS.iter().find(|(part, _)| !known["parts"][part].is_array()) {
            return Err(format!("{file}: `parts` has no list `{part}`").into());
        }
        Ok(Results { file: file.into(), known })
    }

    pub fn write(&self) -> Result<(), Box<dyn Error>> {
        let whole = self.file.with_extension("part");
        fs::write(&whole, format!("{:#}\n", self.known))?;
        Ok(fs::rename(whole, &self.file)?)
    }

    /// A program that ended with `status`, what it printed, and the file of its figures.
    pub fn add(
        &mut self,
        place: [&str; 2],
        status: i32,
        seconds: f64,
        log: &str,
        figures: Option<&Path>,
    ) -> Result<(), Box<dyn Error>> {
        let tests = Tests::read(log);
        let figures: Value = match figures {
            Some(file) if file.exists() => serde_json::from_str(&fs::read_to_string(file)?)?,
            _ => Value::Null,
        };
        let last = log.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it printed nothing");
        let (ended, why) = match status {
            0 if tests.as_ref().is_some_and(|tests| tests.passed == 0) => ("failed", Some("no test ran".into())),
            0 if PARTS.contains(&(place[0], true)) && figures.is_null() => ("failed", Some("no figures".into())),
            0 => ("passed", None),
            SKIPPED => ("skipped", Some(last.to_string())),
            status if CUT_OFF.contains(&status) => ("cut off", Some(format!("after {seconds:.0} s"))),
            status => ("failed", Some(format!("status {status}; {last}"))),
        };
        let mut entry = json!({ "name": place[1], "status": ended, "seconds": seconds });
        if let Some(why) = why {
            entry["why"] = why.into();
        }
        if let Some(tests) = tests {
            entry["tests_passed"] = tests.passed.into();
            entry["tests_failed"] = tests.failed.into();
        }
        if !figures.is_null() {
            entry["figures"] = figures;
        }
        if ["failed", "cut off"].contains(&ended) {
            entry["log"] = kept(log).into();
        }
        self.push(place[0], entry)
    }

    pub fn skip(&mut self, [part, name]: [&str; 2], reason: &str) -> Result<(), Box<dyn Error>> {
        self.push(part, json!({ "name": name, "status": "skipped", "seconds": 0.0, "why": reason }))
    }

    pub fn end(&mut self, seconds: f64) {
        self.known["seconds"] = seconds.into();
        self.known["complete"] = true.into();
    }

    fn push(&mut self, part: &str, entry: Value) -> Result<(), Box<dyn Error>> {
        let list = self.known["parts"].get_mut(part).and_then(Value::as_array_mut);
        list.ok_or_else(|| format!("there is no part `{part}`"))?.push(entry);
        Ok(())
    }

    pub fn entries(&self, part: &str) -> &[Value] {
        self.known["parts"][part].as_array().map_or(&[], Vec::as_slice)
    }

    /// Figures of an entry, of one that did not pass as well: what a run that was cut off has measured stands.
    pub fn figures(&self, part: &str, name: &str) -> Option<&Value> {
        self.entries(part).iter().find(|entry| entry["name"] == name).map(|entry| &entry["figures"])
    }

    /// Whether what it took says nothing of a GPU.
    pub fn says_no_times(&self) -> bool {
        self.known["dry_run"] != false || self.known["machine"]["device"] == EMULATOR
    }

    /// What keeps it from being whole, one a line.
    pub fn shortcomings(&self) -> Vec<String> {
        let mut found = Vec::new();
        if self.known["complete"] != true {
            found.push("the run did not come to its end".to_string());
        }
        for (part, _) in PARTS {
            let entries = self.entries(part);
            if entries.is_empty() {
                found.push(format!("{part}: nothing ran"));
            }
            let wrong =
                entries.iter().filter(|entry| !["passed", "skipped"].map(Value::from).contains(&entry["status"]));
            found.extend(wrong.map(|entry| format!("{part}: {}", Ended(entry))));
        }
        found
    }

    /// What became of each part, and each entry that did not pass.
    pub fn summary(&self) -> String {
        let mut text = String::new();
        for (part, _) in PARTS {
            let entries = self.entries(part);
            let seconds: f64 = entries.iter().filter_map(|entry| entry["seconds"].as_f64()).sum();
            let tests: u64 = entries.iter().filter_map(|entry| entry["tests_passed"].as_u64()).sum();
            let passed = entries.iter().filter(|entry| entry["status"] == "passed").count();
            text += &format!("{part:<12} {passed} of {} passed", entries.len());
            text +=
                &if tests > 0 { format!(", {tests} tests, {seconds:.0} s\n") } else { format!(", {seconds:.0} s\n") };
            for entry in entries.iter().filter(|entry| entry["status"] != "passed") {
                text += &format!("             {}\n", Ended(entry));
            }
        }
        text + &format!("{:<12} {:.0} s", "in all", self.known["seconds"].as_f64().unwrap_or_default())
    }
}

/// An entry in a line.
struct Ended<'a>(&'a Value);

impl fmt::Display for Ended<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |name: &str| self.0[name].as_str().unwrap_or_default().to_string();
        write!(out, "{} {}: {}", word("name"), word("status"), word("why"))
    }
}

/// What a test program said of its tests.
struct Tests {
    passed: usize,
    failed: usize,
}

impl Tests {
    /// `None` where it is no test program. One that was cut off has no sum: its lines are counted.
    fn read(log: &str) -> Option<Tests> {
        let is = |line: &&str, ended: &str| line.starts_with("test ") && line.ends_with(ended);
        let count = |ended: &str| log.lines().filter(|line| is(line, ended)).count();
        log.lines().any(|line| line.starts_with("running ") && line.contains(" test")).then_some(())?;
        let sum = log.lines().find_map(|line| line.strip_prefix("test result: "));
        let number = |sum: &str, unit: &str| sum[..sum.find(unit)?].split_whitespace().last()?.parse().ok();
        let of = |unit: &str, ended: &str| sum.and_then(|sum| number(sum, unit)).unwrap_or_else(|| count(ended));
        Some(Tests { passed: of(" passed", " ok"), failed: of(" failed", " FAILED") })
    }
}

/// Of compute-sanitizer the first lines, and the last ones of all.
fn kept(log: &str) -> Vec<String> {
    let lines: Vec<&str> = log.lines().collect();
    let end = lines.len().saturating_sub(KEPT);
    let reports = lines[..end].iter().filter(|line| line.starts_with("=========")).take(KEPT);
    let short = |line: &&str| line.chars().take(LONGEST).collect();
    reports.chain(&lines[end..]).map(short).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn results() -> Results {
        let machine = json!({ "device": "a GPU" });
        Results::begin("nowhere.json", machine, ["abc", "2026-12-01"], false).unwrap()
    }

    #[test]
    fn ends_are_told_apart() {
        let mut results = results();
        let passed = "running 3 tests\ntest a ... ok\ntest result: ok. 3 passed; 0 failed; 0 ignored\n";
        let broken =
            "running 2 tests\ntest a ... ok\ntest b ... FAILED\ntest result: FAILED. 1 passed; 1 failed; 0 ignored\n";
        let none = "running 0 tests\ntest result: ok. 0 passed; 0 failed; 0 ignored\n";
        let cut = "running 5 tests\ntest a ... ok\ntest b ... ok\n";
        for (name, status, log) in [
            ("passed", 0, passed),
            ("broken", 101, broken),
            ("none", 0, none),
            ("cut", 124, cut),
            ("killed", 137, cut),
            ("lacks", 3, "no PyTorch\n"),
        ] {
            results.add(["checks", name], status, 1.5, log, None).unwrap();
        }
        let told: Vec<_> = results.entries("checks").iter().map(|entry| Ended(entry).to_string()).collect();
        assert_eq!(told[0], "passed passed: ");
        assert!(told[1].starts_with("broken failed: status 101; test result: FAILED. 1 passed"), "{}", told[1]);
        assert_eq!(told[2], "none failed: no test ran");
        assert_eq!(told[3], "cut cut off: after 2 s");
        assert_eq!(told[4], "killed cut off: after 2 s");
        assert_eq!(told[5], "lacks skipped: no PyTorch");
        let counts = |index: usize| {
            let entry = &results.entries("checks")[index];
            [&entry["tests_passed"], &entry["tests_failed"]].map(|count| count.as_u64().unwrap())
        };
        assert_eq!([0, 1, 2, 3].map(counts), [[3, 0], [1, 1], [0, 0], [2, 0]]);
    }

    #[test]
    fn what_is_missing_or_broken_is_a_shortcoming() {
        let mut results = results();
        assert_eq!(results.shortcomings().len(), 1 + PARTS.len());
        for (part, _) in PARTS {
            results.skip([part, "all"], "a reason").unwrap();
        }
        results.end(10.0);
        assert_eq!(results.shortcomings(), Vec::<String>::new());
        results.add(["step", "one pair"], 0, 1.0, "", None).unwrap();
        assert_eq!(results.shortcomings(), ["step: one pair failed: no figures"]);
        assert!(results.add(["nothing", "of"], 0, 1.0, "", None).is_err());
    }

    #[test]
    fn an_emulated_device_and_a_dry_run_say_no_times() {
        let begin = |device: &str, dry_run| {
            Results::begin("nowhere.json", json!({ "device": device }), ["abc", "2026-12-01"], dry_run).unwrap()
        };
        let told = [begin("a GPU", false), begin("a GPU", true), begin(EMULATOR, false)];
        assert_eq!(told.map(|results| results.says_no_times()), [false, true, true]);
    }
}
