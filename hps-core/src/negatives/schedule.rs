//! How `γ` moves from −5, which prefers easy negatives, to 5, which prefers hard ones, over `count` steps.

use crate::error::{Cause, Error, Spelling, nearest};
use core::fmt;
use core::str::FromStr;

/// A course of `γ`, from −5, which prefers easy negatives, to 5, which prefers hard ones, over `count` steps.
///
/// The paper says "linearly increase from −5 to 5, with updates applied at every 20% interval"; that has two readings,
/// and the authors' program is a third. With `i` counted from 0:
///
/// | schedule | `γ_i` |
/// |---|---|
/// | `linspace-fifths` | `−5 + 2.5 ⌊5 i / count⌋`: the five levels −5, −2.5, 0, 2.5, 5 |
/// | `continuous` | `−5 + 10 i / (count − 1)` |
/// | `official-code` | `continuous`, but held from each of the steps `⌊0.2 count⌋, …, ⌊0.8 count⌋` to the next: ends near 3 |
/// | `constant:2.5` | 2.5 |
///
/// ```
/// use hps_core::GammaSchedule;
///
/// # fn main() -> Result<(), hps_core::Error> {
/// let schedule: GammaSchedule = "linspace-fifths".parse()?;
/// assert_eq!((schedule.at(0, 100), schedule.at(20, 100), schedule.at(99, 100)), (-5.0, -2.5, 5.0));
/// assert!((GammaSchedule::OfficialCode.at(99, 100) - (-5.0 + 10.0 * 80.0 / 99.0)).abs() < 1e-12);
/// assert_eq!("constant:-inf".parse::<GammaSchedule>()?.at(3, 100), f64::NEG_INFINITY);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum GammaSchedule {
    /// One `γ` throughout; any number or `±∞`.
    Constant(f64),
    /// Five equal parts at −5, −2.5, 0, 2.5, 5: the recommended reading of the paper.
    LinspaceFifths,
    /// A straight line from −5 to 5.
    Continuous,
    /// What the authors' program computes. It never reaches 5 for longer runs, and it counts rows of the data set
    /// before they are shuffled, so there it is not a course in time.
    OfficialCode,
}

const FIRST: f64 = -5.0;
const RISE: f64 = 10.0;

impl GammaSchedule {
    /// `γ` of step `index` out of `count`. Steps past the end keep the last one's.
    ///
    /// ```
    /// use hps_core::GammaSchedule;
    ///
    /// assert_eq!([0, 50, 100, 500].map(|step| GammaSchedule::Continuous.at(step, 101)), [-5.0, 0.0, 5.0, 5.0]);
    /// assert_eq!([0, 19, 20, 99].map(|step| GammaSchedule::LinspaceFifths.at(step, 100)), [-5.0, -5.0, -2.5, 5.0]);
    /// assert_eq!(GammaSchedule::Constant(2.5).at(7, 100), 2.5);
    /// ```
    pub fn at(&self, index: usize, count: usize) -> f64 {
        let last = count.saturating_sub(1);
        let index = index.min(last);
        match *self {
            GammaSchedule::Constant(gamma) => gamma,
            GammaSchedule::LinspaceFifths => {
                let fifth = (5 * index as u128 / count.max(1) as u128) as f64;
                FIRST + RISE / 4.0 * fifth
            }
            GammaSchedule::Continuous => on_line(index, last),
            GammaSchedule::OfficialCode => {
                // The program's own products, with their rounding.
                let starts = [0.8, 0.6, 0.4, 0.2].map(|share| (share * count as f64) as usize);
                match starts.into_iter().find(|&start| start <= index) {
                    Some(start) => on_line(start, last),
                    None => FIRST,
                }
            }
        }
    }
}

fn on_line(index: usize, last: usize) -> f64 {
    if last == 0 { FIRST } else { FIRST + RISE * index as f64 / last as f64 }
}

impl FromStr for GammaSchedule {
    type Err = Error;

    /// The names in the table at [`GammaSchedule`]; `constant` alone is `constant:0`.
    ///
    /// ```
    /// use hps_core::GammaSchedule;
    ///
    /// # fn main() -> Result<(), hps_core::Error> {
    /// assert_eq!("constant:2.5".parse::<GammaSchedule>()?, GammaSchedule::Constant(2.5));
    /// assert_eq!("constant".parse::<GammaSchedule>()?, GammaSchedule::Constant(0.0));
    /// assert_eq!(GammaSchedule::OfficialCode.to_string().parse::<GammaSchedule>()?, GammaSchedule::OfficialCode);
    /// # Ok(())
    /// # }
    /// ```
    fn from_str(name: &str) -> Result<GammaSchedule, Error> {
        let unknown = || Cause::UnknownName {
            what: "gamma schedule",
            given: Spelling::of(name),
            nearest: nearest(name, ["constant", "linspace-fifths", "continuous", "official-code"]),
            known: "constant, constant:<gamma>, linspace-fifths, continuous, official-code",
        };
        match name {
            "constant" => Ok(GammaSchedule::Constant(0.0)),
            "linspace-fifths" => Ok(GammaSchedule::LinspaceFifths),
            "continuous" => Ok(GammaSchedule::Continuous),
            "official-code" => Ok(GammaSchedule::OfficialCode),
            _ => {
                let gamma: f64 =
                    name.strip_prefix("constant:").and_then(|gamma| gamma.parse().ok()).ok_or_else(unknown)?;
                crate::negatives::weights::validate_gamma(gamma)?;
                Ok(GammaSchedule::Constant(gamma))
            }
        }
    }
}

impl fmt::Display for GammaSchedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GammaSchedule::Constant(gamma) => write!(f, "constant:{gamma}"),
            GammaSchedule::LinspaceFifths => write!(f, "linspace-fifths"),
            GammaSchedule::Continuous => write!(f, "continuous"),
            GammaSchedule::OfficialCode => write!(f, "official-code"),
        }
    }
}
