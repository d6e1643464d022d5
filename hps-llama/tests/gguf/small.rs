//! A file of gguf-py, read and written again. `data/gguf/README.md` says how it was made.

use hps_llama::Result;
use hps_llama::blocks::BlockType;
use hps_llama::gguf::{
    Array, Gguf, GgufWriter, NewTensor, PlannedTensor, Tensor, TensorType, Value, ValueType, encode_gguf, write_gguf,
};
use std::path::Path;

const SMALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/gguf/small.gguf");

/// What `make.py` gives to gguf-py, in its order.
fn metadata() -> Vec<(&'static str, Value<'static>)> {
    vec![
        ("general.architecture", Value::String("llama")),
        ("a.u8", Value::U8(200)),
        ("a.i8", Value::I8(-100)),
        ("a.u16", Value::U16(60_000)),
        ("a.i16", Value::I16(-30_000)),
        ("a.u32", Value::U32(4_000_000_000)),
        ("a.i32", Value::I32(-2_000_000_000)),
        ("a.u64", Value::U64(1 << 63)),
        ("a.i64", Value::I64(-(1 << 62))),
        ("a.f32", Value::F32(0.1)),
        ("a.f64", Value::F64(0.1)),
        ("a.bool", Value::Bool(true)),
        ("a.string", Value::String("übel 美 \n")),
        ("a.strings", Value::Array(Array::of_strings(["Ġa", "", "<|im_end|>"]))),
        ("a.f32s", Value::Array(Array::of_f32(&[0.5, -1.0]))),
        ("a.i32s", Value::Array(Array::of_i32(&[1, -1, 3]))),
    ]
}

fn small() -> Gguf {
    Gguf::open(Path::new(SMALL)).expect("gguf-py's file")
}

#[test]
fn values_of_every_type_are_read() -> Result<()> {
    let file = small();
    let mut keys: Vec<&str> = metadata().iter().map(|(key, _)| *key).collect();
    keys.sort_unstable();
    assert_eq!(file.keys().collect::<Vec<&str>>(), keys);
    for (key, value) in metadata() {
        assert_eq!(file.value(key), Some(value), "{key}");
    }
    assert_eq!(file.value("a.i32s").map(|value| value.kind()), Some(ValueType::Array));
    assert_eq!(file.expect::<&str>("a.string")?, "übel 美 \n");
    assert_eq!(file.expect::<Vec<&str>>("a.strings")?, ["Ġa", "", "<|im_end|>"]);
    assert_eq!(file.expect::<Vec<f32>>("a.f32s")?, [0.5, -1.0]);
    assert_eq!(file.expect::<Vec<i32>>("a.i32s")?, [1, -1, 3]);
    assert_eq!(file.expect::<f32>("a.f32")?, 0.1);
    assert!(file.expect::<bool>("a.bool")?);
    assert_eq!(file.get::<u32>("a.absent")?, None);
    Ok(())
}

#[test]
fn whole_numbers_are_read_as_any_type_that_holds_them() -> Result<()> {
    let file = small();
    assert_eq!(file.expect::<u32>("a.u8")?, 200);
    assert_eq!(file.expect::<usize>("a.u16")?, 60_000);
    assert_eq!(file.expect::<i64>("a.i8")?, -100);
    assert_eq!(file.expect::<u64>("a.u64")?, 1 << 63);
    let place = format!("{SMALL}: ");
    let says = |error: hps_llama::Error| error.to_string().replace(&place, "");
    let errors = [
        (
            says(file.expect::<u32>("a.i8").expect_err("negative")),
            "`a.i8` is -100 (i8) but has to be a whole number that fits in u32",
        ),
        (
            says(file.expect::<u32>("a.u64").expect_err("large")),
            "`a.u64` is 9223372036854775808 (u64) but has to be a whole number that fits in u32",
        ),
        (
            says(file.get::<u32>("a.f32").expect_err("no whole number")),
            "`a.f32` is 0.1 (f32) but has to be a whole number that fits in u32",
        ),
        (says(file.get::<f32>("a.f64").expect_err("rounds")), "`a.f64` is 0.1 (f64) but has to be a number (f32)"),
        (says(file.get::<&str>("a.bool").expect_err("no string")), "`a.bool` is true but has to be a string"),
        (
            says(file.get::<bool>("a.string").expect_err("no bool")),
            "`a.string` is the string \"übel 美 \\n\" but has to be a bool",
        ),
        (
            says(file.get::<Vec<u32>>("a.i32s").expect_err("a negative one")),
            "`a.i32s` is an array of 3 i32 but has to be an array of whole numbers that fit in u32",
        ),
        (
            says(file.get::<Vec<f32>>("a.strings").expect_err("strings")),
            "`a.strings` is an array of 3 string but has to be an array of numbers (f32)",
        ),
        (says(file.expect::<u32>("a.absent").expect_err("absent")), "`a.absent` is missing"),
    ];
    for (found, expected) in errors {
        assert_eq!(found, expected);
    }
    Ok(())
}

