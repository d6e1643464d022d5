//! Checks this library's losses against reference values of your own.
//!
//! `cargo run --release --example check_losses -- hps-core/tests/data/losses.json`
//!
//! The file lists cases: a loss, a row of log-probabilities and rewards, and the value and gradients that some other
//! program computed for them, or the kind of error they should meet. Prints what differs and `N passed, N failed`.

#[path = "../hps-core/tests/reference/case.rs"]
mod case;

use serde_json::Value;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

/// Where a file does not say: values rounded to f64, against f64 arithmetic.
const ABSOLUTE: f64 = 1e-12;
const RELATIVE: f64 = 1e-9;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let bundled = concat!(env!("CARGO_MANIFEST_DIR"), "/hps-core/tests/data/losses.json");
    let path = std::env::args().nth(1).unwrap_or_else(|| bundled.into());
    let (passed, failed) = check_file(Path::new(&path))?;
    println!("{passed} passed, {failed} failed");
    Ok(if failed == 0 && passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check_file(path: &Path) -> Result<(usize, usize), Box<dyn Error>> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let file: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let cases = file["cases"].as_array().ok_or_else(|| format!("{}: no list `cases`", path.display()))?;
    let (absolute, relative) = (file["atol"].as_f64().unwrap_or(ABSOLUTE), file["rtol"].as_f64().unwrap_or(RELATIVE));
    let (mut passed, mut failed) = (0, 0);
    for (index, case) in cases.iter().enumerate() {
        match check_case(case, absolute, relative) {
            Ok(()) => passed += 1,
            Err(difference) => {
                println!("case {index} {}: {difference}", case["id"]);
                failed += 1;
            }
        }
    }
    Ok((passed, failed))
}

fn check_case(case: &Value, absolute: f64, relative: f64) -> Result<(), String> {
    // A case that is not in the file's form panics where it is read, with the reason on stderr.
    let outcome = std::panic::catch_unwind(|| case::evaluate::<f64>(case)).map_err(|_| "malformed".to_string())?;
    case::check(case, &outcome, absolute, relative)
}
