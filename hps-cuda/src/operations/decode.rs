//! Attention of generation, one token a sequence at a time, over cached keys and values.
//!
//! The keys of a sequence are cut into parts of [`PART`]; a part's sums are kept in f32 and put together at the end.
//! Rows of a prefix that sequences share are read once for many of them. How a sequence's sums are formed depends on
//! its own rows alone, so its output is the same bits in any company.

use crate::device::Device;
use crate::device::array::{Array, Format, Indices, same_shape};
use crate::device::kernel::Source;
use crate::device::launch::Grid;
use crate::error::{Error, ErrorKind, Result, agree};
use crate::operations::attention::{Heads, OF_BOTH, ORDINARY, TENSOR, defines};
use crate::operations::plan::{Plans, Table};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::ops::Range;

pub(crate) static DECODE: Source = Source {
    name: "decode.cu",
    text: concat!(
        include_str!("../../kernels/mma.cuh"),
        include_str!("../../kernels/tiles.cuh"),
        include_str!("../../kernels/decode_tasks.cuh"),
        include_str!("../../kernels/decode.cu")
    ),
    variants: &TENSOR,
};

pub(crate) static SINGLE: Source = Source {
    name: "decode_single.cu",
    text: concat!(include_str!("../../kernels/decode_tasks.cuh"), include_str!("../../kernels/decode_single.cu")),
    variants: &ORDINARY,
};

pub(crate) static JOIN: Source = Source {
    name: "decode_join.cu",
    text: concat!(include_str!("../../kernels/decode_tasks.cuh"), include_str!("../../kernels/decode_join.cu")),
    variants: &OF_BOTH,
};

/// Keys of a part.
const PART: usize = 512;

/// Rows, of a query and a head, that a block takes past keys that many see, and past those that one sees.
const ROWS: [usize; 2] = [64, 16];

/// Keys of a tile on tensor cores.
const KEYS: usize = 64;

/// Tasks `[list, row_start, row_end, key_start, key_end, part]`, over all queries of a batch.
#[derive(Debug)]
pub(crate) struct Cached {
    /// Over prefixes, and over each sequence's own rows.
    tasks: [Table; 2],
    /// Queries, those of one prefix side by side.
    list: Table,
    /// The first part of each query, and behind the last.
    parts_of: Table,
    parts: usize,
}

/// By how many query heads a key/value head has.
type CachedPlans = Plans<usize, Cached>;

/// The same on the host.
struct Tasks {
    shared: Vec<[u32; 6]>,
    own: Vec<[u32; 6]>,
    list: Vec<[u32; 1]>,
    parts_of: Vec<[u32; 1]>,
    parts: usize,
}

impl Tasks {
    /// * `group`: query heads of a key/value head.
    fn new(spans: &[[u32; 4]], group: usize) -> Tasks {
        let mut prefixes: BTreeMap<[u32; 2], Vec<u32>> = BTreeMap::new();
        for (query, [from, to, ..]) in (0u32..).zip(spans) {
            prefixes.entry([*from, *to]).or_default().push(query);
        }
        let (mut shared, mut own, mut list) = (Vec::new(), Vec::new(), Vec::new());
        for ([from, to], queries) in &prefixes {
            let prefix = keys(*from, *to);
            tasks(&mut shared, list.len(), queries.len() * group, ROWS[0], &prefix, 0);
            for query in queries {
                if let Some([.., start, end]) = spans.get(*query as usize) {
                    tasks(&mut own, list.len(), group, ROWS[1], &keys(*start, *end), prefix.len().div_ceil(PART));
                }
                list.push([*query]);
            }
        }
        for tasks in [&mut shared, &mut own] {
            tasks.sort_by_key(|[.., start, end, _]| Reverse(end - start));
        }
        let mut parts = 0;
        let mut parts_of = vec![[0]];
        for [from, to, start, end] in spans {
            parts += keys(*from, *to).len().div_ceil(PART) + keys(*start, *end).len().div_ceil(PART);
            parts_of.push([parts as u32]);
        }
        Tasks { shared, own, list, parts_of, parts }
    }
}

impl Cached {
    fn new(device: &Device, spans: &[[u32; 4]], group: usize) -> Result<Cached> {
        let Tasks { shared, own, list, parts_of, parts } = Tasks::new(spans, group);
        Ok(Cached {
            tasks: [Table::new(device, &shared)?, Table::new(device, &own)?],
            list: Table::new(device, &list)?,
            parts_of: Table::new(device, &parts_of)?,
            parts,
        })
    }

    /// Those of other spans in the same memory; whether they fit.
    fn rewrite(&self, device: &Device, spans: &[[u32; 4]], group: usize) -> Result<bool> {
        let Tasks { shared, own, list, parts_of, parts } = Tasks::new(spans, group);
        let sizes = [shared.len(), own.len(), list.len(), parts_of.len(), parts];
        let [of_shared, of_own] = &self.tasks;
        if sizes != [of_shared.rows, of_own.rows, self.list.rows, self.parts_of.rows, self.parts] {
            return Ok(false);
        }
        of_shared.rewrite(device, &shared)?;
        of_own.rewrite(device, &own)?;
        self.list.rewrite(device, &list)?;
        self.parts_of.rewrite(device, &parts_of)?;
        Ok(true)
    }
}

