//! One chart of a page, as SVG: lines over the updates, or estimates with their intervals.
//!
//! Colours are those of Okabe and Ito, which people of every colour vision tell apart; text is set in a typeface that is
//! compiled in, so no font need be installed.

use super::decimal;
use crate::{Error, ErrorKind, Result, visible};
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};

/// Drawn units; the page scales them.
const SIZE: (u32, u32) = (1200, 640);
/// Height of the title, and of the title with the names of the lines.
const TITLE: u32 = 66;
const HEAD: u32 = 104;
/// Width of a piece of a line before its name, and of the room after it.
const PIECE: i32 = 44;
const GAP: i32 = 40;
const INK: RGBColor = RGBColor(0x33, 0x33, 0x33);
const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
const COLOURS: [RGBColor; 4] =
    [RGBColor(0x00, 0x72, 0xb2), RGBColor(0xd5, 0x5e, 0x00), RGBColor(0x00, 0x9e, 0x73), RGBColor(0xcc, 0x79, 0xa7)];

/// A quantity over the updates.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Line {
    /// Empty where the chart's title says it.
    pub name: &'static str,
    /// `(update, value)`; values that are not finite are left out.
    pub points: Vec<(f64, f64)>,
    /// Whether each point is marked: a few, far apart.
    pub marked: bool,
}

/// The chart as an `<svg>` element; nothing, if there is nothing to draw.
pub(crate) fn lines(title: &str, lines: &[Line]) -> Result<Option<String>> {
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

/// A white sheet with the typeface.
fn drawing(text: &mut String, size: (u32, u32)) -> Result<Sheet<'_>, String> {
    register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
        .map_err(|_| "the typeface does not load".to_string())?;
    let root = SVGBackend::with_string(text, size).into_drawing_area();
    root.fill(&WHITE).map_err(|error| said(&error))?;
    Ok(root)
}

type Sheet<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn style(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}

fn said(error: &dyn std::fmt::Display) -> String {
    error.to_string()
}

/// An axis' number, with as many decimals as tell its ten numbers apart.
fn number(value: f64, height: f64) -> String {
    let decimals = (1.0 - height.log10()).ceil().max(0.0) as usize;
    if height < 1e-2 { format!("{value:.1e}") } else { decimal(value, decimals) }
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
    let root = drawing(text, SIZE)?;
    let height = y.end - y.start;
    let named: Vec<(&str, RGBColor)> =
        lines.iter().map(|(line, _)| line.name).zip(COLOURS.into_iter().cycle()).collect();
    let (head, below) =
        root.split_vertically(if named.iter().any(|(name, _)| !name.is_empty()) { HEAD } else { TITLE });
    draw_head(&head, title, &named)?;
    let mut context = ChartBuilder::on(&below)
        .margin(18)
        .margin_top(0)
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
        .y_label_formatter(&|value| number(*value, height))
        .draw()
        .map_err(|error| said(&error))?;
    for ((line, points), colour) in lines.iter().zip(COLOURS.iter().cycle()) {
        context
            .draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(3)))
            .map_err(|error| said(&error))?;
        if line.marked || points.len() == 1 {
            let markers = points.iter().map(|&point| Circle::new(point, 5, colour.filled()));
            context.draw_series(markers).map_err(|error| said(&error))?;
        }
    }
    root.present().map_err(|error| said(&error))
}

