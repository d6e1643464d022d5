//! What a base in codes takes of a device's memory.

use crate::{kinds, source, support};
use hps_llama::backend::cuda::Cuda;
use hps_llama::backend::{Backend, Dtype};
use hps_llama::model::Llama;
use hps_llama::parameter::Parameter;

/// What an array's bytes are rounded up to.
const STEP: u64 = 256;

/// At most, a matrix lies in four parts: codes, scales, scales of scales and their map.
const PARTS: u64 = 4;

/// A model whose projections are in 4 bits takes, at any time, what its codes, their scales and its other numbers take.
#[test]
fn a_base_takes_its_stored_bytes_on_cuda() {
    if support::gpu::cuda(Dtype::Auto).is_none() {
        return;
    }
    // A device of its own, so that other tests' arrays do not count.
    let backend = Cuda::open(None, Dtype::Auto).expect("the same device again");
    let nf4 = &kinds()[0];
    let model = Llama::from_folder(backend.clone(), source(nf4), false).expect("the model loads");
    let parameters = Parameter::of_model(model.config());
    let bytes = |parameter: &Parameter| {
        let (rows, columns) = parameter.shape(model.config(), 0);
        let numbers = (rows * columns) as u64;
        match parameter {
            Parameter::Weight(..) => numbers.div_ceil(2) + 4 * numbers.div_ceil(64),
            _ => 4 * numbers,
        }
    };
    let stored: u64 = parameters.iter().map(bytes).sum();
    let peak = backend.peak_memory().expect("a device that counts");
    // The rotation's frequencies lie there too.
    let most = stored + STEP * (PARTS * parameters.len() as u64 + 1);
    assert!((stored..=most).contains(&peak), "{peak} bytes for {stored} stored, {most} at most");
}