fn keys(start: u32, end: u32) -> Range<usize> {
    start as usize..end as usize
}

/// Tasks of the rows `0..rows`, `at_once` each, of the queries from `list` on, over parts of `keys`, the first of them
/// the number `part`.
fn tasks(tasks: &mut Vec<[u32; 6]>, list: usize, rows: usize, at_once: usize, keys: &Range<usize>, part: usize) {
    for (index, start) in keys.clone().step_by(PART).enumerate() {
        for row in (0..rows).step_by(at_once) {
            let task = [list, row, rows.min(row + at_once), start, keys.end.min(start + PART), part + index];
            tasks.push(task.map(|number| number as u32));
        }
    }
}

impl Device {
    /// Attention of one query per sequence over cached keys and values, in the type of `q`.
    ///
    /// * `q`: `[sequences, query heads · dimension]`.
    /// * `keys`, `values`: `[rows, key/value heads · dimension]`; read as they are where they are of the type of `q`.
    /// * `spans`: four numbers a query: `[prefix_start, prefix_end, self_start, self_end)`, row numbers of the cache. A
    ///   query that sees none has an output of zeros.
    ///
    /// # Errors
    /// Shapes do not fit, spans name rows that do not exist, heads are wider than 128, or the device failed.
    pub fn decode_attention(
        &self,
        q: &Array,
        keys: &Array,
        values: &Array,
        spans: &Indices,
        heads: Heads,
    ) -> Result<Array> {
        let width = heads.padded("decode_attention")?;
        agree("decode_attention", "the number of columns of `q`", heads.query * heads.dimension, q.columns())?;
        let columns = heads.key_value * heads.dimension;
        agree("decode_attention", "the number of columns of the keys", columns, keys.columns())?;
        same_shape("decode_attention", keys, values)?;
        let of_queries = spans.host()?;
        agree("decode_attention", "the number of spans", 4 * q.rows(), of_queries.len())?;
        let of_queries = of_queries.as_chunks::<4>().0;
        for span in of_queries {
            let [from, to, start, end] = span.map(|row| row as usize);
            if from > to || to > keys.rows() || start > end || end > keys.rows() {
                let message = format!("a span [{from}, {to}) ∪ [{start}, {end}) of a cache of {} rows", keys.rows());
                return Err(Error::new(ErrorKind::Shape, message));
            }
        }
        let group = heads.group();
        let cached = self.kept::<CachedPlans>().of(spans, group, || Cached::new(self, of_queries, group))?;

        let format = q.format();
        let (keys, values) = (self.as_format(keys, format)?, self.as_format(values, format)?);
        let partial = self.storage(cached.parts * heads.query * width * 4)?;
        let summaries = self.storage(cached.parts * heads.query * 8)?;
        let defines = defines(format, width);
        let tile = |rows: usize| 2 * width * (rows + 4 * KEYS);
        // On tensor cores exponentials are powers of two.
        let (kernels, threads, shared, unit) = match format {
            Format::BF16 => {
                let kernels = ["decode_shared", "decode_own"].map(|entry| DECODE.kernel(entry));
                (kernels, 128, ROWS.map(tile), std::f32::consts::LOG2_E)
            }
            Format::F32 => ([SINGLE.kernel("decode"); 2], 256, [0; 2], 1.0),
        };
        for ((kernel, tasks), shared) in kernels.into_iter().zip(&cached.tasks).zip(shared) {
            let arguments = [
                q.into(),
                (&*keys).into(),
                (&*values).into(),
                (&tasks.storage).into(),
                (&cached.list.storage).into(),
                (&cached.parts_of.storage).into(),
                (&partial).into(),
                (&summaries).into(),
                heads.query.into(),
                group.into(),
                heads.dimension.into(),
                (heads.scale() * unit).into(),
            ];
            let grid = Grid::blocks(tasks.rows * heads.key_value, threads).with_shared(shared);
            self.launch(kernel, &defines, grid, &arguments)?;
        }
        let out = self.undefined_like(q)?;
        let arguments = [
            (&partial).into(),
            (&summaries).into(),
            (&cached.parts_of.storage).into(),
            (&out).into(),
            heads.query.into(),
            heads.dimension.into(),
        ];
        self.launch(JOIN.kernel("join"), &defines, Grid::blocks(q.rows(), 256), &arguments)?;
        Ok(out)
    }

    /// Writes as many other spans over those that [`Device::decode_attention`] reads, and its tasks for them over those
    /// it has. Whether they have the sizes they had, and nothing else was planned for the spans; if not, they are made
    /// when they are asked for.
    pub(crate) fn rewrite_spans(&self, spans: &mut Indices, numbers: &[u32]) -> Result<bool> {
        let plans = self.kept::<CachedPlans>();
        let (cached, is_all) = (plans.take(spans), !self.has_planned(spans));
        spans.rewrite(numbers)?;
        if !is_all {
            return Ok(false);
        }
        for (group, cached) in &cached {
            if !cached.rewrite(self, numbers.as_chunks::<4>().0, *group)? {
                return Ok(false);
            }
        }
        cached.into_iter().for_each(|(group, cached)| plans.put(spans, group, cached));
        Ok(true)
    }
}
