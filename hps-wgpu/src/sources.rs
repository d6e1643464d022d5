//! All kernels there are.

use crate::device::counter;
use crate::device::kernel::{Variant, plain};
use crate::operations::{
    attention, codes, decode, dropout, elementwise, head, norm, optimizer, product, rotary, rows, sampling,
};
use crate::preference::{family, sampler};

/// A kernel as wgpu is given it: to check it where there is no adapter, or by another implementation of WGSL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shader {
    /// Its entry point and the constants that it is specialised by, as in [`Device::compiled`](crate::Device::compiled).
    pub name: String,
    /// Its entry point.
    pub entry: &'static str,
    /// WGSL.
    pub source: String,
    /// Bytes of memory that its workgroups share, where it is chosen by what an adapter has of them. Of all others these are
    /// less than the 16 KiB that every adapter has.
    pub workgroup_memory: Option<usize>,
}

/// Every kernel that a device of any limits may be asked to compile, with all constants, and for all widths of heads.
pub fn shaders() -> Vec<Shader> {
    let of = |(kernel, constants): Variant, workgroup_memory| Shader {
        name: kernel.name(&constants),
        entry: kernel.entry(),
        source: kernel.source(&constants),
        workgroup_memory,
    };
    let tiled = attention::variants().into_iter().map(|(variant, bytes)| of(variant, Some(bytes)));
    tiled.chain(variants().into_iter().map(|variant| of(variant, None))).collect()
}

fn variants() -> Vec<Variant> {
    let plain = [
        counter::COUNT,
        dropout::DROPOUT,
        elementwise::ADD_SCALED,
        elementwise::SWIGLU,
        elementwise::SWIGLU_BACKWARD,
        head::SLOPE,
        head::SOFTEN,
        norm::BACKWARD,
        norm::FORWARD,
        norm::GAIN_GRADIENT,
        norm::RECIPROCAL_ROOTS,
        optimizer::ADAMW,
        optimizer::LARGEST,
        optimizer::MAGNITUDES,
        optimizer::ROOT,
        optimizer::SQUARES,
        rotary::ROTATE,
        rotary::ROTATION,
        sampling::DRAW,
    ]
    .map(plain);
    let specialised =
        [codes::variants, decode::variants, product::variants, rows::variants, family::variants, sampler::variants];
    plain.into_iter().chain(specialised.into_iter().flat_map(|variants| variants())).collect()
}
