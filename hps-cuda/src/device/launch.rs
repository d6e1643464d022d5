//! What a kernel is launched with, and its launch.

use crate::device::Device;
use crate::device::array::{Array, Format, Indices, Weight};
use crate::device::kernel::Kernel;
use crate::device::memory::Storage;
use crate::error::{Result, While};
use cudarc::driver::{CudaFunction, LaunchConfig, PushKernelArg};

/// Blocks, threads of each, and the bytes of shared memory that are asked for besides those the kernel declares.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Grid {
    pub blocks: [u32; 3],
    pub threads: u32,
    pub shared: u32,
}

impl Grid {
    /// A block for every item of `blocks`, along the dimension that may be long.
    pub fn blocks(blocks: usize, threads: u32) -> Grid {
        Grid { blocks: [narrow(blocks), 1, 1], threads, shared: 0 }
    }

    /// A thread for every number of `numbers`.
    pub fn threads(numbers: usize, threads: u32) -> Grid {
        Grid::blocks(numbers.div_ceil(threads as usize), threads)
    }

    /// So many bytes of dynamic shared memory.
    pub fn with_shared(self, bytes: usize) -> Grid {
        Grid { shared: narrow(bytes), ..self }
    }
}

/// Threads of a block along a row at most.
const ALONG: usize = 256;

/// Blocks along y at most; beyond, each walks on.
const PARTS: usize = 65_535;

/// Blocks along x for the rows, along y for the parts of a row of `items`, as threads count them.
pub(crate) fn tiles(rows: usize, items: usize) -> Grid {
    let threads = items.next_multiple_of(32).clamp(32, ALONG);
    let parts = items.div_ceil(threads).min(PARTS);
    Grid { blocks: [narrow(rows), parts as u32, 1], threads: narrow(threads), shared: 0 }
}

/// What a thread of a kernel along rows takes at once: 16 bytes where all rows are multiples of that, else a number.
pub(crate) fn vectors(columns: usize, format: Format) -> usize {
    let width = 16 / format.size();
    if columns.is_multiple_of(width) { columns / width } else { columns }
}

/// What several pieces of work of one launch differ by: a kernel's first parameter, a struct of the kernel's own.
#[derive(Debug)]
pub(crate) struct Table {
    words: [u64; Table::WORDS],
    used: usize,
}

impl Table {
    /// Words that there is room for; the driver reads as many as the kernel declares.
    pub const WORDS: usize = 72;

    /// The next pointer of the struct.
    pub fn address(&mut self, address: u64) {
        debug_assert!(self.used < Table::WORDS);
        if let Some(word) = self.words.get_mut(self.used) {
            *word = address;
        }
        self.used += 1;
    }

    /// The next two numbers of 32 bits.
    pub fn words(&mut self, first: u32, second: u32) {
        self.address(u64::from(first) | u64::from(second) << 32);
    }

    pub fn all(&self) -> &[u64; Table::WORDS] {
        &self.words
    }
}

impl Default for Table {
    fn default() -> Table {
        Table { words: [0; Table::WORDS], used: 0 }
    }
}

/// A parameter of a kernel, in the type the kernel declares.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Argument {
    /// A pointer.
    Address(u64),
    /// `u32`.
    Word(u32),
    /// `u64`.
    Long(u64),
    /// `float`.
    Single(f32),
}

/// A count as kernels have it. Every array's rows and columns fit, see [`Array`]; what does not, the launch refuses.
pub(crate) fn narrow(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

impl From<&Array> for Argument {
    fn from(array: &Array) -> Argument {
        Argument::Address(array.address())
    }
}

impl From<&Indices> for Argument {
    fn from(indices: &Indices) -> Argument {
        Argument::Address(indices.address())
    }
}

impl From<&Weight> for Argument {
    fn from(weight: &Weight) -> Argument {
        Argument::Address(weight.address())
    }
}

impl From<&Storage> for Argument {
    fn from(storage: &Storage) -> Argument {
        Argument::Address(storage.address())
    }
}

impl From<u32> for Argument {
    fn from(word: u32) -> Argument {
        Argument::Word(word)
    }
}

/// A count, as a `u32`.
impl From<usize> for Argument {
    fn from(count: usize) -> Argument {
        Argument::Word(narrow(count))
    }
}

impl From<u64> for Argument {
    fn from(long: u64) -> Argument {
        Argument::Long(long)
    }
}

impl From<f32> for Argument {
    fn from(single: f32) -> Argument {
        Argument::Single(single)
    }
}

impl Device {
    /// Queues a kernel, compiled with `defines`. An empty grid is no launch.
    ///
    /// `arguments` are the kernel's parameters in its order and its types; what they point to is large enough for what
    /// the kernel does with the sizes beside them: whoever calls this has checked the shapes.
    pub(crate) fn launch(
        &self,
        kernel: Kernel,
        defines: &[(&'static str, u32)],
        grid: Grid,
        arguments: &[Argument],
    ) -> Result<()> {
        self.launch_with(kernel, defines, grid, None, arguments)
    }

    /// [`Device::launch`] of a kernel whose first parameter is a struct.
    pub(crate) fn launch_table(
        &self,
        kernel: Kernel,
        defines: &[(&'static str, u32)],
        grid: Grid,
        table: &Table,
        arguments: &[Argument],
    ) -> Result<()> {
        self.launch_with(kernel, defines, grid, Some(table), arguments)
    }

    fn launch_with(
        &self,
        kernel: Kernel,
        defines: &[(&'static str, u32)],
        grid: Grid,
        table: Option<&Table>,
        arguments: &[Argument],
    ) -> Result<()> {
        if grid.blocks.contains(&0) {
            return Ok(());
        }
        debug_assert!(
            kernel.source.variants.contains(&defines),
            "{}: {defines:?} is not among its variants",
            kernel.source.name
        );
        let function = self.function(kernel, defines)?;
        let _turn = self.turn();
        let mut builder = self.stream().launch_builder(&function);
        if let Some(table) = table {
            builder.arg(table.all());
        }
        for argument in arguments {
            match argument {
                Argument::Address(number) | Argument::Long(number) => builder.arg(number),
                Argument::Word(word) => builder.arg(word),
                Argument::Single(single) => builder.arg(single),
            };
        }
        let [x, y, z] = grid.blocks;
        let config =
            LaunchConfig { grid_dim: (x, y, z), block_dim: (grid.threads, 1, 1), shared_mem_bytes: grid.shared };
        // SAFETY: the arguments are the kernel's, over arrays of checked shapes; the conformance tests run every kernel
        // under bounds checks.
        unsafe { builder.launch(config) }.during(kernel.entry).map(drop)
    }

    /// A compiled kernel.
    pub(crate) fn function(&self, kernel: Kernel, defines: &[(&'static str, u32)]) -> Result<CudaFunction> {
        self.inner.kernels.get(kernel, defines)
    }
}
