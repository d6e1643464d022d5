//! Attention over spans, `o = softmax(q kᵀ / sqrt(dimension)) v`, forward and backward.
//!
//! In bfloat16 on tensor cores, scores a tile at a time in registers; in f32 on ordinary ones.

use crate::device::Device;
use crate::device::array::{Array, Format, Indices, same_shape};
use crate::device::kernel::{Defines, Source};
use crate::device::launch::{Argument, Grid};
use crate::error::{Error, ErrorKind, Result, agree};
use crate::operations::plan::{KeyKey, KeyParts, Plans, QueryKey, Table};
use crate::operations::spans::{QueryBlock, Spans};
use std::sync::Arc;

/// On tensor cores.
pub(crate) static FORWARD: Source = Source {
    name: "attention.cu",
    text: concat!(
        include_str!("../../kernels/mma.cuh"),
        include_str!("../../kernels/tiles.cuh"),
        include_str!("../../kernels/spans.cuh"),
        include_str!("../../kernels/attention.cu")
    ),
    variants: &TENSOR,
};

pub(crate) static BACKWARD: Source = Source {
    name: "attention_backward.cu",
    text: concat!(
        include_str!("../../kernels/mma.cuh"),
        include_str!("../../kernels/tiles.cuh"),
        include_str!("../../kernels/spans.cuh"),
        include_str!("../../kernels/attention_backward.cu")
    ),
    variants: &[
        &[("BF16", 1), ("DIMENSION", 16), ("ALONG", 64)],
        &[("BF16", 1), ("DIMENSION", 32), ("ALONG", 64)],
        &[("BF16", 1), ("DIMENSION", 64), ("ALONG", 64)],
        &[("BF16", 1), ("DIMENSION", 128), ("ALONG", 64)],
        &[("BF16", 1), ("DIMENSION", 128), ("ALONG", 32)],
    ],
};

/// In f32.
pub(crate) static SINGLE: Source = Source {
    name: "attention_single.cu",
    text: concat!(include_str!("../../kernels/spans.cuh"), include_str!("../../kernels/attention_single.cu")),
    variants: &ORDINARY,
};

pub(crate) static SUMS: Source =
    Source { name: "attention_sums.cu", text: include_str!("../../kernels/attention_sums.cu"), variants: &OF_BOTH };

/// Widths of heads that kernels are compiled for: others are padded with zeros.
const WIDTHS: [usize; 4] = [16, 32, 64, 128];

pub(crate) const ORDINARY: [Defines; 4] = [
    &[("BF16", 0), ("DIMENSION", 16)],
    &[("BF16", 0), ("DIMENSION", 32)],
    &[("BF16", 0), ("DIMENSION", 64)],
    &[("BF16", 0), ("DIMENSION", 128)],
];

pub(crate) const TENSOR: [Defines; 4] = [
    &[("BF16", 1), ("DIMENSION", 16)],
    &[("BF16", 1), ("DIMENSION", 32)],
    &[("BF16", 1), ("DIMENSION", 64)],
    &[("BF16", 1), ("DIMENSION", 128)],
];

pub(crate) const OF_BOTH: [Defines; 8] =
    [ORDINARY[0], ORDINARY[1], ORDINARY[2], ORDINARY[3], TENSOR[0], TENSOR[1], TENSOR[2], TENSOR[3]];

/// How many heads attention has and how wide they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key/value heads; divides `query`.
    pub key_value: usize,
    /// Columns a head, 128 at most; 64 and 128 are the fast ones.
    pub dimension: usize,
}

/// What attention returns and its backward needs.
#[derive(Debug)]
pub struct Attended {
    /// `[queries, query heads · dimension]`, in the type of the queries.
    pub output: Array,
    /// `ln Σ exp(score)` of each query and head: `[queries, query heads]`, f32.
    pub log_sum_exp: Array,
}