/// The title, and under it the names of the lines, each after a piece of its colour: above the chart, where no line is.
fn draw_head(head: &Sheet<'_>, title: &str, named: &[(&str, RGBColor)]) -> Result<(), String> {
    let centre = SIZE.0 as i32 / 2;
    let middle = |size: u32, side: HPos| style(size).pos(Pos::new(side, VPos::Center));
    head.draw(&Text::new(title.to_string(), (centre, TITLE as i32 / 2 + 4), middle(34, HPos::Center)))
        .map_err(|error| said(&error))?;
    let widths: Result<Vec<i32>, String> = named
        .iter()
        .map(|(name, _)| Ok(head.estimate_text_size(name, &style(24)).map_err(|error| said(&error))?.0 as i32))
        .collect();
    let widths = widths?;
    let whole: i32 = widths.iter().map(|width| PIECE + width).sum::<i32>() + GAP * (named.len() as i32 - 1);
    let (mut left, height) = (centre - whole / 2, HEAD as i32 - 22);
    for ((name, colour), width) in named.iter().zip(widths).filter(|((name, _), _)| !name.is_empty()) {
        let piece = PathElement::new([(left, height), (left + PIECE - 10, height)], colour.stroke_width(4));
        head.draw(&piece).map_err(|error| said(&error))?;
        head.draw(&Text::new((*name).to_string(), (left + PIECE, height), middle(24, HPos::Left)))
            .map_err(|error| said(&error))?;
        left += PIECE + width + GAP;
    }
    Ok(())
}

/// An estimate and its interval.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Estimate {
    /// Of what.
    pub name: String,
    /// Low end, estimate, high end.
    pub numbers: [f64; 3],
}

/// Height of an estimate's line, in drawn units, and what is above and below all of them.
const LINE: u32 = 64;
const AROUND: u32 = 160;
/// Room for the names.
const NAMES: u32 = 280;

/// Estimates one below the other, each a dot on its interval, as an `<svg>` element; nothing, if there is nothing finite.
pub(crate) fn estimates(title: &str, estimates: &[Estimate]) -> Result<Option<String>> {
    let shown: Vec<&Estimate> =
        estimates.iter().filter(|estimate| estimate.numbers.iter().all(|number| number.is_finite())).collect();
    if shown.is_empty() {
        return Ok(None);
    }
    let x = span(shown.iter().flat_map(|estimate| estimate.numbers));
    let mut text = String::new();
    let failed = |message| Error::new(ErrorKind::Io, format!("{title}: {message}"));
    draw_estimates(&mut text, title, &shown, x).map_err(failed)?;
    Ok(Some(text))
}

fn draw_estimates(text: &mut String, title: &str, shown: &[&Estimate], x: std::ops::Range<f64>) -> Result<(), String> {
    let root = drawing(text, (SIZE.0, AROUND + LINE * shown.len() as u32))?;
    let width = x.end - x.start;
    let ends = (-0.5, shown.len() as f64 - 0.5);
    let mut context = ChartBuilder::on(&root)
        .margin(18)
        .caption(title, style(34))
        .x_label_area_size(54)
        .y_label_area_size(NAMES)
        .build_cartesian_2d(x.clone(), ends.1..ends.0)
        .map_err(|error| said(&error))?;
    context
        .configure_mesh()
        .bold_line_style(GRID)
        .light_line_style(TRANSPARENT)
        .axis_style(INK)
        .label_style(style(24))
        .disable_y_mesh()
        .disable_y_axis()
        .x_label_formatter(&|value| number(*value, width))
        .draw()
        .map_err(|error| said(&error))?;
    if x.contains(&0.0) {
        let zero = PathElement::new([(0.0, ends.0), (0.0, ends.1)], INK.stroke_width(1));
        context.draw_series([zero]).map_err(|error| said(&error))?;
    }
    for (line, Estimate { name, numbers: [low, estimate, high] }) in shown.iter().enumerate() {
        let line = line as f64;
        let whole = PathElement::new([(*low, line), (*high, line)], COLOURS[0].stroke_width(4));
        context.draw_series([whole]).map_err(|error| said(&error))?;
        let dot = Circle::new((*estimate, line), 9, COLOURS[0].filled());
        context.draw_series([dot]).map_err(|error| said(&error))?;
        let (left, height) = context.backend_coord(&(x.start, line));
        let right = style(24).pos(Pos::new(HPos::Right, VPos::Center));
        root.draw(&Text::new(visible(name).into_owned(), (left - 14, height), right)).map_err(|error| said(&error))?;
    }
    root.present().map_err(|error| said(&error))
}
