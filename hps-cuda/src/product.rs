//! Matrix products by cuBLASLt: `x Wᵀ`, `dy W` and `dyᵀ x`, summed in f32.
//!
//! cuBLASLt thinks in columns: a row-major `[rows, columns]` is to it a `columns × rows` matrix, so it is asked for
//! `outᵀ = bᵀ aᵀ`. What it proposes for a shape is asked once and kept.

use crate::array::{Array, Format, Weight};
use crate::device::Device;
use crate::error::{Error, ErrorKind, Result, agree};
use cudarc::cublaslt::result::{self, CublasError};
use cudarc::cublaslt::sys;
use std::collections::HashMap;
use std::ffi::c_void;
use std::ops::Range;

/// Bytes that a product may use beside its arrays; what NVIDIA recommends for Hopper.
const WORKSPACE: usize = 32 << 20;

/// A factor: rows in memory, seen as they are or transposed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Factor {
    address: u64,
    /// Rows and columns in memory.
    rows: usize,
    columns: usize,
    /// Numbers from one row to the next.
    pitch: usize,
    format: Format,
    transposed: bool,
}

impl Factor {
    pub fn array(array: &Array) -> Factor {
        Factor::rows(array, 0, array.rows())
    }

    /// `rows` rows of an array from `first` on.
    pub fn rows(array: &Array, first: usize, rows: usize) -> Factor {
        let (columns, format) = (array.columns(), array.format());
        Factor { address: array.row(first), rows, columns, pitch: columns, format, transposed: false }
    }

    /// Of its rows as they lie in memory, the numbers of these columns.
    pub fn columns(self, columns: &Range<usize>) -> Factor {
        let address = self.address + (columns.start * self.format.size()) as u64;
        Factor { address, columns: columns.len(), ..self }
    }

    pub fn transposed(self) -> Factor {
        Factor { transposed: !self.transposed, ..self }
    }

    /// Rows and columns as it is seen.
    fn shape(&self) -> (usize, usize) {
        if self.transposed { (self.columns, self.rows) } else { (self.rows, self.columns) }
    }
}

