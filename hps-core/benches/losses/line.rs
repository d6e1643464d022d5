//! A line of a table: what runs, and how long it took each time.

use std::time::Instant;

pub struct Line {
    pub title: String,
    /// What a time is divided by.
    count: usize,
    run: Box<dyn FnMut()>,
    seconds: Vec<f64>,
}

impl Line {
    pub fn new(title: &str, count: usize, run: impl FnMut() + 'static) -> Line {
        Line { title: title.into(), count, run: Box::new(run), seconds: vec![] }
    }

    pub fn measure(&mut self) {
        // Once unmeasured: the rows of a step come fresh from the forward pass.
        (self.run)();
        let start = Instant::now();
        (self.run)();
        self.seconds.push(start.elapsed().as_secs_f64());
    }

    /// The median.
    pub fn nanoseconds(&mut self) -> f64 {
        self.seconds.sort_by(f64::total_cmp);
        self.seconds[self.seconds.len() / 2] * 1e9 / self.count as f64
    }
}
