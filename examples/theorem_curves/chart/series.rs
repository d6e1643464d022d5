//! What is drawn in a chart: lines, areas, markers, in colours that every eye tells apart.

use super::{BAND, INK, LINE, MARKER};
use plotters::prelude::*;

/// Length of what stands before a name in the legend.
pub(super) const SAMPLE: i32 = 120;

/// In drawn units.
type Place = (i32, i32);

/// The palette of Okabe and Ito, without its yellow, which is too light for lines.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Colour {
    Black,
    Blue,
    Vermilion,
    Green,
    Orange,
    Sky,
    Purple,
}

/// One curve and its place in the legend.
#[derive(Clone, Debug)]
pub struct Series {
    pub(super) name: String,
    pub(super) colour: Colour,
    pub(super) points: Vec<(f64, f64)>,
    /// `(x, lower, upper)`.
    pub(super) band: Vec<(f64, f64, f64)>,
    pub(super) dashed: bool,
    pub(super) marked: bool,
}

impl Series {
    /// A curve through points in order; an empty name keeps it out of the legend.
    pub fn line(name: &str, colour: Colour, points: Vec<(f64, f64)>) -> Series {
        Series { name: name.into(), colour, points, band: Vec::new(), dashed: false, marked: false }
    }

    /// Only the area between two curves: `(x, lower, upper)`.
    pub fn area(name: &str, colour: Colour, band: Vec<(f64, f64, f64)>) -> Series {
        Series { band, ..Series::line(name, colour, Vec::new()) }
    }

    /// With the area between two curves: `(x, lower, upper)`.
    pub fn with_band(mut self, band: Vec<(f64, f64, f64)>) -> Series {
        self.band = band;
        self
    }

    /// For limits, bounds and other references.
    pub fn dashed(mut self) -> Series {
        self.dashed = true;
        self
    }

    /// For values measured at a few places.
    pub fn marked(mut self) -> Series {
        self.marked = true;
        self
    }

    /// Whether the legend calls it so.
    pub fn is_named(&self, name: &str) -> bool {
        self.name == name
    }

    pub(super) fn values(&self) -> impl Iterator<Item = (f64, f64)> {
        let edges = self.band.iter().flat_map(|&(x, lower, upper)| [(x, lower), (x, upper)]);
        self.points.iter().copied().chain(edges)
    }

    /// What stands before the name, from the middle of its left end: the band, the line's two dashes, the marker.
    pub(super) fn sample(&self) -> (Rectangle<Place>, [PathElement<Place>; 2], Circle<Place, u32>) {
        let colour = self.colour.rgb();
        let line = |from, to| PathElement::new(vec![(from, 0), (to, 0)], colour.stroke_width(LINE));
        let half = if self.band.is_empty() { 0 } else { MARKER as i32 + 5 };
        let band = Rectangle::new([(0, -half), (SAMPLE, half)], colour.mix(BAND).filled());
        let marker = Circle::new((SAMPLE / 2, 0), MARKER, colour.mix(if self.marked { 1.0 } else { 0.0 }).filled());
        let ends = match (self.points.is_empty(), self.dashed) {
            (true, _) => [(0, 0), (0, 0)],
            (false, true) => [(0, 46), (74, SAMPLE)],
            (false, false) => [(0, SAMPLE), (0, 0)],
        };
        (band, ends.map(|(from, to)| line(from, to)), marker)
    }
}

impl Colour {
    pub(super) fn rgb(self) -> RGBColor {
        match self {
            Colour::Black => INK,
            Colour::Blue => RGBColor(0x00, 0x72, 0xb2),
            Colour::Vermilion => RGBColor(0xd5, 0x5e, 0x00),
            Colour::Green => RGBColor(0x00, 0x9e, 0x73),
            Colour::Orange => RGBColor(0xe6, 0x9f, 0x00),
            Colour::Sky => RGBColor(0x56, 0xb4, 0xe9),
            Colour::Purple => RGBColor(0xcc, 0x79, 0xa7),
        }
    }
}
