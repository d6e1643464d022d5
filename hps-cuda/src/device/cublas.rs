//! cuBLASLt, NVIDIA's library of matrix products, and what it proposes for a shape: asked once and kept.
//!
//! It thinks in columns: a row-major `[rows, columns]` is to it a `columns × rows` matrix, so it is asked for `outᵀ = bᵀ aᵀ`.

use crate::device::array::Format;
use crate::device::library::newer_than_driver;
use crate::error::{Error, ErrorKind, Result};
use cudarc::cublaslt::result::{self, CublasError};
use cudarc::cublaslt::sys;
use cudarc::driver::CudaStream;
use std::collections::HashMap;
use std::ffi::c_void;

/// Bytes that a product may use beside its arrays; what NVIDIA recommends for Hopper.
pub(crate) const WORKSPACE: usize = 32 << 20;

/// A shape that cuBLASLt was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    /// Rows, columns and depth.
    pub shape: [usize; 3],
    pub transposed: [bool; 2],
    /// Numbers from one row to the next, of `a`, of `b`, and of `onto` and `out`.
    pub pitches: [usize; 3],
    /// Of the factors and of `out`.
    pub formats: [Format; 2],
    /// The largest powers of two that the addresses of `a`, `b`, `onto` and `out` are multiples of, up to 256.
    pub alignments: [u32; 4],
    pub onto: bool,
}

/// Where a product reads and writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places {
    pub a: u64,
    pub b: u64,
    /// `out` itself where nothing is added.
    pub onto: u64,
    pub out: u64,
    /// [`WORKSPACE`] bytes.
    pub workspace: u64,
}

/// What a product is, as cuBLASLt has it.
struct Description {
    product: sys::cublasLtMatmulDesc_t,
    a: sys::cublasLtMatrixLayout_t,
    b: sys::cublasLtMatrixLayout_t,
    out: sys::cublasLtMatrixLayout_t,
}

/// Of the library that was loaded, as 10 000 · major + 100 · minor + patch.
///
/// Whoever calls this has seen that the library is there.
pub(crate) fn version() -> usize {
    // SAFETY: the library is there, and the call only reads a constant of it.
    unsafe { sys::cublasLtGetVersion() }
}

/// cuBLASLt, and its answers.
///
/// It is asked once for shapes that are about as long, for the longest of them: what a shape is computed by depends on
/// nothing that was computed before, and batches of any length leave few answers.
pub(crate) struct Products {
    handle: sys::cublasLtHandle_t,
    algorithms: HashMap<Question, sys::cublasLtMatmulAlgo_t>,
}

// SAFETY: the handle and the descriptors belong to no thread; the device's lock lets one at a time use them.
unsafe impl Send for Products {}

impl Products {
    pub fn new() -> Result<Products> {
        let handle = result::create_handle().map_err(|error| {
            match newer_than_driver("cuBLAS", (version() / 10_000) as i32) {
                Some(advice) => Error::new(ErrorKind::Missing, format!("starting cuBLAS: {:?}: {advice}", error.0)),
                None => refused("starting cuBLAS", error),
            }
        })?;
        Ok(Products { handle, algorithms: HashMap::new() })
    }

    /// Queues `out = scale · a b`, or `onto + scale · a b` if the question has an `onto`.
    ///
    /// Whoever calls this has arrays of the question's shapes at these places, and the stream's context on this thread.
    pub fn multiply(&mut self, question: Question, scale: f32, places: Places, stream: &CudaStream) -> Result<()> {
        let description = Description::new(&question).map_err(|error| unanswered(&question, error))?;
        let algorithm = self.algorithm(question.longest())?;
        let run = |algorithm| description.run(self.handle, question.onto, scale, places, &algorithm, stream);
        run(algorithm)
            .or_else(|_| {
                // What is right for the longest may not be for this one.
                run(description.algorithm(self.handle, question.alignments)?)
            })
            .map_err(|error| refused("a product", error))
    }

    fn algorithm(&mut self, question: Question) -> Result<sys::cublasLtMatmulAlgo_t> {
        if let Some(known) = self.algorithms.get(&question) {
            return Ok(*known);
        }
        let asked = Description::new(&question).and_then(|of| of.algorithm(self.handle, question.alignments));
        let algorithm = asked.map_err(|error| unanswered(&question, error))?;
        self.algorithms.insert(question, algorithm);
        Ok(algorithm)
    }
}

impl Question {
    /// That of the longest batch for which the answer is the same: rows of a batch, which come in any number, are rounded up
    /// to an eighth of a power of two. They are the depth where a weight's gradient is computed.
    fn longest(self) -> Question {
        let class = |rows: usize| match rows {
            0..=16 => rows,
            _ => rows.next_multiple_of((rows.next_power_of_two() / 8).max(8)),
        };
        let [rows, columns, depth] = self.shape;
        let shape = if self.transposed[0] { [rows, columns, class(depth)] } else { [class(rows), columns, depth] };
        Question { shape, ..self }
    }
}

impl Drop for Products {
    fn drop(&mut self) {
        // SAFETY: the handle is this one's own. A failure to end has no one to be told to.
        let _ = unsafe { result::destroy_handle(self.handle) };
    }
}

