//! Attention of generation, one token a sequence at a time, over cached keys and values.

use crate::device::Device;
use crate::device::array::{Array, Indices, same_shape};
use crate::device::kernel::{Kernel, Variant};
use crate::device::launch::{grid, windows};
use crate::error::{Error, ErrorKind, Result, agree};
use crate::operations::attention::Heads;

const DECODE: Kernel = Kernel::new(concat!(include_str!("workgroup.wgsl"), include_str!("decode.wgsl")), "decode");

/// Columns of a head at most.
const WIDEST: usize = 256;

/// All kernels that devices may be asked for.
pub(crate) fn variants() -> Vec<Variant> {
    (1..=WIDEST as u32).map(|dimension| (DECODE, vec![("D", dimension)])).collect()
}

impl Device {
    /// Attention of one query per sequence over cached keys and values.
    ///
    /// * `spans`: four numbers a query: `[prefix_start, prefix_end, self_start, self_end)`, row numbers of the cache.
    pub fn decode_attention(
        &self,
        q: &Array,
        keys: &Array,
        values: &Array,
        spans: &Indices,
        heads: Heads,
    ) -> Result<Array> {
        agree("decode_attention", "the number of columns of `q`", heads.query * heads.dimension, q.columns())?;
        let columns = heads.key_value * heads.dimension;
        agree("decode_attention", "the number of columns of the keys", columns, keys.columns())?;
        same_shape("decode_attention", keys, values)?;
        agree("decode_attention", "the number of spans", 4 * q.rows(), spans.host().len())?;
        if heads.dimension > WIDEST {
            let message = format!("decode_attention: heads of {} columns, and {WIDEST} at most", heads.dimension);
            return Err(Error::new(ErrorKind::Shape, message));
        }
        let mut longest = 0;
        for span in spans.host().as_chunks::<4>().0 {
            let [from, to, start, end] = span.map(|row| row as usize);
            if from > to || to > keys.rows() || start > end || end > keys.rows() {
                let message = format!("a span [{from}, {to}) ∪ [{start}, {end}) of a cache of {} rows", keys.rows());
                return Err(Error::new(ErrorKind::Shape, message));
            }
            longest = longest.max(to - from + end - start);
        }
        let iterations = (longest / 64 + 1) * (heads.dimension + heads.dimension.div_ceil(64) * 65 + 16);
        self.expect_iterations("decode_attention", iterations as u64)?;
        if keys.bytes() > self.binding_limit() {
            let message = format!(
                "a cache of {} bytes, and a kernel of this adapter sees {} at once: generate fewer sequences at a time",
                keys.bytes(),
                self.binding_limit()
            );
            return Err(Error::new(ErrorKind::OutOfMemory, message));
        }
        let out = self.undefined(q.rows(), q.columns())?;
        let constants = [("D", heads.dimension as u32)];
        // Two products of a query and a head, which take six times as long as those of tiles.
        let of_head = (12 * longest * heads.dimension).max(1) as u64;
        for rows in windows(self, q.rows(), 4 * q.columns() as u64, of_head)? {
            let at_once = (self.work_limit() / (rows.len() as u64 * of_head)).max(1) as usize;
            let bindings = [
                spans.numbers(&(4 * rows.start..4 * rows.end)),
                q.window(&rows),
                keys.binding(),
                values.binding(),
                out.window(&rows),
            ];
            let [x, y, _] = grid(rows.len());
            for first in (0..heads.query).step_by(at_once) {
                let numbers = [heads.query, heads.key_value, rows.len(), first].map(|number| number as u32);
                let parameters = [numbers[0], numbers[1], numbers[2], heads.scale().to_bits(), numbers[3]];
                let count = at_once.min(heads.query - first) as u32;
                let work = u64::from(count) * rows.len() as u64 * of_head;
                self.run(&DECODE, &constants, &parameters, &bindings, [x, y, count], work)?;
            }
        }
        Ok(out)
    }
}