impl Heads {
    /// The score's factor.
    pub(crate) fn scale(&self) -> f32 {
        1.0 / (self.dimension as f32).sqrt()
    }

    /// Query heads that read one key/value head.
    pub(crate) fn group(&self) -> usize {
        self.query / self.key_value
    }

    /// The width that kernels pad heads to. Refuses heads that they have no room for, or that do not divide.
    pub(crate) fn padded(&self, operation: &str) -> Result<usize> {
        if self.key_value == 0 || self.dimension == 0 || !self.query.is_multiple_of(self.key_value) {
            let message = format!(
                "{operation}: {} query heads and {} key/value heads of {} columns",
                self.query, self.key_value, self.dimension
            );
            return Err(Error::new(ErrorKind::Shape, message));
        }
        WIDTHS.into_iter().find(|width| self.dimension <= *width).ok_or_else(|| {
            let message = format!("{operation}: heads of {} columns; kernels have room for 128", self.dimension);
            Error::new(ErrorKind::Shape, message)
        })
    }
}

/// Sizes of what thread blocks work on. They are the kernels' constants.
struct Tiles {
    /// Queries of a block, forward.
    forward: usize,
    /// Queries of a block of `dq`, keys of one of `dk` and `dv`.
    backward: usize,
    /// Queries that a block of keys meets at once.
    along: usize,
    forward_threads: u32,
    forward_shared: usize,
    backward_shared: usize,
}

impl Tiles {
    const BACKWARD_THREADS: u32 = 256;

    fn new(device: &Device, format: Format, width: usize) -> Tiles {
        match format {
            Format::BF16 => {
                // Two tensors' blocks, and two tensors' tiles twice; plus what comes with a tile, 24 bytes a query.
                let shared = |along: usize| 2 * width * (2 * 128 + 4 * along);
                let fits = shared(64) + 2 * 24 * 64 <= device.shared_memory();
                let along = if fits || width < 128 { 64 } else { 32 };
                let keys = if width == 128 { 48 } else { 64 };
                Tiles {
                    forward: 128,
                    backward: 128,
                    along,
                    forward_threads: 128,
                    forward_shared: 2 * width * (128 + 4 * keys),
                    backward_shared: shared(along),
                }
            }
            Format::F32 => Tiles {
                forward: 64,
                backward: 32,
                along: 32,
                forward_threads: 256,
                forward_shared: 4 * (2 * 64 * (width + 4) + 64 * 68),
                backward_shared: 4 * (4 * 32 * (width + 4) + 2 * 32 * 36),
            },
        }
    }
}

/// Refuses queries, keys and values that do not fit the heads or each other; the width that heads are padded to.
fn check(operation: &str, q: &Array, k: &Array, v: &Array, heads: Heads) -> Result<usize> {
    let width = heads.padded(operation)?;
    agree(operation, "the number of columns of `q`", heads.query * heads.dimension, q.columns())?;
    agree(operation, "the number of columns of `k`", heads.key_value * heads.dimension, k.columns())?;
    same_shape(operation, k, v)?;
    Ok(width)
}

