//! Attention over spans, forward and backward, a block of scores at a time.

use crate::device::Device;
use crate::device::array::{Array, Indices, same_shape};
use crate::device::kernel::{Kernel, Variant};
use crate::device::launch::{ROW_STEP, grid, parts, windows};
use crate::error::{Error, ErrorKind, Result, agree};
use crate::operations::spans::{QueryBlock, Spans};
use std::ops::Range;

const FORWARD: Kernel = Kernel::new(include_str!("attention.wgsl"), "forward").named("attention");
const BACKWARD: &str = include_str!("attention_backward.wgsl");
const ALONG: Kernel = Kernel::new(BACKWARD, "along");
const QUERIES_BACKWARD: Kernel = Kernel::new(BACKWARD, "queries_backward");
const KEYS_BACKWARD: Kernel = Kernel::new(BACKWARD, "keys_backward");

/// Threads of a workgroup.
const LANES: usize = 64;

/// Columns of a head at most.
const WIDEST: usize = 128;

/// Queries that a block of keys walks past in one dispatch.
const WALK: usize = 8192;

/// How a block lies in workgroup memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Tiling {
    /// Queries of a block, and keys.
    size: usize,
    /// Arrays of a block's rows that are held.
    held: usize,
    /// Arrays of a block's pairs.
    scores: usize,
}

/// Forward: queries, and keys or values.
const FORWARD_TILINGS: [Tiling; 2] = [Tiling { size: 16, held: 2, scores: 1 }, Tiling { size: 8, held: 2, scores: 1 }];

/// Backward: queries, keys, values, and what comes from above, which is last to be held.
const BACKWARD_TILINGS: [Tiling; 3] = [
    Tiling { size: 16, held: 4, scores: 2 },
    Tiling { size: 8, held: 4, scores: 2 },
    Tiling { size: 8, held: 3, scores: 2 },
];

impl Tiling {
    /// The first that finds room.
    fn of(tilings: &[Tiling], heads: Heads, memory: usize) -> Result<Tiling> {
        let fits = |tiling: &&Tiling| heads.dimension <= WIDEST && tiling.bytes(heads.dimension) <= memory;
        tilings.iter().find(fits).copied().ok_or_else(|| {
            let message = format!(
                "attention: heads of {} columns; kernels have room for {WIDEST} and workgroups {memory} bytes",
                heads.dimension
            );
            Error::new(ErrorKind::OutOfMemory, message)
        })
    }

    /// Bytes of workgroup memory, for heads of so many columns: a row has a four more than it needs, so that neighbours lie in
    /// other banks; besides, three numbers a query, and one of 16 bytes in place of what is not held.
    fn bytes(self, dimension: usize) -> usize {
        let row = 16 * (dimension.div_ceil(4) + 1);
        let running = if self.scores == 1 { 12 * self.size } else { 0 };
        let left_out = if self.held == 3 { 16 } else { 0 };
        self.held * self.size * row + 4 * self.scores * self.size * self.size + running + left_out
    }

    fn constants(self, dimension: usize) -> [(&'static str, u32); 3] {
        [("D", dimension as u32), ("BLOCK", self.size as u32), ("HOLDS_UPSTREAM", u32::from(self.held == 4))]
    }
}

/// All kernels that devices may be asked for, each with the workgroup memory that it takes, if any.
pub(crate) fn variants() -> Vec<(Variant, usize)> {
    let mut variants = Vec::new();
    for dimension in 1..=WIDEST {
        let mut add = |kernels: &[Kernel], tiling: Tiling, bytes: usize| {
            variants.extend(kernels.iter().map(|kernel| ((*kernel, tiling.constants(dimension).to_vec()), bytes)));
        };
        for tiling in FORWARD_TILINGS {
            add(&[FORWARD], tiling, tiling.bytes(dimension));
        }
        for tiling in BACKWARD_TILINGS {
            add(&[QUERIES_BACKWARD, KEYS_BACKWARD], tiling, tiling.bytes(dimension));
        }
        add(&[ALONG], BACKWARD_TILINGS[2], 0);
    }
    variants
}

/// How many heads attention has and how wide they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heads {
    /// Query heads.
    pub query: usize,
    /// Key/value heads; divides `query`.
    pub key_value: usize,
    /// Columns a head.
    pub dimension: usize,
}

