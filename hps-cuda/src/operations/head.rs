//! The language-model head fused with log-probs: `log p(yᵢ) = hᵢ·W[yᵢ] − ln Σ_v exp(hᵢ·W_v)`.
//!
//! Logits exist a tile of rows at a time. One kernel makes of a tile its log-probs and what they change by, the slope; a
//! second product makes of that the unit gradient, or the weight's gradient `slopeᵀ · h`.
//!
//! For the unit gradient the slope is `−exp(x_v − x_y)` of each word but the target, relative to the target's own logit: so
//! a row is read once, and its normaliser, which is known at the row's end, enters with the target's part when the product
//! is there: `unit = (s W[y] − Σ_v exp(x_v − x_y) W_v) / (1 + s)`, `s = Σ_{v≠y} exp(x_v − x_y)`. `1 − p = s / (1 + s)`
//! keeps its digits: as `W[y] − p W[y]`, a `p` near 1 in bfloat16 would leave nothing but its rounding. For the weight's
//! gradient the slope is `c (onehot(y) − p)`, which takes a second reading.
//!
//! A head in codes is decoded a tile of words at a time, for the logits and again for the unit gradient, whose sum over the
//! words then is in f32; so are the words of the targets.

use crate::device::Device;
use crate::device::array::{Array, Format, Indices, Stored, Weight};
use crate::device::codes::Coded;
use crate::device::kernel::{BOTH, Source};
use crate::device::launch::{Argument, Grid};
use crate::error::{Error, ErrorKind, Result, agree};
use crate::operations::codes::{Rows, TILE, panels};
use crate::operations::elementwise::Held;
use crate::operations::product::{Factor, Region, Side, both};
use std::ops::Range;

pub(crate) static SOURCE: Source = Source {
    name: "head.cu",
    text: concat!(include_str!("../../kernels/softmax.cuh"), include_str!("../../kernels/head.cu")),
    variants: BOTH,
};

/// Threads of a block.
const THREADS: u32 = 512;

/// Logits a tile holds at most on a GPU of 24 GiB (256 MiB), so that memory does not grow with tokens × vocabulary: 512 rows
/// of Llama 3's vocabulary. See [`Device::logits`].
pub const LOGITS: usize = 1 << 26;

/// And on any: 256 rows of Llama 3's at the least, and 1,024 at most, with which a product's time is no longer that of
/// reading the head.
const MOST_LOGITS: [usize; 2] = [1 << 25, 1 << 27];

/// What a tile may take of the device: this part, with a logit's four bytes and its slope's two.
const SHARE: usize = 64;
const LOGIT_BYTES: usize = 6;

/// A tile has a multiple of so many rows, if it can: what cuBLAS cuts products into.
const ROW_STEP: usize = 128;

/// Words that a product in f32 sums up by itself: each of so many additions may round by half a unit of the sum so far,
/// and cuBLAS may do one after the other.
const WORDS: usize = 1 << 14;

/// Log-probs of chosen tokens, in nats, and what their backward needs.
#[derive(Debug)]
pub struct LogProbs {
    /// `[rows, 1]`, nats, in f32.
    pub values: Array,
    /// `∂ value / ∂ hidden`: `[rows, features]`, in the type of `hidden`; `None` unless asked for.
    pub unit_gradient: Option<Array>,
}

/// See [`Device::logits`]; of bytes that a device has.
fn logits_of(memory: usize) -> usize {
    let [least, most] = MOST_LOGITS;
    (memory / SHARE / LOGIT_BYTES).clamp(least, most)
}

impl Device {
    /// Logits that a tile of the head holds at most. It follows from the device's memory, all of it: results would depend on
    /// what else runs if it followed from what is free.
    ///
    /// ```
    /// # fn main() -> hps_cuda::Result<()> {
    /// # let Ok(device) = hps_cuda::Device::open(None) else { return Ok(()) };
    /// assert!(device.logits() >= 1 << 25 && device.logits() <= 1 << 27);
    /// # Ok(()) }
    /// ```
    pub fn logits(&self) -> usize {
        logits_of(self.memory_size())
    }

