//! All files below a folder.

use std::collections::BTreeMap;
use std::path::Path;

/// Bytes by name, relative to the folder; a folder's name ends with `/`.
pub type Tree = BTreeMap<String, Vec<u8>>;

/// What is there. Processes may be at work: what is gone before it is read is left out.
pub fn read(folder: &Path) -> Tree {
    let mut tree = Tree::new();
    walk(folder, "", &mut |name, path| {
        let bytes = if name.ends_with('/') { Some(Vec::new()) } else { std::fs::read(path).ok() };
        if let Some(bytes) = bytes {
            tree.insert(name, bytes);
        }
    });
    tree
}

/// The names alone.
pub fn names(folder: &Path) -> Vec<String> {
    let mut names = Vec::new();
    walk(folder, "", &mut |name, _| names.push(name));
    names.sort();
    names
}

/// The names with the lengths of the files: what changes while a process writes.
pub fn lengths(folder: &Path) -> Vec<(String, u64)> {
    let mut lengths = Vec::new();
    walk(folder, "", &mut |name, path| {
        let length = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file).map_or(0, |file| file.len());
        lengths.push((name, length));
    });
    lengths.sort();
    lengths
}

fn walk(folder: &Path, front: &str, visit: &mut impl FnMut(String, &Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for entry in entries.flatten() {
        let path = entry.path();
        let name = format!("{front}{}", entry.file_name().to_string_lossy());
        if path.is_dir() {
            let name = format!("{name}/");
            visit(name.clone(), &path);
            walk(&path, &name, visit);
        } else {
            visit(name, &path);
        }
    }
}

/// Writes all of a tree into a folder.
pub fn write(tree: &Tree, folder: &Path) {
    for (name, bytes) in tree {
        let path = folder.join(name);
        let parent = if name.ends_with('/') { &path } else { path.parent().expect("a folder") };
        std::fs::create_dir_all(parent).expect("a folder");
        if !name.ends_with('/') {
            std::fs::write(&path, bytes).expect("a file");
        }
    }
}

/// Whether a name, or a folder it lies in, is one that the program uses only while it works.
pub fn is_temporary(name: &str) -> bool {
    let endings = [".partial", ".partial.json", ".replaced", ".deleted"];
    name.split('/').any(|part| part == ".lock" || endings.iter().any(|ending| part.ends_with(ending)))
}

/// The first name that only one has, or whose bytes differ.
pub fn difference(expected: &Tree, found: &Tree) -> Option<String> {
    let all = expected.keys().chain(found.keys().filter(|name| !expected.contains_key(*name)));
    all.into_iter().find_map(|name| match (expected.get(name), found.get(name)) {
        (Some(expected), Some(found)) if expected == found => None,
        (Some(expected), Some(found)) => {
            let same = expected.iter().zip(found).take_while(|(one, other)| one == other).count();
            Some(format!("{name} has other bytes ({} and not {}, from byte {same})", found.len(), expected.len()))
        }
        (Some(_), None) => Some(format!("{name} is missing")),
        (None, _) => Some(format!("{name} should not be there")),
    })
}
