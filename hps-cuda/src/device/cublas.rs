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
    /// Of the factors.
    pub pitches: [usize; 2],
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

/// What cuBLASLt answered: the descriptors and the algorithm.
struct Plan {
    product: sys::cublasLtMatmulDesc_t,
    a: sys::cublasLtMatrixLayout_t,
    b: sys::cublasLtMatrixLayout_t,
    out: sys::cublasLtMatrixLayout_t,
    algorithm: sys::cublasLtMatmulAlgo_t,
}

/// cuBLASLt, and its answers.
pub(crate) struct Products {
    handle: sys::cublasLtHandle_t,
    plans: HashMap<Question, Plan>,
}

// SAFETY: the handle and the descriptors belong to no thread; the device's lock lets one at a time use them.
unsafe impl Send for Products {}

impl Products {
    pub fn new() -> Result<Products> {
        let handle = result::create_handle().map_err(|error| {
            // SAFETY: the library is there.
            let version = unsafe { sys::cublasLtGetVersion() };
            match newer_than_driver("cuBLAS", (version / 10_000) as i32) {
                Some(advice) => Error::new(ErrorKind::Missing, format!("starting cuBLAS: {:?}: {advice}", error.0)),
                None => refused("starting cuBLAS", error),
            }
        })?;
        Ok(Products { handle, plans: HashMap::new() })
    }

    /// Queues `out = scale · a b`, or `onto + scale · a b` if the question has an `onto`.
    ///
    /// Whoever calls this has arrays of the question's shapes at these places, and the stream's context on this thread.
    pub fn multiply(&mut self, question: Question, scale: f32, places: Places, stream: &CudaStream) -> Result<()> {
        let beta = if question.onto { 1.0f32 } else { 0.0 };
        let handle = self.handle;
        let plan = self.plan(question)?;
        // SAFETY: the plan's layouts are those of the caller's arrays; the factors of the sum are read at once.
        unsafe {
            result::matmul(
                handle,
                plan.product,
                (&raw const scale).cast(),
                (&raw const beta).cast(),
                places.b as *const c_void,
                plan.b,
                places.a as *const c_void,
                plan.a,
                places.onto as *const c_void,
                plan.out,
                places.out as *mut c_void,
                plan.out,
                &raw const plan.algorithm,
                places.workspace as *mut c_void,
                WORKSPACE,
                stream.cu_stream().cast(),
            )
        }
        .map_err(|error| refused("a product", error))
    }

    fn plan(&mut self, question: Question) -> Result<&Plan> {
        if !self.plans.contains_key(&question) {
            let plan = Plan::new(self.handle, &question).map_err(|error| {
                let Question { shape, transposed, formats, .. } = question;
                refused(&format!("a product of {shape:?}, transposed {transposed:?}, {formats:?}"), error)
            })?;
            self.plans.insert(question, plan);
        }
        self.plans.get(&question).ok_or_else(|| Error::new(ErrorKind::Device, "a product's plan is lost"))
    }
}

impl Drop for Products {
    fn drop(&mut self) {
        // SAFETY: the handle is this one's own. A failure to end has no one to be told to.
        let _ = unsafe { result::destroy_handle(self.handle) };
    }
}

impl Plan {
    fn new(handle: sys::cublasLtHandle_t, question: &Question) -> std::result::Result<Plan, CublasError> {
        use sys::cublasLtMatmulDescAttributes_t::{CUBLASLT_MATMUL_DESC_TRANSA, CUBLASLT_MATMUL_DESC_TRANSB};
        use sys::cublasLtMatmulPreferenceAttributes_t as Preference;
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
        let (a, b, out) = (
            layout(of_factors, stored(a, rows, depth), pitches[0])?,
            layout(of_factors, stored(b, depth, columns), pitches[1])?,
            layout(of_out, (rows, columns), columns)?,
        );
        let preference = result::create_matmul_pref()?;
        let [of_a, of_b, of_onto, of_out] = question.alignments;
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
            let found = result::get_matmul_algo_heuristic(handle, product, b, a, out, out, preference);
            result::destroy_matmul_pref(preference)?;
            found?
        };
        Ok(Plan { product, a, b, out, algorithm: found.algo })
    }
}

static WORKSPACE_SIZE: u64 = WORKSPACE as u64;

/// How sums over parts of the depth may be added up: in f32, the type they are computed in. By default they may also be
/// rounded to the output's type first, which in bfloat16 loses what the parts cancel to.
static REDUCTIONS: u32 = sys::cublasLtReductionScheme_t::CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE as u32;

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: they are this plan's own. A failure to end has no one to be told to.
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

fn refused(what: &str, error: CublasError) -> Error {
    Error::new(ErrorKind::Device, format!("cuBLAS: {what}: {:?}", error.0))
}