#[test]
fn tensors_of_every_type_are_where_gguf_py_put_them() {
    let file = small();
    let stored = std::fs::read(SMALL).expect("the file");
    let kinds = [TensorType::F32, TensorType::F16, TensorType::BF16].into_iter();
    let kinds: Vec<TensorType> = kinds.chain(BlockType::ALL.map(TensorType::Blocks)).collect();
    let found: Vec<Tensor<'_>> = file.tensors().collect();
    assert_eq!(found.iter().map(|tensor| tensor.kind).collect::<Vec<_>>(), kinds);
    let mut behind = 0;
    for tensor in found {
        assert_eq!(tensor.name, format!("blk.0.{}.weight", tensor.kind));
        let columns = if tensor.kind.numbers() == 1 { 3 } else { tensor.kind.numbers() };
        assert_eq!((tensor.dimensions, tensor.rows(), tensor.columns()), (&[columns, 2][..], 2, columns));
        // Random bytes stand once, and in the order of the tensors.
        let at = stored.windows(tensor.bytes.len()).position(|bytes| bytes == tensor.bytes).expect("in the file");
        assert!(at % 32 == 0 && at >= behind, "{} at {at}", tensor.name);
        behind = at + tensor.bytes.len();
        assert_eq!(file.tensor(tensor.name).map(|same| same.bytes), Some(tensor.bytes));
    }
    assert!(file.tensor("blk.1.f32.weight").is_none());
}

/// What is written is what gguf-py writes.
#[test]
fn the_same_file_is_written_to_the_byte() -> Result<()> {
    let file = small();
    let tensors: Vec<NewTensor<'_>> = file
        .tensors()
        .map(|Tensor { name, kind, dimensions, bytes }| NewTensor { name, kind, dimensions, bytes: bytes.into() })
        .collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("same.gguf");
    write_gguf(&path, &metadata(), &tensors)?;
    assert!(std::fs::read(&path).expect("written") == std::fs::read(SMALL).expect("the file"));
    Ok(())
}

/// Cut anywhere, also within a tensor; what is too much or too little is told, and leaves nothing.
#[test]
fn a_file_written_in_parts_is_the_same() -> Result<()> {
    let file = small();
    let planned: Vec<PlannedTensor<'_>> =
        file.tensors().map(|Tensor { name, kind, dimensions, .. }| PlannedTensor { name, kind, dimensions }).collect();
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("same.gguf");
    for size in [1, 7, usize::MAX] {
        let mut written = GgufWriter::begin(&path, &metadata(), &planned)?;
        for tensor in file.tensors() {
            tensor.bytes.chunks(size.min(tensor.bytes.len())).try_for_each(|part| written.write(part))?;
        }
        written.finish()?;
        assert!(std::fs::read(&path).expect("written") == std::fs::read(SMALL).expect("the file"), "{size}");
        std::fs::remove_file(&path).expect("removed");
    }

    let tensor = PlannedTensor { name: "a", kind: TensorType::F32, dimensions: &[3] };
    let begun = || GgufWriter::begin(&path, &[], &[tensor]).expect("begun");
    let place = path.display();
    let mut cut = begun();
    cut.write(&[0; 8])?;
    let error = cut.write(&[0; 8]).expect_err("too many").to_string();
    assert_eq!(error, format!("{place}: tensor `a` needs 12 bytes, and 16 are written"));
    let error = cut.finish().expect_err("too few").to_string();
    assert_eq!(error, format!("{place}: tensor `a` needs 12 bytes but has 8"));
    let mut whole = begun();
    whole.write(&[0; 12])?;
    let error = whole.write(&[0; 4]).expect_err("too many").to_string();
    assert_eq!(error, format!("{place}: has all its tensors, and 4 bytes more are to be written"));
    drop(whole);
    assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 0);
    Ok(())
}

#[test]
fn values_of_a_file_are_written_as_they_are() -> Result<()> {
    let file = small();
    let values: Vec<(&str, Value<'_>)> =
        metadata().into_iter().map(|(key, _)| (key, file.value(key).expect("a value"))).collect();
    assert!(encode_gguf(&values, &[])? == encode_gguf(&metadata(), &[])?);
    Ok(())
}

#[test]
fn what_is_no_file_is_not_written() {
    let tensor = |name, dimensions, bytes: usize| NewTensor {
        name,
        kind: TensorType::F32,
        dimensions,
        bytes: vec![0; bytes].into(),
    };
    let error = |metadata: &[(&str, Value<'_>)], tensors: &[NewTensor<'_>]| {
        encode_gguf(metadata, tensors).expect_err("refused").to_string()
    };
    let one = ("one", Value::Bool(true));
    assert_eq!(error(&[one.clone(), one], &[]), "key `one` stands twice");
    assert_eq!(error(&[("", Value::Bool(true))], &[]), "a key has no name");
    assert_eq!(error(&[], &[tensor("a", &[1], 4), tensor("a", &[1], 4)]), "tensor `a` stands twice");
    assert_eq!(error(&[], &[tensor("a", &[2, 3], 20)]), "tensor `a` of [2, 3] f32 needs 24 bytes but has 20");
    assert_eq!(error(&[], &[tensor("a", &[0], 0)]), "tensor `a` has no numbers: its dimensions are [0]");
    assert_eq!(error(&[], &[tensor("a", &[], 4)]), "tensor `a` has 0 dimensions, not 1 to 4");
    assert_eq!(error(&[], &[tensor("a", &[1; 5], 4)]), "tensor `a` has 5 dimensions, not 1 to 4");
    let alignment = ("general.alignment", Value::U32(24));
    assert_eq!(error(&[alignment], &[]), "`general.alignment` is 24 (u32) but has to be a power of two, as u32");
    let blocks = NewTensor {
        name: "a",
        kind: TensorType::Blocks(BlockType::Q4K),
        dimensions: &[576, 2],
        bytes: Vec::new().into(),
    };
    assert_eq!(error(&[], &[blocks]), "tensor `a` has rows of 576 numbers; q4_k needs multiples of 256");
}
