//! Every kernel compiles where there is no GPU, and takes the registers and the shared memory that `kernels/resources.txt`
//! says: none of them spills.
//!
//! What is compiled are cubins, those that devices get, and NVRTC says what they take. It comes as a Python wheel, see the
//! crate's README. Where it is missing the test says so and does nothing, unless `HPS_REQUIRE_NVRTC` is set. `BLESS=1`
//! writes the table anew.

use hps_cuda::{Defines, Library, Source, Target};
use std::fmt::Write;

/// What kernels are compiled for: the least, and Hopper's.
const CAPABILITIES: [i32; 2] = [80, 90];

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/kernels/resources.txt");

/// The compute capability times ten, the source and its macros.
type Variant = (i32, &'static Source, Defines);

/// What NVRTC says of a kernel.
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

/// Compiles; every kernel with what it takes.
fn compiled(variants: &[Variant]) -> Vec<(String, Resources)> {
    let mut of_all = Vec::new();
    for (capability, source, defines) in variants {
        let target = Target::Cubin(*capability);
        let compiled = hps_cuda::compile(source.name, &source.program(defines), target, &["--ptxas-options=-v"]);
        let compiled = compiled.unwrap_or_else(|error| panic!("{error}"));
        assert!(compiled.image.starts_with(b"\x7fELF"), "{}: no cubin", source.name);
        let macros: Vec<String> = defines.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let mut kernels = parse(&compiled.log);
        assert!(!kernels.is_empty(), "{}: {}", source.name, compiled.log);
        kernels.sort_by(|a, b| a.entry.cmp(&b.entry));
        let named = |of: Resources| {
            (format!("sm_{capability}  {} ({})  {}", source.name, macros.join(", "), of.entry), of) //
        };
        of_all.extend(kernels.into_iter().map(named));
    }
    of_all
}

#[test]
fn every_kernel_compiles_and_none_spills() {
    if let Err(missing) = Library::Nvrtc.require() {
        assert!(std::env::var_os("HPS_REQUIRE_NVRTC").is_none(), "{missing}");
        eprintln!("SKIPPED, as {missing}");
        return;
    }
    // PTX says which NVRTC made it.
    let ptx = hps_cuda::compile("empty.cu", "", Target::Ptx(80), &[]).expect("an empty program").image;
    let ptx = String::from_utf8(ptx).expect("text");
    let release = ptx.lines().find_map(|line| line.split_once("release ")).expect("a release").1;
    let release = release.split(',').next().unwrap_or_default();

    let mut table = format!(
        "What each kernel takes of a multiprocessor: NVRTC {release}, `cargo test -p hps-cuda --test resources`.\n\
         Registers a thread, bytes of static shared memory a block, bytes of stack a thread; none spills.\n\n\
         {:<80}{:>10}{:>8}{:>7}\n",
        "architecture  source (macros)  kernel", "registers", "shared", "stack"
    );
    let all: Vec<Variant> = CAPABILITIES
        .into_iter()
        .flat_map(|capability| {
            let variants =
                hps_cuda::SOURCES.iter().flat_map(|source| source.variants.iter().map(move |set| (source, set)));
            variants.map(move |(source, set)| (capability, *source, *set))
        })
        .collect();
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get());
    let parts: Vec<_> = std::thread::scope(|scope| {
        let spawn = |part| scope.spawn(move || compiled(part));
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
        eprintln!("kernels/resources.txt is of another NVRTC: not compared");
    }
}
