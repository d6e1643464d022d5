//! What `docs/security.md` names as proof is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn page() -> String {
    std::fs::read_to_string(root().join("docs/security.md")).expect("the page")
}

/// The file of a name as the page writes it: `program/merge`, `src/json`, `tests/checkpoints/kill`.
fn file(name: &str) -> PathBuf {
    let folder = match name.split_once('/') {
        Some(("src", _)) => root().join("hps-llama"),
        Some(("tests", _)) => root(),
        _ => root().join("hps-llama/tests"),
    };
    let of_a_folder = |file| folder.join(name).join(file);
    let places = [folder.join(name).with_extension("rs"), of_a_folder("mod.rs"), of_a_folder("main.rs")];
    places.into_iter().find(|path| path.exists()).unwrap_or_else(|| panic!("`{name}` is no file"))
}

#[test]
fn every_test_that_is_named_exists() {
    let mut named = BTreeSet::new();
    for name in page().split('`').skip(1).step_by(2).filter(|name| name.contains("::")) {
        let (place, test) = name.split_once("::").expect("a file and a test");
        let path = file(place);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {}: {error}", path.display()));
        let function = format!("fn {test}()");
        let before = text.split(&function).next().unwrap_or_default();
        assert!(text.contains(&function), "{name} is not in {}", path.display());
        let attributes = before.rsplit("\n\n").next().unwrap_or_default();
        assert!(attributes.contains("#[test]"), "{name} is no test");
        named.insert(name.to_string());
    }
    assert!(named.len() > 90, "{} tests are named", named.len());
}

#[test]
fn every_cell_names_a_test_or_says_why_none_is_needed() {
    let page = page();
    let listed: BTreeSet<u32> =
        page.lines().filter_map(|line| line.split_once(". `").and_then(|(number, _)| number.parse().ok())).collect();
    let numbers: Vec<u32> = listed.iter().copied().collect();
    assert_eq!(numbers, (1..=listed.len() as u32).collect::<Vec<_>>(), "the lists are numbered throughout");
    let tables = page.split_once("## What is read").expect("the tables").1;
    let mut used = BTreeSet::new();
    for row in tables.lines().filter(|line| line.starts_with('|') && !line.starts_with("|---")) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        let header = cells[1].chars().any(char::is_alphabetic) && cells[1] != "read once";
        for cell in cells[1..].iter().filter(|_| !header) {
            match cell.parse::<u32>() {
                Ok(number) => {
                    assert!(listed.contains(&number), "{row}");
                    used.insert(number);
                }
                Err(_) => assert!(["=", "–", "read once"].contains(cell), "{cell:?} in {row}"),
            }
        }
        // `=` points to a command of the same row.
        let tested = cells[1..].iter().any(|cell| cell.parse::<u32>().is_ok());
        assert!(header || tested || !cells.contains(&"="), "{row}");
    }
    assert_eq!(used, listed, "every test of the lists stands in a table");
}
