//! Folders of 4-bit codes, as transformers saves them.

use crate::{source, support};
use hps_llama::backend::cpu::Cpu;
use hps_llama::blocks::{DoubleQuantisation, FourBitType};
use hps_llama::model::{Llama, ModelSource};
use hps_llama::quantisation::{Quantisation, QuantisedType};
use std::path::Path;

/// A folder as transformers saves it with bitsandbytes: the same codes as those made at load.
#[test]
fn bitsandbytes_folders_are_read() {
    for (double, kind) in [(false, FourBitType::Nf4), (true, FourBitType::Nf4), (true, FourBitType::Fp4)] {
        let made = Quantisation { kind: QuantisedType::FourBit { kind, double }, skip_modules: Vec::new() };
        let folder = tempfile::tempdir().expect("a folder");
        write_folder(folder.path(), kind, double);
        let read = Llama::from_folder(Cpu, folder.path(), false).expect("a folder of codes");
        let at_load = Llama::from_folder(Cpu, source(&made), false).expect("the model loads");
        assert_eq!(read.digest().expect("a digest"), at_load.digest().expect("a digest"), "{made}");
        let error = Llama::from_folder(Cpu, folder.path(), true).expect_err("codes are not trained").to_string();
        assert!(error.contains(&format!("is stored in {kind}; train an adapter")), "{error}");
        let again = ModelSource { path: folder.path().into(), quantisation: Some(made) };
        let error = Llama::from_folder(Cpu, again, false).expect_err("twice").to_string();
        assert!(error.contains(&format!("is stored in {kind} already, and is not quantised again")), "{error}");
    }
}

/// What is missing or other than the codes need is told by its name.
#[test]
fn broken_bitsandbytes_folders_are_refused() {
    let part = "model.layers.0.mlp.up_proj.weight";
    type Edit = fn(&mut Vec<Part>, &str);
    let cases: [(Edit, &str); 5] = [
        (
            |parts, name| {
                let scales = parts.iter_mut().find(|part| part.0 == format!("{name}.absmax")).expect("scales");
                scales.3[4 * 5..4 * 6].copy_from_slice(&f32::NAN.to_le_bytes());
            },
            // Of rows of 64 numbers, each a block.
            "has a NaN at [5, 0]",
        ),
        (|parts, name| parts.retain(|part| part.0 != format!("{name}.absmax")), ".absmax` is missing"),
        (|parts, name| parts.retain(|part| part.0 != format!("{name}.quant_map")), ".quant_map` is missing"),
        (
            |parts, name| {
                let map = parts.iter_mut().find(|part| part.0 == format!("{name}.quant_map")).expect("a map");
                map.3[0] ^= 1;
            },
            "has a code book",
        ),
        (
            |parts, name| {
                let scales = parts.iter_mut().find(|part| part.0 == format!("{name}.absmax")).expect("scales");
                scales.3.truncate(8);
                scales.2 = vec![2];
            },
            "`absmax` has 8 bytes but needs",
        ),
    ];
    for (edit, expected) in cases {
        let folder = tempfile::tempdir().expect("a folder");
        write_folder(folder.path(), FourBitType::Nf4, false);
        let mut parts = parts(FourBitType::Nf4, false);
        edit(&mut parts, part);
        write_parts(folder.path(), &parts);
        let error = Llama::from_folder(Cpu, folder.path(), false).expect_err(expected).to_string();
        assert!(error.contains(expected) && error.contains("model.safetensors"), "{error}");
    }
}

/// Name, number type, shape, bytes.
type Part = (String, safetensors::Dtype, Vec<usize>, Vec<u8>);

fn write_folder(folder: &Path, kind: FourBitType, double: bool) {
    let text = std::fs::read_to_string(support::data("models/tiny/config.json")).expect("read");
    let mut config: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    config["quantization_config"] = serde_json::json!({
        "quant_method": "bitsandbytes", "load_in_4bit": true, "load_in_8bit": false, "bnb_4bit_quant_type": kind.to_string(),
        "bnb_4bit_use_double_quant": double, "bnb_4bit_compute_dtype": "bfloat16",
    });
    std::fs::write(folder.join("config.json"), config.to_string()).expect("written");
    write_parts(folder, &parts(kind, double));
}

fn write_parts(folder: &Path, parts: &[Part]) {
    let views = parts.iter().map(|(name, dtype, shape, bytes)| {
        (name.as_str(), safetensors::tensor::TensorView::new(*dtype, shape.clone(), bytes).expect("a tensor"))
    });
    let bytes = safetensors::serialize(views, None).expect("serialised");
    std::fs::write(folder.join("model.safetensors"), bytes).expect("written");
}

/// The tiny model's tensors, projections in codes.
fn parts(kind: FourBitType, double: bool) -> Vec<Part> {
    use safetensors::Dtype::{F32, U8};
    let bytes = std::fs::read(support::data("models/tiny/model.safetensors")).expect("read");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).expect("safetensors");
    let mut parts: Vec<Part> = Vec::new();
    for (name, view) in tensors.iter() {
        let shape = view.shape().to_vec();
        if !name.contains("_proj") {
            parts.push((name.into(), view.dtype(), shape, view.data().to_vec()));
            continue;
        }
        let numbers: Vec<f32> = view.data().as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();
        let doubly = if double { DoubleQuantisation::AroundMean } else { DoubleQuantisation::Off };
        let read = |first: usize, out: &mut [f32]| out.copy_from_slice(&numbers[first..first + out.len()]);
        let made = kind.quantise(numbers.len(), 64, doubly, read).expect("codes");
        let mut state = serde_json::json!({
            "quant_type": kind.to_string(), "blocksize": 64, "dtype": "bfloat16", "shape": shape,
        });
        let map: Vec<u8> = kind.code_book().iter().flat_map(|number| number.to_le_bytes()).collect();
        parts.push((format!("{name}.quant_map"), F32, vec![16], map));
        let scales = made.absmax.len();
        match &made.nested {
            None => parts.push((format!("{name}.absmax"), F32, vec![scales / 4], made.absmax)),
            Some(nested) => {
                state["nested_blocksize"] = nested.block_size.into();
                state["nested_dtype"] = "float32".into();
                state["nested_offset"] = nested.offset.into();
                let count = nested.absmax.len() / 4;
                parts.push((format!("{name}.nested_absmax"), F32, vec![count], nested.absmax.clone()));
                parts.push((format!("{name}.nested_quant_map"), F32, vec![256], nested.quant_map.clone()));
                parts.push((format!("{name}.absmax"), U8, vec![scales], made.absmax));
            }
        }
        let state = state.to_string().into_bytes();
        parts.push((format!("{name}.quant_state.bitsandbytes__{kind}"), U8, vec![state.len()], state));
        parts.push((name.into(), U8, vec![made.packed.len(), 1], made.packed));
    }
    parts
}