    /// `log p(target_i)`: `[rows, 1]`, and, if asked for, the unit gradient `∂ log p / ∂h_i`: `[rows, features]`.
    ///
    /// * `hidden`: `[rows, features]`; `head`: `[vocabulary, features]`; `targets`: a word a row.
    ///
    /// # Errors
    /// Shapes do not fit, a target is outside the vocabulary, the device has no memory left, or it failed.
    pub fn log_probs(&self, hidden: &Array, head: &Weight, targets: &Indices, unit_gradient: bool) -> Result<LogProbs> {
        check("log_probs", hidden, head, targets)?;
        let factors = Factors::new(self, hidden, head)?;
        let format = factors.hidden.format();
        let values = self.undefined(hidden.rows(), 1, Format::F32)?;
        let unit = match unit_gradient {
            true => Some(self.undefined(hidden.rows(), hidden.columns(), format)?),
            false => None,
        };
        let tiles = Tiles::new(self, hidden.rows(), head.rows())?;
        let slope = tiles.slope(self, format, unit_gradient)?;
        for rows in tiles.ranges() {
            factors.logits(self, &rows, &tiles.logits)?;
            let fractions = unit.as_ref().map(|_| self.undefined(rows.len(), 2, Format::F32)).transpose()?;
            let arguments = [
                (&tiles.logits).into(),
                Argument::Address(targets.address() + 4 * rows.start as u64),
                Argument::Address(values.row(rows.start)),
                Argument::Address(slope.as_deref().map_or(0, Array::address)),
                Argument::Address(fractions.as_ref().map_or(0, Array::address)),
                head.rows().into(),
            ];
            let grid = Grid::blocks(rows.len(), THREADS);
            self.launch(SOURCE.kernel("log_prob"), &[format.define()], grid, &arguments)?;
            if let (Some(unit), Some(slope), Some(fractions)) = (&unit, &slope, &fractions) {
                factors.unit(self, slope, &rows, unit)?;
                self.finish(fractions, targets, &factors.head, &rows, unit)?;
            }
        }
        let unit_gradient = match unit {
            Some(unit) if unit.format() != hidden.format() => Some(self.convert(&unit, hidden.format())?),
            unit => unit,
        };
        Ok(LogProbs { values, unit_gradient })
    }

    /// `dW = Σ_i c_i (onehot(target_i) − p_i) h_iᵀ`, the trained head's own gradient: `[vocabulary, features]`, in f32.
    /// Recomputes the logits.
    ///
    /// * `c`: `[rows, 1]`; the others as [`Device::log_probs`] has them.
    ///
    /// # Errors
    /// As [`Device::log_probs`].
    pub fn log_probs_weight_gradient(
        &self,
        hidden: &Array,
        head: &Weight,
        targets: &Indices,
        c: &Array,
    ) -> Result<Array> {
        const NAME: &str = "log_probs_weight_gradient";
        check(NAME, hidden, head, targets)?;
        agree(NAME, "the number of coefficients", hidden.rows(), c.len())?;
        if hidden.rows() == 0 {
            return self.zeros(head.rows(), head.columns(), Format::F32);
        }
        let c = self.as_format(c, Format::F32)?;
        let factors = Factors::new(self, hidden, head)?;
        let total = self.undefined(head.rows(), head.columns(), Format::F32)?;
        let tiles = Tiles::new(self, hidden.rows(), head.rows())?;
        let slope = tiles.slope(self, factors.hidden.format(), true)?;
        for rows in tiles.ranges() {
            factors.logits(self, &rows, &tiles.logits)?;
            if let Some(slope) = &slope {
                self.soften(&tiles.logits, targets, &rows, slope, &c)?;
                let total = Region::rows(&total, 0);
                let slope = Factor::rows(slope, 0, rows.len()).transposed();
                let seen = Factor::rows(&factors.hidden, rows.start, rows.len());
                self.multiply(slope, seen, total, (rows.start > 0).then_some(total))?;
            }
        }
        Ok(total)
    }

    /// The slope of some rows, whose logits are lost.
    fn soften(&self, logits: &Array, targets: &Indices, rows: &Range<usize>, slope: &Array, c: &Array) -> Result<()> {
        let arguments = [
            logits.into(),
            Argument::Address(targets.address() + 4 * rows.start as u64),
            slope.into(),
            Argument::Address(c.address() + 4 * rows.start as u64),
            logits.columns().into(),
        ];
        let grid = Grid::blocks(rows.len(), THREADS);
        self.launch(SOURCE.kernel("loss_slope"), &[slope.format().define()], grid, &arguments)
    }

    /// Normalises the unit gradient of some rows, and adds the target's part.
    fn finish(
        &self,
        fractions: &Array,
        targets: &Indices,
        head: &Head<'_>,
        rows: &Range<usize>,
        unit: &Array,
    ) -> Result<()> {
        let targets = targets.address() + 4 * rows.start as u64;
        let (words, targets) = match head {
            Head::Numbers(numbers) => (Held::Lent(numbers), targets),
            Head::Codes(codes) => {
                let listed = Rows::Listed { address: targets, count: rows.len() };
                (Held::Own(self.decoded(codes, listed, 0..codes.columns(), unit.format())?), 0)
            }
        };
        let arguments = [
            fractions.into(),
            Argument::Address(targets),
            (&*words).into(),
            Argument::Address(unit.row(rows.start)),
            words.columns().into(),
        ];
        self.launch(SOURCE.kernel("finish"), &[unit.format().define()], Grid::blocks(rows.len(), THREADS), &arguments)
    }
}

/// Hidden states, and a head in their type or in codes.
pub(crate) struct Factors<'a> {
    hidden: Held<'a>,
    head: Head<'a>,
}