/// What attention returns and its backward needs.
#[derive(Debug)]
pub struct Attended {
    /// `[queries, query heads · dimension]`.
    pub output: Array,
    /// `ln Σ exp(score)` of each query and head: `[queries, query heads]`.
    pub log_sum_exp: Array,
}

impl Heads {
    /// The score's factor.
    pub(crate) fn scale(&self) -> f32 {
        1.0 / (self.dimension as f32).sqrt()
    }
}

/// Refuses queries, keys and values that do not fit the heads or each other.
fn check(q: &Array, k: &Array, v: &Array, heads: Heads) -> Result<()> {
    agree("attention", "the number of columns of `q`", heads.query * heads.dimension, q.columns())?;
    agree("attention", "the number of columns of `k`", heads.key_value * heads.dimension, k.columns())?;
    same_shape("attention", k, v)
}

/// Blocks whose queries lie in one window of the rows.
struct Window {
    blocks: Range<usize>,
    /// Rows.
    rows: Range<usize>,
    /// Multiplications.
    work: u64,
}

impl Device {
    /// `o = softmax(q kᵀ / sqrt(dimension)) v` over each token's spans, and its log-sum-exp.
    ///
    /// * `q`: `[queries, query heads · dimension]`; where there are fewer queries than keys, they are those of the last
    ///   tokens, whole segments.
    /// * `k`, `v`: `[tokens, key/value heads · dimension]`.
    /// * `spans`: four numbers a token, `[prefix_start, prefix_end, self_start, visible_until]`: token `t` attends to
    ///   `[prefix_start, prefix_end) ∪ [self_start, t]`; key `t` is seen by the queries `[t, visible_until)` at most.
    pub fn attention(&self, q: &Array, k: &Array, v: &Array, spans: &Indices, heads: Heads) -> Result<Attended> {
        check(q, k, v, heads)?;
        let spans = Spans::new(spans.host(), k.rows(), q.rows())?;
        self.check_bindings(k)?;
        let tiling = Tiling::of(&FORWARD_TILINGS, heads, self.workgroup_memory())?;
        let (block, constants) = (tiling.size, tiling.constants(heads.dimension));
        let output = self.undefined(q.rows(), q.columns())?;
        let log_sum_exp = self.undefined(q.rows(), heads.query)?;
        let blocks = spans.query_blocks(block);
        self.check_walk(&blocks, block, heads)?;
        for window in self.query_windows(&blocks, spans.before(), q.columns(), heads, 2)? {
            let table = self.upload_indices(&words(&blocks[window.blocks.clone()]))?;
            let first = spans.before() + window.rows.start;
            let parameters = parameters(heads, first, window.blocks.len());
            let rows = &window.rows;
            let bindings = [
                table.binding(),
                q.window(rows),
                k.binding(),
                v.binding(),
                output.window(rows),
                log_sum_exp.window(rows),
            ];
            let groups = over(window.blocks.len(), heads.query);
            self.run(&FORWARD, &constants, &parameters, &bindings, groups, window.work)?;
        }
        Ok(Attended { output, log_sum_exp })
    }

