//! Amounts of memory, and large counts, as people write them.

use crate::{Error, ErrorKind, Result};
use std::fmt;
use std::str::FromStr;

/// A number of bytes: `8GiB`, `1.5 GB`, `65536`.
///
/// ```
/// use hps_llama::train::Bytes;
/// assert_eq!("1.5GiB".parse::<Bytes>()?, Bytes(3 << 29));
/// assert_eq!("2 MB".parse::<Bytes>()?, Bytes(2_000_000));
/// assert_eq!(Bytes(220_200_960).to_string(), "210 MiB");
/// # Ok::<(), hps_llama::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bytes(pub u64);

const UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("KB", 1_000),
    ("B", 1),
];

impl fmt::Display for Bytes {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, size) = UNITS[..4].iter().find(|(_, size)| self.0 >= *size).unwrap_or(&UNITS[8]);
        let number = self.0 as f64 / *size as f64;
        let decimals = usize::from(number < 10.0 && *size > 1);
        write!(out, "{number:.decimals$} {unit}")
    }
}

impl FromStr for Bytes {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let trimmed = text.trim();
        let (number, size) = UNITS
            .iter()
            .find_map(|(unit, size)| Some((trimmed.strip_suffix(unit)?.trim_end(), *size)))
            .unwrap_or((trimmed, 1));
        let bytes = number.parse::<f64>().ok().map(|number| number * size as f64);
        match bytes {
            Some(bytes) if bytes >= 1.0 && bytes < u64::MAX as f64 => Ok(Bytes(bytes as u64)),
            _ => {
                let message = format!("`{text}` is no amount of memory; `8GiB`, `500 MB` or `65536` are");
                Err(Error::new(ErrorKind::Option, message))
            }
        }
    }
}

/// A count with a comma every three digits.
///
/// ```
/// assert_eq!(hps_llama::train::thousands(1_234_567), "1,234,567");
/// ```
pub fn thousands(number: usize) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