impl Device {
    /// `o = softmax(q kᵀ / sqrt(dimension)) v` over each token's spans, and its log-sum-exp.
    ///
    /// * `q`: `[queries, query heads · dimension]`; where there are fewer queries than keys, they are those of the last
    ///   tokens, whole segments.
    /// * `k`, `v`: `[tokens, key/value heads · dimension]`.
    /// * `spans`: four numbers a token, `[prefix_start, prefix_end, self_start, visible_until]`: token `t` attends to
    ///   `[prefix_start, prefix_end) ∪ [self_start, t]`; key `t` is seen by the queries `[t, visible_until)` at most.
    ///
    /// # Errors
    /// Shapes or spans do not fit, heads are wider than 128, or the device failed.
    pub fn attention(&self, q: &Array, k: &Array, v: &Array, spans: &Indices, heads: Heads) -> Result<Attended> {
        let width = check("attention", q, k, v, heads)?;
        let format = q.format();
        let tiles = Tiles::new(self, format, width);
        let table = self.query_table(spans, k.rows(), q.rows(), tiles.forward)?;
        let (k, v) = (self.as_format(k, format)?, self.as_format(v, format)?);
        let output = self.undefined_like(q)?;
        let log_sum_exp = self.undefined(q.rows(), heads.query, Format::F32)?;
        // On tensor cores exponentials are powers of two.
        let (source, unit) = match format {
            Format::BF16 => (&FORWARD, std::f32::consts::LOG2_E),
            Format::F32 => (&SINGLE, 1.0),
        };
        let arguments = [
            q.into(),
            (&*k).into(),
            (&*v).into(),
            (&output).into(),
            (&log_sum_exp).into(),
            (&table.storage).into(),
            heads.query.into(),
            heads.group().into(),
            (k.rows() - q.rows()).into(),
            heads.dimension.into(),
            (heads.scale() * unit).into(),
        ];
        let grid = Grid::blocks(table.rows * heads.query, tiles.forward_threads).with_shared(tiles.forward_shared);
        self.launch(source.kernel("forward"), &defines(format, width), grid, &arguments)?;
        Ok(Attended { output, log_sum_exp })
    }

    /// `(dq, dk, dv)` of [`Device::attention`], each of the shape and the type of `q`, `k` or `v`.
    ///
    /// * `dy`: `[queries, query heads · dimension]`.
    /// * `attended`: its output and log-sum-exp.
    ///
    /// # Errors
    /// As [`Device::attention`].
    pub fn attention_backward(
        &self,
        dy: &Array,
        [q, k, v]: [&Array; 3],
        attended: [&Array; 2],
        spans: &Indices,
        heads: Heads,
    ) -> Result<[Array; 3]> {
        let width = check("attention_backward", q, k, v, heads)?;
        same_shape("attention_backward", q, dy)?;
        same_shape("attention_backward", q, attended[0])?;
        agree("attention_backward", "the number of log-sum-exps", q.rows() * heads.query, attended[1].len())?;
        let format = q.format();
        let tiles = Tiles::new(self, format, width);
        let (tokens, queries, before) = (k.rows(), q.rows(), k.rows().saturating_sub(q.rows()));
        let blocks = self.query_table(spans, tokens, queries, tiles.backward)?;
        let key = KeyKey {
            tokens,
            queries,
            size: tiles.backward,
            width: tiles.along,
            at_once: self.multiprocessors() / heads.key_value,
        };
        let plans = self.kept::<Plans<KeyKey, KeyParts>>();
        let parts = plans.of(spans, key, || {
            KeyParts::new(self, &Spans::new(spans.host()?, tokens, queries)?, &key) //
        })?;

        let types = [k.format(), v.format()];
        let (dy, k, v) = (self.as_format(dy, format)?, self.as_format(k, format)?, self.as_format(v, format)?);
        let beside = self.beside(&dy, attended, heads, width)?;
        let means = beside.row(heads.query);
        let [dq, dk, dv] = [self.undefined_like(q)?, self.undefined_like(&k)?, self.undefined_like(&v)?];
        let defines = backward_defines(format, width, &tiles);
        let source = if format == Format::BF16 { &BACKWARD } else { &SINGLE };
        let grid = |blocks| Grid::blocks(blocks, Tiles::BACKWARD_THREADS).with_shared(tiles.backward_shared);
        let of_tokens = [q.into(), (&*k).into(), (&*v).into(), (&*dy).into()];
        let of_queries = [(&beside).into(), Argument::Address(means)];
        let numbers = [
            heads.query.into(),
            heads.group().into(),
            queries.into(),
            before.into(),
            heads.dimension.into(),
            heads.scale().into(),
        ];

        let tables = [(&dq).into(), (&blocks.storage).into()];
        let arguments = [&of_tokens[..], &of_queries, &tables, &numbers].concat();
        let count = blocks.rows * heads.query;
        self.launch(source.kernel("queries_backward"), &defines, grid(count), &arguments)?;

        let sums = self.storage(parts.slots * heads.key_value * 2 * tiles.backward * width * 4)?;
        let tables = [spans.into(), (&parts.parts.storage).into(), (&parts.walk.storage).into()];
        let outputs = [(&dk).into(), (&dv).into(), (&sums).into()];
        let arguments = [&of_tokens[..], &of_queries, &tables, &outputs, &numbers].concat();
        let count = parts.parts.rows * heads.key_value;
        self.launch(source.kernel("keys_backward"), &defines, grid(count), &arguments)?;

        let arguments = [
            (&sums).into(),
            (&parts.joints.storage).into(),
            (&dk).into(),
            (&dv).into(),
            heads.key_value.into(),
            tiles.backward.into(),
            heads.dimension.into(),
        ];
        let grid = Grid::blocks(2 * parts.joints.rows * heads.key_value, 256);
        self.launch(SUMS.kernel("join"), &self::defines(format, width), grid, &arguments)?;
        let [of_k, of_v] = types;
        Ok([dq, self.in_format(dk, of_k)?, self.in_format(dv, of_v)?])
    }

