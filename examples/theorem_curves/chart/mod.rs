//! Figures of a paper: charts side by side, as SVG and as PNG from one description.
//!
//! A [`Chart`] is two [`Axis`], each linear or logarithmic, and its [`Series`]: lines, with or without markers, dashes
//! and a band between two curves. Axes find their ranges and ticks. Colours are those of Okabe and Ito, which people of
//! every colour vision tell apart. Text is set in a typeface that is compiled in, so no font need be installed.

mod axis;
mod series;

pub use axis::Axis;
use series::SAMPLE;
pub use series::{Colour, Series};

use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::register_font;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use std::error::Error;
use std::path::Path;

/// Everything is drawn at twice the PNG's size: the bitmap's pixels are averaged in fours, and the SVG's whole-numbered
/// coordinates become half as coarse.
const OVERSAMPLING: u32 = 2;
/// Of one chart, in drawn units; so are all lengths below.
const CHART: (u32, u32) = (2000, 1440);
const MARGIN: u32 = 44;
const TITLE: u32 = 68;
const LABEL: u32 = 60;
const LABEL_AREA: u32 = 256;
const TICK: u32 = 16;
const LEGEND: u32 = 54;
const LEGEND_ROW: u32 = 78;
const LEGEND_COLUMNS: u32 = 2;
const LINE: u32 = 7;
const MARKER: u32 = 13;
const DASH: (u32, u32) = (30, 20);
const INK: RGBColor = RGBColor(0x26, 0x26, 0x26);
const GRID: RGBColor = RGBColor(0xe4, 0xe4, 0xe4);
/// How much of its colour a band has.
const BAND: f64 = 0.2;

/// Charts side by side.
#[derive(Clone, Debug)]
pub struct Figure {
    /// From left to right.
    pub charts: Vec<Chart>,
}

/// One coordinate system and what is drawn in it.
#[derive(Clone, Debug)]
pub struct Chart {
    pub title: String,
    pub x: Axis,
    pub y: Axis,
    /// Later ones are drawn over earlier ones.
    pub series: Vec<Series>,
}

impl Chart {
    pub fn new(title: &str, x: Axis, y: Axis, series: Vec<Series>) -> Chart {
        Chart { title: title.into(), x, y, series }
    }

    fn draw<'a, DB: DrawingBackend + 'a>(&self, area: &DrawingArea<DB, Shift>) -> Result<(), Box<dyn Error + 'a>>
    where
        DB::ErrorType: 'static,
    {
        let values = || self.series.iter().flat_map(Series::values);
        let (x, y) = (self.x.over(values().map(|(x, _)| x)), self.y.over(values().map(|(_, y)| y)));
        let mut context = ChartBuilder::on(area)
            .margin(MARGIN)
            .caption(&self.title, text(TITLE))
            .x_label_area_size(LABEL_AREA * 2 / 3)
            .y_label_area_size(LABEL_AREA)
            .build_cartesian_2d(x, y)?;
        context
            .configure_mesh()
            .set_all_tick_mark_size(TICK)
            .bold_line_style(GRID.stroke_width(3))
            .light_line_style(TRANSPARENT)
            .axis_style(INK.stroke_width(4))
            .label_style(text(LABEL))
            .axis_desc_style(text(LABEL))
            .x_desc(&self.x.label)
            .y_desc(&self.y.label)
            .draw()?;
        for series in &self.series {
            let (colour, line) = (series.colour.rgb(), series.colour.rgb().stroke_width(LINE));
            let lower = series.band.iter().map(|&(x, lower, _)| (x, lower));
            let upper = series.band.iter().rev().map(|&(x, _, upper)| (x, upper));
            let outline: Vec<_> = lower.chain(upper).collect();
            if !outline.is_empty() {
                context.draw_series([Polygon::new(outline, colour.mix(BAND))])?;
            }
            let points = || series.points.iter().copied();
            if series.dashed {
                context.draw_series(DashedLineSeries::new(points(), DASH.0, DASH.1, line))?;
            } else {
                context.draw_series(LineSeries::new(points(), line))?;
            }
            let markers = points().filter(|_| series.marked);
            context.draw_series(markers.map(|point| Circle::new(point, MARKER, colour.filled())))?;
        }
        Ok(())
    }

    fn named(&self) -> impl Iterator<Item = &Series> {
        self.series.iter().filter(|series| !series.name.is_empty())
    }

