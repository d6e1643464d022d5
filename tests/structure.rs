//! The house: a file imports downwards only. No circle among the files of a crate, as their `crate::` and `super::` paths
//! tell them, and rooms lie on each other.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// A module: `["loss", "batch"]` of `loss/batch.rs`, `["loss"]` of `loss/mod.rs`.
type Module = Vec<String>;
type Graph = BTreeMap<Module, BTreeSet<Module>>;

const CRATES: [&str; 6] = [
    "hps-core/src",
    "hps-cuda/src",
    "hps-wgpu/src",
    "hps-llama/src",
    "hps-llama/src/bin/hps",
    "tests/cuda_emulator/src",
];

#[test]
fn no_file_imports_what_lies_above_it() {
    for name in CRATES {
        let mut files = BTreeMap::new();
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name), &mut Vec::new(), &mut files);
        assert!(files.len() > 20, "{name} has {} files", files.len());
        let graph = graph(&files);
        assert!(graph.values().map(BTreeSet::len).sum::<usize>() > 30, "{name}: hardly an import was found");
        assert_eq!(circle(&graph), None, "{name}: these files import each other");
    }
}

/// What lies on what, from the ground up. hps-llama's folders are more than a staircase; there only circles are asked for.
const ROOMS: [(&str, &[&str]); 3] = [
    (
        "hps-core/src",
        &["error", "numbers", "conformance", "responses", "negatives", "preference", "loss", "metrics", "theory"],
    ),
    ("hps-cuda/src", &["error", "device", "operations", "preference", "sources"]),
    ("hps-wgpu/src", &["error", "device", "operations", "preference", "sources"]),
];

#[test]
fn rooms_lie_on_each_other() {
    for (name, rooms) in ROOMS {
        let mut files = BTreeMap::new();
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join(name), &mut Vec::new(), &mut files);
        let height = |file: &Module| {
            let found = rooms.iter().position(|room| *room == file[0]);
            found.unwrap_or_else(|| panic!("{name}: {} is in no room", file.join("::")))
        };
        for (file, imports) in graph(&files) {
            for import in imports {
                let (file, import) = ((height(&file), file.join("::")), (height(&import), import.join("::")));
                assert!(import.0 <= file.0, "{name}: {} imports {}, which is above it", file.1, import.1);
            }
        }
    }
}

/// `SOURCES` is what is compiled and checked for spills where there is no GPU.
#[test]
fn every_source_of_a_cuda_kernel_is_listed() {
    let mut files = BTreeMap::new();
    read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("hps-cuda/src"), &mut Vec::new(), &mut files);
    let list = &files[&vec!["sources".to_string()]];
    let mut sources = 0;
    for (file, text) in &files {
        for line in text.lines().filter(|line| line.contains(": Source = ")) {
            let name = line.split(':').next().and_then(|before| before.split(' ').next_back()).expect("a name");
            let path = format!("&crate::{}::{name},", file.join("::"));
            assert!(list.contains(&path), "hps-cuda/src/sources.rs lacks {path}");
            sources += 1;
        }
    }
    assert!(sources > 20, "{sources} sources were looked at");
}

#[test]
fn a_planted_circle_is_found() {
    let files = |upper: &str| {
        [
            ("device", "use crate::array::Array;"),
            ("array", upper),
            ("product/mod", "use crate::{array, device::Device};"),
        ]
        .map(|(name, text)| (name.split('/').filter(|part| *part != "mod").map(String::from).collect(), text.into()))
        .into()
    };
    assert_eq!(circle(&graph(&files("pub(crate) struct Array; // see crate::device"))), None);
    for planted in ["use crate::{error::Error, device::{Device, Stream}};", "fn f(d: &super::device::Device) {}"] {
        let found = circle(&graph(&files(planted)));
        assert_eq!(found, Some(vec!["array".into(), "device".into()]), "{planted}");
    }
    let in_tests_only = "struct Array;\n#[cfg(test)]\nmod tests {\n    use crate::device::Device;\n}";
    assert_eq!(circle(&graph(&files(in_tests_only))), None);
}