    /// `(dq, dk, dv)` of [`Device::attention`], each of the shape of `q`, `k` or `v`.
    ///
    /// * `attended`: its output and log-sum-exp.
    pub fn attention_backward(
        &self,
        dy: &Array,
        [q, k, v]: [&Array; 3],
        attended: [&Array; 2],
        spans: &Indices,
        heads: Heads,
    ) -> Result<[Array; 3]> {
        check(q, k, v, heads)?;
        same_shape("attention_backward", q, dy)?;
        same_shape("attention_backward", q, attended[0])?;
        agree("attention_backward", "the number of log-sum-exps", q.rows() * heads.query, attended[1].len())?;
        let of_tokens = spans;
        let spans = Spans::new(spans.host(), k.rows(), q.rows())?;
        self.check_bindings(k)?;
        let tiling = Tiling::of(&BACKWARD_TILINGS, heads, self.workgroup_memory())?;
        let (block, constants) = (tiling.size, tiling.constants(heads.dimension));
        let (dq, beside) = (self.undefined(q.rows(), q.columns())?, self.beside(dy, attended, heads)?);

        let blocks = spans.query_blocks(block);
        self.check_walk(&blocks, block, heads)?;
        for window in self.query_windows(&blocks, spans.before(), q.columns(), heads, 3)? {
            let table = self.upload_indices(&words(&blocks[window.blocks.clone()]))?;
            let parameters = parameters(heads, spans.before() + window.rows.start, window.blocks.len());
            let rows = &window.rows;
            let bindings = [
                table.binding(),
                q.window(rows),
                k.binding(),
                v.binding(),
                dy.window(rows),
                beside.window(rows),
                dq.window(rows),
            ];
            let groups = over(window.blocks.len(), heads.query);
            self.run(&QUERIES_BACKWARD, &constants, &parameters, &bindings, groups, window.work)?;
        }

        let [dk, dv] = [self.zeros(k.rows(), k.columns())?, self.zeros(v.rows(), v.columns())?];
        let members = (heads.query / heads.key_value) as u64;
        let borne = (self.iterations() / (members * iterations(block, heads))).saturating_mul(block as u64);
        let walk = (borne as usize / ROW_STEP * ROW_STEP).clamp(ROW_STEP, WALK).min(self.rows_seen(q.columns())?);
        // Every token's span, then the blocks of all dispatches: one buffer.
        let mut table = of_tokens.host().to_vec();
        let mut dispatches = Vec::new();
        for rows in parts(0..q.rows(), walk) {
            let queries = spans.before() + rows.start..spans.before() + rows.end;
            let blocks = spans.key_blocks(block, &queries);
            let costs = blocks.iter().map(|block| block.queries.len());
            let factor = 4 * (block * heads.dimension * heads.query) as u64;
            for (part, work) in self.bounded(costs, factor) {
                dispatches.push((rows.clone(), queries.start, table.len() / 4, part.len(), work));
                let numbers = blocks[part]
                    .iter()
                    .flat_map(|block| [block.keys.start, block.keys.end, block.queries.start, block.queries.end]);
                table.extend(numbers.map(|number| number as u32));
            }
        }
        if 4 * table.len() as u64 > self.binding_limit() {
            let message = format!("attention: spans and blocks of {} tokens are more than a kernel sees", k.rows());
            return Err(Error::new(ErrorKind::OutOfMemory, message));
        }
        let table = self.upload_indices(&table)?;
        for (rows, first_query, first_block, count, work) in dispatches {
            let mut parameters = parameters(heads, first_query, count);
            parameters[5] = first_block as u32;
            let bindings = [
                table.binding(),
                q.window(&rows),
                k.binding(),
                v.binding(),
                dy.window(&rows),
                beside.window(&rows),
                dk.binding(),
                dv.binding(),
            ];
            self.run(&KEYS_BACKWARD, &constants, &parameters, &bindings, over(count, heads.key_value), work)?;
        }
        Ok([dq, dk, dv])
    }

    /// Log-sum-exp and `rowsum(dO ⊙ O)` of each query and head, side by side: `[queries, 2 · query heads]`.
    fn beside(&self, dy: &Array, [output, sums]: [&Array; 2], heads: Heads) -> Result<Array> {
        let beside = self.undefined(dy.rows(), 2 * heads.query)?;
        let constants = BACKWARD_TILINGS[2].constants(heads.dimension);
        let widest = dy.columns().max(beside.columns());
        for rows in windows(self, dy.rows(), 4 * widest as u64, 4 * dy.columns() as u64)? {
            let numbers = rows.len() * heads.query;
            let parameters = parameters(heads, 0, numbers);
            let bindings = [dy.window(&rows), output.window(&rows), sums.window(&rows), beside.window(&rows)];
            let work = 4 * (rows.len() * dy.columns()) as u64;
            self.run(&ALONG, &constants, &parameters, &bindings, grid(numbers.div_ceil(LANES)), work)?;
        }
        Ok(beside)
    }

    /// Refuses more keys than a thread may walk past.
    fn check_walk(&self, blocks: &[QueryBlock], size: usize, heads: Heads) -> Result<()> {
        let keys = blocks.iter().map(QueryBlock::keys).max().unwrap_or(0);
        self.expect_iterations(&format!("attention to {keys} keys"), (keys / size + 2) as u64 * iterations(size, heads))
    }

