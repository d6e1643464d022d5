//! `cublasLtMatmul`, and whether it can.

use super::handle::{Description, Layout, Preference, R_16BF, R_32F, REDUCED_AS_OUTPUT, shape};
use super::matrix::Matrix;
use super::product::product;
use super::{EXECUTION_FAILED, INVALID_VALUE, NOT_INITIALIZED, NOT_SUPPORTED, give};
use crate::driver::queue::{Stream, submit};
use crate::memory::range;
use crate::run::counters::note_other;
use crate::status::{SUCCESS, Status};
use std::ffi::{c_int, c_void};

/// What the heuristic answers with, as the header lays it out.
#[derive(Debug)]
#[repr(C)]
pub struct Proposal {
    algorithm: Algorithm,
    workspace: usize,
    status: Status,
    waves: f32,
    reserved: [c_int; 4],
}

/// What the heuristic chose, as a caller keeps it: the sums, the bytes beside the operands that it needs, and what the
/// operands' addresses have to be multiples of.
#[derive(Debug, Clone, Copy)]
#[repr(C)]
pub struct Algorithm {
    sums: u64,
    workspace: u64,
    alignments: [u32; 4],
    rest: [u64; 4],
}

/// The depth in as many sums as the shape asks for, or in two that are rounded to the type of `D`.
const WHOLE: u64 = 1;
const HALVED: u64 = 2;

/// What the library asks of a workspace's address.
const WORKSPACE_ALIGNMENT: u64 = 256;

/// The depth from which on the heuristic proposes two sums.
const DEEP: usize = 4096;

