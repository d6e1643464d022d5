//! An axis: its label, where a value stands on it, and which numbers are written beside it.

use plotters::coord::ranged1d::{KeyPointHint, NoDefaultFormatting, Ranged, ValueFormatter};
use std::ops::Range;

/// Share of an axis' length left free beyond the data.
const PADDING: f64 = 0.04;
/// A logarithmic axis longer than this numbers its decades only.
const MANY_DECADES: f64 = 2.5;

/// One quantity, linear or logarithmic. Its range is that of the data.
#[derive(Clone, Debug)]
pub struct Axis {
    /// Quantity and unit.
    pub(super) label: String,
    scale: Scale,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Scale {
    Linear,
    Logarithmic,
}

impl Axis {
    /// * `label`: quantity and unit.
    pub fn linear(label: &str) -> Axis {
        Axis { label: label.into(), scale: Scale::Linear }
    }

    /// All values of a logarithmic axis are above 0.
    pub fn logarithmic(label: &str) -> Axis {
        Axis { scale: Scale::Logarithmic, ..Axis::linear(label) }
    }

    /// This axis over these values.
    pub(super) fn over(&self, values: impl Iterator<Item = f64>) -> Ruler {
        let places = values.map(|value| self.scale.place(value));
        let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| {
            assert!(place.is_finite(), "{}: a value that cannot be placed", self.label);
            (low.min(place), high.max(place))
        });
        let padding = PADDING * if high > low { high - low } else { 1.0 };
        Ruler { scale: self.scale, places: low - padding..high + padding }
    }
}

impl Scale {
    fn place(self, value: f64) -> f64 {
        if self == Scale::Logarithmic { value.log10() } else { value }
    }

    fn value(self, place: f64) -> f64 {
        if self == Scale::Logarithmic { 10.0_f64.powf(place) } else { place }
    }
}

/// An axis that knows its range, in the drawing library's terms.
pub(super) struct Ruler {
    scale: Scale,
    /// Of the values, or of their decimal logarithms.
    places: Range<f64>,
}

impl Ruler {
    /// Places that get a line and a number.
    fn ticks(&self) -> Vec<f64> {
        let length = self.places.end - self.places.start;
        let decades = self.places.start.floor() as i32..=self.places.end.ceil() as i32;
        let ticks: Vec<f64> = match self.scale {
            Scale::Logarithmic if length > MANY_DECADES => {
                let stride = (length / 6.0).ceil() as usize;
                decades.filter(|decade| decade.rem_euclid(stride as i32) == 0).map(f64::from).collect()
            }
            Scale::Logarithmic => {
                decades.flat_map(|decade| [1.0_f64, 2.0, 5.0].map(|digit| f64::from(decade) + digit.log10())).collect()
            }
            Scale::Linear => {
                let decade = 10.0_f64.powf((length / 5.0).log10().floor());
                let step = [1.0, 2.0, 5.0].map(|digit| digit * decade).into_iter().find(|step| length / step <= 6.5);
                let step = step.unwrap_or(10.0 * decade);
                let first = (self.places.start / step).ceil() as i64;
                (first..).map(|number| number as f64 * step).take_while(|&tick| tick <= self.places.end).collect()
            }
        };
        ticks.into_iter().filter(|tick| self.places.contains(tick)).collect()
    }
}

impl Ranged for Ruler {
    type FormatOption = NoDefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (first, last): (i32, i32)) -> i32 {
        let share = (self.scale.place(*value) - self.places.start) / (self.places.end - self.places.start);
        first + (share * f64::from(last - first)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        // Light points would be lines without numbers.
        let ticks = if hint.weight().allow_light_points() { Vec::new() } else { self.ticks() };
        ticks.into_iter().map(|place| self.scale.value(place)).collect()
    }

    fn range(&self) -> Range<f64> {
        self.scale.value(self.places.start)..self.scale.value(self.places.end)
    }
}

impl ValueFormatter<f64> for Ruler {
    fn format(value: &f64) -> String {
        // Nine digits hide what the steps' roundings leave.
        let rounded: f64 = format!("{value:.9e}").parse().unwrap_or(*value);
        let text = match rounded.abs() {
            size if size < 1e-12 => "0".into(),
            size if !(1e-3..1e6).contains(&size) => format!("{rounded:e}"),
            _ => format!("{rounded}"),
        };
        text.replace('-', "−")
    }
}
