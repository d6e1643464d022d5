//! Models that were split into several files.

use crate::raw::{Raw, text};
use hps_llama::gguf::{Gguf, encode_gguf};
use hps_llama::gguf::{NewTensor, TensorType, Value};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// File `index` of `count`, with one tensor.
fn part(index: u16, count: u16, tensor: &str, told: Option<i32>) -> Vec<u8> {
    let mut metadata = vec![("split.no", Value::U16(index)), ("split.count", Value::U16(count))];
    if index == 0 {
        metadata.push(("general.architecture", Value::String("llama")));
    }
    metadata.extend(told.map(|told| ("split.tensors.count", Value::I32(told))));
    let bytes = [f32::from(index); 3].map(f32::to_le_bytes).concat();
    let tensor = NewTensor { name: tensor, kind: TensorType::F32, dimensions: &[3], bytes: bytes.into() };
    encode_gguf(&metadata, &[tensor]).expect("a file")
}

fn name(index: u16) -> String {
    format!("m-{:05}-of-00003.gguf", index + 1)
}

/// Three files.
fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (index, tensor) in (0..).zip(["a", "b", "c"]) {
        write(&folder.path().join(name(index)), &part(index, 3, tensor, Some(3)));
    }
    folder
}

fn write(path: &Path, bytes: &[u8]) {
    std::fs::write(path, bytes).expect("written");
}

/// What is said of the first file's model, with the names of files without their folder.
fn refusal(folder: &TempDir, file: &str) -> String {
    let error = Gguf::open(&folder.path().join(file)).expect_err("refused");
    error.to_string().replace(&format!("{}/", folder.path().display()), "")
}

#[test]
fn all_files_are_read_by_the_first() {
    let folder = folder();
    let file = Gguf::open(&folder.path().join(name(0))).expect("three files");
    let files: Vec<PathBuf> = (0..3).map(|index| folder.path().join(name(index))).collect();
    assert_eq!(file.files().collect::<Vec<_>>(), files);
    assert_eq!(file.expect::<&str>("general.architecture").expect("of the first"), "llama");
    for (number, tensor) in [(0.0f32, "a"), (1.0, "b"), (2.0, "c")] {
        assert_eq!(
            file.tensor(tensor).map(|tensor| tensor.bytes.to_vec()),
            Some([number; 3].map(f32::to_le_bytes).concat())
        );
    }
    assert_eq!(file.tensors().map(|tensor| tensor.name).collect::<Vec<_>>(), ["a", "b", "c"]);
}

#[test]
fn another_than_the_first_points_to_it() {
    assert_eq!(
        refusal(&folder(), &name(1)),
        "m-00002-of-00003.gguf: is file 2 of 3 of a model; give the first, whose name ends in -00001-of-00003.gguf"
    );
}

#[test]
fn a_first_file_of_another_name_is_refused() {
    let folder = folder();
    write(&folder.path().join("first.gguf"), &part(0, 3, "a", None));
    assert_eq!(
        refusal(&folder, "first.gguf"),
        "first.gguf: is the first of 3 files of a model, but its name does not end in -00001-of-00003.gguf"
    );
    let headless = Raw::new().key("split.count", 2, &3u16.to_le_bytes()).bytes();
    write(&folder.path().join(name(0)), &headless);
    assert_eq!(refusal(&folder, &name(0)), format!("{}: `split.count` is 3 but `split.no` is missing", name(0)));
    let wordy = Raw::new().key("split.count", 8, &text("three")).bytes();
    write(&folder.path().join(name(0)), &wordy);
    assert_eq!(
        refusal(&folder, &name(0)),
        format!("{}: `split.count` is the string \"three\", which is no count", name(0))
    );
    let many = Raw::new().key("split.count", 4, &u32::MAX.to_le_bytes()).bytes();
    write(&folder.path().join(name(0)), &many);
    assert_eq!(
        refusal(&folder, &name(0)),
        format!("{}: `split.count` is 4294967295; 99999 is the most that names have digits for", name(0))
    );
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let spoilt = |index: u16, bytes: &[u8]| {
        let folder = folder();
        write(&folder.path().join(name(index)), bytes);
        refusal(&folder, &name(0))
    };
    assert_eq!(
        spoilt(2, &part(1, 3, "c", None)),
        "m-00003-of-00003.gguf: `split.no` is 1 and `split.count` is 3, but the file's name makes it 2 of 3"
    );
    assert_eq!(
        spoilt(1, &part(1, 4, "b", None)),
        "m-00002-of-00003.gguf: `split.no` is 1 and `split.count` is 4, but the file's name makes it 1 of 3"
    );
    assert_eq!(
        spoilt(1, &Raw::new().bytes()),
        "m-00002-of-00003.gguf: `split.no` is missing and `split.count` is missing, but the file's name makes it 1 of 3"
    );
    assert_eq!(
        spoilt(2, &part(2, 3, "a", None)),
        "m-00003-of-00003.gguf: tensor `a` is also in another file of the same model"
    );
    assert_eq!(
        spoilt(0, &part(0, 3, "a", Some(5))),
        "m-00001-of-00003.gguf: `split.tensors.count` is 5, but its files hold 3"
    );
    assert!(spoilt(1, b"GGUF").starts_with("m-00002-of-00003.gguf: is cut short"));
    let folder = folder();
    std::fs::remove_file(folder.path().join(name(2))).expect("removed");
    assert!(
        refusal(&folder, &name(0)).starts_with("m-00003-of-00003.gguf: cannot be read"),
        "{}",
        refusal(&folder, &name(0))
    );
}

/// A file that was never split, or split into one.
#[test]
fn one_of_one_is_a_file_of_any_name() {
    let folder = folder();
    write(&folder.path().join("one.gguf"), &part(0, 1, "a", Some(1)));
    assert_eq!(Gguf::open(&folder.path().join("one.gguf")).expect("one file").tensors().count(), 1);
}
