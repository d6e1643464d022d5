//! What low-rank adapters add to layers: `y + s (x Aᵀ) Bᵀ`, and its gradients.
//!
//! With `l = x Aᵀ` and `d = s dy B`: `dA += dᵀ x`, `dB += s dyᵀ l`, `dx += d A`. The products are as narrow as the rank,
//! so they cost what reading `x` and `dy` costs. The adapters of layers that read one input go together: two launches
//! forward and four backward, however many they are, and `x` is narrowed once for all of them.

use crate::device::Device;
use crate::device::array::{Array, Format, Weight};
use crate::device::kernel::{BOTH, Source};
use crate::device::launch::{Grid, Table, narrow};
use crate::error::{Error, ErrorKind, Result, agree};
use crate::operations::elementwise::Held;

pub(crate) static SOURCE: Source = Source {
    name: "lora.cu",
    text: concat!(
        include_str!("../../kernels/mma.cuh"),
        include_str!("../../kernels/lora/entries.cuh"),
        include_str!("../../kernels/lora/narrow.cuh"),
        include_str!("../../kernels/lora/widen.cuh"),
        include_str!("../../kernels/lora/gradients.cuh"),
    ),
    variants: BOTH,
};

/// What the kernels are written for: adapters of a launch, ranks that are counted together, rows of a block that narrows.
const ADAPTERS: usize = 3;
const RANKS: usize = 8;
const ROWS: usize = 16;

/// What else they are, on tensor cores or in f32.
struct Kernels {
    /// Eights of ranks that a block narrows to at once, and its threads.
    narrow: (usize, u32),
    /// Columns and rows of a block that widens.
    widen: (usize, usize),
    /// Columns and ranks of a block that sums over rows.
    gradient: (usize, usize),
}

impl Kernels {
    fn of(format: Format) -> Kernels {
        match format {
            Format::BF16 => Kernels { narrow: (4, 256), widen: (128, 64), gradient: (64, 16) },
            Format::F32 => Kernels { narrow: (1, 128), widen: (512, 16), gradient: (128, 8) },
        }
    }
}

/// Rows that are summed before the parts are: enough for a block to be busy, and parts stay few.
const PART: usize = 256;

/// The matrices of an adapted layer and the scale of their product: `s B A`.
#[derive(Debug, Clone, Copy)]
pub struct LowRank<'a> {
    /// `A`, `[rank, in]`, in f32.
    pub a: &'a Weight,
    /// `B`, `[out, rank]`, in f32.
    pub b: &'a Weight,
    /// `s`.
    pub scale: f32,
}

/// What an adapter's gradients are made of.
#[derive(Debug, Clone, Copy)]
pub struct LowRankGradient<'a> {
    /// The adapter.
    pub low_rank: LowRank<'a>,
    /// The gradient of the layer's output: `[rows, out]`.
    pub dy: &'a Array,
    /// The adapter's input, where the gradients of `A` and `B` are wanted: `[rows, in]`.
    pub x: Option<&'a Array>,
}

/// `l` and `d` of some rows: `[rows, rank]` each, f32.
#[derive(Debug)]
pub struct Narrowed {
    low: Option<Array>,
    d_low: Array,
}

/// `scale · z mᵀ`, or `scale · z m` if it is tall: `[rows, rank]`.
struct Narrow<'a> {
    z: &'a Array,
    m: &'a Weight,
    scale: f32,
    tall: bool,
    low: Array,
}

/// What is added to `y`: `scale · low m`, or `scale · low mᵀ` if it is tall.
struct Widened<'a> {
    y: &'a Array,
    low: &'a Array,
    m: &'a Weight,
    scale: f32,
    tall: bool,
}

impl LowRank<'_> {
    fn rank(&self) -> usize {
        self.a.rows()
    }

    fn check(&self) -> Result<()> {
        agree("low rank", "the rank of `B`", self.a.rows(), self.b.columns())?;
        match (self.a.numbers("low rank")?.format(), self.b.numbers("low rank")?.format()) {
            (Format::F32, Format::F32) => Ok(()),
            formats => Err(Error::new(ErrorKind::Shape, format!("low rank: `A` and `B` are in {formats:?}, not f32"))),
        }
    }
}