enum Head<'a> {
    Numbers(Held<'a>),
    Codes(&'a Coded),
}

impl<'a> Factors<'a> {
    pub fn new(device: &Device, hidden: &'a Array, head: &'a Weight) -> Result<Factors<'a>> {
        let numbers = match head.stored() {
            Stored::Numbers(numbers) => numbers,
            Stored::Codes(codes) => return Ok(Factors { hidden: Held::Lent(hidden), head: Head::Codes(codes) }),
        };
        let format = both(hidden.format(), numbers.format());
        let head = Head::Numbers(device.as_format(numbers, format)?);
        Ok(Factors { hidden: device.as_format(hidden, format)?, head })
    }

    /// Writes the logits of some rows of `hidden`, `h Wᵀ` in f32, to the beginning of `out`: `[rows, vocabulary]`.
    pub fn logits(&self, device: &Device, rows: &Range<usize>, out: &Array) -> Result<()> {
        let (seen, out) = (Factor::rows(&self.hidden, rows.start, rows.len()), Region::rows(out, 0));
        match &self.head {
            Head::Numbers(numbers) => device.multiply(seen, Factor::array(numbers).transposed(), out, None),
            Head::Codes(codes) => device.multiply_decoded(Side::Out, seen, codes, TILE, out, None),
        }
    }

    /// Writes `slope W` of some rows to those of `unit`.
    fn unit(&self, device: &Device, slope: &Array, rows: &Range<usize>, unit: &Array) -> Result<()> {
        let (format, of_unit) = (unit.format(), Region::rows(unit, rows.start));
        let slope = Factor::rows(slope, 0, rows.len());
        let codes = match &self.head {
            Head::Numbers(numbers) => {
                for words in parts(numbers.rows(), if format == Format::F32 { WORDS } else { numbers.rows() }) {
                    let seen = Factor::rows(numbers, words.start, words.len());
                    let onto = (words.start > 0).then_some(of_unit);
                    device.multiply(slope.columns(&words), seen, of_unit, onto)?;
                }
                return Ok(());
            }
            Head::Codes(codes) => codes,
        };
        let tile = if format == Format::F32 { TILE.min(WORDS * codes.columns()) } else { TILE };
        let panels: Vec<Range<usize>> = panels(codes.rows(), codes.columns(), tile).collect();
        let total = match (format, panels.len()) {
            (Format::F32, _) | (Format::BF16, ..=1) => None,
            (Format::BF16, _) => Some(device.undefined(rows.len(), unit.columns(), Format::F32)?),
        };
        let sum = total.as_ref().map_or(of_unit, |total| Region::rows(total, 0));
        for words in panels {
            let numbers = device.decoded(codes, Rows::Range(words.clone()), 0..codes.columns(), format)?;
            let onto = (words.start > 0).then_some(sum);
            device.multiply(slope.columns(&words), Factor::array(&numbers), sum, onto)?;
        }
        match total {
            Some(total) => {
                let rounded = device.convert(&total, format)?;
                device.copy(rounded.address(), unit.row(rows.start), rounded.bytes())
            }
            None => Ok(()),
        }
    }
}

/// Rows whose logits are formed together, tile by tile, in one piece of memory.
pub(crate) struct Tiles {
    rows: usize,
    /// `[rows of a tile, vocabulary]`, in f32.
    pub logits: Array,
}

impl Tiles {
    pub fn new(device: &Device, rows: usize, vocabulary: usize) -> Result<Tiles> {
        let most = (device.logits() / vocabulary.max(1)).max(1);
        let most = if most < ROW_STEP { most } else { most / ROW_STEP * ROW_STEP };
        Ok(Tiles { rows, logits: device.undefined(rows.min(most), vocabulary, Format::F32)? })
    }

    /// Memory for the slope of a tile, if it is wanted: that of the logits where it has their type.
    fn slope(&self, device: &Device, format: Format, wanted: bool) -> Result<Option<Held<'_>>> {
        Ok(match (wanted, format) {
            (false, _) => None,
            (true, Format::F32) => Some(Held::Lent(&self.logits)),
            (true, Format::BF16) => {
                let (rows, vocabulary) = (self.logits.rows(), self.logits.columns());
                Some(Held::Own(device.undefined(rows, vocabulary, format)?))
            }
        })
    }

    pub fn ranges(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        parts(self.rows, self.logits.rows())
    }
}

/// `0..count` in parts of `most` at most.
fn parts(count: usize, most: usize) -> impl Iterator<Item = Range<usize>> {
    let most = most.max(1);
    (0..count).step_by(most).map(move |first| first..count.min(first + most))
}

fn check(name: &str, hidden: &Array, head: &Weight, targets: &Indices) -> Result<()> {
    agree(name, "the number of targets", hidden.rows(), targets.len())?;
    agree(name, "the number of columns", head.columns(), hidden.columns())?;
    match targets.host()?.iter().find(|&&target| target as usize >= head.rows()) {
        Some(target) => {
            let message = format!("{name}: target {target} outside a vocabulary of {}", head.rows());
            Err(Error::new(ErrorKind::Shape, message))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::{LOGITS, logits_of};

    #[test]
    fn tiles_follow_from_the_devices_memory() {
        let rows = |gibibytes: usize| logits_of(gibibytes << 30) / 128_256;
        assert_eq!([8, 12, 24, 40, 80, 141].map(rows), [261, 261, 523, 872, 1046, 1046]);
        assert_eq!(logits_of(24 << 30), LOGITS);
    }
}
