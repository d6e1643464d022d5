//! Every kernel compiles where there is no GPU, and takes the registers and the shared memory that `kernels/resources.txt`
//! says: none of them spills.
//!
//! NVRTC and `ptxas` come as Python wheels, see the crate's README. Where they are missing the test says so and does
//! nothing, unless `HPS_REQUIRE_NVRTC` is set. `BLESS=1` writes the table anew.

use hps_cuda::{Defines, Source};
use std::fmt::Write;
use std::path::Path;
use std::process::Command;

/// What kernels are compiled for: the least, and Hopper's.
const ARCHITECTURES: [(&str, &str); 2] = [("compute_80", "sm_80"), ("compute_90", "sm_90")];

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kernels/resources.txt");

/// The architectures, the source and its macros.
type Variant = (&'static str, &'static str, &'static Source, Defines);

/// What `ptxas -v` says of a kernel.
#[derive(Debug, Default)]
struct Resources {
    entry: String,
    registers: String,
    shared: String,
    stack: String,
    spilled: u64,
}

/// The numbers of a line that come before `unit`.
fn before<'a>(line: &'a str, unit: &str) -> Option<&'a str> {
    line[..line.find(unit)?].split_whitespace().last()
}

fn parse(log: &str) -> Vec<Resources> {
    let mut all: Vec<Resources> = Vec::new();
    for line in log.lines() {
        if let Some((_, rest)) = line.split_once("Compiling entry function '") {
            let entry = rest.split('\'').next().unwrap_or_default().to_owned();
            all.push(Resources { entry, shared: "0".into(), stack: "0".into(), ..Resources::default() });
        }
        let Some(last) = all.last_mut() else { continue };
        if let Some(stack) = before(line, " bytes stack frame") {
            last.stack = stack.to_owned();
            let spills = [" bytes spill stores", " bytes spill loads"].map(|unit| before(line, unit));
            last.spilled = spills.into_iter().flatten().filter_map(|spill| spill.parse::<u64>().ok()).sum();
        }
        if let Some(registers) = before(line, " registers") {
            last.registers = registers.to_owned();
            last.shared = before(line, " bytes smem").unwrap_or("0").to_owned();
        }
    }
    all
}

/// Why the check cannot run here.
fn missing() -> Option<String> {
    if let Err(missing) = hps_cuda::Library::Nvrtc.require() {
        return Some(missing.to_string());
    }
    match Command::new("ptxas").arg("--version").output() {
        Ok(output) if output.status.success() => None,
        _ => Some("ptxas is not on the PATH".into()),
    }
}

/// Compiles and assembles; every kernel with what it takes.
fn assembled(variants: &[Variant]) -> Vec<(String, Resources)> {
    let folder = tempfile::tempdir().expect("a folder");
    let [path, output] = ["kernel.ptx", "kernel.cubin"].map(|name| folder.path().join(name));
    let mut of_all = Vec::new();
    for (virtual_one, real_one, source, defines) in variants {
        let ptx = hps_cuda::compile(source.name, &source.program(defines), virtual_one);
        std::fs::write(&path, ptx.unwrap_or_else(|error| panic!("{error}"))).expect("written");
        let assembled = Command::new("ptxas")
            .args(["-v", "-arch", real_one])
            .args([path.as_path(), Path::new("-o"), &output])
            .output()
            .expect("ptxas runs");
        let log = String::from_utf8_lossy(&assembled.stderr);
        assert!(assembled.status.success(), "{}: {log}", source.name);
        let macros: Vec<String> = defines.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut kernels = parse(&log);
        kernels.sort_by(|a, b| a.entry.cmp(&b.entry));
        let named = |of: Resources| (format!("{real_one}  {} ({})  {}", source.name, macros.join(", "), of.entry), of);
        of_all.extend(kernels.into_iter().map(named));
    }
    of_all
}

#[test]
fn every_kernel_compiles_and_none_spills() {
    if let Some(missing) = missing() {
        assert!(std::env::var_os("HPS_REQUIRE_NVRTC").is_none(), "{missing}");
        eprintln!("SKIPPED, as {missing}");
        return;
    }
    let version = Command::new("ptxas").arg("--version").output().expect("ptxas runs");
    let version = String::from_utf8_lossy(&version.stdout);
    let release = version.lines().find_map(|line| line.split_once("release ")).expect("a release").1;
    let release = release.split(',').next().unwrap_or_default();

    let mut table = format!(
        "What each kernel takes of a multiprocessor: NVRTC and ptxas {release}, `cargo test -p hps-cuda --test resources`.\n\
         Registers a thread, bytes of static shared memory a block, bytes of stack a thread; none spills.\n\n\
         {:<80}{:>10}{:>8}{:>7}\n",
        "architecture  source (macros)  kernel", "registers", "shared", "stack"
    );
    let all: Vec<Variant> = ARCHITECTURES
        .into_iter()
        .flat_map(|(virtual_one, real_one)| {
            let variants =
                hps_cuda::SOURCES.iter().flat_map(|source| source.variants.iter().map(move |set| (source, set)));
            variants.map(move |(source, set)| (virtual_one, real_one, *source, *set))
        })
        .collect();
    // Side by side, as each waits for a process.
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let parts: Vec<_> = std::thread::scope(|scope| {
        let spawn = |part| scope.spawn(move || assembled(part));
        let running: Vec<_> = all.chunks(all.len().div_ceil(threads)).map(spawn).collect();
        running.into_iter().flat_map(|part| part.join().expect("kernels that compile")).collect()
    });
    let mut spilled = Vec::new();
    for (name, Resources { registers, shared, stack, spilled: bytes, .. }) in parts {
        writeln!(table, "{name:<80}{registers:>10}{shared:>8}{stack:>7}").expect("a string");
        if bytes > 0 {
            spilled.push(format!("{name} spills {bytes} bytes"));
        }
    }
    assert!(spilled.is_empty(), "{}", spilled.join("\n"));
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(TABLE, &table).expect("written");
    }
    let committed = std::fs::read_to_string(TABLE).expect("kernels/resources.txt");
    let of_release = |table: &str| table.lines().next().unwrap_or_default().to_owned();
    if of_release(&committed) == of_release(&table) {
        assert!(
            committed == table,
            "kernels/resources.txt is not what the kernels take now; BLESS=1 writes it:\n{table}"
        );
    } else {
        eprintln!("kernels/resources.txt is of another ptxas: not compared");
    }
}
