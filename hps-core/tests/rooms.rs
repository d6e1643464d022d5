//! The crate's rooms, from the ground up: a room uses those below it and never one above.

use std::path::{Path, PathBuf};

const ROOMS: [&str; 9] =
    ["error", "numbers", "conformance", "responses", "negatives", "preference", "loss", "metrics", "theory"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() { files(&path, found) } else { found.push(path) }
    }
}

/// The room of a path below `src`.
fn room(path: &Path) -> String {
    let first = path.iter().next().expect("a name").to_str().expect("text");
    first.trim_end_matches(".rs").to_string()
}

#[test]
fn imports_run_downwards() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut all = Vec::new();
    files(&source, &mut all);
    let mut imports = 0;
    for path in all {
        let below = path.strip_prefix(&source).expect("a file of the crate");
        let own = room(below);
        if own == "lib" {
            continue;
        }
        let height = |name: &str| ROOMS.iter().position(|room| *room == name);
        let floor = height(&own).unwrap_or_else(|| panic!("{} is in no room", below.display()));
        let text = std::fs::read_to_string(&path).expect("text");
        // Documentation may point anywhere.
        for line in text.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for (at, _) in line.match_indices("crate::") {
                let name: String = line[at + 7..].chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                if let Some(used) = height(&name) {
                    imports += 1;
                    assert!(used <= floor, "{}: `{own}` uses `{name}`, which is above it", below.display());
                }
            }
        }
    }
    assert!(imports > 100, "{imports} imports were looked at");
}
