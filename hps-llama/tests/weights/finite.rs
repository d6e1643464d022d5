//! Numbers that are not finite.

use super::{copy, refusal, tensors};
use hps_llama::ErrorKind;
use hps_llama::backend::Precision;
use hps_llama::weights::{OwnedTensor, Weights};
use safetensors::tensor::{Dtype, TensorView};
use std::path::Path;

/// As another program writes it, which may write what is not finite.
fn write_as_is(path: &Path, tensors: &[OwnedTensor], precision: Precision) {
    let (dtype, encode): (_, fn(f32) -> Vec<u8>) = match precision {
        Precision::F32 => (Dtype::F32, |number| number.to_le_bytes().into()),
        _ => (Dtype::BF16, |number| half::bf16::from_f32(number).to_le_bytes().into()),
    };
    let bytes = |tensor: &OwnedTensor| tensor.data.iter().flat_map(|number| encode(*number)).collect::<Vec<u8>>();
    let bytes: Vec<Vec<u8>> = tensors.iter().map(bytes).collect();
    let views = tensors.iter().zip(&bytes).map(|(tensor, bytes)| {
        (tensor.name.as_str(), TensorView::new(dtype, tensor.shape.clone(), bytes).expect("a tensor"))
    });
    safetensors::serialize_to_file(views, None, path).expect("written");
}

#[test]
fn numbers_that_are_not_finite_are_blamed_on_their_tensor() {
    for precision in [Precision::F32, Precision::BF16] {
        for (number, what) in [(f32::NAN, "a NaN"), (-f32::NAN, "a NaN"), (f32::INFINITY, "an infinite number (inf)")] {
            let folder = copy();
            let mut tensors = tensors();
            let tensor = tensors.iter_mut().find(|tensor| tensor.name == "lm_head.weight").expect("one");
            tensor.data[64 * 1000 + 7] = number;
            tensor.data[64 * 1001] = f32::NAN;
            let file = folder.path().join("model.safetensors");
            write_as_is(&file, &tensors, precision);
            let error = refusal(folder.path());
            assert_eq!(error.kind(), ErrorKind::NonFinite);
            let expected = format!("{}: `lm_head.weight` has {what} at [1000, 7]", file.display());
            assert_eq!(error.to_string(), expected);
        }
    }
}

/// Beyond what one thread looks through, and in a half.
#[test]
fn a_large_tensor_is_looked_through() {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, rows) = (folder.path().join("large.safetensors"), 3000);
    for (precision, place) in [(Precision::F32, 2999), (Precision::BF16, 1500), (Precision::F32, 0)] {
        let mut data = vec![f32::MAX; rows * 256];
        data[place * 256 + 255] = f32::NAN;
        if precision == Precision::BF16 {
            data.iter_mut().filter(|number| !number.is_nan()).for_each(|number| *number = 1.0);
        }
        let tensor = OwnedTensor { name: "large".into(), shape: vec![rows, 256], data };
        write_as_is(&file, &[tensor], precision);
        let weights = Weights::from_files(std::slice::from_ref(&file)).expect("a file");
        let error = weights.read("large", (rows, 256), |_| Ok(())).expect_err("it is refused");
        assert!(error.to_string().ends_with(&format!("`large` has a NaN at [{place}, 255]")), "{error}");
    }
}