/// Whether the product is one that is computed here: the status otherwise.
fn check(description: &Description, [a, b, c, d]: [&Layout; 4]) -> Result<(), Status> {
    let [by_a, by_b] = description.transposed;
    let ((rows, depth), (of_b, columns)) = (shape(a, by_a), shape(b, by_b));
    let fits = depth == of_b && shape(c, false) == (rows, columns) && shape(d, false) == (rows, columns);
    let leading = [a, b, c, d].iter().all(|layout| layout.leading >= layout.rows as i64);
    if !fits || !leading || rows == 0 || columns == 0 {
        return Err(INVALID_VALUE);
    }
    let known = |layout: &Layout| matches!(layout.kind, R_32F | R_16BF) && layout.order == 0 && layout.batch == 1;
    let kinds = a.kind == b.kind && c.kind == d.kind && [a, b, c, d].into_iter().all(known);
    // Factors in f32 have their product in f32.
    if !kinds || a.kind == R_32F && d.kind != R_32F { Err(NOT_SUPPORTED) } else { Ok(()) }
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatmulAlgoGetHeuristic(
    handle: *mut u8,
    description: *const Description,
    a: *const Layout,
    b: *const Layout,
    c: *const Layout,
    d: *const Layout,
    preference: *const Preference,
    wanted: c_int,
    proposals: *mut Proposal,
    count: *mut c_int,
) -> Status {
    if handle.is_null() {
        return NOT_INITIALIZED;
    }
    if description.is_null() || [a, b, c, d].iter().any(|layout| layout.is_null()) || wanted < 1 {
        return INVALID_VALUE;
    }
    note_other("cublasLtMatmulAlgoGetHeuristic", 0);
    // SAFETY: the handles are live ones.
    let status = unsafe { check(&*description, [&*a, &*b, &*c, &*d]) };
    if let Err(status) = status {
        give!(count, 0);
        return status;
    }
    // SAFETY: as above; a preference may be missing.
    let (depth, of_d, preference) = unsafe {
        let [by_a, _] = (*description).transposed;
        (shape(&*a, by_a).1, (*d).kind, preference.as_ref().copied().unwrap_or_default())
    };
    let Preference { reductions, workspace, alignments } = preference;
    // As the library does with long sums of few blocks, if it may: in two halves, added up in the type of `D`.
    let halved = depth >= DEEP && of_d == R_16BF && reductions & REDUCED_AS_OUTPUT != 0;
    // It takes all that it may.
    let algorithm = Algorithm { sums: if halved { HALVED } else { WHOLE }, workspace, alignments, rest: [0; 4] };
    let workspace = workspace as usize;
    give!(proposals, Proposal { algorithm, workspace, status: SUCCESS, waves: 1.0, reserved: [0; 4] });
    give!(count, 1);
    SUCCESS
}

/// Whether an algorithm can compute with these operands and so many bytes beside; what is wrong is printed.
fn suits(algorithm: &Algorithm, matrices: &[Matrix; 4], workspace: u64, room: u64) -> bool {
    if algorithm.workspace > room {
        eprintln!(
            "emulator: cublasLtMatmul: the algorithm needs a workspace of {} bytes, and has {room}",
            algorithm.workspace
        );
        return false;
    }
    if room > 0 && (workspace == 0 || !workspace.is_multiple_of(WORKSPACE_ALIGNMENT)) {
        eprintln!("emulator: cublasLtMatmul: the workspace at {workspace:#x} is no multiple of {WORKSPACE_ALIGNMENT}");
        return false;
    }
    for ((what, matrix), alignment) in ["A", "B", "C", "D"].iter().zip(matrices).zip(algorithm.alignments) {
        let address = matrix.address;
        if !address.is_multiple_of(u64::from(alignment)) {
            eprintln!(
                "emulator: cublasLtMatmul: {what} at {address:#x}, and the algorithm was asked for multiples of {alignment}"
            );
            return false;
        }
        if address < workspace + room && workspace < matrix.end() {
            eprintln!("emulator: cublasLtMatmul: {what} at {address:#x} lies in the workspace at {workspace:#x}");
            return false;
        }
    }
    true
}

#[unsafe(no_mangle)]
pub unsafe extern "C" fn cublasLtMatmul(
    handle: *mut u8,
    description: *const Description,
    alpha: *const f32,
    a: u64,
    a_layout: *const Layout,
    b: u64,
    b_layout: *const Layout,
    beta: *const f32,
    c: u64,
    c_layout: *const Layout,
    d: u64,
    d_layout: *const Layout,
    algorithm: *const Algorithm,
    workspace: *mut c_void,
    room: usize,
    stream: Stream,
) -> Status {
    if handle.is_null() {
        return NOT_INITIALIZED;
    }
    let layouts = [a_layout, b_layout, c_layout, d_layout];
    if description.is_null() || alpha.is_null() || beta.is_null() || layouts.iter().any(|layout| layout.is_null()) {
        return INVALID_VALUE;
    }
    // SAFETY: the handles are live ones, and the factors are the host's numbers.
    let (description, layouts, factors) = unsafe { (*description, layouts.map(|layout| *layout), [*alpha, *beta]) };
    let [of_a, of_b, of_c, of_d] = &layouts;
    if let Err(status) = check(&description, [of_a, of_b, of_c, of_d]) {
        return status;
    }
    #[cfg(target_arch = "x86_64")]
    if !std::is_x86_feature_detected!("avx2") || !std::is_x86_feature_detected!("fma") {
        return NOT_SUPPORTED;
    }
    // SAFETY: an algorithm is one that the heuristic gave, or none.
    let given = unsafe { algorithm.as_ref() }.copied();
    // Without one it is the library that chooses, with what it has.
    let algorithm = given.unwrap_or(Algorithm { sums: WHOLE, workspace: 0, alignments: [1; 4], rest: [0; 4] });
    let (workspace, room, addresses) = (workspace as u64, room as u64, [a, b, c, d]);
    let matrices: [Matrix; 4] = std::array::from_fn(|at| Matrix { address: addresses[at], layout: layouts[at] });
    if !suits(&algorithm, &matrices, workspace, room) {
        return INVALID_VALUE;
    }
    let halved = algorithm.sums == HALVED;
    let work = move || {
        spoil(workspace, room)?;
        product(description, factors, &matrices, halved)
    };
    match submit(stream, work) {
        SUCCESS => SUCCESS,
        _ => EXECUTION_FAILED,
    }
}

/// Whatever a caller kept in the workspace is gone: which part of it the library uses, and for what, is its own affair.
fn spoil(workspace: u64, room: u64) -> Result<(), Status> {
    if room == 0 {
        return Ok(());
    }
    let allocation = range(workspace, room).ok_or_else(|| {
        eprintln!(
            "emulator: cublasLtMatmul: the workspace at {workspace:#x}, {room} bytes: not inside a live allocation"
        );
        EXECUTION_FAILED
    })?;
    allocation.scribble(workspace, room);
    Ok(())
}
