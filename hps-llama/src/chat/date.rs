//! The day that templates write: given, never taken from a clock, so that a row has the same tokens every day.

use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];
const DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A day of the Gregorian calendar, `YYYY-MM-DD`.
///
/// ```
/// use hps_llama::chat::TemplateDate;
/// let date: TemplateDate = "2026-11-30".parse()?;
/// assert_eq!(date.format("%d %b %Y, %A").as_deref(), Ok("30 Nov 2026, Monday"));
/// assert!("2026-02-29".parse::<TemplateDate>().is_err());
/// # Ok::<(), hps_llama::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateDate {
    year: u32,
    month: u32,
    day: u32,
}

impl TemplateDate {
    /// The day at midnight as C's `strftime` writes it, in English.
    ///
    /// # Errors
    /// A directive that is not known.
    pub fn format(&self, format: &str) -> Result<String, String> {
        let TemplateDate { year, month, day } = *self;
        let (month_name, day_name) = (MONTHS[month as usize - 1], DAYS[self.weekday() as usize]);
        let of_year = self.day_of_year();
        let mut out = String::new();
        let mut chars = format.chars();
        while let Some(c) = chars.next() {
            if c != '%' {
                out.push(c);
                continue;
            }
            let mut directive = chars.next();
            let unpadded = directive == Some('-');
            if unpadded {
                directive = chars.next();
            }
            let mut number = |value: u32, width: usize| {
                let width = if unpadded { 0 } else { width };
                out.push_str(&format!("{value:0width$}"));
            };
            match directive {
                Some('Y') => number(year, 0),
                Some('y') => number(year % 100, 2),
                Some('m') => number(month, 2),
                Some('d') => number(day, 2),
                Some('j') => number(of_year, 3),
                Some('H' | 'M' | 'S') => number(0, 2),
                Some('I') => number(12, 2),
                Some('f') => number(0, 6),
                Some('w') => number(self.weekday(), 0),
                Some('u') => number((self.weekday() + 6) % 7 + 1, 0),
                Some('U') => number((of_year + 6 - self.weekday()) / 7, 2),
                Some('W') => number((of_year + 6 - (self.weekday() + 6) % 7) / 7, 2),
                Some('e') if unpadded => number(day, 0),
                Some('e') => out.push_str(&format!("{day:2}")),
                Some('B') => out.push_str(month_name),
                Some('b' | 'h') => out.push_str(&month_name[..3]),
                Some('A') => out.push_str(day_name),
                Some('a') => out.push_str(&day_name[..3]),
                Some('p') => out.push_str("AM"),
                Some('F') => out.push_str(&format!("{self}")),
                Some('D' | 'x') => out.push_str(&format!("{month:02}/{day:02}/{:02}", year % 100)),
                Some('T' | 'X') => out.push_str("00:00:00"),
                Some('R') => out.push_str("00:00"),
                Some('%') => out.push('%'),
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                other => {
                    let directive = other.map(String::from).unwrap_or_default();
                    return Err(format!("`%{directive}` of the format \"{format}\" is not known"));
                }
            }
        }
        Ok(out)
    }

    fn day_of_year(&self) -> u32 {
        (1..self.month).map(|month| days_of(self.year, month)).sum::<u32>() + self.day
    }

    /// From 0, a Sunday.
    fn weekday(&self) -> u32 {
        // 1 January of the year 1 was a Monday.
        let before = self.year - 1;
        (before * 365 + before / 4 - before / 100 + before / 400 + self.day_of_year()) % 7
    }
}

fn days_of(year: u32, month: u32) -> u32 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

impl FromStr for TemplateDate {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let refused = || {
            Error::new(ErrorKind::Option, format!("`template_date` is \"{text}\"; it is a day of the form YYYY-MM-DD"))
        };
        let parts: Vec<&str> = text.split('-').collect();
        let [year, month, day] = parts[..] else { return Err(refused()) };
        let number = |part: &str, width: usize| {
            let digits = part.len() == width && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse::<u32>().ok()).flatten().filter(|number| *number > 0).ok_or_else(refused)
        };
        let date = TemplateDate { year: number(year, 4)?, month: number(month, 2)?, day: number(day, 2)? };
        if date.month > 12 || date.day > days_of(date.year, date.month) {
            return Err(refused());
        }
        Ok(date)
    }
}

impl fmt::Display for TemplateDate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{:04}-{:02}-{:02}", self.year, self.month, self.day)
    }
}
