//! Every shader there is, by a second implementation of WGSL: Dawn, as npm's package `webgpu` brings it.
//!
//! wgpu compiles WGSL by its own front end, naga, which lets pass what Chromium's and Metal's and DirectX's compilers refuse:
//! a barrier that not all threads reach, for one. Where the package is not found the test says so and passes; where it is
//! and with `HPS_REQUIRE_DAWN=1` it fails.
//!
//! `npm install --prefix FOLDER webgpu`, then `HPS_DAWN=FOLDER/node_modules/webgpu`.

use hps_wgpu::{Shader, shaders};
use std::collections::HashSet;
use std::path::PathBuf;
use std::process::Command;

/// A barrier behind `||`: of a kernel of this crate, once.
const UNEVEN: &str = "
var<workgroup> shared_sum: u32;
@group(0) @binding(0) var<storage, read_write> out: array<u32>;
fn sum() -> u32 {
    workgroupBarrier();
    return shared_sum;
}
@compute @workgroup_size(64)
fn uneven(@builtin(local_invocation_index) lane: u32) {
    if lane < 3u || sum() > 1u {
        out[lane] = 1u;
    }
}";

/// More storage buffers than WebGPU lets a kernel bind.
fn nine_buffers() -> String {
    let declared: String = (0..9)
        .map(|binding| format!("@group(0) @binding({binding}) var<storage, read_write> b{binding}: array<u32>;\n"))
        .collect();
    let used: String = (0..9).map(|binding| format!("b{binding}[0] = 1u;\n")).collect();
    format!("{declared}@compute @workgroup_size(1) fn nine() {{ {used} }}")
}

#[test]
fn names_are_told_apart() {
    let shaders = shaders();
    let names: HashSet<&str> = shaders.iter().map(|shader| shader.name.as_str()).collect();
    assert!(shaders.len() > 2000, "{}", shaders.len());
    // `forward` is attention's and the norm's, but these differ in their constants; so do `backward` and `draw`.
    assert_eq!(names.len(), shaders.len());
}

/// Under fast mathematics, which Metal has by default, a compiler may take it that arithmetic gives finite numbers, and fold a
/// question for it: of `a * b` with such flags LLVM 22 makes `(bits & 0x7f800000) != 0x7f800000` true. So `is_finite` and
/// `is_nan` are asked of elements of buffers alone.
#[test]
fn only_numbers_in_memory_are_asked_whether_they_are_finite() {
    let mut asked = HashSet::new();
    for Shader { name, source, .. } in shaders() {
        for question in ["is_finite(", "is_nan("] {
            for (at, _) in source.match_indices(question) {
                let before = &source[..at];
                if before.ends_with("fn ") {
                    continue;
                }
                let argument = source[at + question.len()..].split(')').next().expect("an argument");
                let buffer = argument.split('[').next().expect("a name");
                let is_element = argument.ends_with(']') && buffer.chars().all(|c| c.is_alphanumeric() || c == '_');
                assert!(is_element, "{name}: {question}{argument})");
                asked.insert(argument.to_owned());
            }
        }
    }
    // Two of losses, two of the norm, one of logits.
    assert_eq!(asked.len(), 5, "{asked:?}");
}

#[test]
fn dawn_accepts_every_shader() {
    let Some(package) = std::env::var_os("HPS_DAWN").filter(|package| !package.is_empty()) else {
        assert!(std::env::var_os("HPS_REQUIRE_DAWN").is_none(), "HPS_REQUIRE_DAWN is set, and HPS_DAWN is not");
        eprintln!("SKIPPED, no package `webgpu` in HPS_DAWN");
        return;
    };
    let spoilt = |entry, source| Shader { name: format!("spoilt: {entry}"), entry, source, workgroup_memory: None };
    let mut all = shaders();
    let own = all.len();
    all.extend([spoilt("uneven", UNEVEN.into()), spoilt("nine", nine_buffers())]);
    let records: String =
        all.iter().map(|Shader { name, entry, source, .. }| format!("{name}\0{entry}\0{source}\0")).collect();
    let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("shaders");
    std::fs::write(&file, records).expect("a file of shaders");
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/dawn/check.mjs");
    let said = Command::new("node").arg(script).arg(&file).env("DAWN", package).output().expect("node");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    // Whose tiles take more memory than WebGPU's default is accepted but for it, and Dawn's sum of it has to be ours.
    let larger: HashSet<String> = all
        .iter()
        .filter_map(|shader| Some((shader, shader.workgroup_memory.filter(|bytes| *bytes > 16 << 10)?)))
        .map(|(shader, bytes)| {
            format!("{}: The total use of workgroup storage ({bytes} bytes) is larger than the maximum", shader.name)
        })
        .collect();
    assert!(larger.len() > 100, "{}", larger.len());
    let is_larger = |line: &str| line.split_once(" allowed").is_some_and(|(start, _)| larger.contains(start));
    assert_eq!(text.lines().filter(|line| is_larger(line)).count(), larger.len());
    let (spoilt, refused): (Vec<&str>, Vec<&str>) = text
        .lines()
        .filter(|line| !line.starts_with("read ") && !is_larger(line))
        .partition(|line| line.starts_with("spoilt: "));
    assert!(text.ends_with(&format!("read {}\n", own + 2)), "{text}{}", String::from_utf8_lossy(&said.stderr));
    assert_eq!(spoilt.len(), 2, "what Dawn has to refuse: {spoilt:?}");
    assert!(refused.is_empty(), "Dawn refuses {} of {own}:\n{}", refused.len(), refused.join("\n"));
}
