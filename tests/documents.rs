//! Documents: what they link to is there.

use std::fs;
use std::path::{Path, PathBuf};

/// All pages of the repository.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() && !["target", "out", "node_modules"].contains(&name.as_str()) && !name.starts_with('.') {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// `[text](place)` of a page, outside code.
fn links(text: &str) -> Vec<String> {
    let mut code = false;
    let mut found = Vec::new();
    for line in text.lines() {
        code ^= line.trim_start().starts_with("```");
        if code {
            continue;
        }
        for (index, _) in line.match_indices("](") {
            let place = &line[index + 2..];
            found.extend(place.split_once(')').map(|(place, _)| place.to_string()));
        }
    }
    found
}

#[test]
fn every_link_leads_somewhere() {
    let mut found = Vec::new();
    pages(Path::new(env!("CARGO_MANIFEST_DIR")), &mut found);
    let mut looked_at = 0;
    for page in &found {
        let text = fs::read_to_string(page).expect("UTF-8");
        for link in links(&text).into_iter().filter(|link| !link.contains("://")) {
            let (place, section) = link.split_once('#').map_or((link.as_str(), None), |(place, at)| (place, Some(at)));
            let target = if place.is_empty() { page.clone() } else { page.parent().expect("a folder").join(place) };
            assert!(target.exists(), "{}: {link} is not there", page.display());
            if let Some(section) = section {
                let headings = fs::read_to_string(&target).expect("a page with sections");
                let headings = headings.lines().filter(|line| line.starts_with('#')).map(anchor);
                assert!(headings.into_iter().any(|at| at == section), "{}: no section {link}", page.display());
            }
            looked_at += 1;
        }
    }
    assert!(found.len() > 20 && looked_at > 40, "{} pages, {looked_at} links", found.len());
}

/// How a heading is linked to.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || [' ', '-', '_'].contains(c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

/// Somebody with five minutes reads it.
#[test]
fn the_readme_is_short() {
    let readme = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).expect("the README");
    assert!(readme.lines().count() <= 150, "{} lines", readme.lines().count());
}