impl Description {
    fn new(question: &Question) -> std::result::Result<Description, CublasError> {
        use sys::cublasLtMatmulDescAttributes_t::{CUBLASLT_MATMUL_DESC_TRANSA, CUBLASLT_MATMUL_DESC_TRANSB};
        let Question { shape: [rows, columns, depth], transposed: [a, b], pitches, formats, .. } = *question;
        let [of_factors, of_out] = formats;
        let product = result::create_matmul_desc(sys::cublasComputeType_t::CUBLAS_COMPUTE_32F, kind(Format::F32))?;
        // To cuBLASLt `b` comes first.
        for (attribute, transposed) in [(CUBLASLT_MATMUL_DESC_TRANSA, b), (CUBLASLT_MATMUL_DESC_TRANSB, a)] {
            let operation = i32::from(transposed);
            // SAFETY: the attribute is an i32, read at once: 0 as it is, 1 transposed.
            unsafe { result::set_matmul_desc_attribute(product, attribute, (&raw const operation).cast(), 4)? };
        }
        let layout = |format, (rows, columns): (usize, usize), pitch: usize| {
            result::create_matrix_layout(kind(format), columns as u64, rows as u64, pitch as i64)
        };
        let stored = |transposed, rows, columns| if transposed { (columns, rows) } else { (rows, columns) };
        let a = layout(of_factors, stored(a, rows, depth), pitches[0])?;
        let b = layout(of_factors, stored(b, depth, columns), pitches[1])?;
        Ok(Description { product, a, b, out: layout(of_out, (rows, columns), pitches[2])? })
    }

    /// What cuBLASLt proposes for it.
    fn algorithm(
        &self,
        handle: sys::cublasLtHandle_t,
        alignments: [u32; 4],
    ) -> std::result::Result<sys::cublasLtMatmulAlgo_t, CublasError> {
        use sys::cublasLtMatmulPreferenceAttributes_t as Preference;
        let preference = result::create_matmul_pref()?;
        let [of_a, of_b, of_onto, of_out] = alignments;
        let alignments = [
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, of_b),
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, of_a),
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, of_onto),
            (Preference::CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, of_out),
        ];
        let workspace = Preference::CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES;
        let reductions = Preference::CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK;
        // SAFETY: the attributes are a u64 and u32s, read at once; all objects are alive until the end of this block.
        let found = unsafe {
            result::set_matmul_pref_attribute(preference, workspace, (&raw const WORKSPACE_SIZE).cast(), 8)?;
            result::set_matmul_pref_attribute(preference, reductions, (&raw const REDUCTIONS).cast(), 4)?;
            for (attribute, alignment) in alignments {
                result::set_matmul_pref_attribute(preference, attribute, (&raw const alignment).cast(), 4)?;
            }
            let Description { product, a, b, out } = *self;
            let found = result::get_matmul_algo_heuristic(handle, product, b, a, out, out, preference);
            result::destroy_matmul_pref(preference)?;
            found?
        };
        Ok(found.algo)
    }

    fn run(
        &self,
        handle: sys::cublasLtHandle_t,
        onto: bool,
        scale: f32,
        places: Places,
        algorithm: &sys::cublasLtMatmulAlgo_t,
        stream: &CudaStream,
    ) -> std::result::Result<(), CublasError> {
        let beta = if onto { 1.0f32 } else { 0.0 };
        // SAFETY: the layouts are those of the caller's arrays; the factors of the sum are read at once.
        unsafe {
            result::matmul(
                handle,
                self.product,
                (&raw const scale).cast(),
                (&raw const beta).cast(),
                places.b as *const c_void,
                self.b,
                places.a as *const c_void,
                self.a,
                places.onto as *const c_void,
                self.out,
                places.out as *mut c_void,
                self.out,
                algorithm,
                places.workspace as *mut c_void,
                WORKSPACE,
                stream.cu_stream().cast(),
            )
        }
    }
}

static WORKSPACE_SIZE: u64 = WORKSPACE as u64;

/// How sums over parts of the depth may be added up: in f32, the type they are computed in. By default they may also be
/// rounded to the output's type first, which in bfloat16 loses what the parts cancel to.
static REDUCTIONS: u32 = sys::cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE as u32;

impl Drop for Description {
    fn drop(&mut self) {
        // SAFETY: they are this one's own. A failure to end has no one to be told to.
        unsafe {
            let _ = result::destroy_matmul_desc(self.product);
            for layout in [self.a, self.b, self.out] {
                let _ = result::destroy_matrix_layout(layout);
            }
        }
    }
}

fn kind(format: Format) -> sys::cudaDataType {
    match format {
        Format::F32 => sys::cudaDataType_t::CUDA_R_32F,
        Format::BF16 => sys::cudaDataType_t::CUDA_R_16BF,
    }
}

fn unanswered(question: &Question, error: CublasError) -> Error {
    let Question { shape, transposed, formats, .. } = question;
    refused(&format!("a product of {shape:?}, transposed {transposed:?}, {formats:?}"), error)
}

fn refused(what: &str, error: CublasError) -> Error {
    Error::new(ErrorKind::Device, format!("cuBLAS: {what}: {:?}", error.0))
}