    /// Log-sum-exps in the unit that backward kernels want, then `rowsum(dO ⊙ O)`: `[2 · query heads, queries]`.
    fn beside(&self, dy: &Array, [output, sums]: [&Array; 2], heads: Heads, width: usize) -> Result<Array> {
        let format = dy.format();
        let (output, sums) = (self.as_format(output, format)?, self.as_format(sums, Format::F32)?);
        let beside = self.undefined(2 * heads.query, dy.rows(), Format::F32)?;
        let unit = if format == Format::BF16 { std::f32::consts::LOG2_E } else { 1.0 };
        let arguments = [
            dy.into(),
            (&*output).into(),
            (&*sums).into(),
            (&beside).into(),
            Argument::Address(beside.row(heads.query)),
            dy.rows().into(),
            heads.query.into(),
            heads.dimension.into(),
            unit.into(),
        ];
        let grid = Grid::threads(dy.rows() * heads.query * (width / 8), 256);
        self.launch(SUMS.kernel("along"), &defines(format, width), grid, &arguments)?;
        Ok(beside)
    }

    /// Blocks of `size` queries on the device.
    fn query_table(&self, spans: &Indices, tokens: usize, queries: usize, size: usize) -> Result<Arc<Table>> {
        self.kept::<Plans<QueryKey, Table>>().of(spans, QueryKey { tokens, queries, size }, || {
            let blocks = Spans::new(spans.host()?, tokens, queries)?.query_blocks(size);
            let words: Vec<[u32; 5]> = blocks.iter().map(QueryBlock::words).collect();
            Table::new(self, &words)
        })
    }

    /// Whether attention has planned for these spans.
    pub(crate) fn has_planned(&self, spans: &Indices) -> bool {
        self.kept::<Plans<QueryKey, Table>>().has(spans) || self.kept::<Plans<KeyKey, KeyParts>>().has(spans)
    }

    /// An array in another type, itself if it is of that type.
    fn in_format(&self, array: Array, format: Format) -> Result<Array> {
        if array.format() == format { Ok(array) } else { self.convert(&array, format) }
    }
}

pub(crate) fn defines(format: Format, width: usize) -> [(&'static str, u32); 2] {
    [format.define(), ("DIMENSION", width as u32)]
}

fn backward_defines(format: Format, width: usize, tiles: &Tiles) -> Vec<(&'static str, u32)> {
    let along = (format == Format::BF16).then_some(("ALONG", tiles.along as u32));
    defines(format, width).into_iter().chain(along).collect()
}