    fn draw_legend<'a, DB: DrawingBackend + 'a>(&self, area: &DrawingArea<DB, Shift>) -> Result<(), Box<dyn Error + 'a>>
    where
        DB::ErrorType: 'static,
    {
        let left = LABEL_AREA + MARGIN;
        let column = (area.dim_in_pixel().0 - left) / LEGEND_COLUMNS;
        let style = text(LEGEND).pos(Pos::new(HPos::Left, VPos::Center));
        for (number, series) in (0..).zip(self.named()) {
            let x = (left + number % LEGEND_COLUMNS * column) as i32;
            let y = (number / LEGEND_COLUMNS * LEGEND_ROW + LEGEND_ROW / 2) as i32;
            let (band, [first, second], marker) = series.sample();
            area.draw(&(EmptyElement::at((x, y)) + band + first + second + marker))?;
            area.draw(&Text::new(series.name.clone(), (x + SAMPLE + 24, y), style.clone()))?;
        }
        Ok(())
    }
}

impl Figure {
    fn size(&self) -> (u32, u32) {
        (CHART.0 * self.charts.len() as u32, CHART.1 + self.legend_height())
    }

    /// The same below every chart, so that the charts are.
    fn legend_height(&self) -> u32 {
        let entries = self.charts.iter().map(|chart| chart.named().count() as u32).max().unwrap_or(0);
        entries.div_ceil(LEGEND_COLUMNS) * LEGEND_ROW + MARGIN
    }

    fn draw<'a, DB: DrawingBackend + 'a>(&self, backend: DB) -> Result<(), Box<dyn Error + 'a>>
    where
        DB::ErrorType: 'static,
    {
        register_font("sans-serif", FontStyle::Normal, epaint_default_fonts::UBUNTU_LIGHT)
            .map_err(|_| "the typeface does not load")?;
        let root = backend.into_drawing_area();
        root.fill(&WHITE)?;
        for (chart, area) in self.charts.iter().zip(root.split_evenly((1, self.charts.len()))) {
            let (upper, lower) = area.split_vertically(CHART.1);
            chart.draw(&upper)?;
            chart.draw_legend(&lower)?;
        }
        root.present()?;
        Ok(())
    }

    /// The figure as the text of an SVG file.
    pub fn svg(&self) -> Result<String, Box<dyn Error>> {
        let (width, height) = self.size();
        let mut text = String::new();
        self.draw(SVGBackend::with_string(&mut text, (width, height)))
            .map_err(|error| format!("drawing as SVG: {error}"))?;
        // Only the coordinates are oversampled: the figure asks for the room that the PNG takes.
        let asked = |factor| format!("width=\"{}\" height=\"{}\"", width / factor, height / factor);
        Ok(text.replacen(&asked(1), &asked(OVERSAMPLING), 1))
    }

    /// The figure as the bytes of a PNG file.
    pub fn png(&self) -> Result<Vec<u8>, Box<dyn Error>> {
        let (width, height) = self.size();
        let mut drawn = vec![0; 3 * (width * height) as usize];
        self.draw(BitMapBackend::with_buffer(&mut drawn, (width, height)))
            .map_err(|error| format!("drawing as PNG: {error}"))?;
        let (columns, rows) = (width / OVERSAMPLING, height / OVERSAMPLING);
        let mut averaged = Vec::with_capacity(3 * (columns * rows) as usize);
        for (row, column) in (0..rows).flat_map(|row| (0..columns).map(move |column| (row, column))) {
            for channel in 0..3 {
                let block = (0..OVERSAMPLING).flat_map(|down| (0..OVERSAMPLING).map(move |right| (down, right)));
                let sum: u32 = block
                    .map(|(down, right)| {
                        let pixel = (row * OVERSAMPLING + down) * width + column * OVERSAMPLING + right;
                        u32::from(drawn[(3 * pixel + channel) as usize])
                    })
                    .sum();
                averaged.push((sum / (OVERSAMPLING * OVERSAMPLING)) as u8);
            }
        }
        let mut file = Vec::new();
        let mut encoder = png::Encoder::new(&mut file, columns, rows);
        encoder.set_color(png::ColorType::Rgb);
        encoder.write_header()?.write_image_data(&averaged)?;
        Ok(file)
    }

    /// Writes `name.svg` and `name.png` into a folder.
    pub fn write(&self, folder: &Path, name: &str) -> Result<(), Box<dyn Error>> {
        std::fs::write(folder.join(name).with_extension("svg"), self.svg()?)?;
        std::fs::write(folder.join(name).with_extension("png"), self.png()?)?;
        Ok(())
    }
}

fn text(size: u32) -> TextStyle<'static> {
    ("sans-serif", size).into_font().color(&INK)
}