    /// Keys are seen whole.
    fn check_bindings(&self, k: &Array) -> Result<()> {
        if k.bytes() <= self.binding_limit() {
            return Ok(());
        }
        let message = format!(
            "attention: {} keys take {} bytes, and a kernel of this adapter sees {} at once: pack fewer tokens",
            k.rows(),
            k.bytes(),
            self.binding_limit()
        );
        Err(Error::new(ErrorKind::OutOfMemory, message))
    }

    /// Rows of `columns` numbers that a kernel sees at once.
    fn rows_seen(&self, columns: usize) -> Result<usize> {
        match (self.binding_limit() / (4 * columns as u64)) as usize / ROW_STEP * ROW_STEP {
            0 => {
                let message = format!("attention: {ROW_STEP} rows of {columns} numbers are more than a kernel sees");
                Err(Error::new(ErrorKind::OutOfMemory, message))
            }
            rows => Ok(rows),
        }
    }

    /// Cuts blocks of queries into dispatches.
    fn query_windows(
        &self,
        blocks: &[QueryBlock],
        before: usize,
        columns: usize,
        heads: Heads,
        products: usize,
    ) -> Result<Vec<Window>> {
        let seen = (self.binding_limit() / (4 * columns as u64)) as usize;
        let costs = blocks.iter().map(QueryBlock::keys);
        let size = blocks.iter().map(|block| block.queries.len()).max().unwrap_or(0);
        let factor = (products * size * heads.dimension * heads.query) as u64;
        let mut windows = Vec::new();
        for (mut part, _) in self.bounded(costs, factor) {
            while !part.is_empty() {
                // A window starts at a row where a binding may.
                let start = (blocks[part.start].queries.start - before) / ROW_STEP * ROW_STEP;
                let fits = |block: &QueryBlock| block.queries.end - before <= start + seen;
                let count = blocks[part.clone()].iter().take_while(|block| fits(block)).count();
                if count == 0 {
                    let rows = blocks[part.start].queries.end - before - start;
                    let message = format!("attention: {rows} rows of {columns} numbers are more than a kernel sees");
                    return Err(Error::new(ErrorKind::OutOfMemory, message));
                }
                let end = part.start + count;
                let work = factor * blocks[part.start..end].iter().map(QueryBlock::keys).sum::<usize>() as u64;
                let rows = start..blocks[end - 1].queries.end - before;
                windows.push(Window { blocks: part.start..end, rows, work });
                part.start = end;
            }
        }
        Ok(windows)
    }

    /// Runs of blocks whose costs, times `factor` multiplications, stay within a dispatch's work; and that work.
    fn bounded(&self, costs: impl Iterator<Item = usize>, factor: u64) -> Vec<(Range<usize>, u64)> {
        let mut runs: Vec<(Range<usize>, u64)> = Vec::new();
        for (index, cost) in costs.enumerate() {
            let cost = factor * cost as u64;
            match runs.last_mut() {
                Some((run, spent)) if *spent + cost <= self.work_limit() => {
                    run.end = index + 1;
                    *spent += cost;
                }
                _ => runs.push((index..index + 1, cost)),
            }
        }
        runs
    }
}

/// Iterations of a thread's loops over two blocks that meet, at most.
fn iterations(size: usize, heads: Heads) -> u64 {
    let fours = heads.dimension.div_ceil(4);
    (2 * (size * fours).div_ceil(LANES) + fours + 3 * size + 4) as u64
}

fn parameters(heads: Heads, first_query: usize, blocks: usize) -> [u32; 6] {
    [heads.query as u32, heads.key_value as u32, first_query as u32, heads.scale().to_bits(), blocks as u32, 0]
}

/// A workgroup a block and head.
fn over(blocks: usize, heads: usize) -> [u32; 3] {
    let [x, y, _] = grid(blocks);
    [x, y, heads as u32]
}

/// Blocks of queries as kernels read them.
fn words(blocks: &[QueryBlock]) -> Vec<u32> {
    let numbers = blocks
        .iter()
        .flat_map(|block| [block.queries.start, block.queries.end, block.prefix.start, block.prefix.end, block.start]);
    numbers.map(|number| number as u32).collect()
}