/// All files of a folder but its tests, which may use what lies above. Programs beside a library are crates of their own.
fn read(folder: &Path, place: &mut Module, files: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        place.push(name.clone());
        if path.is_dir() && name != "bin" {
            read(&path, place, files);
        } else if name != "tests" && path.extension().is_some_and(|extension| extension == "rs") {
            let is_folders = ["mod", "lib", "main"].contains(&name.as_str());
            let own = &place[..place.len() - usize::from(is_folders)];
            files.insert(own.to_vec(), fs::read_to_string(&path).expect("UTF-8"));
        }
        place.pop();
    }
}

/// Which files each file names. The crate's first file, which names all, is left out.
fn graph(files: &BTreeMap<Module, String>) -> Graph {
    let file_of = |mut path: Module| {
        while !path.is_empty() && !files.contains_key(&path) {
            path.pop();
        }
        path
    };
    let imports = |(module, text): (&Module, &String)| {
        let named = paths(module, text).into_iter().map(file_of);
        (module.clone(), named.filter(|file| !file.is_empty() && file != module).collect())
    };
    files.iter().filter(|(module, _)| !module.is_empty()).map(imports).collect()
}

/// The paths from the crate's root that a file's code names.
fn paths(module: &Module, text: &str) -> Vec<Module> {
    let code: String = text
        .split("#[cfg(test)]\nmod")
        .next()
        .unwrap_or_default()
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default())
        .collect::<Vec<_>>()
        .join("\n")
        .replace("pub(super)", "pub")
        .replace("pub(in super", "pub(in ");
    let mut found = Vec::new();
    for start in ["crate::", "super::"] {
        for (index, _) in code.match_indices(start) {
            let before = code[..index].chars().next_back().unwrap_or(' ');
            if before.is_alphanumeric() || before == '_' || before == ':' {
                continue;
            }
            let (mut root, mut rest) = (Vec::new(), &code[index..]);
            if start == "super::" {
                root = module.clone();
            }
            while let Some(behind) = rest.strip_prefix("super::") {
                root.pop();
                rest = behind;
            }
            tree(root, rest.strip_prefix("crate::").unwrap_or(rest), &mut found);
        }
    }
    found
}

/// The paths of a tree as `use` has them, `a::{b, c::d}`, below a root; returns what follows it.
fn tree<'a>(mut root: Module, mut text: &'a str, found: &mut Vec<Module>) -> &'a str {
    loop {
        if let Some(mut list) = text.strip_prefix('{') {
            loop {
                list = tree(root.clone(), list.trim_start(), found);
                // Past `as name` and the comma behind the last.
                list = &list[list.find([',', '}']).unwrap_or(list.len())..];
                let next = list.strip_prefix(',').unwrap_or(list).trim_start();
                match next.strip_prefix('}') {
                    Some(behind) => return behind,
                    None if next.is_empty() => return next,
                    None => list = next,
                }
            }
        }
        let end = text.find(|next: char| !next.is_alphanumeric() && next != '_').unwrap_or(text.len());
        root.push(text[..end].to_string());
        match text[end..].strip_prefix("::") {
            Some(next) => text = next,
            None => {
                found.push(root);
                return &text[end..];
            }
        }
    }
}

/// Files that reach each other, if there are any; of several circles the first.
fn circle(graph: &Graph) -> Option<Vec<String>> {
    let reached = |from: &Module| {
        let (mut reached, mut next) = (BTreeSet::new(), vec![from]);
        while let Some(file) = next.pop() {
            for import in graph.get(file).into_iter().flatten() {
                if reached.insert(import) {
                    next.push(import);
                }
            }
        }
        reached
    };
    let all: BTreeMap<&Module, BTreeSet<&Module>> = graph.keys().map(|file| (file, reached(file))).collect();
    let (first, reached) = all.iter().find(|(file, reached)| reached.contains(*file))?;
    let circle = reached.iter().filter(|file| all.get(*file).is_some_and(|back| back.contains(first)));
    Some(circle.map(|file| file.join("::")).collect())
}
