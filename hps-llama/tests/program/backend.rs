//! `--backend`, `--device` and `--dtype` of every command that computes, and `hps devices`.

use crate::program::{Ended, Folder, hps};

const MODEL: &str = "tests/data/models/tiny";
const ROWS: &str = "tests/data/trl-sigmoid/preferences.jsonl";

/// The commands that compute, each as it would run, and the flags.
fn with(flags: &[&str]) -> Vec<Ended> {
    let folder = Folder::new("");
    let (options, output) = (folder.argument("options.toml"), folder.argument("output"));
    let (model, reward) = (["--model_name_or_path", MODEL], ["--model_name_or_path", "tests/data/models/tiny-reward"]);
    let named = format!("ROWS={ROWS}");
    let files = ["--data", ROWS, "--output", &output];
    let commands: [Vec<&str>; 6] = [
        vec!["train", &options],
        vec!["log-probs", "--model", MODEL, "--data", ROWS],
        [&["generate"], &model[..], &files].concat(),
        [&["score"], &reward[..], &files].concat(),
        [&["evaluate"], &model[..], &["--data", &named, "--output", &output]].concat(),
        vec!["bench", "--shape", "tiny"],
    ];
    let ended = commands.iter().map(|command| hps(&[command, flags].concat())).collect();
    assert!(!folder.path("out").exists() && !folder.path("output").exists(), "nothing is written");
    ended
}

/// All of the commands fail with this line.
fn refused(flags: &[&str], expected: &str) {
    for Ended { code, out, error } in with(flags) {
        // What is wrong with an option of a run has its place.
        let said = error.replace("command line: ", "");
        assert_eq!((code, said), (Some(1), format!("error: {expected}\n")), "{out}");
    }
}

#[test]
fn what_the_cpu_does_not_have_is_refused() {
    refused(&["--device", "0"], "`device` is 0, but `backend` cpu has no devices to choose from");
    refused(&["--dtype", "bfloat16"], "`dtype` is bfloat16, but `backend` cpu computes in float32");
}

#[test]
fn backends_that_are_not_there_are_named() {
    for Ended { code, error, .. } in with(&["--backend", "gpu"]).split_off(1) {
        let expected = "`backend` is \"gpu\"; there are `cpu`, `cuda` and `wgpu`";
        assert!(code == Some(2) && error.contains(expected), "{error}");
    }
    let train = &with(&["--backend", "gpu"])[0];
    let expected = "error: command line: `backend` is gpu; it takes cpu, cuda or wgpu\n";
    assert_eq!((train.code, train.error.as_str()), (Some(1), expected));
}

/// Asserts what is said of a backend that a build does not have.
#[cfg(not(all(feature = "cuda", feature = "wgpu")))]
fn not_in_this_build(backend: &str) {
    let how = format!("`cargo build --release --features {backend}` makes one with it");
    let flags = ["--backend", backend, "--device", "0"];
    refused(&flags, &format!("`backend` is {backend}, which is not in this build; {how}"));
    assert!(hps(&["devices"]).out.contains(&format!("\n{backend}: not in this build; {how}\n")));
}

#[cfg(not(feature = "wgpu"))]
#[test]
fn a_build_without_wgpu_says_how_to_make_one_with_it() {
    not_in_this_build("wgpu");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_build_without_cuda_says_how_to_make_one_with_it() {
    not_in_this_build("cuda");
}

/// The program starts and says which of the driver, NVRTC and cuBLAS it does not find.
#[cfg(feature = "cuda")]
#[test]
fn what_cuda_needs_and_is_not_there_is_named() {
    use hps_cuda::Library::{CublasLt, Driver, Nvrtc};
    let Some(missing) = [Driver, Nvrtc, CublasLt].into_iter().find_map(|library| library.require().err()) else {
        eprintln!("SKIPPED, as the driver, NVRTC and cuBLAS are all here");
        return;
    };
    refused(&["--backend", "cuda"], &missing.to_string());
    refused(&["--backend", "cuda", "--device", "0", "--dtype", "bfloat16"], &missing.to_string());
    assert!(hps(&["devices"]).out.contains(&format!("\ncuda: {missing}\n")));
}

/// What a server computes on is its own affair.
#[test]
fn a_server_has_no_backend() {
    for flags in [["--backend", "cpu"], ["--device", "0"], ["--dtype", "float32"]] {
        let request = ["generate", "--endpoint", "http://127.0.0.1:1/v1", "--model", "m", "--data", ROWS];
        let ended = hps(&[&request[..], &["--output", "nowhere.jsonl"], &flags].concat());
        assert!(ended.code == Some(2) && ended.error.contains("cannot be used with"), "{}", ended.error);
    }
}

/// A plan is made anywhere, for a run elsewhere.
#[test]
fn a_dry_run_opens_no_device() {
    let folder = Folder::new("backend = 'wgpu'\ndevice = 'no such device'\ndtype = 'bfloat16'");
    let ended = hps(&["train", &folder.argument("options.toml"), "--dry_run"]);
    assert_eq!(ended.code, Some(0), "{}", ended.error);
}

#[test]
fn devices_are_listed() {
    let ended = hps(&["devices"]);
    // Drivers may say something on standard error.
    assert_eq!(ended.code, Some(0), "{}", ended.error);
    let processor = ended.out.lines().find(|line| line.contains("cpu")).expect("the processor");
    assert!(processor.contains(std::env::consts::ARCH) && processor.contains(" thread"), "{}", ended.out);
}