impl Device {
    /// Of each adapter, `y + s (x Aᵀ) Bᵀ` in the type of `y`.
    ///
    /// * `ys`: `[rows, out]` of each adapter's layer.
    /// * `adapters`: each with its `x`, `[rows, in]`. Those that have the same array read it once.
    ///
    /// # Errors
    /// Shapes do not fit, or the device failed.
    pub fn add_low_ranks(&self, ys: Vec<Array>, adapters: &[(&Array, LowRank<'_>)]) -> Result<Vec<Array>> {
        agree("add_low_ranks", "the number of adapters", ys.len(), adapters.len())?;
        for (y, (x, low_rank)) in ys.iter().zip(adapters) {
            low_rank.check()?;
            agree("add_low_ranks", "the number of rows", y.rows(), x.rows())?;
            agree("add_low_ranks", "the number of columns of `x`", low_rank.a.columns(), x.columns())?;
            agree("add_low_ranks", "the number of columns of `y`", low_rank.b.rows(), y.columns())?;
        }
        for (ys, adapters) in ys.chunks(ADAPTERS).zip(adapters.chunks(ADAPTERS)) {
            let products =
                adapters.iter().map(|(x, of)| self.narrow(x, of.a, 1.0, false)).collect::<Result<Vec<_>>>()?;
            self.narrow_all(&products)?;
            let terms = ys.iter().zip(&products).zip(adapters);
            let terms: Vec<Widened<'_>> = terms
                .map(|((y, product), (_, of))| Widened { y, low: &product.low, m: of.b, scale: of.scale, tall: true })
                .collect();
            // Layers of one input have outputs of one type; where not, each by itself.
            for terms in terms.chunk_by(|a, b| a.y.format() == b.y.format()) {
                self.widen(terms, false)?;
            }
        }
        Ok(ys)
    }

    /// Of each adapter `d = s dy B`, and `l = x Aᵀ` if there is an `x`.
    ///
    /// # Errors
    /// As [`Device::add_low_ranks`].
    pub fn narrow_low_ranks(&self, adapters: &[LowRankGradient<'_>]) -> Result<Vec<Narrowed>> {
        for LowRankGradient { low_rank, dy, x } in adapters {
            low_rank.check()?;
            agree("narrow_low_ranks", "the number of columns of `dy`", low_rank.b.rows(), dy.columns())?;
            if let Some(x) = x {
                agree("narrow_low_ranks", "the number of rows", dy.rows(), x.rows())?;
                agree("narrow_low_ranks", "the number of columns of `x`", low_rank.a.columns(), x.columns())?;
            }
        }
        let mut narrowed = Vec::with_capacity(adapters.len());
        for adapters in adapters.chunks(ADAPTERS) {
            let mut products = Vec::with_capacity(2 * adapters.len());
            for LowRankGradient { low_rank, x, .. } in adapters {
                products.extend(x.map(|x| self.narrow(x, low_rank.a, 1.0, false)).transpose()?);
            }
            for LowRankGradient { low_rank, dy, .. } in adapters {
                products.push(self.narrow(dy, low_rank.b, low_rank.scale, true)?);
            }
            self.narrow_all(&products)?;
            let with_x = products.len() - adapters.len();
            let d_lows = products.split_off(with_x).into_iter().map(|product| product.low);
            let mut lows = products.into_iter().map(|product| product.low);
            for (adapter, d_low) in adapters.iter().zip(d_lows) {
                narrowed.push(Narrowed { low: adapter.x.and_then(|_| lows.next()), d_low });
            }
        }
        Ok(narrowed)
    }

    /// `onto + Σ d A` over the adapters, in the type of `onto`, rounded once for every three of them.
    ///
    /// # Errors
    /// As [`Device::add_low_ranks`].
    pub fn add_low_ranks_backward(&self, onto: Array, adapters: &[(&Narrowed, LowRank<'_>)]) -> Result<Array> {
        for (narrowed, low_rank) in adapters {
            agree("add_low_ranks_backward", "the number of rows", narrowed.d_low.rows(), onto.rows())?;
            agree("add_low_ranks_backward", "the number of columns", low_rank.a.columns(), onto.columns())?;
            agree("add_low_ranks_backward", "the rank", low_rank.rank(), narrowed.d_low.columns())?;
        }
        for adapters in adapters.chunks(ADAPTERS) {
            let terms: Vec<Widened<'_>> = adapters
                .iter()
                .map(|(narrowed, of)| Widened { y: &onto, low: &narrowed.d_low, m: of.a, scale: 1.0, tall: false })
                .collect();
            self.widen(&terms, true)?;
        }
        Ok(onto)
    }

    /// Adds of each adapter `s dA` and `s dB` to its two sums, f32, of the shapes of `A` and `B`.
    ///
    /// * `adapters`, `narrowed`: those of [`Device::narrow_low_ranks`], each with an `x`.
    ///
    /// # Errors
    /// As [`Device::add_low_ranks`].
    pub fn low_rank_gradients(
        &self,
        adapters: &[LowRankGradient<'_>],
        narrowed: &[&Narrowed],
        sums: Vec<&mut [Array; 2]>,
    ) -> Result<()> {
        const NAME: &str = "low_rank_gradients";
        agree(NAME, "the number of adapters", adapters.len(), narrowed.len())?;
        agree(NAME, "the number of sums", adapters.len(), sums.len())?;
        let mut all = Vec::with_capacity(adapters.len());
        for ((LowRankGradient { low_rank, dy, x }, narrowed), [of_a, of_b]) in adapters.iter().zip(narrowed).zip(&sums)
        {
            let (Some(x), Some(low)) = (x, &narrowed.low) else {
                return Err(Error::new(ErrorKind::Shape, format!("{NAME}: `x` was not narrowed")));
            };
            for (what, sum, weight) in [("dA", of_a, low_rank.a), ("dB", of_b, low_rank.b)] {
                agree(NAME, &format!("the number of rows of {what}"), weight.rows(), sum.rows())?;
                agree(NAME, &format!("the number of columns of {what}"), weight.columns(), sum.columns())?;
            }
            agree(NAME, "the number of rows of `x`", dy.rows(), x.rows())?;
            agree(NAME, "the number of narrowed rows", dy.rows(), low.rows())?;
            agree(NAME, "the number of rows of `dy`", adapters[0].dy.rows(), dy.rows())?;
            let x = self.as_format(x, adapters[0].dy.format())?;
            let dy = self.as_format(dy, adapters[0].dy.format())?;
            all.push((x, dy, low, &narrowed.d_low, low_rank, [of_a, of_b]));
        }
        let Some(rows) = adapters.first().map(|adapter| adapter.dy.rows()).filter(|rows| *rows > 0) else {
            return Ok(());
        };
        let parts = rows.div_ceil(PART);
        for some in all.chunks(ADAPTERS) {
            let (mut table, mut kept, mut most, mut ranks) = (Table::default(), Vec::new(), 0, 0);
            for (x, dy, low, d_low, of, [of_a, of_b]) in some {
                let rank = of.rank();
                let jobs = [(x, *d_low, of_a, 1.0, false), (dy, *low, of_b, of.scale, true)];
                for (z, low, sum, scale, tall) in jobs {
                    let of_parts = self.undefined(parts * rank, z.columns(), Format::F32)?;
                    for array in [&**z, low, &of_parts, sum] {
                        table.address(array.address());
                    }
                    table.words(scale.to_bits(), narrow(z.columns()));
                    table.words(narrow(rank), u32::from(tall));
                    kept.push(of_parts);
                    most = most.max(z.columns());
                    ranks = ranks.max(rank);
                }
            }
            let format = adapters[0].dy.format();
            let (columns, at_once) = Kernels::of(format).gradient;
            let (jobs, passes, defines) = (kept.len(), ranks.div_ceil(at_once), [format.define()]);
            let blocks = [narrow(most.div_ceil(columns)), narrow(parts), narrow(jobs * passes)];
            let grid = Grid { blocks, threads: 256, shared: 0 };
            let arguments = [rows.into(), PART.into(), passes.into()];
            self.launch_table(SOURCE.kernel("gradient_parts"), &defines, grid, &table, &arguments)?;
            let blocks = [narrow((ranks * most).div_ceil(256)), narrow(jobs), 1];
            let grid = Grid { blocks, threads: 256, shared: 0 };
            self.launch_table(SOURCE.kernel("gradient_sums"), &defines, grid, &table, &[parts.into()])?;
        }
        Ok(())
    }

    /// A product to be computed by [`Device::narrow_all`].
    fn narrow<'a>(&self, z: &'a Array, m: &'a Weight, scale: f32, tall: bool) -> Result<Narrow<'a>> {
        let rank = if tall { m.columns() } else { m.rows() };
        Ok(Narrow { z, m, scale, tall, low: self.undefined(z.rows(), rank, Format::F32)? })
    }

    /// All of these products, of as many rows each, in one launch; those of one array next to each other read it once.
    fn narrow_all(&self, products: &[Narrow<'_>]) -> Result<()> {
        let Some(first) = products.first() else { return Ok(()) };
        let (rows, format) = (first.z.rows(), first.z.format());
        let (mut table, mut kept, mut most, mut jobs) = (Table::default(), Vec::<Held<'_>>::new(), 0, 0);
        for of_one in products.chunk_by(|a, b| a.z.address() == b.z.address() && a.tall == b.tall) {
            let z = self.as_format(of_one[0].z, format)?;
            table.address(z.address());
            for product in of_one {
                table.address(product.m.address());
                table.address(product.low.address());
                table.words(product.scale.to_bits(), narrow(product.low.columns()));
            }
            for _ in of_one.len()..ADAPTERS {
                (0..3).for_each(|_| table.words(0, 0));
            }
            table.words(narrow(z.columns()), u32::from(of_one[0].tall));
            table.words(narrow(of_one.len()), 0);
            most = most.max(of_one.iter().map(|product| product.low.columns().div_ceil(RANKS)).sum());
            (jobs, _) = (jobs + 1, kept.push(z));
        }
        let (eights, threads) = Kernels::of(format).narrow;
        let blocks = [narrow(rows.div_ceil(ROWS)), narrow(most.div_ceil(eights)), jobs];
        let grid = Grid { blocks, threads, shared: 0 };
        self.launch_table(SOURCE.kernel("narrow_products"), &[format.define()], grid, &table, &[rows.into()])
    }

    /// Adds each term to its `y`, or all to the same, in one launch. All have as many rows and one type.
    fn widen(&self, terms: &[Widened<'_>], together: bool) -> Result<()> {
        let Some(first) = terms.first() else { return Ok(()) };
        let mut table = Table::default();
        for Widened { y, low, m, scale, tall } in terms {
            table.address(y.address());
            table.address(low.address());
            table.address(m.address());
            table.words(scale.to_bits(), narrow(y.columns()));
            table.words(narrow(low.columns()), u32::from(*tall));
        }
        let most = terms.iter().map(|term| term.y.columns()).max().unwrap_or(0);
        let (each, blocks) = if together { (terms.len(), 1) } else { (1, terms.len()) };
        let rows = first.y.rows();
        let format = first.y.format();
        let (columns, walk) = Kernels::of(format).widen;
        let blocks = [narrow(most.div_ceil(columns)), narrow(rows.div_ceil(walk)), narrow(blocks)];
        let grid = Grid { blocks, threads: 128, shared: 0 };
        let defines = [format.define()];
        self.launch_table(SOURCE.kernel("widen_onto"), &defines, grid, &table, &[rows.into(), each.into()])
    }
}
