//! An evaluation as one HTML file: its tables, a chart of each metric on each dataset, its options.

use super::{Evaluation, Metric};
use crate::Result;
use crate::page::Page;
use crate::page::chart::{self, Estimate};
use std::path::Path;

impl Evaluation {
    /// Writes the page, whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_page(&self, path: &Path) -> Result<()> {
        let mut page = Page::new("Evaluation");
        page.note(&self.note());
        for text in self.texts() {
            let text = text.stacked();
            page.heading(&text.title);
            page.table(&text.header, &text.rows);
        }
        for (dataset, (name, _)) in self.datasets.iter().enumerate() {
            page.heading(&format!("Estimates on {name}"));
            let mut charts = Vec::new();
            for metric in Metric::PAPER.into_iter().chain(Metric::MORE) {
                let estimate = |(method, name): (usize, &String)| {
                    let interval = self.estimate(method, dataset, metric)?;
                    Some(Estimate { name: name.clone(), numbers: [interval.low, interval.mean, interval.high] })
                };
                let estimates: Vec<Estimate> = self.methods.iter().enumerate().filter_map(estimate).collect();
                charts.extend(chart::estimates(metric.title().trim_end_matches(" ↑"), &estimates)?);
            }
            page.charts(charts.into_iter());
        }
        for samples in &self.samples {
            page.heading(&format!("Responses to {}", samples.place));
            page.note(&samples.prompt);
            page.options(&self.responses(samples, usize::MAX).collect::<Vec<_>>());
        }
        page.heading("Options");
        page.options(&self.options);
        page.write(path)
    }
}