/// A shape that cuBLASLt was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Question {
    /// Rows, columns and depth.
    shape: [usize; 3],
    transposed: [bool; 2],
    /// Of the factors.
    pitches: [usize; 2],
    formats: [Format; 2],
    /// The largest powers of two that the addresses of `a`, `b`, `onto` and `out` are multiples of, up to 256.
    alignments: [u32; 4],
    onto: bool,
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
        let handle = result::create_handle().map_err(|error| refused("starting cuBLAS", error))?;
        Ok(Products { handle, plans: HashMap::new() })
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
        // SAFETY: the attributes are a u64 and u32s, read at once; all objects are alive until the end of this block.
        let found = unsafe {
            result::set_matmul_pref_attribute(preference, workspace, (&raw const WORKSPACE_SIZE).cast(), 8)?;
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

impl Device {
    /// `y = x Wᵀ`: `[rows, in]` to `[rows, out]`, in the type of `x`.
    ///
    /// # Errors
    /// Shapes do not fit, or the device failed.
    pub fn linear(&self, x: &Array, weight: &Weight) -> Result<Array> {
        self.product("linear", Side::Out, x, weight, None)
    }

    /// `onto + x Wᵀ`.
    ///
    /// # Errors
    /// As [`Device::linear`].
    pub fn linear_onto(&self, x: &Array, weight: &Weight, onto: &Array) -> Result<Array> {
        self.product("linear_onto", Side::Out, x, weight, Some(onto))
    }

    /// `dx = dy W`: `[rows, out]` to `[rows, in]`, in the type of `dy`.
    ///
    /// # Errors
    /// As [`Device::linear`].
    pub fn linear_backward(&self, dy: &Array, weight: &Weight) -> Result<Array> {
        self.product("linear_backward", Side::In, dy, weight, None)
    }

    /// `onto + dy W`.
    ///
    /// # Errors
    /// As [`Device::linear`].
    pub fn linear_backward_onto(&self, dy: &Array, weight: &Weight, onto: &Array) -> Result<Array> {
        self.product("linear_backward_onto", Side::In, dy, weight, Some(onto))
    }

    /// `dW = dyᵀ x`: `[out, in]`, in f32.
    ///
    /// # Errors
    /// As [`Device::linear`].
    pub fn weight_gradient(&self, dy: &Array, x: &Array) -> Result<Array> {
        agree("weight_gradient", "the number of rows of `dy`", x.rows(), dy.rows())?;
        let format = both(dy.format(), x.format());
        let (dy, x) = (self.as_format(dy, format)?, self.as_format(x, format)?);
        let out = Array::undefined(self, dy.columns(), x.columns(), Format::F32)?;
        self.multiply(Factor::array(&dy).transposed(), Factor::array(&x), &out, 0, 1.0, None)?;
        Ok(out)
    }

    /// `x Wᵀ` or `x W`, onto another array or nothing.
    fn product(&self, name: &str, side: Side, x: &Array, weight: &Weight, onto: Option<&Array>) -> Result<Array> {
        let (depth, columns) = match side {
            Side::Out => (weight.columns(), weight.rows()),
            Side::In => (weight.rows(), weight.columns()),
        };
        agree(name, "the number of columns", depth, x.columns())?;
        if let Some(onto) = onto {
            agree(name, "the number of rows of `onto`", x.rows(), onto.rows())?;
            agree(name, "the number of columns of `onto`", columns, onto.columns())?;
        }
        let format = both(x.format(), weight.format());
        let (wide, weight) = (self.as_format(x, format)?, self.as_format(weight.array(), format)?);
        let onto = onto.map(|onto| self.as_format(onto, format)).transpose()?;
        let out = Array::undefined(self, x.rows(), columns, format)?;
        let factor = match side {
            Side::Out => Factor::array(&weight).transposed(),
            Side::In => Factor::array(&weight),
        };
        self.multiply(Factor::array(&wide), factor, &out, 0, 1.0, onto.as_deref().map(|onto| (onto, 0)))?;
        if out.format() == x.format() { Ok(out) } else { self.convert(&out, x.format()) }
    }

    /// The rows of `out` from `first` on are `scale · a b`, onto as many rows of another array or nothing.
    ///
    /// Factors are of one type; `onto`, if given, is of the type of `out` and may be `out` itself.
    pub(crate) fn multiply(
        &self,
        a: Factor,
        b: Factor,
        out: &Array,
        first: usize,
        scale: f32,
        onto: Option<(&Array, usize)>,
    ) -> Result<()> {
        let ((rows, depth), (of_b, columns)) = (a.shape(), b.shape());
        agree("product", "the depth of the second factor", depth, of_b)?;
        agree("product", "the number of columns", out.columns(), columns)?;
        if rows == 0 || columns == 0 {
            return Ok(());
        }
        let to = out.row(first);
        let from = onto.map_or(to, |(onto, first)| onto.row(first));
        if depth == 0 {
            let bytes = rows * columns * out.format().size();
            if onto.is_none() {
                let zeros = self.zeros(rows, columns, out.format())?;
                return self.copy(zeros.address(), to, bytes);
            }
            return if from == to { Ok(()) } else { self.copy(from, to, bytes) };
        }
        let question = Question {
            shape: [rows, columns, depth],
            transposed: [a.transposed, b.transposed],
            pitches: [a.pitch, b.pitch],
            formats: [a.format, out.format()],
            alignments: [a.address, b.address, from, to].map(|address| 1 << address.trailing_zeros().min(8)),
            onto: onto.is_some(),
        };
        let _turn = self.turn();
        let workspace = self.storage(WORKSPACE)?;
        let (one, beta) = (scale, if question.onto { 1.0f32 } else { 0.0 });
        self.bind()?;
        let mut products = self.products();
        let handle = products.handle;
        let plan = products.plan(question)?;
        // SAFETY: the plan's layouts are those of these arrays, whose sizes were compared above; the factors of the sum
        // are read at once.
        unsafe {
            result::matmul(
                handle,
                plan.product,
                (&raw const one).cast(),
                (&raw const beta).cast(),
                b.address as *const c_void,
                plan.b,
                a.address as *const c_void,
                plan.a,
                from as *const c_void,
                plan.out,
                to as *mut c_void,
                plan.out,
                &raw const plan.algorithm,
                workspace.address() as *mut c_void,
                WORKSPACE,
                self.stream().cu_stream().cast(),
            )
        }
        .map_err(|error| refused("a product", error))
    }
}

/// Which of a weight's dimensions a product leads to.
#[derive(Clone, Copy)]
enum Side {
    Out,
    In,
}

/// The type in which numbers of both keep their values.
pub(crate) fn both(a: Format, b: Format) -> Format {
    if a == b { a } else { Format::F32 }
}
