//! One chart of a report: lines over the updates, as SVG.
//!
//! Colours are those of Okabe and Ito, which people of every colour vision tell apart; text is set in a typeface that is
//! compiled in, so no font need be installed.

use crate::{Error, ErrorKind, Result};
use plotters::prelude::*;
use plotters::style::register_font;

/// Drawn units; the page scales them.
const SIZE: (u32, u32) = (1200, 640);
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
const COLOURS: [RGBColor; 4] =
    [RGBColor(0x00, 0x72, 0xb2), RGBColor(0xd5, 0x5e, 0x00), RGBColor(0x00, 0x9e, 0x73), RGBColor(0xcc, 0x79, 0xa7)];

/// A quantity over the updates.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Line {
    /// Empty where the chart's title says it.
    pub name: &'static str,
    /// `(update, value)`; values that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// Whether each point is marked: a few, far apart.
    pub marked: bool,
}

/// The chart as an `<svg>` element; nothing, if there is nothing to draw.
pub(super) fn svg(title: &str, lines: &[Line]) -> Result<Option<String>> {
    let lines: Vec<(&Line, Vec<(f64, f64)>)> = lines
        .iter()
        .map(|line| (line, line.points.iter().copied().filter(|(_, value)| value.is_finite()).collect()))
        .filter(|(_, points): &(_, Vec<_>)| !points.is_empty())
        .collect();
    let all = || lines.iter().flat_map(|(_, points)| points);
    if all().next().is_none() {
        return Ok(None);
    }
    let (x, y) = (span(all().map(|(update, _)| *update)), span(all().map(|(_, value)| *value)));
    let mut text = String::new();
    draw(&mut text, title, &lines, x, y).map_err(|message| Error::new(ErrorKind::Io, format!("{title}: {message}")))?;
    Ok(Some(text))
}

/// From the smallest to the largest, and a little beyond.
fn span(values: impl Iterator<Item = f64>) -> std::ops::Range<f64> {
    let (low, high) =
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
    let padding = if high > low { 0.04 * (high - low) } else { 0.5 * high.abs().max(1e-9) };
    low - padding..high + padding
}

fn draw(
    text: &mut String,
    title: &str,
    lines: &[(&Line, Vec<(f64, f64)>)],
    x: std::ops::Range<f64>,
    y: std::ops::Range<f64>,
) -> Result<(), String> {
    let said = |error: &dyn std::fmt::Display| error.to_string();
    register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| "the typeface does not load".to_string())?;
    let root = SVGBackend::with_string(text, SIZE).into_drawing_area();
    root.fill(&WHITE).map_err(|error| said(&error))?;
    let style = |size: u32| ("sans-serif", size).into_font().color(&INK);
    let height = y.end - y.start;
    // As many decimals as tell the axis' ten numbers apart.
    let decimals = (1.0 - height.log10()).ceil().max(0.0) as usize;
    let mut context = ChartBuilder::on(&root)
        .margin(18)
        .caption(title, style(34))
        .x_label_area_size(54)
        .y_label_area_size(110)
        .build_cartesian_2d(x, y)
        .map_err(|error| said(&error))?;
    context
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(style(24))
        .x_label_formatter(&|update| format!("{update:.0}"))
        .y_label_formatter(&|value| if height < 1e-2 { format!("{value:.1e}") } else { format!("{value:.decimals$}") })
        .draw()
        .map_err(|error| said(&error))?;
    for ((line, points), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        let drawn = context
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(3)))
            .map_err(|error| said(&error))?;
        if !line.name.is_empty() {
            let colour = *colour;
            drawn
                .label(line.name)
                .legend(move |(x, y)| PathElement::new([(x, y), (x + 24, y)], colour.stroke_width(4)));
        }
        if line.marked || points.len() == 1 {
            let markers = points.iter().map(|&point| Circle::new(point, 5, colour.filled()));
            context.draw_series(markers).map_err(|error| said(&error))?;
        }
    }
    if lines.iter().any(|(line, _)| !line.name.is_empty()) {
        context
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperLeft)
            .background_style(WHITE.mix(0.85))
            .border_style(TRANSPARENT)
            .label_font(style(24))
            .draw()
            .map_err(|error| said(&error))?;
    }
    root.present().map_err(|error| said(&error))
}
